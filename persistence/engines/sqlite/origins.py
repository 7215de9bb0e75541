"""Which stored columns a statement gives back, and which it reads: SQLite says so of any statement that it has prepared.

The tables are the same on every engine, so what SQLite says of a statement of the package holds on a server too.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final, final

import apsw
from attrs import frozen

from tenure.errors import Unsupported
from tenure.persistence.engines.statements import schema_files

_PARAMETERS: Final = re.compile(r":(\w+)")

Column = tuple[str, str]
"""Table and column."""


@final
@frozen(kw_only=True, slots=True)
class Origins:
    """What SQLite says of one statement.

    Attributes:
        given: The columns that its rows have, in order; None for what is an expression.
        read: Every column that it reads.
    """

    given: tuple[Column | None, ...]
    read: frozenset[Column]


def origins_of(statements: Mapping[str, str]) -> Mapping[str, Origins]:
    """Of each statement, by name. Raises `Unsupported` where SQLite was built without what says it."""
    with _empty_store() as connection:
        return {name: _origins(connection, sql) for name, sql in statements.items()}


@contextmanager
def _empty_store() -> Generator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    try:
        if not hasattr(apsw.Cursor, "description_full"):
            raise Unsupported(what="a codec, with an SQLite that was built without SQLITE_ENABLE_COLUMN_METADATA,")
        for text in schema_files():
            connection.execute(text)
        yield connection
    finally:
        connection.close()


def _origins(connection: apsw.Connection, sql: str) -> Origins:
    given: list[Column | None] = []
    read: set[Column] = set()

    def prepared(cursor: apsw.Cursor, _sql: str, _parameters: object) -> bool:
        found = cursor.description_full
        given.extend([(table, column) if table and column else None for _, _, _, table, column in found])
        return False  # that is all; nothing is carried out

    def reads(action: int, first: str | None, second: str | None, _database: str | None, _by: str | None) -> int:
        if action == apsw.SQLITE_READ and first and second:
            read.add((first, second))
        return apsw.SQLITE_OK

    cursor = connection.cursor()
    cursor.exec_trace = prepared
    connection.authorizer = reads
    try:
        cursor.execute(sql, dict.fromkeys(_PARAMETERS.findall(sql)))
    except apsw.ExecTraceAbort:
        pass  # `prepared` has answered False: all that is asked was said, and nothing was carried out
    finally:
        connection.authorizer = None
    return Origins(given=tuple(given), read=frozenset(read))
