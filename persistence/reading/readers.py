"""Reads beside the writer.

A read runs on its own connection, in one consistent view that ends with the call, and sees everything that was
acknowledged before it began. Where the engine has no second connection (``:memory:``, one-connection mode) it runs on the
writer's executor, between groups.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from copy import copy
from threading import get_ident
from typing import Protocol, TypeVar, final

import trio

from tenure.errors import Closed, Contended, CounterOverflow, Error, InvalidInput
from tenure.persistence.engines.engine import (
    MOST_VIEWS,
    Again,
    Engine,
    Reading,
    Row,
    SqlValue,
    Statements,
    UnknownOutcome,
    WriteConnection,
)
from tenure.persistence.seams.executors import (
    Executor,
    run_to_the_end,
)
from tenure.persistence.seams.interrupts import guarded
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.nursery import refuse_thread

from .stopping import Stopper, kind_of
from .user_connection import QueryConnection

T = TypeVar("T")


class Closable(Protocol):
    """A connection."""

    def close(self) -> None:
        """Close it."""
        ...


C = TypeVar("C", bound=Closable)


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

    def readable(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.readable`."""
        return self._open().readable(name, **parameters)

    def end(self) -> None:
        """A view that is kept beyond its call raises, and never another connection's turn."""
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
        shared: WriteConnection,
        shared_executor: Executor,
        make_executor: Callable[[], Executor],
        limits: Limits,
        stopper: Stopper,
    ) -> None:
        """Open nothing yet; `shared` is the writer's own connection."""
        self._engine = engine
        self._limits = limits
        self._shared_connection = shared
        self._shared_executor = shared_executor
        self._shared = _Reader(shared, shared_executor)
        self._make_executor = make_executor
        self._stopper = stopper
        self._thread = get_ident()
        self._limiter = trio.CapacityLimiter(limits.read_connections)
        self._query_limiter = trio.CapacityLimiter(limits.query_connections)
        self._free: list[_Reader] = []
        self._own: list[tuple[Executor, Closable]] = []
        self._lent: list[QueryConnection] = []
        self._closed: Error | None = None

    async def run(self, read: Callable[[Statements], T]) -> T:
        """Run a sync read; see `Store.read`."""
        if get_ident() != self._thread:
            refuse_thread()
        async with self._limiter:
            if self._closed is not None:
                raise copy(self._closed)
            try:
                reader = self._free.pop() if self._free else await self._add()
                try:
                    return await reader.run(read)
                finally:
                    self._free.append(reader)
            except UnknownOutcome as exc:
                raise self._stopper.stop_behind_group(f"a read failed: {exc}", kind_of(exc)) from exc
            except (trio.ClosedResourceError, Closed):
                raise self._why_closed() from None  # between the question and its turn

    def stop_queries(self) -> None:
        """The store closes: queries of users end with `Closed`, and do not keep the writer from its last group."""
        for lent in self._lent:
            lent.stop()

    async def close(self, error: Error | None) -> None:
        """Close every connection. Later reads raise `error`, `Closed` for None.

        Cancellation: a connection that is then still busy is closed by its own thread when it comes back.
        """
        self._closed = error or Closed(what="store")
        self.stop_queries()
        async with trio.open_nursery() as nursery:  # owned by this call
            for executor, connection in self._own:
                nursery.start_soon(_close, executor, connection)
            self._own.clear()

    @guarded
    async def query_connection(self) -> AsyncGenerator[QueryConnection]:
        """A connection for queries of users; see `Store.read_connection`."""
        borrower = object()  # one task may open several
        await self._query_limiter.acquire_on_behalf_of(borrower)
        try:
            try:
                opened = await self._open(self._engine.open_query)
            except UnknownOutcome as exc:
                detail = f"a connection cannot be opened: {exc}"
                raise self._stopper.stop_behind_group(detail, kind_of(exc)) from exc
            executor, connection = opened or (self._shared_executor, self._shared_connection)
            lent = QueryConnection(connection, executor, self._limits.query_rows, self._stopper, lambda: self._closed)
            self._lent.append(lent)
            try:
                yield lent
            finally:
                self._lent.remove(lent)
                lent.end()
                if opened is not None and opened in self._own:
                    self._own.remove(opened)
                    with trio.CancelScope(shield=True):  # closing takes no time: every query on it has ended
                        await _close(*opened)
        finally:
            self._query_limiter.release_on_behalf_of(borrower)

    def _why_closed(self) -> Error:
        return copy(self._closed) or Closed(what="store")

    async def _add(self) -> _Reader:
        opened = await self._open(self._engine.open_reader)
        return self._shared if opened is None else _Reader(opened[1], opened[0])

    async def _open(self, open_connection: Callable[[], C | None]) -> tuple[Executor, C] | None:
        """A connection with its own thread, which `close` closes; None where the writer's is shared."""
        if self._closed is not None:
            raise copy(self._closed)
        executor = self._make_executor()
        try:
            connection = await run_to_the_end(executor, open_connection)
        except BaseException:
            executor.close()
            raise
        if connection is None:
            executor.close()
            return None
        if self._closed is not None:  # closed while this one was opening: nothing else would close it
            await _close(executor, connection)
            raise copy(self._closed)
        self._own.append((executor, connection))
        return executor, connection


@final
class _Reader:
    """One connection and the thread it belongs to."""

    def __init__(self, connection: Reading, executor: Executor) -> None:
        self._connection = connection
        self._executor = executor

    async def run(self, read: Callable[[Statements], T]) -> T:
        # To its end: a connection may be used again only when the read on it is over, and reads are short.
        return await run_to_the_end(self._executor, lambda: in_views(lambda: _in_one_view(self._connection, read)))


async def _close(executor: Executor, connection: Closable) -> None:
    try:
        await executor.run(connection.close)
    finally:
        executor.close()


def in_views(read: Callable[[], T]) -> T:
    """Read in one view; in another one where the first was lost on the way: what it gave counts for nothing.

    Raises `InvalidInput` for what no engine can look for: a read counts nothing, so it is the caller's number or text.
    """
    lost: Again | None = None
    try:
        for _ in range(MOST_VIEWS):
            try:
                return read()
            except Again as exc:
                lost = exc
    except (CounterOverflow, UnicodeEncodeError) as exc:
        detail = "a number of more than 64 bits, or a text with a lone surrogate, is not looked for"
        raise InvalidInput(detail=detail) from exc
    raise Contended(detail=f"{MOST_VIEWS} views were lost: {lost}") from lost


def _in_one_view(connection: Reading, read: Callable[[Statements], T]) -> T:
    connection.begin_read()
    view = View(connection)
    try:
        return read(view)
    finally:
        view.end()
        connection.end_read()
