"""Hosts on one file in one process: virtual time, inline executors, and hosts that freeze when told.

Every host of a world has seams of its own, so that one can be frozen, or its machine put to sleep, while the others go on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, final

import attrs
import trio

import tenure
from tenure.persistence.executors import Heard, InlineExecutor
from tenure.persistence.locks import Lock, OsLocks
from tenure.persistence.seams import Seams

T = TypeVar("T")

LIMITS = tenure.Limits(busy_s=1.0)


@final
class Gate:
    """Lets functions pass while it is open: a frozen host begins nothing."""

    def __init__(self) -> None:
        self._open = trio.Event()
        self._open.set()

    def freeze(self) -> None:
        self._open = trio.Event()

    def thaw(self) -> None:
        self._open.set()

    async def wait(self) -> None:
        await self._open.wait()


@final
class GatedExecutor:
    """Runs each function inline, once the gate is open."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._inline = InlineExecutor()

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        await self._gate.wait()
        return await self._inline.run(function, heard)

    def close(self) -> None:
        self._inline.close()


@final
class MortalLocks:
    """The system's locks, which can all be freed at once, as the system does when a process is killed."""

    def __init__(self) -> None:
        self._locks = OsLocks()
        self._taken: list[Lock] = []

    def acquire(self, path: str, *, exclusive: bool) -> Lock | None:
        lock = self._locks.acquire(path, exclusive=exclusive)
        if lock is not None:
            self._taken.append(lock)
        return lock

    def die(self) -> None:
        for lock in self._taken:
            lock.release()


@final
class BootClock:
    """The virtual clock of trio, and what the machine slept beside it."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def __call__(self) -> float:
        return trio.current_time() + self.slept_s


@final
@attrs.frozen
class Host:
    """The outside world of one host."""

    gate: Gate = attrs.field(factory=Gate)
    boot_clock: BootClock = attrs.field(factory=BootClock)
    locks: MortalLocks = attrs.field(factory=MortalLocks)

    @property
    def seams(self) -> Seams:
        def gated() -> GatedExecutor:
            return GatedExecutor(self.gate)

        return Seams(
            writer_executor=gated,
            reader_executor=gated,
            step_executor=gated,
            wall_clock=lambda: 1_700_000_000.0 + trio.current_time(),
            boot_clock=self.boot_clock,
            locks=self.locks,
        )


def host_files(database: Path) -> list[str]:
    """The locked files of the hosts of a database."""
    return sorted(path.name for path in database.parent.glob(f"{database.name}-host-*"))
