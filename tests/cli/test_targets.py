"""What stands on a command line for a store is judged by the store, with its error and its exit code, and not by the parser."""

from __future__ import annotations

from collections.abc import Iterator

import click

from tenure.cli.app import app


def commands(group: click.Group) -> Iterator[click.Command]:
    for each in group.commands.values():
        yield from commands(each) if isinstance(each, click.Group) else [each]


def test_no_command_lets_the_parser_judge_a_path() -> None:
    paths = [
        (each.name, given.name)
        for each in [app, *commands(app)]
        for given in each.params
        if isinstance(given.type, click.Path) and (given.type.readable or given.type.exists)
    ]

    assert not paths
