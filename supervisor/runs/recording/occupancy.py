"""What of a run executes at this moment, and its slot: all of it rests, and the slot is another's (design §19).

The sides of a run are its tasks as far as tenure knows of them: the behaviour itself, or in its place the branches of a
`gather`, `map` or `first`, and each step with a call id. A branch that has such steps in flight, and asks for nothing else,
waits for them. What a behaviour does beside its entries counts for nothing: that belongs into a step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import final

from tenure.actors.slots import Slot

from .branch import Branch


@final
class Occupancy:
    """Counts the sides of one run, and those of them that rest; without a slot it does nothing."""

    def __init__(self, slot: Slot | None) -> None:
        """One side, which executes."""
        self._slot = slot
        self._sides = 1
        self._resting = 0
        self._calls: defaultdict[str, int] = defaultdict(int)
        self._branches: dict[str, Branch] = {}

    def fork(self, count: int) -> Fork:
        """So many sides in the place of one; what is returned counts those that have ended."""
        self._sides += max(count, 1) - 1
        return Fork(self, count)

    def call_begins(self, branch: Branch) -> None:
        """A step with a call id is in flight in a branch."""
        self._sides += 1
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
    async def rest(self) -> AsyncGenerator[None]:
        """One side rests inside. Waits for a slot when that is over, unless it is cut off: then the next step waits."""
        if self._slot is None:
            yield
            return
        self._resting += 1
        self._look()
        try:
            yield
        finally:
            self._resting -= 1
            self._slot.ask(begun=True)
        if self._slot.waits:
            await self._slot.wait()

    async def hold(self) -> None:
        """Have a slot before something executes; cut off before, it may have none."""
        if self._slot is not None and not self._slot.taken:
            self._slot.ask(begun=True)
            await self._slot.wait()

    def _look(self) -> None:
        waiting = sum(each.in_flight is None for each in self._branches.values())
        if self._slot is not None and self._resting and self._resting + waiting >= self._sides:
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
