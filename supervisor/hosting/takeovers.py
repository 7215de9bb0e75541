"""Taking runtimes over: by a spawn, by recovery, or because something has come for one that no host owns (design §4).

However it comes, one commit mints a token, queues what was staged and charges the crash; its answer is the facts this host
runs the runtime from. Only a spawn creates a runtime, hears of a refusal, and brings a stopped one back to life.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final, final

import trio

from tenure.actors.facts import RuntimeFacts, facts_of
from tenure.errors import (
    Closed,
    Error,
    LimitReached,
    OlderVersion,
    ReadFailed,
    RuntimeDestroyed,
    RuntimeOwned,
    StoreBroken,
)
from tenure.persistence.commits.commit import (
    Commit,
    CommitResult,
)
from tenure.persistence.facets.ownership.ownership import (
    Ownership,
    TakeOwnership,
    find_holding,
)
from tenure.persistence.model.labels import Labels
from tenure.persistence.model.texts import as_defect
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    SessionId,
)
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import is_for_others, together
from tenure.persistence.store import Store, ground_of
from tenure.persistence.writing.group import Outcome as CommitOutcome
from tenure.persistence.writing.pending import Pending
from tenure.supervisor.accepting.doubts import Doubts
from tenure.supervisor.operators.log import HostLog
from tenure.supervisor.operators.unowned import FIRST, unfinished
from tenure.supervisor.runs.behaviour import Behaviours
from tenure.supervisor.runs.recording.restart import wait_left

from .actors import Actors
from .bell import Bell
from .mending import Mending
from .owned import Owned
from .releases import Releases
from .room import Room
from .tasks import Tasks
from .trials import Trials

MANY: Final = 512
"""Runtimes of `take_many` whose commits wait for the writer together."""

AT_A_TIME: Final = 64
"""Idle runtimes of a kind that are given back for others of the kind that wait for room."""

TOGETHER: Final = 64
"""Runtimes of `take_many` that are owned by one commit, unless one of them is refused."""


@final
class Takeovers:
    """Those of one host, on their way; and what is left over for later."""

    def __init__(  # noqa: PLR0913 - one for each part of the host that it fills
        self,
        *,
        store: Store,
        behaviours: Behaviours,
        owned: Owned,
        room: Room,
        releases: Releases,
        actors: Actors,
        doubts: Doubts,
        mending: Mending,
        tasks: Tasks,
        log: HostLog,
        bell: Bell,
    ) -> None:
        """Nothing is on its way yet. The bell is answered from now on."""
        self._store = store
        self._behaviours = behaviours
        self._owned = owned
        self._room = room
        self._releases = releases
        self._full: set[str] = set()
        owned.on_less = self._has_room
        self._actors = actors
        self._doubts = doubts
        self._mending = mending
        self._tasks = tasks
        self._log = log
        self._trials = Trials(actors, mending, tasks)
        self._starting: dict[LogicalRuntimeId, trio.Event] = {}
        self._left = False
        self._hurry = trio.Event()
        bell.connect(self)

    # What sets runtimes to work

    def wake(self, runtime_id: LogicalRuntimeId, *, steered: bool = False) -> None:
        """Something has come into this inbox: let its actor look, or take the runtime over where no host owns it."""
        facts = self._owned.find(runtime_id)
        if facts is not None and facts.aside:
            return  # what wakes it is looked at when it is due
        if facts is not None:
            actor = self._actors.of(facts)
            actor.steered.value += steered
            actor.wake()
        else:
            self.begin_for(runtime_id)

    async def rouse(self, runtime_id: LogicalRuntimeId, kind: str) -> None:
        """The run of a runtime that was put aside is due: enter it, unless another host was faster."""
        facts = self._owned.find(runtime_id)
        if facts is None:
            await self.take_quietly(runtime_id, kind)
        elif facts.aside:
            with self._mending.net(runtime_id):
                self._actors.of(facts).wake()

    async def recover(self) -> None:
        """Take over every runtime of a known kind that was left with work; a run on trial then waits for its turn."""
        after: int | None = FIRST
        while after is not None:
            # What there is no room for is left to others, and looked for again when there is.
            offers = {kind: each for kind, each in self._behaviours.all_offers.items() if self.may_come(kind)}
            if not offers:
                return
            read = partial(unfinished, offers=offers, after=after)
            page, after = await self._store.read(read)
            known = [found for found in page if found.reason is None]
            with self._trials.in_order():
                await together(*(partial(self.take_quietly, found.runtime_id, found.kind) for found in known))

    def leave_over(self, *, hurry: bool = False) -> None:
        """Something may be there to be taken: look at the next renewal, or at once."""
        self._left = True
        if hurry:
            self._hurry.set()

    async def wait_hurry(self) -> None:
        """Wait until what is left over must be looked at before the next renewal."""
        await self._hurry.wait()

    def begin_left(self) -> bool:
        """Whether something may be left over; what comes from here on counts for the next look."""
        left, self._left, self._hurry = self._left, False, trio.Event()
        return left

    # Takeovers

    async def wait(self, runtime_id: LogicalRuntimeId) -> bool:
        """Wait for a takeover that is on its way. Whether there was one."""
        starting = self._starting.get(runtime_id)
        if starting is not None:
            await starting.wait()
        return starting is not None

    async def take(self, runtime_id: LogicalRuntimeId, kind: str, *, revive: bool, labels: Labels = ()) -> RuntimeFacts:
        """Own a runtime. Raises what `TakeOwnership` is refused with; cancelled, see `Store.commit`.

        There must be room for it: `make_room`.
        """
        self._starting[runtime_id] = trio.Event()
        with self._room.coming(kind):
            try:
                commit = self._commit_to_own([runtime_id], kind, revive=revive, labels=labels)
                await ground_of(self._store).commit(commit, self._landed)
                return self._owned.facts(runtime_id)
            finally:
                self._starting.pop(runtime_id).set()

    async def make_room(self, kind: str) -> None:
        """Have room for one more of a kind, also by giving back one that is idle.

        Raises:
            LimitReached: There is none.
            Closed: Nor will there be: the host closes.
        """
        if self._room.left(kind) < 1 and not self._room.drains:
            await self._releases.make_room(kind)
        if self._room.closes:
            raise Closed(what="supervisor")
        if self._room.left(kind) < 1:
            raise LimitReached(what=f"runtimes of kind {kind} that this host owns", limit=self._room.bound(kind))

    async def take_many(self, runtime_ids: Sequence[LogicalRuntimeId], kind: str, labels: Labels) -> None:
        """Own runtimes without a task for each, many by one commit; but those that are owned, or on their way.

        A commit of which one is refused is none: those of it come again, each by its own commit. What is refused then is not
        owned afterwards: a spawn of it says why.

        Cancellation: what the writer has not taken is withdrawn; the rest is owned when this ends.
        """
        for by in (TOGETHER, 1):
            left = [each for each in runtime_ids if not self._owned.owns(each)]
            left = left[: int(min(self._room.left(kind), len(left)))]
            with self._room.coming(kind, len(left)):
                await self._take_all(left, by, kind, labels)

    async def _take_all(self, runtime_ids: Sequence[LogicalRuntimeId], by: int, kind: str, labels: Labels) -> None:
        before: list[Pending] = []
        flying: list[Pending] = []
        taking: list[LogicalRuntimeId] = []
        try:
            for at in range(0, len(runtime_ids), MANY):
                await ground_of(self._store).wait_for_room()
                before, flying = flying, self._submit_many(runtime_ids[at : at + MANY], by, kind, labels, taking)
                await _wait_all(before)  # while they are written, the next ones wait already
            await _wait_all(flying)
        except BaseException:
            # Another spawn of what is with the disk must not mint a second token, so it waits for this one.
            await _wait_all([each for each in (*before, *flying) if not each.withdraw() and each.is_taken])
            raise
        finally:
            for runtime_id in taking:
                self._starting.pop(runtime_id).set()

    def _submit_many(
        self,
        runtime_ids: Sequence[LogicalRuntimeId],
        by: int,
        kind: str,
        labels: Labels,
        taking: list[LogicalRuntimeId],
    ) -> list[Pending]:
        submit = ground_of(self._store).submit
        new = [each for each in runtime_ids if not (self._owned.owns(each) or each in self._starting)]
        started = trio.Event()
        self._starting.update(dict.fromkeys(new, started))
        taking += new
        return [
            submit(self._commit_to_own(new[at : at + by], kind, revive=True, labels=labels), self._landed)
            for at in range(0, len(new), by)
        ]

    def _commit_to_own(
        self, runtime_ids: Sequence[LogicalRuntimeId], kind: str, *, revive: bool, labels: Labels
    ) -> Commit:
        new_id, max_crashes = self._store.seams.new_id, self._behaviours[kind].restart.max_crashes
        offers = self._behaviours.offers(kind)
        changes = [
            TakeOwnership(
                runtime_id=each,
                kind=kind,
                epoch=new_id(),
                session_id=SessionId(new_id()),
                max_crashes=max_crashes,
                revive=revive,
                offers=offers,
                labels=labels,
            )
            for each in runtime_ids
        ]
        return Commit(changes=tuple(changes))

    async def take_quietly(self, runtime_id: LogicalRuntimeId, kind: str) -> None:
        """Own a runtime and set it to work, unless another host has it or it is gone.

        A stopped one stays stopped: only `spawn` revives.
        """
        if self._owned.owns(runtime_id) or runtime_id in self._starting or not self.may_come(kind):
            return
        try:
            await self.take(runtime_id, kind, revive=False)
        except (StoreBroken, Closed):
            raise
        except NOT_NOW as exc:
            self.leave_over()
            self._log.takeover_failed(runtime_id, exc, again=True)
        except (RuntimeOwned, RuntimeDestroyed, OlderVersion):
            return  # another host was faster, or is younger
        except Error as exc:  # damaged, say: then its work is not ours, and blocks no other's
            self._log.takeover_failed(runtime_id, exc, again=False)
        except BaseException as exc:
            if is_for_others(exc):
                raise
            # And so with a mistake of ours.
            self._log.takeover_failed(runtime_id, as_defect(exc), again=False)

    def may_come(self, kind: str) -> bool:
        """Whether there is room for one more of a kind; else what waits is for others, and for later."""
        if self._room.left(kind) >= 1:
            return True
        if not self._room.drains and kind not in self._full:
            self._full.add(kind)
            self._tasks.start_soon(partial(self._free, kind))
        return False

    async def _free(self, kind: str) -> None:
        """While something waits for room, give back what is idle here."""
        while kind in self._full and not self._room.drains:
            await self._releases.make_room(kind, AT_A_TIME)
            await trio.sleep(self._store.limits.poll_wait_s)
        self._full.discard(kind)  # where it drains: what waits after that begins this anew

    def _has_room(self, kind: str) -> None:
        if kind in self._full:
            self._full.discard(kind)
            self.leave_over(hurry=True)

    def begin_for(self, runtime_id: LogicalRuntimeId) -> None:
        """Something has come for a runtime that is not ours: take it over if no host owns it and its kind is known here."""
        if runtime_id not in self._starting:
            defect = partial(self._mending.distrust, runtime_id)
            self._tasks.start_soon(partial(self._take_unowned, runtime_id), defect)

    async def _take_unowned(self, runtime_id: LogicalRuntimeId) -> None:
        try:
            found = await self._store.read(partial(find_holding, runtime_id=runtime_id))
        except NOT_NOW:
            self.leave_over()
            return
        except ReadFailed as exc:
            self._log.takeover_failed(runtime_id, exc, again=False)
            return
        # Ours, and not known to be: a mistake of ours has lost it, and the next use takes it anew.
        # What is aside is taken when it is due.
        if found is None or found.kind is None or found.kind not in self._behaviours or found.aside:
            return
        if found.owner in (None, ground_of(self._store).host):
            await self.take_quietly(runtime_id, found.kind)

    def _landed(self, outcome: CommitOutcome) -> None:
        # In the callback of the commit: a send that lands right after it finds the owner.
        if not isinstance(outcome, CommitResult) or self._tasks.closed:
            return  # closed meanwhile: it is let go of with all else
        taken: Ownership
        for taken in outcome.values:
            with self._mending.net(taken.runtime_id):
                self._publish(taken)

    def _publish(self, taken: Ownership) -> None:
        facts = self._owned.adopt(facts_of(taken))
        self._doubts.doubt(facts.runtime_id)
        if facts.held is not None:
            self._log.held(facts)
        if facts.on_trial:
            self._trials.add(facts, taken.crashes)
        if taken.retry_at is not None:
            policy = self._behaviours[facts.kind].restart
            wait_s = wait_left(policy, taken.retry_at, self._store.seams.wall_clock())
            self._actors.of(facts).wake_after(wait_s)
        elif facts.has_work:
            self._actors.of(facts)


async def _wait_all(pendings: Sequence[Pending]) -> None:
    """Wait until these have settled, of which the last is the last; what has become of each its callback has heard."""
    if pendings:
        with suppress(Error):  # each of them was heard by its callback
            await pendings[-1].wait()
