"""Connections on which users read with their own SQL, beside the store and safe by design.

A second SQLite library in the process would drop the locks of the first when it closes; this is the way that does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import final

import trio

from tenure.errors import Closed, Error
from tenure.persistence.engines.engine import (
    Querying,
    QueryParameters,
    QueryStopped,
    Row,
    UnknownOutcome,
)
from tenure.persistence.seams.executors import (
    Executor,
    run_to_the_end,
)

from .stopping import Stopper, kind_of


@final
class QueryConnection:
    """Reads with SQL. Made by `Store.read_connection`; several tasks may share it, one query runs at a time."""

    def __init__(
        self, connection: Querying, executor: Executor, limit: int, stopper: Stopper, closed: Callable[[], Error | None]
    ) -> None:
        """Bind to a connection that cannot write."""
        self._connection: Querying | None = connection
        self._executor = executor
        self._limit = limit
        self._stopper = stopper
        self._closed = closed
        self._turn = trio.Lock()
        self._stop = threading.Event()

    async def query(self, sql: str, parameters: QueryParameters = ()) -> list[Row]:
        """Run a query and return all its rows, which are those of one moment and hold what was acknowledged before.

        No read transaction is left open. In a store in memory, or with one connection, the query runs between groups, and
        the writer waits for it.

        Args:
            sql: One SELECT, or one of the pragmas that describe a table.
            parameters: For ``?`` a sequence, for ``:name`` a mapping.

        Raises:
            InvalidInput: The SQL is none, or does more than read.
            LimitReached: More than `Limits.query_rows` rows: ask for fewer, page by a key.
            Closed: The connection or the store was closed.
            StoreBroken: The store has stopped.

        Cancellation: at any time; the query is stopped.
        """
        async with self._turn:
            connection = self._connection
            if connection is None:
                raise RuntimeError("the read connection has ended: use it inside its block")
            if (error := self._closed()) is not None:
                raise error
            self._stop = stop = threading.Event()
            try:
                return await self._executor.run(lambda: connection.query(sql, parameters, self._limit, stop.is_set))
            except (trio.Cancelled, KeyboardInterrupt):
                stop.set()
                with suppress(trio.ClosedResourceError, Closed):  # the store closes: nothing asks this connection again
                    await run_to_the_end(self._executor, lambda: None)  # after the query: the connection is free again
                raise
            except (QueryStopped, trio.ClosedResourceError, Closed):
                raise self._closed() or Closed(what="store") from None
            except UnknownOutcome as exc:
                raise self._stopper.stop_behind_group(f"a query failed: {exc}", kind_of(exc)) from exc

    def stop(self) -> None:
        """End the query that runs: the store closes."""
        self._stop.set()

    def end(self) -> None:
        """The end of the block: nothing can be asked any more."""
        self._connection = None
