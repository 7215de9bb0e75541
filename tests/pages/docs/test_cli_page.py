"""docs/cli.md, and docs/console.md for the console, name every command with every option, and no other one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from tenure.cli.app import app
from tests.architecture.tree import ROOT

PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("cli", "console")}
OF_EACH = {"--help", "--json"}
BEFORE = {"vacuum": "prune"}
"""Names that go with the next release, and stand in the row of what they are now."""


def commands(command: click.Command, *names: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield " ".join(names), command
        return
    for name, each in command.commands.items():
        yield from commands(each, *names, name)


def options(command: click.Command) -> list[click.Option]:
    given = [each for each in command.params if isinstance(each, click.Option)]
    return [each for each in given if not OF_EACH.intersection(each.opts)]


def named_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


def said_of(name: str) -> str:
    """The row of a command, that of the command whose options it has, and what is said of many at once."""
    row = "\n".join(re.findall(rf"^\| [^|]*`tenure {name}[ `].*", PAGES["cli"], re.MULTILINE))
    others = [said_of(other) for other in re.findall(r"options of `tenure ([a-z ]+)`", row)]
    many = PAGES["cli"].partition("## Many at once\n")[2].partition("\n## ")[0]
    return "\n".join([row, *others, many if re.search(rf"`{name}[ `]", many) else ""])


def test_every_command_is_named_with_its_options() -> None:
    absent: dict[str, list[str]] = {}
    for name, command in commands(app):
        said = PAGES["console"] if name == "console" else said_of(BEFORE.get(name, name))
        left = [str(each.name) for each in options(command) if not named_in(said).intersection(each.opts)]
        absent |= {name: left} if left or not said.strip() else {}

    assert absent == {}


def test_every_option_says_what_it_does() -> None:
    silent = [
        (name, each.name)
        for name, command in commands(app)
        for each in command.params
        if isinstance(each, click.Option) and not each.help
    ]

    assert silent == []


def test_no_option_is_named_that_no_command_has() -> None:
    given = [each for command in (app, *[command for _, command in commands(app)]) for each in options(command)]
    there = {name for each in given for name in each.opts} | OF_EACH

    for page, text in PAGES.items():
        assert {name for name in named_in(text) if name.startswith("--")} - there == set(), page
