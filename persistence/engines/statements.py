"""Named SQL, loaded from files.

A file holds statements, each under a line ``-- name: facet.verb``; further comment lines say why. Parameters are written
``:name``. What several of them have in common stands once, under a line ``-- part: name``, and is ``{name}`` in each of that
file. An engine may override a statement by name in its own file (design §16).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TypeVar

from .sealing.rows import row_statements, tables_in
from .tables import Table, carrying_statements, tables_of

Value = TypeVar("Value")

_NAME = re.compile(r"^-- (name|part): (\S+)\s*$", re.MULTILINE)

_PART = re.compile(r"\{(\w+)\}")


def parse_statements(text: str) -> dict[str, str]:
    """Split a file into its statements by name, each with its parts. Comments and blank lines are left out of the SQL.

    Raises:
        ValueError: A name stands twice, or a part that a statement names does not stand before it.
    """
    split = _NAME.split(text)[1:]
    found: dict[str, dict[str, str]] = {"name": {}, "part": {}}
    for kind, name, body in zip(split[::3], split[1::3], split[2::3], strict=True):
        lines = [line.rstrip() for line in body.splitlines() if not line.lstrip().startswith("--")]
        if name in found[kind]:
            message = f"the {'statement' if kind == 'name' else kind} {name} stands twice"
            raise ValueError(message)
        sql = "\n".join(line for line in lines if line).removesuffix(";")
        found[kind][name] = _PART.sub(partial(_part_of, found["part"]), sql)
    return found["name"]


def _part_of(parts: Mapping[str, str], named: re.Match[str]) -> str:
    if named[1] not in parts:
        message = f"no part {named[1]} stands before what names it"
        raise ValueError(message)
    return parts[named[1]]


_INSERT = re.compile(r"INSERT INTO (\w+) \(\w+, ")


def rows_of(columns: Mapping[str, Sequence[Value]]) -> Iterator[dict[str, Value]]:
    """Rows by column, one by one."""
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def table_of(sql: str) -> str:
    """The table that an insert with ``:key`` writes. Raises `ValueError`: it is of another form."""
    found = _INSERT.match(sql)
    if found is None or ":key" not in sql:
        message = f"not an insert that names its key column first and gives it :key: {sql}"
        raise ValueError(message)
    return found[1]


@cache  # the files do not change; see `load_statements`
def schema_files() -> tuple[str, ...]:
    """The text of every migration, first to last: the tables that every engine has, in SQLite's words."""
    folder = files("tenure.persistence") / "engines" / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple((folder / name).read_text("utf-8") for name in names)


@cache
def sealed_tables() -> Mapping[str, tuple[str, ...]]:
    """See `tables_in`."""
    return tables_in(schema_files())


@cache
def all_tables() -> tuple[Table, ...]:
    """See `tables_of`."""
    return tables_of(schema_files())


def load_statements(overrides: str | None = None) -> Mapping[str, str]:
    """Every named statement of the package, with those that an engine overrides.

    The files stand beside the modules that use them. What stands in ``engines/`` is an engine's: its schema, and the
    file of its overrides.

    Args:
        overrides: Name of a file in ``engines/``, None for none. What it overrides must exist.

    Raises:
        ValueError: A name stands twice, or an override has no statement to override.
    """
    return _load(overrides)


@cache  # the files do not change, and reading them is a quarter of an open
def _load(overrides: str | None) -> Mapping[str, str]:
    statements = {**row_statements(sealed_tables()), **carrying_statements(all_tables())}
    package = files("tenure.persistence")
    for folder in package.iterdir():
        if folder.is_dir() and folder.name != "engines":
            for text in _texts(folder):
                for name, sql in parse_statements(text).items():
                    if name in statements:
                        message = f"the statement {name} stands twice"
                        raise ValueError(message)
                    statements[name] = sql
    if overrides is not None:
        for name, sql in parse_statements((package / "engines" / overrides).read_text("utf-8")).items():
            if name not in statements:
                message = f"{overrides} overrides {name}, which no facet has"
                raise ValueError(message)
            statements[name] = sql
    return statements


def _texts(folder: Traversable) -> Iterator[str]:
    """The text of each SQL file in a folder and in those below it."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _texts(entry)
        elif entry.name.endswith(".sql"):
            yield entry.read_text("utf-8")
