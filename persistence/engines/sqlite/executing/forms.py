"""Statements as they are executed: their values by place, the tables they touch, and their form for many rows at once.

SQLite numbers the values of a statement in the order in which their names come first, so that they can be given by place, which
costs half of what it costs to look each of them up by its name. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Final, cast, final

from attrs import field, frozen

from tenure.persistence.engines.engine import SqlValue
from tenure.persistence.engines.statements import all_tables

SIZES: Final = (64, 16, 4)
"""So many rows go by one statement: few texts, which stay prepared. What is left goes by the statement of one row."""

Values = Callable[[Mapping[str, SqlValue]], tuple[SqlValue, ...]]

_LITERAL: Final = re.compile(r"'[^']*'")
_NAME: Final = re.compile(r":(\w+)")
_WORD: Final = re.compile(r"\w+")
_INSERT: Final = re.compile(
    r"(INSERT INTO (\w+) \([^()]*\)\s*VALUES )\(([^()]*)\)(\s+ON CONFLICT \([\w, ]+\) DO UPDATE\s+SET [\w\s.,=]*)?"
)
_UPDATE: Final = re.compile(r"UPDATE (\w+)\s+SET ([^()]*?)\s+WHERE (\w+) = :(\w+)")
_DELETE: Final = re.compile(r"DELETE FROM (\w+) WHERE (\w+) = :(\w+)")
_PLAIN: Final = re.compile(r":\w+|NULL|-?\d+|'[^',]*'")
_SET: Final = re.compile(r"(\w+) = (:\w+|NULL|-?\d+|'[^',]*')")


@final
@frozen(kw_only=True, slots=True, eq=False)
class Many:
    """A statement that can be carried out for many rows at once.

    It is an insert of values, also in place of what stands there, or an update or a delete of one row by its key.

    Attributes:
        table: Of the rows.
        names: Of the values of one row, in the order of the texts.
        values: Those values, of values by name.
        keyed: Whether a row takes the place of one that was kept before with the same last value: an update writes what it is
            given, whatever was there, so that of two of one row the last one counts.
        counted: Whether each of its rows must have been written. A delete may find its row gone.
        texts: The statement by how many rows it writes.
    """

    table: str
    names: Sequence[str]
    values: Values = field(init=False)
    keyed: bool
    counted: bool = True
    texts: Mapping[int, str] = field(repr=False)

    def __attrs_post_init__(self) -> None:
        """Make what gets the values."""
        object.__setattr__(self, "values", _getter(self.names))


@final
@frozen(kw_only=True, slots=True, eq=False)
class Form:
    """A statement.

    Attributes:
        sql: Its text.
        values: Its values by place, of values by name.
        tables: Every table that it reads or writes, and perhaps others.
        many: Its form for many rows, where it has one.
    """

    sql: str
    values: Values
    tables: frozenset[str]
    many: Many | None


@cache  # of the statements of the package, of which there are as many as stand in its files
def form_of(sql: str) -> Form:
    """The form of a statement."""
    plain = _LITERAL.sub("''", sql)
    return Form(
        sql=sql,
        values=_getter(list(dict.fromkeys(_NAME.findall(plain)))),
        tables=_names().intersection(_WORD.findall(plain)),
        many=_many_inserts(sql) or _many_updates(sql) or _many_deletes(sql),
    )


@final
class Forms(dict[str, Form]):
    """The form of each named statement, made when it is asked for."""

    def __init__(self, statements: Mapping[str, str]) -> None:
        """Make none yet."""
        super().__init__()
        self._statements = statements

    def __missing__(self, name: str) -> Form:
        """Make the form of a statement. Raises `KeyError`: there is no such statement."""
        form = self[name] = form_of(self._statements[name])
        return form


def _many_inserts(sql: str) -> Many | None:
    found = _INSERT.fullmatch(sql)
    parts = [] if found is None else [each.strip() for each in found[3].split(",")]
    if found is None or not all(map(_PLAIN.fullmatch, parts)):
        return None
    row = f"({', '.join(['?' if each.startswith(':') else each for each in parts])})"
    return Many(
        table=found[2],
        names=[each[1:] for each in parts if each.startswith(":")],
        keyed=False,
        texts={count: found[1] + ", ".join([row] * count) + (found[4] or "") for count in (*SIZES, 1)},
    )


def _many_updates(sql: str) -> Many | None:
    found = _UPDATE.fullmatch(sql)
    if found is None or (found[1], found[3]) not in _row_keys():
        return None
    table, sets, key, named = found.groups()
    parts = [_SET.fullmatch(each.strip()) for each in sets.split(",")]
    columns = [(each[1], each[2]) for each in parts if each is not None]
    if len(columns) < len(parts) or key in [column for column, _ in columns]:
        return None
    given = [value[1:] for _, value in columns if value.startswith(":")]
    row = f"({', '.join('?' * (len(given) + 1))})"
    texts = {1: f"UPDATE {table} SET {_assigned(columns, '?')} WHERE {key} = ?"}  # noqa: S608 - of a statement of ours
    for count in SIZES:
        texts[count] = (
            f"UPDATE {table} SET {_assigned(columns, 'v.column{}')} FROM (VALUES {', '.join([row] * count)}) AS v "  # noqa: S608
            f"WHERE {table}.{key} = v.column{len(given) + 1}"
        )
    return Many(table=table, names=[*given, named], keyed=True, texts=texts)


def _many_deletes(sql: str) -> Many | None:
    found = _DELETE.fullmatch(sql)
    if found is None or (found[1], found[2]) not in _row_keys():
        return None
    begins = f"DELETE FROM {found[1]} WHERE {found[2]}"  # noqa: S608 - as above
    texts = {count: f"{begins} IN ({', '.join('?' * count)})" for count in (*SIZES, 1)}
    return Many(table=found[1], names=[found[3]], keyed=True, counted=False, texts=texts)


def _assigned(columns: list[tuple[str, str]], place: str) -> str:
    parts: list[str] = []
    count = 0
    for column, value in columns:
        count += value.startswith(":")
        parts.append(f"{column} = {place.format(count) if value.startswith(':') else value}")
    return ", ".join(parts)


def _getter(names: Sequence[str]) -> Values:
    if not names:
        return lambda _: ()
    if len(names) == 1:
        (only,) = names
        return lambda values: (values[only],)
    return cast("Values", itemgetter(*names))


@cache
def _names() -> frozenset[str]:
    return frozenset([table.name for table in all_tables()])


@cache
def _row_keys() -> frozenset[tuple[str, str]]:
    """Tables, each with the column that is the key of its row."""
    return frozenset([(table.name, table.key[0]) for table in all_tables() if len(table.key) == 1])
