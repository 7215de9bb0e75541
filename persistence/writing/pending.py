"""A submitted commit on its way: waiting, taken, settled.

While it waits it can be withdrawn, and nothing happened. Once the writer has taken it, it will be settled with a result or a
typed error, whatever happens to its caller. This is decided here alone: for accepts, verbs, runs and contracts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Final, Protocol, final

import trio

from tenure.errors import Closed, Contended, DiskFull, Error, StoreBroken
from tenure.persistence.commits.commit import (
    Commit,
    CommitResult,
)
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.seams.interrupts import raise_later
from tenure.persistence.seams.limits import Limits

from .group import Outcome
from .room import Room


@final
class Stage(Enum):
    """How far a commit has come; `WITHDRAWN` and `SETTLED` are ends."""

    WAITING = auto()
    TAKEN = auto()
    SETTLED = auto()
    WITHDRAWN = auto()


# A member asked of its class is a look-up each time; a commit asks for some ten.
_WAITING: Final = Stage.WAITING
_TAKEN: Final = Stage.TAKEN
_SETTLED: Final = Stage.SETTLED
_WITHDRAWN: Final = Stage.WITHDRAWN


class Rider(Protocol):
    """What goes along with a commit that the writer takes: the begin of a run, with the accept of its input."""

    def settled(self, outcome: Outcome, /) -> None:
        """How that commit has ended, before its waiter runs. An error: nothing of it has landed. Raises nothing."""
        ...


FindRider = Callable[[Commit], tuple[Commit, Rider] | None]
"""Asked when the writer takes a commit: the commit with what goes along now, and who hears of that. It may not raise."""

CarryOut = Callable[[int, Sequence[Commit]], list[Outcome]]
"""Carries out the group of a number; see `GroupRunner.run`."""

CarriedOut = list[Outcome] | BaseException
"""What came of a group: the outcome of each commit, or what `GroupRunner.run` has raised."""

CALLBACK_FAILED: Final = "the owner of a landed commit could not publish it"

OF_ALL: Final = (StoreBroken, Closed, DiskFull, Contended)
"""What a commit would meet without its rider too."""


class Judge(Protocol):
    """The writer, as its commits see it."""

    limits: Limits

    def stop_in_doubt(self, detail: str) -> StoreBroken:
        """Break the store: a verdict did not come."""
        ...


@final
class Pending:
    """A submitted commit on its way. Exactly one task may wait for it."""

    __slots__ = (
        "_alone",
        "_judge",
        "_on_settled",
        "_outcome",
        "_parked",
        "_rider",
        "_stage",
        "commit",
        "find_rider",
        "weight",
    )

    _alone: Commit  # what goes again without what went along

    def __init__(
        self,
        commit: Commit,
        judge: Judge,
        on_settled: Callable[[Outcome], None] | None,
        find_rider: FindRider | None = None,
        *,
        weight: int | None = None,
    ) -> None:
        """Made by the writer, in the caller's task: what measuring the commit raises is the caller's.

        `weight` is given for one that takes no room.
        """
        self.commit: Commit = commit
        self.weight = commit.weight if weight is None else weight
        self.find_rider = find_rider
        self._rider: Rider | None = None
        self._judge = judge
        self._on_settled = on_settled
        self._outcome: Outcome | None = None
        self._parked: trio.lowlevel.Task | None = None
        self._stage = _WAITING

    @property
    def outcome(self) -> Outcome | None:
        """The result or the error, or None while there is none."""
        return self._outcome

    @property
    def is_taken(self) -> bool:
        """Whether it is with the disk, and will be settled."""
        return self._stage is _TAKEN

    def withdraw(self) -> bool:
        """Take the commit back if the writer has not taken it. True: it is gone, and nothing happened."""
        if self._stage is not _WAITING:
            return False
        self._stage = _WITHDRAWN
        return True

    async def wait(self) -> CommitResult:
        """Wait until the commit is on disk.

        Returns:
            What was committed.

        Raises:
            Error: Why nothing of it was written; `StoreBroken` where that is not known.

        Cancellation: a commit that still waits is withdrawn, and nothing happened. Once it is taken, the wait goes on until
        the verdict, at most `Limits.verdict_s`, then `StoreBroken` in doubt; the cancellation comes at the next checkpoint
        (design §3).
        """
        try:
            self._parked = trio.lowlevel.current_task()
            if self._outcome is None:  # as in `_park`: nearly every commit waits here, and a call is not for nothing
                await trio.lowlevel.wait_task_rescheduled(self._unpark)
            else:
                self._parked = None
                await trio.lowlevel.checkpoint()
        except (trio.Cancelled, KeyboardInterrupt) as exc:
            if self.withdraw():
                raise
            await self.see_out(exc)
        outcome = self._outcome
        return outcome if type(outcome) is CommitResult else self.come()  # as `come`, which is a call for each commit

    async def see_out(self, interrupt: BaseException) -> None:
        """Wait on for one that is taken, though a cancellation or a Ctrl-C has come: that is for later.

        Raises:
            StoreBroken: There was no verdict in time.
        """
        # Shielded: the group is on its way to the disk and this task is the one that must know how it ended.
        with trio.CancelScope(shield=True) as scope:
            scope.relative_deadline = self._judge.limits.verdict_wait_s
            await self._park()
        if isinstance(interrupt, KeyboardInterrupt):
            raise_later()
        if self._outcome is None:
            raise self._judge.stop_in_doubt("no verdict in time") from None

    def come(self) -> CommitResult:
        """What was committed, of one that has its outcome. Raises the error that this is."""
        outcome = self._outcome
        if type(outcome) is CommitResult:
            return outcome
        if isinstance(outcome, Error):
            raise outcome
        message = "the commit was withdrawn"
        raise RuntimeError(message)

    def take(self) -> bool:
        """The writer's: mark it taken; False if it was withdrawn."""
        if self._stage is not _WAITING:
            return False
        self._stage = _TAKEN
        return True

    def take_along(self) -> None:
        """The writer's, of one that it has taken: let what there is go along in the same commit."""
        if self.find_rider is not None:
            along = self.find_rider(self.commit)
            if along is not None:
                self._alone = self.commit
                self.commit, self._rider = along

    def goes_alone(self, outcome: Outcome) -> bool:
        """The writer's: whether it waits again, by itself, because it was refused in company.

        What went along has its answer then. What was refused may have been that alone: the next group says.
        """
        rider = self._rider
        if rider is None or not isinstance(outcome, Error) or isinstance(outcome, OF_ALL):
            return False
        self.commit, self.find_rider, self._rider = self._alone, None, None
        self._stage = _WAITING
        rider.settled(outcome)
        return True

    def settle(self, outcome: Outcome) -> None:
        """The writer's: publish the outcome, first to the owner's callback, then to the waiting task."""
        if self._stage is _SETTLED or self._stage is _WITHDRAWN:
            return
        self._stage = _SETTLED
        self._outcome = outcome
        try:
            if self._on_settled is not None:
                self._on_settled(outcome)
                self._on_settled = None  # as in `settle_outside`
        finally:
            if self._rider is not None:
                self._rider.settled(outcome)
            if self._parked is not None:  # as `unpark`, which is a call for each commit
                trio.lowlevel.reschedule(self._parked)
                self._parked = None

    def settle_outside(self, outcome: Outcome) -> bool:
        """As `settle`, of one that went by itself, from another thread. Whether a task waits, which is for `unpark`.

        The outcome is there before it is looked for a task, and a task says that it waits before it looks for an outcome.
        """
        self._stage = Stage.SETTLED
        self._outcome = outcome
        if self._on_settled is not None:
            self._on_settled(outcome)
            self._on_settled = (
                None  # most often a method of what has this: the two would be left to the cycle collector
            )
        return self._parked is not None

    def unpark(self) -> None:
        """On the loop: let the task that waits go on."""
        if self._parked is not None:
            trio.lowlevel.reschedule(self._parked)
            self._parked = None

    async def _park(self) -> None:
        self._parked = trio.lowlevel.current_task()
        if self._outcome is not None:
            self._parked = None
            await trio.lowlevel.checkpoint()
            return
        await trio.lowlevel.wait_task_rescheduled(self._unpark)

    def _unpark(self, _: object) -> trio.lowlevel.Abort:
        self._parked = None
        return trio.lowlevel.Abort.SUCCEEDED


def come_of(carry_out: CarryOut, group: int, commits: Sequence[Commit]) -> CarriedOut:
    """On the executor: carry a group out."""
    try:
        return carry_out(group, commits)
    except BaseException as exc:  # noqa: BLE001 - the writer says what it means
        return exc


def take_group(queue: deque[Pending], room: Room, limits: Limits) -> list[Pending]:
    """The writer's: take what waits, up to the limits of a group; a commit that alone is over them is a group by itself."""
    batch: list[Pending] = []
    last: dict[LogicalRuntimeId | None, Pending] = {}
    size = places = weight_left = 0
    left, most = limits.group_commits, limits.group_bytes
    while queue and left:
        weight = queue[0].weight
        if batch and size + weight > most:
            break
        pending = queue.popleft()
        places += 1
        weight_left += weight
        if pending.take():
            left -= 1
            batch.append(pending)
            size += weight
            if pending.find_rider is not None:
                last[pending.commit.changes[0].reaches] = pending
    if places:
        room.leave(weight_left, places)
    for pending in last.values():  # the last: a run that begins with it finds those before it
        pending.take_along()
    return batch
