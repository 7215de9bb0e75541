"""A whole host from one seed."""

from __future__ import annotations

import gc
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import final

import trio
from attrs import Factory, field, frozen

from tenure.supervisor.runs.behaviour import (
    Given,
    as_behaviours,
)
from tenure.supervisor.runs.recording.restart import describe
from tenure.testing.determinism import run_seeded
from tenure.testing.drive.disk import Disk
from tenure.testing.drive.operations import Drive
from tenure.testing.machine import Machine, Room

from .world import (
    Hardship,
    Workload,
    World,
)


@final
@frozen(kw_only=True, slots=True)
class SimulationReport:
    """The result of one seed.

    Attributes:
        seed: Which.
        digest: SHA-256 over everything that happened: equal for the same seed, in every process.
        events: How many lines the trace has.
        hours: Virtual hours that went by.
        lives: How often the host was started.
        deaths: How often it died.
        deploys: How often the next deploy came, and how often the one before came back.
        failures: How often it stopped by a fault of the disk, by the name of the error.
        inputs: Accepts that were acknowledged.
        runs: Runs that were seen.
        steps: Step functions that were called.
    """

    seed: int
    digest: str
    events: int
    hours: float
    lives: int
    deaths: int
    deploys: tuple[int, int]
    failures: Mapping[str, int]
    inputs: int
    runs: int
    steps: int


@final
class SimulationFailure(AssertionError):
    """A promise that did not hold; the reason is the cause.

    Attributes:
        seed: The seed that shows it again.
        events: The last events before it.
    """

    def __init__(self, seed: int, reason: str, events: tuple[str, ...]) -> None:
        """Say which seed, why, and what led to it."""
        super().__init__(seed, reason, events)
        self.seed = seed
        self.reason = reason
        self.events = events

    def __str__(self) -> str:
        return "\n".join(
            [f"seed {self.seed}: {self.reason}", "the last events:", *(f"  {line}" for line in self.events)]
        )


@final
@frozen(kw_only=True, slots=True)
class Simulation:
    """A host, those who use it, and what goes wrong.

    The host runs on a virtual clock over a disk in memory. It is killed, its power is cut at any operation of the disk, its
    disk fails and fills up, and each time it comes back over what is left. What tenure promises is checked all the while,
    and at the end, without further faults, everything must end.

    Attributes:
        behaviours: By kind.
        deploys: What the host has in later lives, the oldest first, each with the kinds of `behaviours`: from one life to the
            next comes the one after, or the one before comes back. Where nothing goes wrong any more there is the last one.
        workload: Uses the host through a client; returns when it has seen enough.
        check: Asks whatever it likes when all has ended.
        hours: Virtual hours of hardship.
        hardship: What goes wrong.
    """

    behaviours: Mapping[str, Given]
    workload: Workload
    check: Workload | None = None
    hours: float = 1.0
    hardship: Hardship = field(default=Factory(Hardship))
    deploys: Sequence[Mapping[str, Given]] = ()

    def run(self, seed: int) -> SimulationReport:
        """Simulate one seed, in its own `trio.run`.

        Raises:
            SimulationFailure: A promise did not hold.
        """
        deploys = [as_behaviours(each) for each in (self.behaviours, *self.deploys)]
        world = World(seed, deploys, self.hardship, self.hours)
        with _no_collector():
            hours = run_seeded(partial(self._play, world), seed)
        if world.broken is not None:
            reason = describe(world.broken)
            raise SimulationFailure(seed, reason, world.trace.last) from world.broken
        return SimulationReport(
            seed=seed,
            digest=world.trace.digest,
            events=world.trace.count,
            hours=hours,
            lives=world.lives,
            deaths=world.deaths,
            deploys=world.deploys,
            failures=world.failures,
            inputs=len(world.model.inputs),
            runs=len(world.model.runs),
            steps=sum(step.executed for step in world.model.steps.values()),
        )

    async def _play(self, world: World, room: Room) -> float:
        with Machine(Disk(Drive()), room=room, seed=f"{world.seed}/machine") as machine:
            await world.play(machine, self.workload, self.check)
        return trio.current_time() / 3600


@contextmanager
def _no_collector() -> Generator[None]:
    # When the collector runs depends on what else the process has done; what it would find could be seen through weak
    # references. Without it every process sees the same.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
