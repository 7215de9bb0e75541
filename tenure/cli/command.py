"""What every command shares: ``--json``, a trio loop, and errors that end it with one line and a code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Concatenate, ParamSpec

import click

from tenure.errors import Error, InvalidInput
from tenure.persistence.seams.executors import run_loop

from .exits import (
    INTERRUPTED,
    WRONG_USE,
    exit_code,
)
from .output import Output

P = ParamSpec("P")

Body = Callable[Concatenate[Output, P], Awaitable[int | None]]
"""A command: what it prints through, then its arguments. It returns an exit code, None for done."""


def command(group: click.Group, name: str) -> Callable[[Body[P]], Callable[..., None]]:
    """Register an async function as a command; its docstring is the help.

    Put it above the options of the command: ``@command(app, "backup")``, then ``@click.argument(...)``.
    """

    def decorate(body: Body[P]) -> Callable[..., None]:
        @functools.wraps(body)
        def run(*args: P.args, json: bool, **kwargs: P.kwargs) -> None:  # type: ignore[valid-type]  # `json` is added here
            sys.exit(perform(Output(json=json), body, *args, **kwargs))

        with_json: Any = click.option("--json", is_flag=True, help="Print JSON instead of text.")(run)
        registered: Callable[..., None] = group.command(name)(with_json)
        return registered

    return decorate


def labels_of(given: Iterable[str], option: str = "--label") -> dict[str, str]:
    """Labels as a command line has them, ``name=value`` each. Raises `InvalidInput`."""
    labels: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise InvalidInput(detail=f"write name=value, and not {each!r}", field=option)
        if name in labels:
            raise InvalidInput(detail=f"{name!r} is given twice", field=option)
        labels[name] = value
    return labels


def in_json(app: click.Group) -> int:
    """Run the command line, and print wrong use of it as every other error is printed with ``--json``; the exit code."""
    try:
        return app(prog_name="tenure", standalone_mode=False) or 0
    except click.ClickException as exc:
        Output(json=True).error(InvalidInput(detail=exc.format_message().rstrip("."), field="command line"))
        return WRONG_USE


def perform(output: Output, body: Callable[..., Awaitable[int | None]], *args: Any, **kwargs: Any) -> int:
    """Run a command to its end and return its exit code."""
    try:
        return run_loop(functools.partial(body, output, *args, **kwargs), "the command") or 0
    except Error as exc:
        output.error(exc)
        return exit_code(exc)
    except KeyboardInterrupt:
        return INTERRUPTED
