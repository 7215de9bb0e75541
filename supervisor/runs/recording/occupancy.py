"""What of a run executes at this moment: all of it rests, and its slot is another's, or it may be put aside (design §19, §20).

The sides of a run are its tasks as far as tenure knows of them: the behaviour itself, or in its place the branches of a
`gather`, `map` or `first`, and each step with a call id. A branch that has such steps in flight, and asks for nothing else,
waits for them. What a behaviour does beside its entries counts for nothing: that belongs into a step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import final

import trio

from tenure.actors.runtime_actor import RuntimeActor
from tenure.supervisor.runs.resting.waits import Wait

from .branch import Branch


@final
class Occupancy:
    """Counts the sides of one run, and those of them that rest.

    Attributes:
        waits: What the sides wait for that wait durably.
        rests_since: Since when all of them do, by the clock of trio; None where some do not.
    """

    def __init__(self, actor: RuntimeActor, on_rest: Callable[[], None] | None = None) -> None:
        """One side, which executes; `on_rest` is called where all sides wait durably from now on."""
        self._slot = actor.slot
        self._whole = actor.resting.whole
        self._on_rest = on_rest
        self.waits: list[Wait] = []
        self.rests_since: float | None = None
        self._sides = 1
        self._resting = 0
        self._calls: defaultdict[str, int] = defaultdict(int)
        self._branches: dict[str, Branch] = {}

    def fork(self, count: int) -> Fork:
        """So many sides in the place of one; what is returned counts those that have ended."""
        self._sides += max(count, 1) - 1
        self.rests_since = None
        self._whole.value = False
        return Fork(self, count)

    def call_begins(self, branch: Branch) -> None:
        """A step with a call id is in flight in a branch."""
        self._sides += 1
        self._whole.value = False
        self._calls[branch.path] += 1
        self._branches[branch.path] = branch

    def call_ended(self, branch: Branch) -> None:
        """It is not any more."""
        self._calls[branch.path] -= 1
        if not self._calls[branch.path]:
            del self._calls[branch.path], self._branches[branch.path]
        self.side_ended()

    def side_ended(self) -> None:
        """A side is gone; where the others rest, the run does."""
        self._sides -= 1
        self._look()

    @asynccontextmanager
    async def rest(self, wait: Wait | None = None) -> AsyncGenerator[None]:
        """One side rests inside; durably, where it says for what. Waits for a slot when that is over.

        Where it is cut off, the next step waits for that.
        """
        self._resting += 1
        if wait is not None:
            self.waits.append(wait)
        self._look()
        try:
            yield
        finally:
            self._resting -= 1
            self.rests_since = None
            self._whole.value = False
            if wait is not None:
                self.waits.remove(wait)
            if self._slot is not None:
                self._slot.ask(begun=True)
        if self._slot is not None and self._slot.waits:
            await self._slot.wait()

    async def hold(self) -> None:
        """Have a slot before something executes; cut off before, it may have none."""
        if self._slot is not None and not self._slot.taken:
            self._slot.ask(begun=True)
            await self._slot.wait()

    def _look(self) -> None:
        if self._on_rest is not None and self.waits and len(self.waits) == self._sides and not self._calls:
            self.rests_since = trio.current_time()
            self._on_rest()
        waiting = sum(each.in_flight is None for each in self._branches.values())
        self._whole.value = whole = self._resting > 0 and self._resting + waiting >= self._sides
        if self._slot is not None and whole:
            self._slot.give_back()


@final
class Fork:
    """Sides that stand in the place of one, until the last of them has ended."""

    def __init__(self, occupancy: Occupancy, count: int) -> None:
        """None has ended."""
        self._occupancy = occupancy
        self._left = count

    def ended(self) -> None:
        """One of them has ended; the last one is the one in whose place they stood."""
        self._left -= 1
        if self._left:
            self._occupancy.side_ended()
