"""What the command line prints: tables for people, or JSON.

Results go to standard output and errors to standard error, so that ``tenure ... --json | jq`` is safe. With ``--json`` a result
is one JSON document, and an error one line of JSON.

Ids and errors come from any program that can write an input: nothing of them is markup, and no character steers a terminal
or turns the direction of what stands after it. Such characters are printed escaped; in JSON that is the same string.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from json import dumps
from typing import Final, cast, final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tenure.errors import Error

from .exits import as_json

_TIMES: Final = ("_at", "_until", "_since")
"""How the names of times end, or what they are; in JSON they are unix seconds."""

_UNFOLDED: Final = 100_000

_BEYOND_ASCII: Final = re.compile(r"[^\n -~]")

_UTC: Final = " UTC"


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
            # A text of several lines keeps them: each stands right of the column of names.
            table.add_row(name.replace("_", " "), Text("\n".join(map(visible, _block(value, name).split("\n")))))
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
            table.add_row(*(Text(visible(cell(row.get(column), column))) for column in columns))
        self._print(table)

    def line(self, facts: Mapping[str, object]) -> None:
        """Print one thing on its own line, at once: in JSON an object, for people what is known of it."""
        if self.json:
            text = _safe_json(msgspec.json.encode(facts))
        else:
            text = "  ".join(
                f"{name.replace('_', ' ')} {visible(cell(value, name))}"
                for name, value in facts.items()
                if value is not None
            )
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def error(self, error: Error) -> None:
        """Print one line to standard error."""
        if self.json:
            line = _safe_json(msgspec.json.encode(as_json(error)))
        else:
            line = f"tenure: {type(error).__name__}: {visible(' '.join(str(error).split()))}"
        sys.stderr.write(f"{line}\n")

    def note(self, text: str) -> None:
        """Print one line for people to standard error; with ``--json`` there are none."""
        if not self.json:
            sys.stderr.write(f"tenure: {visible(' '.join(text.split()))}\n")
            sys.stderr.flush()

    def text(self, text: str) -> None:
        """Print text that is made to be read by a program, as it is."""
        sys.stdout.write(text)

    def document(self, value: object) -> None:
        """Print one value as JSON, with or without ``--json``."""
        self._print_json(value)

    def _print_json(self, value: object) -> None:
        text = _safe_json(msgspec.json.format(msgspec.json.encode(value), indent=2))
        sys.stdout.write(f"{text}\n")

    def _print(self, table: Table) -> None:
        if sys.stdout.isatty():
            Console(file=sys.stdout).print(table)
            return
        # Into a file or a pipe: nothing is folded, and no line ends in blanks.
        text = io.StringIO()
        Console(file=text, width=_UNFOLDED).print(table)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def cell(value: object, column: str = "") -> str:
    """A value as people read it; of a column that is named for a time, the time."""
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value)
        return ", ".join(f"{name} {cell(item, str(name))}" for name, item in items.items())
    if isinstance(value, float) and f"_{column}".endswith(_TIMES):
        return _time(value)
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in cast("Sequence[object]", value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _block(value: object, name: str) -> str:
    """As `cell`, of one thing: what stands in a thing, or in a list of things, begins a line each, and goes on indented."""
    if isinstance(value, Mapping):
        lines = _items(cast("Mapping[object, object]", value))
    elif isinstance(value, list | tuple):
        lines = [_inline(each) for each in cast("Sequence[object]", value)]
    else:
        return cell(value, name)
    return "\n".join(line.replace("\n", "\n  ") for line in lines)


def _items(inside: Mapping[object, object]) -> list[str]:
    """What stands in a thing, each with its name; what is not there is left out."""
    shown = [(str(name), _inline(item, str(name))) for name, item in inside.items()]
    return [f"{name.replace('_', ' ')} {text}" for name, text in shown if text]


def _inline(value: object, name: str = "") -> str:
    if isinstance(value, Mapping):
        return ", ".join(_items(cast("Mapping[object, object]", value)))
    if isinstance(value, list | tuple):
        return ", ".join(_inline(item) for item in cast("Sequence[object]", value))
    return cell(value, name)


def time_of(text: str) -> datetime:
    """A time as it is printed here, or by ISO 8601. Raises `ValueError`."""
    return datetime.fromisoformat(f"{text.removesuffix(_UTC)}+00:00" if text.endswith(_UTC) else text)


def _time(at: float) -> str:
    """A stored time as people read it, in UTC; one that no calendar has, as it is stored."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime(f"%Y-%m-%d %H:%M:%S{_UTC}")
    except (ValueError, OverflowError, OSError):
        return str(at)


def visible(text: str) -> str:
    """The text with all that cannot be seen, or steers what shows it, escaped as in a Python literal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _safe_json(document: bytes) -> str:
    """The same document, in which such characters are escaped as JSON does it; they stand in strings alone."""
    return _BEYOND_ASCII.sub(_escaped, document.decode())


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else dumps(found[0])[1:-1]
