"""What the command line prints: tables for people, or JSON.

Results go to standard output and errors to standard error, so that ``tenure ... --json | jq`` is safe. With ``--json`` a result
is one JSON document, and an error one line of JSON.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast, final

import msgspec
from rich.console import Console
from rich.table import Table

from tenure.errors import Error

from .exits import as_json

_UNFOLDED: Final = 100_000


@final
class Output:
    """Prints in the form that was asked for."""

    def __init__(self, *, json: bool) -> None:
        """Choose JSON, or text for people."""
        self.json = json

    def facts(self, title: str, facts: Mapping[str, object]) -> None:
        """Print one thing: in JSON the facts as an object."""
        if self.json:
            self._print_json(facts)
            return
        table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
        for name, value in facts.items():
            table.add_row(name.replace("_", " "), _cell(value))
        self._print(table)

    def rows(self, title: str, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
        """Print many things of one sort: in JSON a list of objects with every key, not only the columns."""
        found = list(rows)
        if self.json:
            self._print_json(found)
            return
        table = Table(title=title, title_justify="left", pad_edge=False)
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in found:
            table.add_row(*(_cell(row.get(column)) for column in columns))
        self._print(table)

    def error(self, error: Error) -> None:
        """Print one line to standard error."""
        if self.json:
            line = msgspec.json.encode(as_json(error)).decode()
        else:
            line = f"tenure: {type(error).__name__}: {' '.join(str(error).split())}"
        sys.stderr.write(f"{line}\n")

    def _print_json(self, value: object) -> None:
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        sys.stdout.write(f"{text}\n")

    def _print(self, table: Table) -> None:
        if sys.stdout.isatty():
            Console(file=sys.stdout).print(table)
            return
        # Into a file or a pipe: nothing is folded, and no line ends in blanks.
        text = io.StringIO()
        Console(file=text, width=_UNFOLDED).print(table)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _cell(value: object) -> str:
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value)
        return ", ".join(f"{name} {_cell(item)}" for name, item in items.items())
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in cast("Sequence[object]", value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
