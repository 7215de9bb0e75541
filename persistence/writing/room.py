"""The room before the writer: how many commits may wait, and who waits until there is room for more.

What the writer has not taken yet is kept in memory; without a limit, a slow disk would let it grow as fast as callers submit.
So `accept` and the verbs wait here, in the order in which they came, while the queue is full (`Limits.waiting_commits` and
`waiting_bytes`). A run's own commits do not wait: a run has one in flight, and what ends it makes room for others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import trio
from outcome import Error

_Entry = tuple[int, Callable[[], None]]


@final
class Room:
    """Places for the commits that wait. One that alone is too large has its place when no other waits.

    Attributes:
        commits: Places that are taken.
        size: The bytes of what stands in them.
    """

    __slots__ = ("_commits", "_open", "_size", "_waiting", "commits", "size")

    def __init__(self, commits: int, size: int) -> None:
        """Places for so many commits, and so many bytes."""
        self._commits = commits
        self._size = size
        self._waiting: dict[trio.lowlevel.Task, _Entry] = {}  # in order of arrival
        self._open = True
        self.commits = 0
        self.size = 0

    @property
    def waiting(self) -> int:
        """How many tasks wait for a place."""
        return len(self._waiting)

    async def enter(self, weight: int, entered: Callable[[], None]) -> None:
        """Wait for a place of so many bytes, and take it; at once, and without a checkpoint, where there is room.

        `entered` is called when the place is taken, in the order of arrival: tasks that are woken together run in any order.

        Raises:
            trio.ClosedResourceError: There is no place any more; `entered` was not called.

        Cancellation: either the place is taken and this returns, or nothing happened.
        """
        if self.take_if_free(weight):
            entered()
            return
        task = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._waiting[task]
            self._admit()  # those after it may be smaller
            return trio.lowlevel.Abort.SUCCEEDED

        self._waiting[task] = weight, entered
        await trio.lowlevel.wait_task_rescheduled(abort)

    def take_if_free(self, weight: int) -> bool:
        """Take a place of so many bytes where there is room and no task waits; whether it was taken.

        Raises:
            trio.ClosedResourceError: There is no place any more.
        """
        if not self._open:
            raise trio.ClosedResourceError
        size = self.size + weight
        if self._waiting or not (self.commits == 0 or (self.commits < self._commits and size <= self._size)):
            return False
        self.commits += 1
        self.size = size
        return True

    def take(self, weight: int) -> None:
        """Take a place whether or not there is room."""
        self.commits += 1
        self.size += weight

    def leave(self, weight: int, places: int = 1) -> None:
        """Give places of so many bytes together back, to those who wait."""
        self.commits -= places
        self.size -= weight
        if self._waiting:
            self._admit()

    def close(self) -> None:
        """Let no one in any more: the writer takes nothing more."""
        self._open = False
        while self._waiting:
            task, _ = self._waiting.popitem()
            trio.lowlevel.reschedule(task, Error(trio.ClosedResourceError()))

    def _admit(self) -> None:
        while self._waiting:
            task, (weight, entered) = next(iter(self._waiting.items()))
            if not self._fits(weight):
                return
            del self._waiting[task]
            self.take(weight)
            entered()
            trio.lowlevel.reschedule(task)

    def _fits(self, weight: int) -> bool:
        return self.commits == 0 or (self.commits < self._commits and self.size + weight <= self._size)
