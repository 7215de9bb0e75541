"""Reads beside the writer.

A read runs on a connection of its own, in one consistent view that ends with the call, and sees everything that was
acknowledged before it began. Where the engine has no second connection (``:memory:``, one-connection mode) it runs on the
writer's executor, between groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, final

import trio

from tenure.errors import Closed, Internal

from .engines.engine import Engine, ReadConnection, Statements, UnknownOutcome
from .executors import Executor, run_to_the_end

T = TypeVar("T")


@final
class Readers:
    """A few connections that read, opened when first needed."""

    def __init__(
        self,
        engine: Engine,
        writer_connection: Statements,
        writer_executor: Executor,
        make_executor: Callable[[], Executor],
        count: int,
    ) -> None:
        """Open nothing yet; `count` bounds the connections."""
        self._engine = engine
        self._writer_connection = writer_connection
        self._writer_executor = writer_executor
        self._make_executor = make_executor
        self._limiter = trio.CapacityLimiter(count)
        self._free: list[_Reader] = []
        self._all: list[_Reader] = []
        self._closed = False

    async def run(self, read: Callable[[Statements], T]) -> T:
        """Run a sync read. Raises what it raises.

        Cancellation: comes when the read has ended; reads are short.
        """
        if self._closed:
            raise Closed(what="store")
        async with self._limiter:
            reader = self._free.pop() if self._free else self._add()
            try:
                return await reader.run(read)
            finally:
                self._free.append(reader)

    async def close(self) -> None:
        """Close every connection."""
        self._closed = True
        for reader in self._all:
            await reader.close()

    def _add(self) -> _Reader:
        reader = _Reader(self._engine, self._writer_connection, self._writer_executor, self._make_executor)
        self._all.append(reader)
        return reader


@final
class _Reader:
    def __init__(
        self, engine: Engine, shared: Statements, shared_executor: Executor, make_executor: Callable[[], Executor]
    ) -> None:
        self._engine = engine
        self._shared = shared
        self._shared_executor = shared_executor
        self._make_executor = make_executor
        self._own: tuple[Executor, ReadConnection] | None = None
        self._opened = False

    async def run(self, read: Callable[[Statements], T]) -> T:
        if not self._opened:
            await self._open()
        if self._own is None:
            return await run_to_the_end(self._shared_executor, lambda: _guarded(self._shared, read))
        # To its end: a connection may be used again only when the read on it is over, and reads are short.
        executor, connection = self._own
        return await run_to_the_end(executor, lambda: _in_one_view(connection, read))

    async def close(self) -> None:
        if self._own is not None:
            executor, connection = self._own
            await run_to_the_end(executor, connection.close)
            executor.close()
            self._own = None

    async def _open(self) -> None:
        executor = self._make_executor()
        connection = await run_to_the_end(executor, self._engine.open_reader)
        if connection is None:
            executor.close()
        else:
            self._own = executor, connection
        self._opened = True


def _in_one_view(connection: ReadConnection, read: Callable[[Statements], T]) -> T:
    connection.begin_read()
    try:
        return _guarded(connection, read)
    finally:
        connection.end_read()


def _guarded(statements: Statements, read: Callable[[Statements], T]) -> T:
    try:
        return read(statements)
    except UnknownOutcome as exc:
        raise Internal(detail=f"read failed: {exc}") from exc
