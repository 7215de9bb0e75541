"""The tables of a store as its schema files say them, and statements that carry the rows of any table: made of its columns.

Whatever goes over all that is stored is derived from here, so that no table can be left out of it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, final

from attrs import frozen

PREFIX: Final = "promotion."
"""How the names of these statements begin, and of those that read and write what a store says of its promotion."""

NOT_CARRIED: Final = frozenset({"promotion"})
"""Tables that say something of one database alone."""

NOT_CARRIED_COLUMNS: Final = frozenset({("hosts", "files")})
"""Columns that do: which lock files a host has open, on one machine."""

_COMMENT: Final = re.compile(r"--[^\n]*")
_TABLE: Final = re.compile(r"^CREATE TABLE (\w+) \(\n(.*?)\n\);", re.MULTILINE | re.DOTALL)
_COLUMN: Final = re.compile(r"(\w+) (INTEGER|REAL|TEXT|BLOB)\b(.*)")
_KEY: Final = re.compile(r"PRIMARY KEY \(([^)]*)\)")
_INDEX: Final = re.compile(r"^CREATE (?:UNIQUE )?INDEX \w+ ON (\w+) \(([^)]*)\)", re.MULTILINE)
_RISING: Final = re.compile(r" PRIMARY KEY,?")


@final
@frozen(kw_only=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: Its name.
        columns: Its columns in their order, each with its type in SQLite's words.
        key: The columns of its primary key, all of them integers.
        rises: Whether an engine counts that key up by itself.
        indexed: Columns of texts or bytes that stand in an index, where an engine may have a limit.
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    rises: bool
    indexed: tuple[str, ...]

    @property
    def carried(self) -> tuple[str, ...]:
        """The columns that go along to another store."""
        return tuple([each for each in self.columns if (self.name, each) not in NOT_CARRIED_COLUMNS])


def tables_of(schema: Iterable[str]) -> tuple[Table, ...]:
    """Every table, in the order of their names. Raises `ValueError`: a line is of a form that is not known here."""
    found: list[Table] = []
    texts = [re.sub(r"\n\s*(?=\n)", "", _COMMENT.sub("", text)) for text in schema]
    indexes = [(table, columns) for text in texts for table, columns in _INDEX.findall(text)]
    for text in texts:
        for name, body in _TABLE.findall(text):
            found.append(_table(name, body, [columns for table, columns in indexes if table == name]))
    return tuple(sorted(found, key=lambda each: each.name))


def _table(name: str, body: str, indexes: Iterable[str]) -> Table:
    columns: dict[str, str] = {}
    key: tuple[str, ...] = ()
    rises = False
    indexed = {column.split()[0] for columns in indexes for column in columns.split(",")}
    for line in filter(None, map(str.strip, body.split("\n"))):
        if (of_table := _KEY.fullmatch(line)) is not None:
            key = tuple([each.strip() for each in of_table[1].split(",")])
            continue
        column = _COLUMN.fullmatch(line)
        if column is None:
            message = f"the table {name} has a line of a form that is not known: {line}"
            raise ValueError(message)
        columns[column[1]] = column[2]
        if "PRIMARY KEY" in column[3]:
            key, rises = (column[1],), _RISING.fullmatch(column[3]) is not None
        if "UNIQUE" in column[3]:
            indexed.add(column[1])
    if not key or any(columns[each] != "INTEGER" for each in key):
        message = f"the table {name} has no key of integers"
        raise ValueError(message)
    long = tuple([each for each in columns if each in indexed and columns[each] in {"TEXT", "BLOB"}])
    return Table(name=name, columns=columns, key=key, rises=rises, indexed=long)


def carrying_statements(tables: Iterable[Table]) -> Mapping[str, str]:
    """By name: ``promotion.sizes.T``, ``page``, ``add``, ``clear`` and ``count`` for each table that is carried."""
    made: dict[str, str] = {}
    for table in tables:
        if table.name not in NOT_CARRIED:
            made |= {f"{PREFIX}{verb}.{table.name}": sql for verb, sql in _statements(table).items()}
    return made


def _statements(table: Table) -> Mapping[str, str]:
    name, key, columns = table.name, ", ".join(table.key), ", ".join(table.carried)
    after, last = (", ".join([f":{place}_{at}" for at in range(len(table.key))]) for place in ("after", "last"))
    long = [each for each in table.carried if table.columns[each] in {"TEXT", "BLOB"}]
    size = " + ".join([f"coalesce(octet_length({each}), 0)" for each in long]) or "0"
    values = ", ".join([f":{each}" for each in table.carried])
    # Names of tables and columns of ours, and no values.
    return {
        "sizes": f"SELECT {key}, {size} FROM {name} WHERE ({key}) > ({after}) ORDER BY {key} LIMIT :count",  # noqa: S608
        "page": f"SELECT {columns} FROM {name} WHERE ({key}) > ({after}) AND ({key}) <= ({last}) ORDER BY {key}",  # noqa: S608
        "add": f"INSERT INTO {name} ({columns}) VALUES ({values})",  # noqa: S608
        "clear": f"DELETE FROM {name}",  # noqa: S608
        "count": f"SELECT count(*) FROM {name}",  # noqa: S608
    }
