"""Keys of new rows: counted by the one connection that writes, above what stands in the table.

A key is known before its row is written, so that a row may name itself (an admission) or a neighbour that comes next. What was
counted holds for as long as no other connection has committed; a rollback begins the count anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast, final

import apsw

from tenure.errors import CounterOverflow
from tenure.persistence.engines.floors import FLOORS, floor_of
from tenure.persistence.engines.statements import table_of

from .errors import STATEMENT_ERRORS, map_statement_error

LAST_KEY: Final = 2**63 - 1


@final
class Keys:
    """The last key that each table has given."""

    def __init__(
        self, connection: apsw.Connection, statements: Mapping[str, str], before: Callable[[], None] | None = None
    ) -> None:
        """Nothing is counted yet; `before` is called before a table is looked at."""
        self._db = connection
        self._before = before
        self._statements = statements
        self._last: dict[str, int] = {}
        self._tables: dict[str, str] = {}
        self._version: int | None = None

    def begin(self, version: int) -> None:
        """A transaction has begun over this version of the database; see `Begun.versions`."""
        if version != self._version:
            self._last.clear()

    def landed(self, version: int) -> None:
        """The transaction has landed, and made this version."""
        self._version = version

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._last.clear()

    def of_insert(self, name: str) -> int:
        """A new key for the row of a named insert."""
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = table_of(self._statements[name])
        last = self._last.get(table)
        if last is None or last >= LAST_KEY:
            return self.next(table)
        self._last[table] = key = last + 1
        return key

    def of_inserts(self, name: str, count: int) -> range:
        """New keys, one or more, for the rows of a named insert."""
        first = self.of_insert(name)
        table, last = self._tables[name], first + count - 1
        if last > LAST_KEY:
            raise CounterOverflow(counter=f"the keys of {table}")
        self._last[table] = last
        return range(first, last + 1)

    def next(self, table: str) -> int:
        """A new key; see `WriteConnection.key`."""
        last = self._last.get(table)
        if last is None:
            last = self._stored(table)
        if last >= LAST_KEY:
            raise CounterOverflow(counter=f"the keys of {table}")
        self._last[table] = key = last + 1
        return key

    def _stored(self, table: str) -> int:
        if self._before is not None:
            self._before()
        sql = f"SELECT coalesce(max(rowid), 0) FROM {table}"  # noqa: S608 - the name of a table of ours
        try:
            ((last,),) = self._db.execute(sql).fetchall()
            floor = self._statements.get(FLOORS.get(table, ""))
            row = None if floor is None else self._db.execute(floor).fetchone()
        except STATEMENT_ERRORS as exc:
            raise map_statement_error(exc, f"the keys of {table}", self._db) from exc
        return cast("int", last) if row is None else max(cast("int", last), floor_of(row))
