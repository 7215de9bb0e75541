"""What comes of a group is heard on the loop: by the owner of this host first, then by its callers, then by who watches groups.

What this host has lost is cancelled before its lease counts as renewed and before anybody hears of the group: between the two
a step of a lost runtime could begin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, final

from tenure.errors import StoreBroken
from tenure.persistence.commits.commit import CommitResult
from tenure.persistence.engines.listeners import Elsewhere
from tenure.persistence.model.events.happenings import GroupLanded
from tenure.persistence.model.texts import named
from tenure.persistence.writing.group import GroupRunner, Outcome
from tenure.persistence.writing.host_row import Rejoined
from tenure.persistence.writing.lone.progress import Progress
from tenure.persistence.writing.pending import CALLBACK_FAILED, Pending
from tenure.persistence.writing.room import Room


class Stopped(Protocol):
    """The writer, where an owner could not publish what has landed."""

    def stop_behind_group(self, detail: str) -> StoreBroken:
        """Break the store."""
        ...


@final
class Answering:
    """Answers the callers of each group, and lets others hear of it.

    Attributes:
        host, renewed_at: The row of the group that was heard of last; boot clock of its last renewal.
        hooks, on_landed: Called with each group that landed; the second there, after its callers have their answers.
        on_rejoined: Called on the trio thread when this host was judged dead and has a new row, before anything is settled.
        on_past: Called there with the result of a commit that has written runtimes past their owner, when it was settled.
    """

    def __init__(
        self, writer: Stopped, runner: GroupRunner, progress: Progress, queue: deque[Pending], room: Room
    ) -> None:
        """Bind it to what carries groups out; a commit that goes again without its rider goes to the front of `queue`."""
        self._writer = writer
        self._runner = runner
        self._progress = progress
        self._queue = queue
        self._room = room
        self.host = runner.host
        self.renewed_at = runner.renewed_at
        self.hooks = runner.hooks
        self.on_rejoined: Callable[[Rejoined], None] | None = None
        self.on_landed: Callable[[Sequence[Pending], Sequence[Outcome], Elsewhere], None] | None = None
        self.on_past: Callable[[CommitResult], None] = _nothing

    @property
    def is_heard(self) -> bool:
        """Whether anything hears of each group."""
        return self.on_landed is not None or self.hooks.call is not None

    def answer(self, group: int, batch: list[Pending], outcomes: list[Outcome]) -> None:
        """The group was carried out, and each of its commits has its outcome."""
        runner = self._runner
        rejoined = runner.rejoined
        if rejoined is not None:
            runner.rejoined = None
            self._hear_of_host(rejoined)
        self.renewed_at = runner.renewed_at
        landed = len([each for each in outcomes if type(each) is CommitResult and each.written])
        if landed:
            made = self._progress  # as its `landed`, which is a call for each group
            made.group, made.groups, made.commits = group, made.groups + 1, made.commits + landed
        self._progress.taken = []
        alone: list[Pending] = []
        for pending, come_to in zip(batch, outcomes, strict=True):
            if type(come_to) is not CommitResult and pending.goes_alone(come_to):
                alone.append(pending)
                continue
            try:  # as `settle`, which is a call for each commit
                pending.settle(come_to)
            except Exception as exc:  # noqa: BLE001 - one owner's mistake may not keep its neighbours waiting
                self._writer.stop_behind_group(f"{CALLBACK_FAILED}: {named(exc)}")
            if type(come_to) is CommitResult and come_to.past:
                self._hear_of_past(come_to)
        for pending in reversed(alone):
            self._room.take(pending.weight)
            self._queue.appendleft(pending)
        if landed and self.on_landed is not None:
            self.on_landed(batch, outcomes, runner.elsewhere)
        if landed and self.hooks.call is not None:
            self.hooks.call(GroupLanded(commits=landed, seconds=self._progress.seconds, sync_s=runner.sync_s))

    def settle(self, pending: Pending, outcome: Outcome) -> None:
        """Answer one caller of what was not carried out."""
        try:
            pending.settle(outcome)
        except Exception as exc:  # noqa: BLE001 - one owner's mistake may not keep its neighbours waiting
            self._writer.stop_behind_group(f"{CALLBACK_FAILED}: {named(exc)}")

    def _hear_of_host(self, rejoined: Rejoined) -> None:
        self.host = rejoined.host
        if self.on_rejoined is not None:
            try:
                self.on_rejoined(rejoined)
            except Exception as exc:  # noqa: BLE001 - who waits for this group gets its answer all the same
                self._writer.stop_behind_group(f"{CALLBACK_FAILED}: {named(exc)}")

    def _hear_of_past(self, result: CommitResult) -> None:
        try:
            self.on_past(result)
        except Exception as exc:  # noqa: BLE001 - as in `settle`
            self._writer.stop_behind_group(f"{CALLBACK_FAILED}: {named(exc)}")


def _nothing(_: object) -> None:
    """News of which no supervisor is open to hear."""
