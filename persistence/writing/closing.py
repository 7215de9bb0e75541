"""What is open in a store, and its end: in order, cancelled, or broken.

Theory of operation. A store ends once. In order: what was submitted is committed, then the host's own row is closed, then the
log is moved into the database, then readers, writer and lock are given up. Cancelled: what waits gets `Closed`, and the rest
is the same. Broken: every waiter gets `StoreBroken`, a mark for the next open is left, nothing is moved, and all connections
are closed. Each step has a bound, after which a thread that hangs in a disk is left to close what it holds when it comes back.
"""

from __future__ import annotations

from functools import partial
from typing import Final, final

import trio
from attrs import frozen

from tenure.errors import Closed, Contended, DiskFull, Error, StoreBroken
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import (
    Engine,
    UnknownOutcome,
    WriteConnection,
)
from tenure.persistence.engines.opening import open_when_free
from tenure.persistence.engines.sealing.keyring import refuse_sealed_store
from tenure.persistence.facets.ownership.ownership import CloseHost
from tenure.persistence.reading.readers import Readers
from tenure.persistence.seams.executors import (
    Executor,
)
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

from .host_row import (
    HostKey,
    HostRegistry,
)
from .writer import Writer

CLOSE_S: Final = 10.0
"""Most seconds that each step of closing waits for a disk that does not answer."""

CLOSING: Final = Commit(changes=(CloseHost(),))
"""The last commit of a host."""


@final
@frozen(kw_only=True, slots=True)
class Opened:
    """What opening gives to the store; made on the writer's executor."""

    engine: Engine
    connection: WriteConnection
    registry: HostRegistry
    host: HostKey


async def open_host(executor: Executor, engine: Engine, limits: Limits, seams: Seams) -> Opened:
    """Open the engine on the writer's executor and join the hosts. Raises what `open_when_free` raises."""
    opening = partial(_open, engine, limits, seams)
    return await open_when_free(executor, opening, limits.busy_s)


def _open(engine: Engine, limits: Limits, seams: Seams) -> Opened:
    connection = engine.open()
    try:
        if seams.codec is None:
            refuse_sealed_store(connection)
        registry = HostRegistry(connection, engine.hosts, engine.durability, limits, seams)
        host = registry.join(alone=engine.alone)
        if seams.codec is None:  # who gives it a codec looks for hosts, of which this is one by now
            refuse_sealed_store(connection)
        engine.share()
    except BaseException as exc:
        connection.close(checkpoint=False)
        if isinstance(exc, UnknownOutcome):
            engine.mark_broken(str(exc))
        engine.close()
        raise
    return Opened(engine=engine, connection=connection, registry=registry, host=host)


@final
class Closing:
    """Ends a store."""

    def __init__(self, writer: Writer, readers: Readers, opened: Opened, executor: Executor, seams: Seams) -> None:
        """Bind to all that is open."""
        self._writer = writer
        self._readers = readers
        self._opened = opened
        self._executor = executor
        self._seams = seams
        self._turn = trio.Lock()
        self._drained = False
        self._closed = False
        self._files_closed = False

    @property
    def _broken(self) -> StoreBroken | None:
        return self._writer.broken

    async def serve(self) -> None:
        """Run the writer, and close everything when the store breaks.

        Cancellation: none; `close` ends it, within a bound. A caller that waits for a commit needs the writer to the last.
        """
        with trio.CancelScope(shield=True):
            await self._writer.run()
            if self._broken is not None:
                await self._close_files()

    async def drain(self) -> None:
        """Commit what was submitted and close this host's row; nothing more can be submitted.

        Raises:
            StoreBroken: The disk failed meanwhile, or earlier and no caller heard of it.

        Cancellation: at any time; `close` goes on from there.
        """
        if self._broken is None and not self._drained and not self._closed:
            self._readers.stop_queries()
            await self._commit_last()
            self._drained = True
            # After the last answer the log may still be moved into the database, and the disk fail at that.
            with trio.move_on_after(CLOSE_S):
                await self._writer.wait_idle()
        if self._broken is not None and self._writer.broke_unheard and not self._closed:
            raise self._broken

    async def _commit_last(self) -> None:
        # Not `Pending.wait`, which withdraws what waits when it is cancelled: the writer would end without it.
        settled = trio.Event()
        last = self._writer.close(CLOSING, lambda _: settled.set())
        await settled.wait()
        # Nothing landed, or the row is closed already; a row that stays open is found dead by its lock.
        if isinstance(last.outcome, Error) and not isinstance(last.outcome, DiskFull | Contended | Closed):
            raise last.outcome

    async def close(self) -> None:
        """Settle what still waits, and close everything; for the most part bounded by `CLOSE_S`. Twice is allowed.

        Raises:
            StoreBroken: The disk failed while it closed; everything acknowledged is in the log.
        """
        if self._closed:
            return
        self._closed = True
        was_broken = self._broken is not None
        self._readers.stop_queries()
        with trio.CancelScope(shield=True):
            with trio.move_on_after(CLOSE_S):
                if self._broken is None and not self._drained:
                    self._writer.abandon_waiting()
                    self._writer.close(CLOSING)
                await self._writer.wait_idle()
            self._writer.give_up()
            await self._writer.wait_idle()
            await self._close_files()
        if self._broken is not None and not was_broken:
            raise self._broken

    async def _close_files(self) -> None:
        """Close readers, writer and lock, in this order; at most `CLOSE_S` for a disk that does not answer."""
        async with self._turn:
            if self._files_closed:
                return
            self._files_closed = True
            with trio.move_on_after(CLOSE_S):
                await self._readers.close(self._broken)
            if self._broken is not None:
                # On its own thread: the writer's may hang in the disk, and its connection holds the lock until then.
                marking = self._seams.reader_executor()
                with trio.move_on_after(CLOSE_S):
                    await marking.run(partial(self._opened.engine.mark_broken, str(self._broken)))
                marking.close()
            try:
                with trio.move_on_after(CLOSE_S):
                    await self._executor.run(self._close_connection)
            except UnknownOutcome as exc:
                self._writer.stop_in_doubt(str(exc))  # nothing is in doubt any more: every waiter has its answer
            finally:
                self._executor.close()

    def _close_connection(self) -> None:
        # Together on the writer's thread, so that the lock is not free before the connection is gone.
        try:
            self._opened.connection.close(checkpoint=self._broken is None)
        except UnknownOutcome as exc:
            self._opened.engine.mark_broken(str(exc))
            raise
        finally:
            self._opened.engine.close()
