"""The store: one database, opened by one host.

`open_store` checks what is there, commits this host's own incarnation, and starts the writer. Everything written goes through
`Store.commit`; everything read sees what was acknowledged before.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar, final

import trio
from attrs import frozen

from tenure.errors import Closed, Contended, DiskFull, Error, NotFound, StoreBroken, StoreLocked, Unsupported

from .commits import Commit, CommitResult
from .contracts.runtimes import RuntimeContract
from .engines.engine import Engine, HostProofs, Statements, WriteConnection
from .engines.sqlite import MEMORY, SqliteEngine
from .engines.statements import load_statements
from .executors import Executor, run_to_the_end
from .facets.catalog import FACETS
from .facets.ownership import CloseHost, RenewLease
from .group import GroupRunner, Outcome
from .hosts import HostKey, HostRegistry, Rejoined
from .limits import Limits
from .nursery import background
from .readers import Readers
from .seams import Seams
from .values import DurabilityClass
from .writer import Pending, Writer, WriterStatistics

T = TypeVar("T")

OPENING_S: Final = 0.02
"""Seconds until an open tries again that met another one on its way."""

CLOSE_S: Final = 10.0
"""Most seconds that closing waits for the disk when the body was cancelled or the store is broken."""


@final
@frozen(kw_only=True, slots=True)
class Opened:
    """What opening gives to the store; made on the writer's executor."""

    engine: Engine
    connection: WriteConnection
    registry: HostRegistry
    host: HostKey


@final
class Store:
    """An open store. Made by `open_store`."""

    def __init__(
        self, opened: Opened, executor: Executor, durability: DurabilityClass, limits: Limits, seams: Seams
    ) -> None:
        """Wire the writer and the readers; see `open_store`."""
        self.limits = limits
        self.seams = seams
        self.durability = durability
        self._opened = opened
        self._executor = executor
        runner = GroupRunner(
            opened.connection, FACETS, opened.host, opened.registry, durability=durability, limits=limits, seams=seams
        )
        self._writer = Writer(runner, executor, limits, opened.connection.maintain)
        self._readers = Readers(
            opened.engine, opened.connection, executor, seams.reader_executor, limits.read_connections
        )
        self.runtimes = RuntimeContract(self)

    @property
    def name(self) -> str:
        """Name of the engine."""
        return self._opened.engine.name

    @property
    def requires_network(self) -> bool:
        """Whether the engine talks to a server."""
        return self._opened.engine.requires_network

    @property
    def supports_air_gapped(self) -> bool:
        """Whether the store works without a network."""
        return not self.requires_network

    @property
    def incarnation(self) -> str:
        """This host's name in errors and verdicts; a new one after another host has judged this one dead."""
        return self._writer.host.incarnation

    @property
    def host(self) -> int:
        """Key of this host's row, under which it owns runtimes."""
        return self._writer.host.host

    @property
    def shared(self) -> bool:
        """Whether other hosts can have the store open at the same time."""
        return self._opened.engine.shared

    @property
    def proofs(self) -> HostProofs:
        """What proves that the other hosts live."""
        return self._opened.engine.hosts

    def on_rejoined(self, heard: Callable[[Rejoined], None]) -> None:
        """Have `heard` called, on the trio thread, when this host was judged dead and has registered anew.

        The call comes before any outcome of the group that found it out, and before the lease counts as renewed.
        """
        self._writer.on_rejoined = heard

    def lease_lapsed(self) -> bool:
        """Whether another host may have judged this one lapsed: nothing was renewed for one lease. Cheap.

        After a freeze or a sleep it stays true until a group has landed, and what was lost has been heard of.
        """
        return self.shared and self.seams.boot_clock() - self._writer.renewed_at >= self.limits.lease_s

    @property
    def broken(self) -> StoreBroken | None:
        """Why the store has stopped, or None."""
        return self._writer.broken

    async def wait_broken(self) -> StoreBroken:
        """Wait until the store has stopped, and say why."""
        await self._writer.broken_event.wait()
        if self._writer.broken is None:
            raise Closed(what="store")
        return self._writer.broken

    def stop_in_doubt(self, detail: str) -> StoreBroken:
        """Break the store where a verdict did not come; see `Writer.stop_in_doubt`."""
        return self._writer.stop_in_doubt(detail)

    def submit(self, commit: Commit, on_settled: Callable[[Outcome], None] | None = None) -> Pending:
        """Queue a commit and return at once; see `Writer.submit`."""
        return self._writer.submit(commit, on_settled)

    async def commit(self, commit: Commit) -> CommitResult:
        """Write one commit, all of it or nothing, on disk at the store's class when this returns.

        Raises:
            Error: Why nothing of it was written: of the facet (`StaleFence`, `NotAccepting`, ...), `DiskFull`, `Contended`,
                or `StoreBroken`, whose `in_doubt` says whether even that is unknown.

        Cancellation: before the commit is taken it is withdrawn and nothing happened; afterwards its outcome is delivered
        and the cancellation comes at the next checkpoint (design §3).
        """
        return await self._writer.commit(commit)

    async def read(self, read: Callable[[Statements], T]) -> T:
        """Run a sync function over a consistent view that holds everything acknowledged before the call."""
        return await self._readers.run(read)

    async def verdict(self, incarnation: str, group: int) -> bool:
        """Whether that group of that host landed. The answer never changes.

        Raises:
            NotFound: The store knows no such host.
        """
        row = await self.read(lambda statements: statements.one("ownership.group_of", incarnation=incarnation))
        if row is None:
            raise NotFound(what="incarnation", key=incarnation)
        landed: bool = group <= row[0]
        return landed

    async def health_check(self) -> None:
        """Return if the store can be read. Raises `StoreBroken` or what the read raised."""
        if self.broken is not None:
            raise self.broken
        await self.read(lambda statements: statements.one("ownership.group_of", incarnation=self.incarnation))

    def statistics(self) -> WriterStatistics:
        """What the writer has done since the store was opened."""
        return self._writer.statistics()

    async def serve(self) -> None:
        """Run the writer; `open_store` does."""
        await self._writer.run()

    async def keep_lease(self) -> None:
        """Renew the lease wherever no group did; `open_store` starts it. One task a store, none a runtime (design §4)."""
        while self.shared:
            idle_s = self.seams.boot_clock() - self._writer.renewed_at
            # At most one period, whatever the boot clock does: it is not the clock that this sleep is measured by.
            await trio.sleep(min(self.limits.renew_s, max(self.limits.renew_s - idle_s, self.limits.renew_s / 10)))
            if self.seams.boot_clock() - self._writer.renewed_at < self.limits.renew_s:
                continue
            try:
                await self.commit(Commit(changes=(RenewLease(),)))
            except (Contended, DiskFull):
                pass  # nobody could have judged us meanwhile either; the next turn tries again
            except (StoreBroken, Closed):
                return

    async def close(self, *, drain: bool) -> None:
        """Settle everything, close this host's row and the files; `open_store` does.

        Args:
            drain: Commit what was submitted; otherwise it gets `Closed` and only the group on its way is waited for.
        """
        with suppress(Error):  # a row that stays open is found dead by its lock
            if drain and self.broken is None:
                await self._writer.commit(Commit(changes=(CloseHost(),)))
            elif self.broken is None:
                self._writer.abandon_waiting()
                with trio.move_on_after(CLOSE_S):
                    await self._writer.commit(Commit(changes=(CloseHost(),)))
        self._writer.close()
        with trio.move_on_after(CLOSE_S):
            await self._writer.wait_idle()
        self._writer.give_up()
        self._writer.abandon()
        await self._readers.close()
        healthy = self.broken is None
        try:
            await self._executor.run(lambda: self._opened.connection.close(checkpoint=healthy))
        finally:
            self._executor.close()
            self._opened.engine.close()


@asynccontextmanager
async def open_store(
    target: str | os.PathLike[str],
    *,
    durability: DurabilityClass | str = DurabilityClass.DISK,
    limits: Limits | None = None,
    seams: Seams | None = None,
) -> AsyncGenerator[Store]:
    """Open a store, and close it behind the body.

    Args:
        target: A path, ``sqlite:///path``, or ``:memory:`` for a store that lives as long as the body.
        durability: What an acknowledgement survives: ``disk`` a power cut, ``os`` a killed process, ``memory`` nothing.
        limits: The limits; defaults for None.
        seams: Clocks, threads, files and the like; those of the system for None.

    Raises:
        StoreLocked: Another host has the file for itself, or was opening it for `Limits.busy_s` seconds.
        Contended: Another host held the write lock for `Limits.busy_s` seconds.
        NotADatabase: A folder, another program's database, or no database at all.
        SchemaMismatch: A newer tenure wrote it.
        UnsafeSqlite: The SQLite library can lose commits.
        WeakDurability: The file system does not give what `durability` asks.
        Unsupported: A target that this version has no engine for.

    Cancellation: the body's. Leaving it normally drains what was submitted; leaving it by an exception or a cancellation
    settles what waits with `Closed` and closes within a bound. The body's exception leaves unwrapped.
    """
    limits = limits or Limits()
    seams = seams or Seams()
    durability = DurabilityClass(durability)
    path = _path_of(target)
    if path == MEMORY:
        durability = DurabilityClass.MEMORY
    engine = SqliteEngine(path, load_statements([facet.name for facet in FACETS]), durability, limits, seams)
    executor = seams.writer_executor()
    try:
        # A cancelled opening would leave a thread behind that holds the lock; the opening is bounded by `busy_s`.
        opened = await _open_when_free(executor, lambda: _open(engine, limits, seams), limits)
    except BaseException:
        executor.close()
        raise
    store = Store(opened, executor, durability, limits, seams)
    async with background(store.serve, store.keep_lease) as body:
        try:
            with body:
                yield store
        finally:
            with trio.CancelScope(shield=True):
                await store.close(drain=body.left_normally)
    body.reraise()


def _path_of(target: str | os.PathLike[str]) -> str:
    text = os.fspath(target)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    if scheme != "sqlite":
        raise Unsupported(what=f"the engine of {scheme}://")
    return rest.removeprefix("/")


async def _open_when_free(executor: Executor, opening: Callable[[], Opened], limits: Limits) -> Opened:
    # Another host that opens the file has it for itself for moments.
    give_up_at = trio.current_time() + limits.busy_s
    while True:
        try:
            return await run_to_the_end(executor, opening)
        except StoreLocked:
            if trio.current_time() >= give_up_at:
                raise
        await trio.sleep(OPENING_S)


def _open(engine: Engine, limits: Limits, seams: Seams) -> Opened:
    connection = engine.open()
    try:
        registry = HostRegistry(connection, engine.hosts, limits, seams)
        host = registry.join(alone=engine.alone)
        engine.share()
    except BaseException:
        connection.close(checkpoint=False)
        engine.close()
        raise
    return Opened(engine=engine, connection=connection, registry=registry, host=host)
