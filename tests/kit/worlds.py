"""Hosts on one file in one process: virtual time, inline executors, and hosts that freeze when told.

Every host of a world has seams of its own, so that one can be frozen, or its machine put to sleep, while the others go on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, final

import attrs
import trio

import tenure
from proof.seeded.mortal import MortalLocks
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.seams.executors import (
    Heard,
    InlineExecutor,
)
from tenure.persistence.seams.seams import Seams

T = TypeVar("T")

LIMITS = tenure.Limits(busy_s=1.0)

LONGEST_S = 1000.0
"""Virtual seconds after which a test is taken to hang."""


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
            engine=SqliteOptions(locks=self.locks),
        )


def host_files(database: Path) -> list[str]:
    """The locked files of the hosts of a database."""
    return sorted(path.name for path in database.parent.glob(f"{database.name}-host-*"))


@asynccontextmanager
async def supervisor(
    database: Path, behaviours: Mapping[str, Any], host: Host | None = None, limits: tenure.Limits = LIMITS
) -> AsyncGenerator[tenure.Supervisor]:
    host = host or Host()
    with trio.fail_after(LONGEST_S):
        async with tenure.open_supervisor(
            database, behaviours=behaviours, limits=limits, seams=host.seams, drain_s=0
        ) as opened:
            try:
                yield opened
            finally:
                host.gate.thaw()  # a frozen host cannot close


class Reader:
    """A behaviour that notes what it ran, does one step, and can be kept waiting inside it."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.steps: list[str] = []
        self.entered = trio.Event()
        self.go_on = trio.Event()
        self.go_on.set()

    async def __call__(self, run: tenure.Run) -> None:
        for entry in run.inputs:
            await run.step("read", self.read, entry.payload, repeat="freely")
            run.session.append(entry.payload)
            self.ran.append(entry.payload)

    async def read(self, payload: str) -> None:
        self.entered.set()
        self.steps.append(payload)
        await self.go_on.wait()

    def wait_in_step(self) -> None:
        self.go_on = trio.Event()


async def idle(run: tenure.Run) -> None:
    """Consume and do nothing."""
