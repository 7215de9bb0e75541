"""Statements that go over the rows of a table with what is sealed in them: made of the columns, and passed as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from .columns import CONTENTS, DIGESTS, Column

PREFIX: Final = "sealing."
"""How the names of these begin, and of those that read and write what a store says of its codec."""

_TABLE: Final = re.compile(r"CREATE TABLE (\w+) \(\n\s+(\w+) INTEGER PRIMARY KEY")


def tables_in(schema: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Tables with something that is sealed: the key column of each, then the columns of row keys, then what is sealed."""
    found: dict[str, tuple[str, ...]] = {}
    for text in schema:
        for table, key in _TABLE.findall(text):
            sealed = sealed_columns(table)
            if sealed:
                parts = {part: None for column in sealed for part in CONTENTS.get((table, column), ())}
                found[table] = (key, *parts, *sealed)
    return found


def sealed_columns(table: str) -> tuple[str, ...]:
    """The columns of a table that are sealed."""
    columns: list[Column] = [*CONTENTS, *sorted(DIGESTS)]
    return tuple([column for of, column in columns if of == table])


def row_statements(tables: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    """By name: ``sealing.sizes.T``, ``sealing.page.T`` and ``sealing.update.T`` for each table."""
    made: dict[str, str] = {}
    for table, columns in tables.items():
        key, sealed = columns[0], sealed_columns(table)
        sizes = " + ".join([f"coalesce(length({column}), 0)" for column in sealed])
        given = ", ".join([f"{column} = :{column}" for column in sealed])
        before = " AND ".join([f"{column} IS NOT DISTINCT FROM :before_{column}" for column in sealed])
        made[f"{PREFIX}sizes.{table}"] = (
            f"SELECT {key}, {sizes} FROM {table} WHERE {key} > :after ORDER BY {key} LIMIT :count"  # noqa: S608 - names of ours
        )
        made[f"{PREFIX}page.{table}"] = (
            f"SELECT {', '.join(columns)} FROM {table} WHERE {key} > :after AND {key} <= :last ORDER BY {key}"  # noqa: S608
        )
        made[f"{PREFIX}update.{table}"] = f"UPDATE {table} SET {given} WHERE {key} = :row AND {before}"  # noqa: S608
    return made
