"""The inside of an open store: its rows, its groups, what it keeps in memory. For tests and the proof, and for no host.

What looks at a store from below its verbs, or writes past them as a bad disk or a bad program would, does it here and by no
other way. It says the same of every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, final

from tenure.persistence.commits.transaction import Place
from tenure.persistence.engines.engine import Row, SqlValue, Statements, WriteConnection
from tenure.persistence.seams.executors import Executor

from .group import GroupRunner
from .pending import CarryOut
from .writer import Writer

T = TypeVar("T")


@final
class Inside:
    """The inside of one store. The store gives it to `Seams.observer`."""

    def __init__(self, connection: WriteConnection, runner: GroupRunner, writer: Writer, executor: Executor) -> None:
        """Touch nothing."""
        self._connection = connection
        self._runner = runner
        self._writer = writer
        self._executor = executor

    @property
    def incarnation(self) -> str:
        """The name that groups are written under now."""
        return self._runner.host.incarnation

    @property
    def statements(self) -> Statements:
        """The named statements on the connection that writes; only on the writer's executor, or where that is inline."""
        return self._connection

    @property
    def tables(self) -> Sequence[str]:
        """The names of all tables, in order; where that is allowed, see `statements`."""
        return self._connection.tables

    @property
    def kept(self) -> Mapping[Place, Any]:
        """The records that are cached from group to group, by (kind, key)."""
        return self._runner.records.all

    def rows(self, sql: str, *parameters: SqlValue) -> list[Row]:
        """The rows of any SQL, on the connection that writes; where that is allowed, see `statements`."""
        return self._connection.raw(sql, parameters)

    def observe(self, around: Callable[[CarryOut], CarryOut]) -> None:
        """Put something around the carrying out of every group; it runs on the writer's executor."""
        self._writer.carry_out = around(self._writer.carry_out)

    async def run(self, function: Callable[[WriteConnection], T]) -> T:
        """Run a function with the connection that writes, on its executor, between two groups."""
        return await self._executor.run(lambda: function(self._connection))

    async def write_past(self, statements: Sequence[tuple[str, Sequence[SqlValue]]]) -> list[Row]:
        """Write in one transaction what no verb would; the rows of the last statement.

        What was cached is dropped, as where another program has written. Raises `NotStorable` for a value that the engine does
        not take there, and nothing was written.
        """

        def write(connection: WriteConnection) -> list[Row]:
            self._runner.records.clear()
            found: list[Row] = []
            connection.begin_unnumbered()
            try:
                for sql, parameters in statements:
                    found = connection.raw(sql, parameters)
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
            return found

        return await self.run(write)
