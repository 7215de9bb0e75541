"""The writer: the one path by which anything reaches the disk.

Theory of operation. Callers submit commits in their order; one task takes what waits, has it carried out as a group on the
executor, and answers every caller in one go. No timer waits for more: while one group is on its way to the disk,
the next one gathers by itself.

A commit is *waiting*, then *taken*, then *settled* (`pending`); how many may wait has a limit (`room`). When the outcome of a
group is unknown the store is broken: nothing of the group is acknowledged, nothing more is taken, and every waiter gets
`StoreBroken`.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import TypeVar, final

import trio

from tenure.errors import Closed, StoreBroken
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.engines.engine import UnknownOutcome, WriteConnection
from tenure.persistence.model.texts import named
from tenure.persistence.reading.stopping import kind_of
from tenure.persistence.seams.executors import Executor
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.nursery import refuse_thread

from .answering.answering import Answering
from .group import GroupBroken, GroupRunner, Outcome
from .lone.at_once import AtOnce
from .lone.lone import Lone
from .lost import between_groups
from .pending import CarriedOut, CarryOut, FindRider, Pending, come_of, take_group
from .room import Room
from .statistics import WriterStatistics, statistics_of

T = TypeVar("T")


@final
class Writer:
    """Takes what waits, commits it as a group, answers every caller. One task runs it.

    Attributes:
        broken, broken_event: Why the store has stopped, or None; set with it, and at an orderly end.
        broke_unheard: Whether it stopped after a group's answers, and no caller knows yet.
        limits: Of the store.
        carry_out: Carries out one group, on the executor. What watches groups puts itself around it.
        answering: Answers callers, and lets others hear of each group.
        lone: Takes commits of other threads past what waits, where nothing does.
    """

    def __init__(self, runner: GroupRunner, executor: Executor, limits: Limits, connection: WriteConnection) -> None:
        """Bind the writer to what carries groups out; `run` must then be started once."""
        self._runner = runner
        self.carry_out: CarryOut = runner.run
        self._executor = executor
        self._connection = connection
        self._housekeeping = connection.housekeeping
        self.limits = limits
        self._queue: deque[Pending] = deque()
        self._room = Room(limits.waiting_commits, limits.waiting_bytes)
        self._thread = get_ident()
        self._wakeup = trio.Event()
        self._idle = trio.Event()
        self._closing = False
        self._stop_behind_group: str | None = None
        self._kind: type[StoreBroken] = StoreBroken
        self._was_woken = False
        self._shield = trio.CancelScope(shield=True)
        self._given_up = False
        # Whether the last group was of one commit, so that none is likely to come along with the next.
        self._expects_one = False
        self.broken: StoreBroken | None = None
        self.broke_unheard = False
        self.broken_event = trio.Event()
        self.lone = Lone(self, runner, executor, connection.housekeeping)
        self._progress, self._turn = self.lone.progress, self.lone.turn
        self._at_once = AtOnce(self, executor, self._progress, self._turn, connection.housekeeping)
        self.answering = Answering(self, runner, self._progress, self._queue, self._room)

    def submit(self, commit: Commit, on_settled: Callable[[Outcome], None] | None = None) -> Pending:
        """Queue a commit after all that were submitted before. Sync, never blocks, and takes a place even where all are taken.

        `on_settled` is called with the outcome on the trio thread, in the order of commits, before the waiting task runs:
        there the owner of the state publishes it. It may not raise: that stops the store after the group.

        Raises:
            StoreBroken, Closed: The store has stopped, or is closed; this commit did not land.
        """
        self.check_open()
        pending = Pending(commit, self, on_settled)
        self._room.take(pending.weight)
        self._enqueue(pending)
        return pending

    def submit_where_room(self, commit: Commit, on_settled: Callable[[Outcome], None]) -> Pending | None:
        """As `submit`; None, and nothing is submitted, where it must wait for room. Raises as `submit`."""
        self.check_open()
        pending = Pending(commit, self, on_settled)
        if not self._room.take_if_free(pending.weight):
            return None
        self._enqueue(pending)
        return pending

    async def commit(
        self,
        commit: Commit,
        on_settled: Callable[[Outcome], None] | None = None,
        find_rider: FindRider | None = None,
    ) -> CommitResult:
        """Wait for room, submit and wait; see `submit` and `Pending.wait`. A caller that is cancelled already submits nothing.

        `find_rider` is asked when the commit is taken, of the last one of its runtime in the group: what goes along with it
        lands in the same commit. Refused so, it is carried out again alone, before all that waits, and that is its answer.

        Cancellation: while it waits for room nothing happened; afterwards see `Pending.wait`.
        """
        if get_ident() != self._thread:
            refuse_thread()
        await trio.lowlevel.checkpoint_if_cancelled()
        self.check_open()
        pending = Pending(commit, self, on_settled, find_rider)
        if self._expects_one and find_rider is None and not (self._queue or self._was_woken or self._stop_behind_group):
            result = await self._at_once.commit(pending)
            if result is not None:
                return result
        if self._room.take_if_free(pending.weight):
            self._enqueue(pending)
        else:
            await self._enter(pending.weight, functools.partial(self._enqueue, pending))
        return await pending.wait()

    async def between_groups(self, work: Callable[[WriteConnection], T]) -> T:
        """Do something with the connection between two groups; commits wait meanwhile.

        Raises:
            StoreBroken, Closed: The store has stopped, or does so now (what the work did is not known); or it is closed.
            Contended: The connection was lost, and the next one too.

        Cancellation: comes when the work has ended.
        """
        self.check_open()
        try:
            return await between_groups(self._executor, self._connection, work)
        except UnknownOutcome as exc:
            raise self.stop_behind_group(str(exc), kind_of(exc)) from exc

    async def wait_for_room(self) -> None:
        """Wait until fewer commits wait than may; at once, and without a checkpoint, where that is so."""
        self.check_open()
        await self._enter(0, lambda: None)  # a place that is given back at once
        self._room.leave(0)

    async def _enter(self, weight: int, entered: Callable[[], None]) -> None:
        try:
            await self._room.enter(weight, entered)
        except trio.ClosedResourceError:
            self.check_open()  # says why
            raise

    def statistics(self) -> WriterStatistics:
        """What has been done so far. May be asked from any thread."""
        return statistics_of(self._progress, len(self._queue), self._room.waiting, self._housekeeping)

    def check_open(self) -> None:
        """Raise `StoreBroken` or `Closed` where nothing more is taken; what is asked for now is not in doubt."""
        if self.broken is not None:
            self.broke_unheard = False
            raise self._broken(in_doubt=False, detail=self.broken.detail)
        if self._closing:
            raise Closed(what="store")

    async def run(self) -> None:
        """Serve until `close` was called and everything that was submitted is settled, or until the store breaks.

        Cancellation: the caller shields it; a cancelled writer would leave its callers without an answer.
        """
        try:
            serves = True
            while serves:
                self._given_up = False
                # Callers must hear of a group that is carried out. One shield until a group is given up: one each costs.
                with trio.CancelScope(shield=True) as self._shield:
                    serves = await self._serve()
                if self._progress.taken and self.broken is None:
                    self._stop("the store was closed before the verdict", in_doubt=self._progress.taken)
        except BaseException as exc:
            self._stop(f"the writer failed: {named(exc)}", in_doubt=self._progress.taken)
            raise
        finally:
            self._idle.set()
            self.broken_event.set()

    async def _serve(self) -> bool:
        """Serve until the group on its way is given up, or to the end; whether it goes on."""
        while self.broken is None and not self._given_up:
            asked = self._queue or self._closing or self._was_woken or self._stop_behind_group
            if asked and self._turn.take_or_ask(self):
                try:
                    if not await self._work():
                        return False
                finally:
                    self._turn.give_back(self)
            else:
                self._wakeup = trio.Event()
                await self._wakeup.wait()
        return self.broken is None

    @property
    def is_waited_for(self) -> bool:
        """See `Serving.is_waited_for`."""
        waits = self._queue or self._closing or self._stop_behind_group or self.broken
        return bool(waits or self.answering.is_heard)

    def wake(self) -> None:
        """See `Serving.wake`."""
        self._was_woken = True
        self._wakeup.set()

    def close(self, last: Commit, on_settled: Callable[[Outcome], None] | None = None) -> Pending:
        """Take no new commits but this last one; `run` ends when everything that was submitted is settled."""
        self._closing = True
        self._room.close()
        pending = Pending(last, self, on_settled)
        self._room.take(pending.weight)
        self._enqueue(pending)
        return pending

    async def wait_idle(self) -> None:
        """Wait until `run` has ended."""
        await self._idle.wait()

    def stop_in_doubt(self, detail: str) -> StoreBroken:
        """Break the store now: settle every waiter, take nothing more. Returns the error of what was taken."""
        self._stop(detail, in_doubt=self._progress.taken)
        return self._broken(in_doubt=True, detail=detail)

    def stop_behind_group(self, detail: str, kind: type[StoreBroken] = StoreBroken) -> StoreBroken:
        """Break the store as soon as the group on its way has its verdict. Returns the error of what was not taken.

        `kind`: what everybody gets from now on; the first word counts.
        """
        if self._stop_behind_group is None and self.broken is None:
            self._kind = kind
        self._stop_behind_group = self._stop_behind_group or detail
        self._wakeup.set()
        return self._broken(in_doubt=False, detail=detail)

    def give_up(self) -> None:
        """Stop waiting for the group on its way: its callers get `StoreBroken` in doubt."""
        self._closing = True
        self._room.close()
        self._wakeup.set()
        self._given_up = True
        self._shield.cancel()

    def abandon_waiting(self) -> None:
        """Settle whatever waits with `Closed`: nothing is drained."""
        while self._queue:
            self.answering.settle(self._pop(), Closed(what="store"))

    def _enqueue(self, pending: Pending) -> None:
        if not self._queue:
            self._wakeup.set()
        self._queue.append(pending)

    def _pop(self) -> Pending:
        pending = self._queue.popleft()
        self._room.leave(pending.weight)
        return pending

    async def _work(self) -> bool:
        """Do what there is to do, in turn; whether more may come."""
        if self._was_woken and self._stop_behind_group is None:
            self._was_woken = False
            await self._keep_house()
        if self._stop_behind_group is not None:
            self._stop(self._stop_behind_group, in_doubt=())
            return True
        if not (batch := take_group(self._queue, self._room, self.limits)):
            return not self._closing
        self._progress.taken, self._progress.since = batch, time.perf_counter()
        self._expects_one = self._at_once.is_possible and len(batch) == 1
        group = self._progress.group + 1
        commits = [pending.commit for pending in batch]
        answer = functools.partial(self.arrived, group, batch)  # it answers the callers, a turn of the loop before this
        await self._executor.run(functools.partial(come_of, self.carry_out, group, commits), answer)
        if self.broken is None and self._housekeeping is not None and self._housekeeping.is_due:
            await self._keep_house()
        self._progress.since = None
        return True

    def arrived(self, group: int, batch: list[Pending], found: CarriedOut) -> None:
        """See `Serving.arrived`."""
        if self.broken is not None:
            return  # it broke while the disk did not answer, and every waiter has its answer
        if isinstance(found, list):
            self.answering.answer(group, batch, found)
        elif isinstance(found, GroupBroken):
            self._kind = found.kind
            self._stop(str(found), in_doubt=[each for each, doubt in zip(batch, found.in_doubt, strict=True) if doubt])
        elif isinstance(found, Exception):  # a defect of ours: it is not known how far the group came
            self._stop(f"the group failed: {named(found)}", in_doubt=batch)
        else:
            raise found

    async def _keep_house(self) -> None:
        # After the answers: what is on disk does not wait for a checkpoint to be acknowledged.
        if self._housekeeping is None or not self._housekeeping.is_due:
            return
        try:
            await self._executor.run(self._housekeeping.checkpoint)
        except Exception as exc:  # noqa: BLE001 - whatever it was, the state of the files is not known any more
            self.broke_unheard = not self._queue
            self._stop(str(exc), in_doubt=())

    def _stop(self, detail: str, *, in_doubt: Iterable[Pending]) -> None:
        """Fail-stop: nothing more is taken, and every waiter gets `StoreBroken`."""
        if self.broken is not None:
            return
        doubtful = set(in_doubt)
        self.broken = self._broken(in_doubt=bool(doubtful), detail=detail)
        taken = self._progress.taken
        self._progress.end()
        for pending in taken:
            self.answering.settle(pending, self._broken(in_doubt=pending in doubtful, detail=detail))
        self._at_once.interrupt()
        self._room.close()
        while self._queue:
            self.answering.settle(self._pop(), self._broken(in_doubt=False, detail=detail))
        self.broken_event.set()
        self._wakeup.set()
        self._shield.cancel()  # no caller waits any longer for a group that the disk does not answer

    def _broken(self, *, in_doubt: bool, detail: str) -> StoreBroken:
        group = self._progress.group + 1 if in_doubt else None
        return self._kind(incarnation=self._runner.host.incarnation, group=group, in_doubt=in_doubt, detail=detail)
