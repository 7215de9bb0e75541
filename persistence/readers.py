"""Reads beside the writer.

A read runs on a connection of its own, in one consistent view that ends with the call, and sees everything that was
acknowledged before it began. Where the engine has no second connection (``:memory:``, one-connection mode) it runs on the
writer's executor, between groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, final

import trio

from tenure.errors import Closed, Error, StoreBroken

from .engines.engine import Engine, ReadConnection, Reading, Row, SqlValue, Statements, UnknownOutcome
from .executors import Executor, run_to_the_end

T = TypeVar("T")


class Stopper(Protocol):
    """Stops the store; the writer is one."""

    def stop_behind_group(self, detail: str) -> StoreBroken:
        """See `Writer.stop_behind_group`."""
        ...


@final
class View:
    """What a read function is given: named statements over one consistent view, until the read ends."""

    __slots__ = ("_statements",)

    def __init__(self, statements: Statements) -> None:
        """Open the view."""
        self._statements: Statements | None = statements

    def one(self, name: str, /, **parameters: SqlValue) -> Row | None:
        """See `Statements.one`."""
        return self._open().one(name, **parameters)

    def all(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.all`."""
        return self._open().all(name, **parameters)

    def run(self, name: str, /, **_parameters: SqlValue) -> int:
        """Refused: a read writes nothing."""
        message = f"a read cannot run {name}"
        raise TypeError(message)

    def end(self) -> None:
        """Whoever kept the view beyond its call gets an error, and never another connection's turn."""
        self._statements = None

    def _open(self) -> Statements:
        if self._statements is None:
            message = "the read has ended: return values from it, not the view"
            raise RuntimeError(message)
        return self._statements


@final
class Readers:
    """A few connections that read, opened when first needed."""

    def __init__(
        self,
        engine: Engine,
        shared: Reading,
        shared_executor: Executor,
        make_executor: Callable[[], Executor],
        count: int,
        stopper: Stopper,
    ) -> None:
        """Open nothing yet; `count` bounds the connections, `shared` is the writer's own."""
        self._engine = engine
        self._shared = _Reader(shared, shared_executor)
        self._make_executor = make_executor
        self._stopper = stopper
        self._limiter = trio.CapacityLimiter(count)
        self._free: list[_Reader] = []
        self._own: list[tuple[_Reader, ReadConnection]] = []
        self._closed: Error | None = None

    async def run(self, read: Callable[[Statements], T]) -> T:
        """Run a sync read; see `Store.read`."""
        async with self._limiter:
            if self._closed is not None:
                raise self._closed
            try:
                reader = self._free.pop() if self._free else await self._add()
                try:
                    return await reader.run(read)
                finally:
                    self._free.append(reader)
            except UnknownOutcome as exc:
                raise self._stopper.stop_behind_group(f"a read failed: {exc}") from exc
            except trio.ClosedResourceError:
                raise self._why_closed() from None

    async def close(self, error: Error | None) -> None:
        """Close every connection. Later reads raise `error`, `Closed` for None.

        Cancellation: a connection that is then still busy is closed by its own thread when it comes back.
        """
        self._closed = error or Closed(what="store")
        async with trio.open_nursery() as nursery:  # owned by this call
            for reader, connection in self._own:
                nursery.start_soon(reader.close, connection)

    def _why_closed(self) -> Error:
        return self._closed or Closed(what="store")

    async def _add(self) -> _Reader:
        executor = self._make_executor()
        try:
            connection = await run_to_the_end(executor, self._engine.open_reader)
        except BaseException:
            executor.close()
            raise
        if connection is None:
            executor.close()
            return self._shared
        reader = _Reader(connection, executor)
        self._own.append((reader, connection))
        if self._closed is not None:  # closed while this one was opening: nobody else would close it
            await reader.close(connection)
            raise self._closed
        return reader


@final
class _Reader:
    """One connection and the thread it belongs to."""

    def __init__(self, connection: Reading, executor: Executor) -> None:
        self._connection = connection
        self._executor = executor

    async def run(self, read: Callable[[Statements], T]) -> T:
        # To its end: a connection may be used again only when the read on it is over, and reads are short.
        return await run_to_the_end(self._executor, lambda: _in_one_view(self._connection, read))

    async def close(self, connection: ReadConnection) -> None:
        try:
            await self._executor.run(connection.close)
        finally:
            self._executor.close()


def _in_one_view(connection: Reading, read: Callable[[Statements], T]) -> T:
    connection.begin_read()
    view = View(connection)
    try:
        return read(view)
    finally:
        view.end()
        connection.end_read()
