"""The ground of a store: what the house asks of an open store, and users do not.

Users hold a `Store`; code of this library that builds on it takes its ground with `ground_of`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import compress
from typing import TypeVar, final

import trio

from tenure.errors import Closed, Error, StoreBroken
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import Statements, StoredBytes, WriteConnection
from tenure.persistence.engines.listeners import Elsewhere, Listeners
from tenure.persistence.engines.proofs import HostProofs
from tenure.persistence.facets.ownership.ownership import RenewLease
from tenure.persistence.reading.readers import Readers
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.lines import Unheard
from tenure.persistence.seams.nursery import is_for_others
from tenure.persistence.seams.seams import Seams

from .closing import Closing, Opened
from .group import Outcome
from .hinting.hinting import Hinting
from .host_row import Rejoined
from .pending import Pending
from .queue_bell import QueueBell
from .writer import Writer

T = TypeVar("T")


@final
class Ground:
    """Writes, and looks after the host's row, for what is built on a store.

    Attributes:
        queue_bell: Rings where there may be queued work to claim.
        submit: Queues a commit and returns at once; see `Writer.submit`.
        submit_where_room: The same, but where it must wait for room; see `Writer.submit_where_room`.
        submit_alone: From any thread, where nothing else is on its way; see `Lone.submit`.
        hooks: Of the host.
        hinting: Gives hints to other hosts, and hears theirs.
        commit: Commits and waits; see `Writer.commit`. What is published of it is published in its `on_settled`.
    """

    def __init__(
        self, opened: Opened, writer: Writer, readers: Readers, closing: Closing, *, limits: Limits, seams: Seams
    ) -> None:
        """Bind to what is open."""
        self.limits = limits
        self.seams = seams
        self.queue_bell = QueueBell()
        self._opened = opened
        self._writer = writer
        self.submit = writer.submit
        self.submit_where_room = writer.submit_where_room
        self.submit_alone = writer.lone.submit
        self.commit = writer.commit
        self.hooks = writer.answering.hooks
        # Beside a virtual clock a hint would come at any time.
        open_line = opened.engine.listeners.open_line if seams.step_executor is None else None
        self.hinting = Hinting(open_line, seams.reader_executor, lambda: writer.answering.host.host)
        if self.hinting.gives:
            writer.answering.on_landed = self._landed
        self._readers = readers
        self._closing = closing
        self._on_brought: Callable[[Commit, CommitResult], None] | None = None

    # The host's row

    @property
    def host(self) -> int:
        """Key of this host's row, under which it owns runtimes."""
        return self._writer.answering.host.host

    @property
    def shared(self) -> bool:
        """See `Store.shared`."""
        return self._opened.engine.shared

    @property
    def incarnation(self) -> str:
        """This host's name; a new one after another host has judged it dead."""
        return self._writer.answering.host.incarnation

    @property
    def blobs(self) -> Blobs:
        """Where the bytes of attachments stand."""
        return self._opened.engine.blobs

    @property
    def listeners(self) -> Listeners:
        """Those who wait for what is written, in every process."""
        return self._opened.engine.listeners

    @property
    def proofs(self) -> HostProofs:
        """What proves that the other hosts live."""
        return self._opened.engine.hosts

    def on_rejoined(self, heard: Callable[[Rejoined], None]) -> None:
        """Have `heard` called, on the trio thread, when this host was judged dead and has registered anew.

        The call comes before any outcome of the group that found it out, and before the lease counts as renewed.
        """
        self._writer.answering.on_rejoined = heard

    def lease_lapsed(self) -> bool:
        """Whether another host may have judged this one lapsed: nothing was renewed for one lease. Cheap.

        After a freeze or a sleep it stays true until a group has landed, and what was lost has been heard of.
        """
        return self.shared and self.seams.boot_clock() - self._writer.answering.renewed_at >= self.limits.lease_s

    def free_bytes(self) -> int | None:
        """See `Engine.free_bytes`."""
        return self._opened.engine.free_bytes()

    def stored_bytes(self) -> StoredBytes | None:
        """See `Engine.stored_bytes`."""
        return self._opened.engine.stored_bytes()

    def lease_age_s(self) -> float:
        """Seconds since the lease was renewed last."""
        return self.seams.boot_clock() - self._writer.answering.renewed_at

    # Commits

    def check_open(self) -> None:
        """Raise `StoreBroken`, not in doubt, or `Closed` where the store takes nothing more."""
        self._writer.check_open()

    def stop_in_doubt(self, detail: str) -> StoreBroken:
        """Break the store where a verdict did not come; see `Writer.stop_in_doubt`."""
        return self._writer.stop_in_doubt(detail)

    async def wait_for_room(self) -> None:
        """Wait until fewer commits wait than may; see `Writer.wait_for_room`."""
        await self._writer.wait_for_room()

    async def between_groups(self, work: Callable[[WriteConnection], T]) -> T:
        """Do something with the connection that writes, between two groups; see `Writer.between_groups`."""
        return await self._writer.between_groups(work)

    async def bring(self, commit: Commit) -> CommitResult:
        """As `commit`, for what a contract verb brings past the owner of a runtime: one in this process hears of it."""
        return await self.commit(commit, self.bringing(commit))

    def bringing(self, commit: Commit) -> Callable[[Outcome], None] | None:
        """What `bring` has called when the commit is settled; None where no owner is in this process."""
        heard = self._on_brought
        if heard is None:
            return None

        def settled(outcome: Outcome) -> None:
            if isinstance(outcome, CommitResult):
                heard(commit, outcome)

        return settled

    def on_brought(self, heard: Callable[[Commit, CommitResult], None]) -> None:
        """Have `heard` called, on the trio thread, when a commit of a contract verb has landed. It may not raise."""
        self._on_brought = heard

    async def read(self, read: Callable[[Statements], T]) -> T:
        """See `Store.read`."""
        return await self._readers.run(read)

    def on_past(self, heard: Callable[[CommitResult], None]) -> None:
        """Have `heard` called, on the trio thread, when a commit has landed that wrote runtimes past their owner (`past`)."""
        self._writer.answering.on_past = heard

    def _landed(self, batch: Sequence[Pending], outcomes: Sequence[Outcome], elsewhere: Elsewhere) -> None:
        written = [isinstance(each, CommitResult) and each.written for each in outcomes]
        self.hinting.landed([each.commit for each in compress(batch, written)], elsewhere)

    # What `open_store` calls

    @property
    def tasks(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """What runs for as long as the store is open."""
        return self.serve, self.keep_lease, self.hinting.serve

    async def keep_lease(self) -> None:
        """Renew the lease wherever no group did; `open_store` starts it. One task a store, none a runtime (design §4)."""
        unheard = Unheard("the renewal of this host's lease")
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
            except Error as exc:
                # Contended, say: no host could have judged us meanwhile either. Whatever it was, nothing landed and the next
                # turn tries again; should the lease run out by then, each write hears so by its fence.
                unheard.met(exc)
            else:
                unheard.over()

    def _idle_s(self) -> float:
        """Seconds since the lease was renewed last; where the boot clock is a user's and raises, it must be renewed now."""
        try:
            return self.seams.boot_clock() - self._writer.answering.renewed_at
        except BaseException as exc:
            if is_for_others(exc):
                raise
            return self.limits.renew_s  # the group that renews asks the clock itself, and says what it raises

    async def serve(self) -> None:
        """Run the writer, and close everything when the store breaks; see `Closing.serve`."""
        await self._closing.serve()

    async def drain(self) -> None:
        """Commit what was submitted, close this host's row and give its last hints; see `Closing.drain`."""
        await self._closing.drain()
        await self.hinting.say_last()

    async def close(self) -> None:
        """Settle what still waits, and close everything; see `Closing.close`."""
        await self._closing.close()
