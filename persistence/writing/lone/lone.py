"""A lone commit of another thread: to the thread that writes and back, past the thread of the loop.

Theory of operation. On its usual way such a commit wakes the loop, whose writer wakes the thread that writes, and its answer
comes back as it went: four wake-ups, each dearer than what is done where it arrives. Where nothing else is on its way there is
no group to be made, so they are for nothing. Such a commit takes the turn, if that is free, and is posted to the thread that
writes. If it has landed, and the loop need not hear more of that than numbers, it is answered from there.

Everything else goes to the loop, as the outcome of each other group does, and is answered from there: errors, a row that this
host has lost, what owners must hear. The turn is given back when that was done.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, final

import trio

from tenure.errors import StoreBroken
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.engines.housekeeping import Housekeeping
from tenure.persistence.model.texts import named
from tenure.persistence.seams.executors import Executor, Posted
from tenure.persistence.writing.answering.answering import Answering
from tenure.persistence.writing.group import GroupRunner, Outcome
from tenure.persistence.writing.pending import (
    CALLBACK_FAILED,
    CarriedOut,
    CarryOut,
    Judge,
    Pending,
    come_of,
)

from .progress import Progress
from .turn import Turn


class Serving(Judge, Protocol):
    """The writer, as a lone commit sees it."""

    carry_out: CarryOut
    answering: Answering
    broken: StoreBroken | None

    @property
    def is_waited_for(self) -> bool:
        """Whether anything waits for the writer's task, or hears from it of each group, or it takes nothing more."""
        ...

    def arrived(self, group: int, batch: list[Pending], found: CarriedOut) -> None:
        """On the loop: a group has its outcomes."""
        ...

    def stop_behind_group(self, detail: str) -> StoreBroken:
        """On the loop: break the store."""
        ...

    def wake(self) -> None:
        """On the loop: let the task look what there is to do."""
        ...


@final
class Lone:
    """Lets commits go by themselves. Made on the loop.

    Attributes:
        progress: Of the writer.
        turn: Whose group is on its way.
    """

    def __init__(
        self,
        writer: Serving,
        runner: GroupRunner,
        executor: Executor,
        housekeeping: Housekeeping | None,
    ) -> None:
        """Bind it to the executor that the writer's groups go to: where that takes nothing from other threads, none goes."""
        self._writer = writer
        self._runner = runner
        self.progress = self._progress = Progress()
        self.turn = self._turn = Turn()
        self._executor = executor if isinstance(executor, Posted) else None
        self._housekeeping = housekeeping
        self._token = trio.lowlevel.current_trio_token()

    def submit(self, commit: Commit, on_settled: Callable[[Outcome], None]) -> Pending | None:
        """From any thread: have a commit carried out as a group by itself. None, and nothing has happened, where it cannot be.

        `on_settled` is called with the outcome, from any thread; where the store breaks meanwhile perhaps twice.
        """
        writer = self._writer
        if self._executor is None or writer.is_waited_for:
            return None
        pending = Pending(commit, writer, on_settled, weight=0)  # it does not wait, so it takes no room
        claim = [pending]  # of who sees to its end: the thread that writes, or this one
        try:
            if not self._turn.take(pending):
                return None
            pending.take()
            self._progress.begin(claim.copy())
            if writer.is_waited_for:  # asked again: a writer that stops from now on settles what has begun
                self._let_go(claim)
                return None
            self._executor.post(partial(self._carry_out, claim))
        except BaseException:  # of the handler of a signal, which may strike anywhere here
            self._let_go(claim)
            raise
        return pending

    def _let_go(self, claim: list[Pending]) -> None:
        pending = claimed(claim)
        # A signal may have struck before it had the turn: then what is with the disk is another's.
        if pending is not None and self._turn.is_of(pending):
            self._progress.end()
            self._give_back(pending)

    def _carry_out(self, claim: list[Pending]) -> None:
        pending = claimed(claim)
        if pending is None:
            return
        group = self._progress.group + 1
        found = come_of(self._writer.carry_out, group, [pending.commit])
        landed = _landed(found)
        if landed is None or self._runner.rejoined is not None or self._writer.broken is not None:
            self._tell(partial(self._arrived, group, pending, found))
            return
        self._writer.answering.renewed_at = self._runner.renewed_at
        if landed.written:
            self._progress.landed(group, 1)
        self._progress.end()
        due = self._housekeeping is not None and self._housekeeping.is_due
        is_asked_for = self._turn.give_back(pending)
        self._settle(pending, landed)
        if due or is_asked_for:
            self._tell(self._writer.wake)

    def _settle(self, pending: Pending, landed: CommitResult) -> None:
        try:
            is_waited_for = pending.settle_outside(landed)
        except Exception as exc:  # noqa: BLE001 - as where the loop settles; this thread goes on
            self._tell(partial(self._writer.stop_behind_group, f"{CALLBACK_FAILED}: {named(exc)}"))
            return
        if is_waited_for:
            self._tell(pending.unpark)

    def _arrived(self, group: int, pending: Pending, found: CarriedOut) -> None:
        answer(self._writer, self._progress, group, pending, found)
        self._turn.give_back(pending)
        self._writer.wake()

    def _give_back(self, pending: Pending) -> None:
        if self._turn.give_back(pending):
            self._tell(self._writer.wake)

    def _tell(self, function: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            return  # the loop is gone, and with it every caller


def answer(writer: Serving, progress: Progress, group: int, pending: Pending, found: CarriedOut) -> None:
    """A lone commit has been carried out: answer its caller. On the loop; a mistake of ours stops the store."""
    try:
        writer.arrived(group, [pending], found)
    except BaseException as exc:  # noqa: BLE001 - as where the writer's task fails; the loop goes on, to close the store
        writer.stop_in_doubt(f"the writer failed: {named(exc)}")
    progress.end()


def claimed(claim: list[Pending]) -> Pending | None:
    """The commit, for who asks first. From any thread."""
    try:
        return claim.pop()
    except IndexError:
        return None


def _landed(found: CarriedOut) -> CommitResult | None:
    """The result of a commit that landed and wrote past no owner; None for all else."""
    if isinstance(found, BaseException):
        return None
    (result,) = found
    return result if type(result) is CommitResult and not result.past else None
