"""The store: one database, opened by one host.

`open_store` checks what is there, commits this host's own incarnation, and starts the writer. Everything written goes through
`Store.commit`; everything read sees what was acknowledged before.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, final

import trio

from tenure.errors import (
    Closed,
    Contended,
    Error,
    InvalidInput,
    NotFound,
    StoreBroken,
    WeakDurability,
)

from .commits.commit import Commit, CommitResult
from .commits.rows import OPTIONAL_NUMBER, check_row
from .contracts.credentials import CredentialsContract
from .contracts.journal import JournalContract
from .contracts.operations import OperationsContract
from .contracts.queue import QueueContract
from .contracts.runtimes import RuntimeContract
from .contracts.sessions import SessionsContract
from .contracts.state import StateContract
from .engines.engine import HostProofs, Statements
from .engines.sqlite.engine import SqliteEngine
from .engines.statements import load_statements
from .engines.target import MEMORY, path_of
from .facets.catalog import FACETS
from .facets.ownership.ownership import RenewLease
from .facets.pruning import Pruned
from .model.arguments import checked
from .model.values import DurabilityClass, DurabilityTier
from .reading.readers import Readers
from .reading.user_connection import QueryConnection
from .seams.executors import Executor
from .seams.interrupts import guarded, to_the_end
from .seams.limits import Limits
from .seams.nursery import background, is_for_others
from .seams.seams import Seams
from .upkeep.prune import prune
from .writing.closing import (
    Closing,
    Opened,
    open_when_free,
)
from .writing.group import GroupRunner, Outcome
from .writing.host_row import Rejoined
from .writing.pending import Pending
from .writing.writer import (
    Writer,
    WriterStatistics,
)

T = TypeVar("T")


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
        self._on_brought: Callable[[Commit, CommitResult], None] | None = None
        self._executor = executor
        runner = GroupRunner(
            opened.connection, FACETS, opened.host, opened.registry, durability=durability, limits=limits, seams=seams
        )
        self._writer = Writer(runner, executor, limits, opened.connection)
        self._readers = Readers(opened.engine, opened.connection, executor, seams.reader_executor, limits, self._writer)
        self.runtimes = RuntimeContract(self)
        self.operations = OperationsContract(self)
        self.credentials = CredentialsContract(self, opened.engine.authority_key)
        self.journal = JournalContract(self)
        self.state = StateContract(self)
        self.queue = QueueContract(self)
        self.sessions = SessionsContract(self, self.queue)
        self._closing = Closing(self._writer, self._readers, opened, executor, seams)

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
    def durability_tier(self) -> DurabilityTier:
        """Whether what is acknowledged survives the process; says nothing about fsync, which is `durability`."""
        return DurabilityTier.INLINE if self.durability is DurabilityClass.MEMORY else DurabilityTier.DURABLE

    @property
    def broken(self) -> StoreBroken | None:
        """Why the store has stopped, or None."""
        return self._writer.broken

    def check_open(self) -> None:
        """Raise `StoreBroken`, not in doubt, or `Closed` where the store takes nothing more."""
        self._writer.check_open()

    async def wait_broken(self) -> StoreBroken:
        """Wait until the store has stopped, and say why. Raises `Closed` where it was closed in order."""
        await self._writer.broken_event.wait()
        if self._writer.broken is None:
            raise Closed(what="store")
        self._writer.broke_unheard = False
        return self._writer.broken

    def stop_in_doubt(self, detail: str) -> StoreBroken:
        """Break the store where a verdict did not come; see `Writer.stop_in_doubt`."""
        return self._writer.stop_in_doubt(detail)

    def submit(self, commit: Commit, on_settled: Callable[[Outcome], None] | None = None) -> Pending:
        """Queue a commit and return at once; see `Writer.submit`."""
        return self._writer.submit(commit, on_settled)

    async def wait_for_room(self) -> None:
        """Wait until fewer commits wait than may; see `Writer.wait_for_room`."""
        await self._writer.wait_for_room()

    async def commit(self, commit: Commit) -> CommitResult:
        """Write one commit, all of it or nothing, on disk at the store's class when this returns.

        Waits for room while `Limits.waiting_commits` commits, or `waiting_bytes`, wait to be written.

        Raises:
            Error: Why nothing of it was written: of the facet (`StaleFence`, `NotAccepting`, ...), `DiskFull`, `Contended`,
                or `StoreBroken`, whose `in_doubt` says whether even that is unknown.

        Cancellation: before the commit is taken it is withdrawn and nothing happened; afterwards its outcome is delivered
        and the cancellation comes at the next checkpoint (design §3).
        """
        return await self._writer.commit(commit)

    async def publish(self, commit: Commit, on_settled: Callable[[Outcome], None]) -> CommitResult:
        """As `commit`; what is published of it is published in `on_settled`, as in that of `Writer.submit`."""
        return await self._writer.commit(commit, on_settled)

    async def bring(self, commit: Commit) -> CommitResult:
        """As `commit`, for what a contract verb brings past the owner of a runtime: one in this process hears of it."""

        def settled(outcome: Outcome) -> None:
            if self._on_brought is not None and isinstance(outcome, CommitResult):
                self._on_brought(commit, outcome)

        return await self.publish(commit, settled)

    def on_brought(self, heard: Callable[[Commit, CommitResult], None]) -> None:
        """Have `heard` called, on the trio thread, when a commit of a contract verb has landed. It may not raise."""
        self._on_brought = heard

    async def read(self, read: Callable[[Statements], T]) -> T:
        """Run a sync function over one consistent view, which holds everything acknowledged before the call.

        The view ends with the call: the function returns values, and what it was given raises afterwards.

        Raises:
            StoreBroken: The store has stopped, or does so now: an I/O error stops it for reads too.
            Closed: The store was shut down.
            ReadFailed: What is stored is damaged.
            CannotOpen: A further connection is needed and there is no file descriptor for it; nothing happened.
            NoThread: A further connection is needed and there is no thread for it; nothing happened.
            Exception: Whatever the function raises.

        Cancellation: comes when the read has ended; reads are short.
        """
        return await self._readers.run(read)

    def read_connection(self) -> AbstractAsyncContextManager[QueryConnection]:
        """A connection for SQL of one's own: ``async with store.read_connection() as connection: await connection.query(...)``.

        It reads everything and can change nothing, and it is the only way to look into the file from inside this process: a
        second SQLite library, or a plain ``open()``, would drop the store's locks. Tables may change with a release; the facets
        do not. At most `Limits.query_connections` at a time; more wait.

        Raises:
            StoreBroken: On entering: the store has stopped.
            Closed: On entering: it was shut down.
            CannotOpen: On entering: no file descriptor is left, for one.

        Cancellation: entering may be cancelled; leaving closes the connection.
        """
        return self._readers.query_connection()

    @checked
    async def verdict(self, incarnation: str, group: int) -> bool:
        """Whether that group of that host landed. The answer never changes.

        Ask a store that was opened after the `StoreBroken` that named the group.

        Raises:
            NotFound: The store knows no such host.
            Contended: That host is not yet known to be dead, and could still land the group; ask again.
            Corrupt: The host's row is damaged.
            InvalidInput: The host is this one, which has committed no such group yet and was never in doubt of it.

        Cancellation: see `read`.
        """
        row = await self.read(lambda statements: statements.one("ownership.group_of", incarnation=incarnation))
        if row is None:
            raise NotFound(what="incarnation", key=incarnation)
        check_row(row, (int, OPTIONAL_NUMBER, OPTIONAL_NUMBER), "host", incarnation)
        last, closed_at, lost_at = row
        if group <= last:
            return True
        if incarnation == self.incarnation:
            raise InvalidInput(detail=f"this open store has committed {last} groups so far", field="group")
        if closed_at is None and lost_at is None:
            raise Contended(detail=f"host {incarnation} has the store open")
        return False

    @checked
    async def prune(self, older_than_s: float, *, dead_letters: bool = False) -> Pruned:
        """Delete what has ended more than `older_than_s` seconds ago; nothing is ever pruned unless this asks for it.

        Receipts go from the beginning of each runtime's chain up to the first that must stay; an anchor keeps the place, and
        `verify` goes on from there. With the last receipt of a run go its steps, sends and inputs. An idempotency key stays
        known for 30 days longer; a ticket of a pruned input has no receipt. Messages that a conversation has left behind go;
        messages of the conversation never do. What is unfinished, held or waits for a retry stays, and so do dead letters,
        unless they are asked for too. Room in the file is used again; the file does not shrink.

        Beside hosts that run, and whoever owns the runtimes: in small commits, so that nobody waits long.

        Args:
            older_than_s: Age in seconds; 0 for everything that has ended.
            dead_letters: Abandoned inputs and refused sends too.

        Returns:
            What was deleted, counted.

        Raises:
            InvalidInput: An age below 0.
            Error: Of `commit` and `read`; what was pruned by then stays so, and the next call goes on.

        Cancellation: between two commits, or as that of `commit`.
        """
        return await prune(self, self.seams.wall_clock(), older_than_s, dead_letters=dead_letters)

    async def health_check(self) -> None:
        """Return if the store can be read.

        Raises:
            StoreBroken: It has stopped.
            Closed: It was shut down.
            ReadFailed: What is stored is damaged.
        """
        await self.read(lambda statements: statements.one("ownership.group_of", incarnation=self.incarnation))

    def statistics(self) -> WriterStatistics:
        """What the writer has done since the store was opened."""
        return self._writer.statistics()

    async def shutdown(self) -> None:
        """Commit what was submitted, take nothing more, and close the files; leaving `open_store` does the same.

        Afterwards every verb raises `Closed`. Doing so twice is allowed.

        Raises:
            StoreBroken: The disk failed meanwhile, or earlier and nobody was told.

        Cancellation: what waits for the writer then is settled with `Closed`, and the files are closed within a bound.
        """
        try:
            await self.drain()
        finally:
            await self.close()

    # What `open_store` calls

    async def keep_lease(self) -> None:
        """Renew the lease wherever no group did; `open_store` starts it. One task a store, none a runtime (design §4)."""
        while self.shared:
            # At most one period, whatever the boot clock does: it is not the clock that this sleep is measured by.
            shortest_s = self.limits.renew_s / 10
            await trio.sleep(min(self.limits.renew_s, max(self.limits.renew_s - self._idle_s(), shortest_s)))
            if self._idle_s() < self.limits.renew_s:
                continue
            try:
                await self.commit(Commit(changes=(RenewLease(),)))
            except (StoreBroken, Closed):
                return
            except Error:
                pass  # Contended, say: nobody could have judged us meanwhile either; the next turn tries again

    def _idle_s(self) -> float:
        """Seconds since the lease was renewed last; where the boot clock is a user's and raises, it must be renewed now."""
        try:
            return self.seams.boot_clock() - self._writer.renewed_at
        except BaseException as exc:
            if is_for_others(exc):
                raise
            return self.limits.renew_s  # the group that renews asks the clock itself, and says what it raises

    async def serve(self) -> None:
        """Run the writer, and close everything when the store breaks; see `Closing.serve`."""
        await self._closing.serve()

    async def drain(self) -> None:
        """Commit what was submitted and close this host's row; see `Closing.drain`."""
        await self._closing.drain()

    async def close(self) -> None:
        """Settle whoever still waits, and close everything; see `Closing.close`."""
        await self._closing.close()


@guarded
async def open_store(
    target: str | os.PathLike[str],
    *,
    durability: DurabilityClass | str | None = None,
    limits: Limits | None = None,
    seams: Seams | None = None,
) -> AsyncGenerator[Store]:
    """Open a store, and close it behind the body.

    Args:
        target: A path, ``sqlite:///path``, or ``:memory:`` for a store that lives as long as the body.
        durability: What an acknowledgement survives: ``disk`` a power cut, ``os`` a killed process, ``memory`` nothing.
            None is ``disk`` for a file and ``memory`` for ``:memory:``, which can give no more.
        limits: The limits; defaults for None.
        seams: Clocks, threads, files and the like; those of the system for None.

    Raises:
        StoreLocked: Another host has the file for itself, or was opening it for `Limits.busy_s` seconds; or hosts are there
            since before the store broke.
        Contended: Another host held the write lock for `Limits.busy_s` seconds.
        CannotOpen: A missing folder, no permission, a read-only disk, a file with several names.
        NotADatabase: A folder, another program's database, or no database at all.
        Corrupt: The file was cut off, or only its log is left.
        SchemaMismatch: A newer tenure wrote it.
        NetworkFileSystem: The file is on one, as far as the system tells.
        UnsafeSqlite: The SQLite library can lose commits.
        WeakDurability: What `durability` asks cannot be given.
        DiskFull: There is no room for a new database, or for the copy of the log that an open makes.
        StoreBroken: An I/O error.
        Unsupported: A target that this version has no engine for.
        InvalidInput: No path, or no such class.

    Cancellation: the body's. Leaving it normally drains what was submitted; leaving it by an exception or a cancellation,
    also while it drains, settles what waits with `Closed` and closes within a bound. The body's exception leaves unwrapped;
    a disk that fails while the store closes, or failed behind the last answer, is `StoreBroken`.
    """
    limits = limits or Limits()
    seams = seams or Seams()
    path = path_of(target)
    durability = _durability_of(path, durability)
    engine = SqliteEngine(path, load_statements(), durability, limits, seams)
    executor = seams.writer_executor()
    try:
        # A cancelled opening would leave a thread behind that holds the lock; the opening is bounded by `busy_s`.
        opened = await open_when_free(executor, engine, durability, limits, seams)
    except BaseException:
        executor.close()
        raise
    store = Store(opened, executor, durability, limits, seams)
    async with background(store.serve, store.keep_lease) as body:
        with body:
            yield store
            await store.drain()
        with body:
            await to_the_end(store.close)
    body.reraise()


def _durability_of(path: str, asked: DurabilityClass | str | None) -> DurabilityClass:
    natural = DurabilityClass.MEMORY if path == MEMORY else DurabilityClass.DISK
    try:
        durability = natural if asked is None else DurabilityClass(asked)
    except ValueError as exc:
        classes = ", ".join(DurabilityClass)
        raise InvalidInput(detail=f"{asked!r} is none of {classes}", field="durability") from exc
    if not natural.covers(durability):
        raise WeakDurability(asked=durability, given=natural)
    return durability
