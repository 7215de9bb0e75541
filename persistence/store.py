"""The store: one database, opened by one host (`opening`).

Everything written goes through `Store.commit`; everything read sees what was acknowledged before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, final

from tenure.errors import Closed, Contended, InvalidInput, NotFound, StoreBroken, Unsupported

from .commits.commit import Commit, CommitResult
from .commits.rows import OPTIONAL_NUMBER, check_row
from .contracts.attachments import AttachmentsContract
from .contracts.credentials import CredentialsContract
from .contracts.erasing import Erasure, Erasures
from .contracts.journals.journal import JournalContract
from .contracts.operations import OperationsContract
from .contracts.queued.queue import QueueContract
from .contracts.runtimes import RuntimeContract
from .contracts.sealing.rekeying import Rekeyed, rekey
from .contracts.sessions import SessionsContract
from .contracts.state import StateContract
from .engines.engine import Statements
from .engines.sealing.engine import SealedEngine
from .facets.catalog import FACETS
from .facets.prunable import Pruned
from .model.arguments import checked
from .model.lifecycles.retention import Retention, asked_for
from .model.numbers import check_count
from .model.values import DurabilityClass, DurabilityTier, check_runtime_id
from .reading.readers import Readers
from .reading.user_connection import QueryConnection
from .seams.executors import Executor
from .seams.limits import Limits
from .seams.seams import Seams
from .upkeep.prune import Shrunk, prune, shrink
from .writing.closing import Closing, Opened
from .writing.ground import Ground
from .writing.group import GroupRunner
from .writing.inside import Inside
from .writing.statistics import WriterStatistics
from .writing.writer import Writer

T = TypeVar("T")


@final
class Store:
    """An open store. Made by `open_store`."""

    def __init__(self, opened: Opened, executor: Executor, limits: Limits, retention: Retention, seams: Seams) -> None:
        """Wire the writer and the readers; see `open_store`."""
        self.limits = limits
        self.retention = retention
        self.seams = seams
        self.durability = durability = opened.engine.durability
        self._opened = opened
        self._executor = executor
        connection, host, registry = opened.connection, opened.host, opened.registry
        runner = GroupRunner(
            connection, FACETS, host, registry, durability=durability, limits=limits, retention=retention, seams=seams
        )
        self._writer = Writer(runner, executor, limits, connection)
        self._readers = Readers(opened.engine, connection, executor, seams.reader_executor, limits, self._writer)
        closing = Closing(self._writer, self._readers, opened, executor, seams)
        self._ground = Ground(opened, self._writer, self._readers, closing, limits=limits, seams=seams)
        self._erasures = Erasures(self._ground)
        self.runtimes = RuntimeContract(self._ground)
        self.operations = OperationsContract(self)
        self.credentials = CredentialsContract(self, opened.engine.authority_key)
        self.journal = JournalContract(self)
        self.state = StateContract(self)
        self.queue = QueueContract(self._ground)
        self.attachments = AttachmentsContract(self._ground, self._erasures)
        self.sessions = SessionsContract(self, self.queue, self.attachments, self._ground)
        if seams.observer is not None:
            seams.observer.opened(Inside(connection, runner, self._writer, executor))

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
        return self._writer.answering.host.incarnation

    @property
    def shared(self) -> bool:
        """Whether other hosts can have the store open at the same time."""
        return self._opened.engine.shared

    @property
    def durability_tier(self) -> DurabilityTier:
        """Whether what is acknowledged survives the process; says nothing about fsync, which is `durability`."""
        return DurabilityTier.INLINE if self.durability is DurabilityClass.MEMORY else DurabilityTier.DURABLE

    @property
    def broken(self) -> StoreBroken | None:
        """Why the store has stopped, or None."""
        return self._writer.broken

    async def wait_broken(self) -> StoreBroken:
        """Wait until the store has stopped, and say why. Raises `Closed` where it was closed in order."""
        await self._writer.broken_event.wait()
        if self._writer.broken is None:
            raise Closed(what="store")
        self._writer.broke_unheard = False
        return self._writer.broken

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

    async def read(self, read: Callable[[Statements], T]) -> T:
        """Run a sync function over one consistent view, which holds everything acknowledged before the call.

        The view ends with the call: the function returns values, and what it was given raises afterwards.

        Raises:
            StoreBroken: The store has stopped, or does so now: an I/O error stops it for reads too.
            Closed: The store was shut down.
            ReadFailed: What is stored is damaged.
            CannotOpen: A further connection is needed, and cannot be opened.
            NoDescriptor, NoThread: It is needed, and no file descriptor or thread is left; nothing happened.
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
            StoreBroken, Closed: On entering: the store has stopped, or was shut down.
            CannotOpen, NoDescriptor: On entering: it cannot be opened; no file descriptor is left.

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
    async def prune(
        self, older_than_s: float, *, dead_letters: bool = False, kinds: Sequence[str] | None = None
    ) -> Pruned:
        """Delete what has ended more than `older_than_s` seconds ago, and count it; by itself it goes with a `Retention` alone.

        Receipts go from the beginning of each runtime's chain up to the first that must stay; `verify` goes on from an anchor
        there. With the last receipt of a run go its steps, sends and inputs; an idempotency key stays known for 30 days longer,
        a ticket of a pruned input has no receipt. Messages on no path of a conversation go, those on it never do. What is
        unfinished, held or waits for a retry stays, and so do dead letters unless they are asked for too. Room in the file is
        used again. Beside hosts, in small commits, so that no caller waits long.

        Args:
            older_than_s: Age in seconds; 0 for everything that has ended.
            dead_letters: Abandoned inputs and refused sends too.
            kinds: Of runtimes of these kinds alone, and what nothing can read any more; None: of all, and what belongs to none.

        Raises:
            InvalidInput: An age below 0.
            Error: Of `commit` and `read`; what was pruned by then stays so, and the next call goes on.

        Cancellation: between two commits, or as that of `commit`.
        """
        ages = asked_for(self.seams.wall_clock(), older_than_s, dead_letters=dead_letters, kinds=kinds)
        return Pruned(**await prune(self, ages))

    @checked
    async def shrink(self, *, most_bytes: int | None = None) -> Shrunk:
        """Give room in the file back to the disk: write it anew without what is free in it, beside hosts that run.

        Every commit, of other hosts too, waits meanwhile, about a second for 100 MiB. What is pruned is used again without
        this; it is for a file that will not grow so large again.

        Args:
            most_bytes: Largest database that is written anew; None: `Limits.rewrite_bytes`.

        Returns:
            How large it was and is, and whether it was written: it is not where it is larger than that, where there is no
            room for a second one, where another process writes just now, or where the engine is a server. Its log is moved
            into it; where a reader is in the way, the file shrinks when that has gone.

        Raises:
            InvalidInput: A number below 1.
            Error: Of `commit`.

        Cancellation: comes when it has ended.
        """
        if most_bytes is not None:
            check_count(most_bytes, "most_bytes")
        return await shrink(self._ground, most_bytes or self.limits.rewrite_bytes)

    @checked
    async def erase(self, runtime_id: str, *, peers: bool = False) -> Erasure:
        """Erase everything that a destroyed runtime has ever held, and say what is gone and what is not yet.

        Its inputs with their keys, runs, steps, results, conversation, journals, working memory, queued work and attachments
        go, with their digests; then the file is written anew and its log emptied, so that no byte of them is left in a page.
        Where something is in the way, the answer says what, and the erasure ends by itself, after a restart too:
        ask again to hear whether it has. What stays is the tombstone, from which `RuntimeDestroyed` is answered.

        Beside hosts that run; a database of more than `Limits.rewrite_bytes` is not written anew.

        Args:
            runtime_id: Which runtime.
            peers: What it has sent to other runtimes and answered them too, where their runs have finished with it; their rows
                stay, without content and marked as erased.

        Raises:
            NotFound: No such runtime.
            InvalidTransition: It is not destroyed.
            Error: Of `commit` and `read`; what is begun goes on.

        Cancellation: before its first commit is taken nothing happened; afterwards it goes on by itself.
        """
        return await self._erasures.erase(check_runtime_id(runtime_id), peers=peers)

    async def rekey(self) -> Rekeyed:
        """Seal with the codec's key of today what is sealed with another, or was written before the store had a codec.

        In slices, beside hosts that run; cut off, it is gone on with when asked again. Every host has the new key first.

        Raises:
            Unsupported: The store was opened without a codec.
            Error: Of `commit` and `read`.

        Cancellation: as that of `commit`; what was sealed anew by then stays.
        """
        engine = self._opened.engine
        if not isinstance(engine, SealedEngine):
            raise Unsupported(what="to rekey a store that was opened without a codec")
        return await rekey(self._ground, engine)

    async def health_check(self) -> None:
        """Return if the store can be read.

        Raises:
            StoreBroken, Closed: It has stopped, or was shut down.
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
            StoreBroken: The disk failed meanwhile, or earlier and no caller heard of it.

        Cancellation: what waits for the writer then is settled with `Closed`, and the files are closed within a bound.
        """
        try:
            await self._ground.drain()
        finally:
            await self._ground.close()


def ground_of(store: Store) -> Ground:
    """What the house asks of a store, and users do not."""
    return store._ground  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - users see what they may call


def erasures_of(store: Store) -> Erasures:
    """What carries erasures to their end; for the house."""
    return store._erasures  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - users see what they may call
