"""The outside world of one host that can be frozen, or die, while others on its file live on."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar, final

import trio

import tenure
from proof.seeded.cases import virtual_seams
from proof.seeded.mortal import MortalLocks
from tenure.persistence.seams.executors import Heard, InlineExecutor

T = TypeVar("T")


@final
class Gate:
    """An executor that begins nothing while its host is frozen.

    Attributes:
        ever_shut: How often it was shut.
    """

    def __init__(self) -> None:
        """Open."""
        self.ever_shut = 0
        self._open = trio.Event()
        self._open.set()
        self._inline = InlineExecutor()

    def shut(self) -> None:
        """Begin nothing any more."""
        self.ever_shut += 1
        self._open = trio.Event()

    def open(self) -> None:
        """Go on."""
        self._open.set()

    async def passed(self) -> None:
        """Wait until it is open."""
        await self._open.wait()

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        """See `Executor.run`."""
        await self._open.wait()
        return await self._inline.run(function, heard)

    def close(self) -> None:
        """Nothing to close."""


@final
class Outside:
    """The gate, the locks and the seams of one host.

    Attributes:
        name: Which host.
        gate: Shut while it is frozen, and from its death on.
        dead: Whether it has died: nothing that it does is heard any more.
    """

    def __init__(self, name: str, seed: int) -> None:
        """A host that lives."""
        self.name = name
        self.gate = Gate()
        self.dead = False
        self._locks = MortalLocks()
        self._random = random.Random(f"{seed}/host {name}")

    def die(self) -> None:
        """Die: nothing of it reaches the disk any more, and its locks are free."""
        self.dead = True
        self.gate.shut()
        self._locks.die()

    @property
    def seams(self) -> tenure.Seams:
        """What its store is opened with."""
        return virtual_seams(self._random, lambda: self.gate, self._locks)
