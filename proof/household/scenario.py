"""The household on a machine in memory: the scenario, its recovery, and the check of each crash image."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Final, final

import trio
from attrs import field, frozen

import tenure
from proof.power_cuts.invariants import WAL_PAGES, open_real
from proof.power_cuts.watching import watched
from proof.promises.facet import Rows
from proof.promises.facets import check, promises
from tenure.persistence.commits.commit import Change
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.seams import Seams
from tenure.testing.drive.images import Cut
from tenure.testing.history import History, Witness
from tenure.testing.machine import Machine
from tenure.testing.observing import inside_of

from .agents import CLOCK, GO, KEEPER, SICK, TASKS, TICK_S, TICKS, World, done, told
from .ending import check_erased, compare
from .person import follow, give, see_through

CUTS: Final = (Cut.KILL, Cut.NOTHING, Cut.EVERYTHING, Cut.SUBSET, Cut.TORN)


def open_host(
    machine: Machine, world: World, seams: Seams | None = None
) -> AbstractAsyncContextManager[tenure.Supervisor]:
    """A supervisor on a machine; its own seams for None."""
    seams = seams or machine.seams(wal_pages=WAL_PAGES)
    return tenure.open_supervisor(machine.path(), behaviours=world.behaviours(), seams=seams)


@final
@frozen
class Household:
    """The scenario: what a person asks for, and sees through.

    Attributes:
        landed: The types of changes that landed.
    """

    landed: set[type[Change]] = field(factory=set[type[Change]], init=False)

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        seams = watched(machine.seams(wal_pages=WAL_PAGES), witness, promises, self.landed)
        async with open_host(machine, World(witness=witness), seams) as supervisor:
            await supervisor.hold(kind=SICK, note="of a person")
            for task in range(TASKS):
                await give(supervisor, task)
                witness.acknowledged("task", task)
            await supervisor.accept(KEEPER, told(KEEPER), kind=KEEPER, idempotency_key=GO)
            ends_at = datetime.fromtimestamp(machine.wall_clock() + TICK_S * (TICKS + 0.5), UTC)
            every = tenure.Every(TICK_S)
            await supervisor.schedules.create(CLOCK, CLOCK, every, "tick", CLOCK, overlap="queue", ends_at=ends_at)
            async with trio.open_nursery() as nursery:  # owned by this scenario
                nursery.start_soon(follow, supervisor, 0, witness)
                await see_through(supervisor, inside_of(supervisor.store).rows, witness)
                nursery.cancel_scope.cancel()


@final
@frozen
class HouseholdRecovery:
    """A scenario that sees through what a crash left, for faults that strike meanwhile (`FaultSweep.over`)."""

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        async with open_host(machine, World(done(History(witness.events)), witness)) as supervisor:
            await see_through(supervisor, inside_of(supervisor.store).rows, witness)


@final
@frozen
class HouseholdCheck:
    """The check: see the module."""

    async def __call__(self, machine: Machine, history: History) -> None:
        """See `tenure.testing.Check`."""
        # Not all rows: what a host knows of its behaviours is a group of its open, before it can be watched.
        async with open_real(machine, DurabilityClass.DISK) as store:
            check(Rows(inside=inside_of(store), history=history))
        check_erased(machine, history)
        # In some of the images the recovery is cut off too, after some time.
        world, crash_after_s = World(done(history)), machine.random.choice((0, 0, 0, 1.5, 7, 20))
        if crash_after_s:
            async with open_host(machine, world) as supervisor:
                with trio.move_on_after(crash_after_s):
                    await see_through(supervisor, inside_of(supervisor.store).rows)
                machine = machine.crashed(machine.random.choice(CUTS))
                world = World(world.events)
        async with open_host(machine, world) as supervisor:
            rows = inside_of(supervisor.store).rows
            await see_through(supervisor, rows)
            check(Rows(inside=inside_of(supervisor.store), history=history))
            await compare(supervisor, rows, world, history)
        check_erased(machine, history)
