"""Rests: tasks of a run that wait durably, for a time or for a person.

What they wait for is on disk, and a restart finds them waiting again: so a trial need not go on, and an exit need not wait.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import final

import trio

from .watched import Watched


@final
class Resting:
    """The rests of the run that executes now, by their ends on trio's clock.

    Attributes:
        whole: Whether all sides of the run rest, and no step of it is in flight.
    """

    __slots__ = ("_until", "whole")

    def __init__(self) -> None:
        """No task rests."""
        self._until = Watched[tuple[float, ...]](())
        self.whole = Watched(False)

    @contextmanager
    def rest(self, seconds: float = math.inf) -> Generator[None]:
        """Wait durably inside; without an end for a person."""
        until = trio.current_time() + seconds
        self._until.value = (*self._until.value, until)
        try:
            yield
        finally:
            left = [*self._until.value]
            left.remove(until)
            self._until.value = tuple(left)

    async def wait_any(self) -> None:
        """Wait until a task rests."""
        await self._until.wait_value(bool)

    async def wait_beyond(self, deadline: float) -> None:
        """Wait until a task rests for longer than to this time."""
        await self._until.wait_value(lambda rests: any(until > deadline for until in rests))
