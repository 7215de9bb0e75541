"""The hosts of a roll-out, beside one another and one after another, and a person who looks after what is held."""

from __future__ import annotations

import random
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Final, final

import trio
from attrs import frozen

import tenure
from proof.seeded import Broken
from tenure import errors
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.records import runtimes
from tenure.persistence.facets.runs import entries
from tenure.persistence.model.entries import EntryStatus
from tenure.persistence.seams.executors import InlineExecutor

from .scripts import TOOL, renamed
from .world import World

EPOCH: Final = 1_800_000_000.0
KIND: Final = "agent"
RUNTIMES: Final = ("ada", "bob", "cyd")
VERSIONS: Final = ("1", "2", "3")
INPUTS: Final = 3
"""Of each runtime."""

HOSTS: Final = 4
"""Before the last one, which has every version."""

BACK: Final = 0.35
"""Share of the deploys that roll back."""

KEPT: Final = 0.25
"""Chance of each older version to stay beside a new one."""

MOVES: Final = 0.3
"""Share of the deploys whose first version takes runs that have failed."""

LONGEST_S: Final = 50_000.0
"""Virtual seconds in which everything must have ended."""

LIMITS: Final = tenure.Limits(lease_s=60.0, renew_s=10.0, poll_s=5.0)


@final
@frozen(kw_only=True, slots=True)
class Deploy:
    """One host.

    Attributes:
        number: Which, from 1.
        versions: What it has, the first one for what begins.
        moves: Whether that one takes runs that have failed.
        after_s: Seconds between the start of the one before and its own.
        life_s: Seconds that it lives.
        drain_s: What its exit waits for runs.
    """

    number: int
    versions: tuple[str, ...]
    moves: bool
    after_s: float
    life_s: float
    drain_s: float


def draw(seed: int) -> list[Deploy]:
    """The deploys of a seed: mostly onward, now and then back, most beside the one before."""
    source = random.Random(f"{seed}/deploys")
    drawn: list[Deploy] = []
    newest = 0
    for number in range(1, HOSTS + 1):
        back = number > 1 and source.random() < BACK
        newest = min(newest + (not back), len(VERSIONS) - 1) if number > 1 else 0
        first = source.randrange(newest + 1) if back else newest
        others = [version for version in VERSIONS[:first] if source.random() < KEPT]
        drawn.append(
            Deploy(
                number=number,
                versions=(VERSIONS[first], *reversed(others)),
                moves=source.random() < MOVES,
                after_s=0.0 if number == 1 else source.expovariate(1 / 30),
                life_s=source.expovariate(1 / 50),
                drain_s=source.choice((0.0, 0.0, 5.0)),
            )
        )
    return drawn


async def play(seed: int, file: Path) -> str:
    """One seed: its result, in a line. Raises `Broken`."""
    world = World(seed)
    fleet = Fleet(world, file)
    names = [f"{runtime}.{number}" for runtime in RUNTIMES for number in range(INPUTS)]
    with trio.move_on_after(LONGEST_S) as scope:
        # The store hears of the versions in their order: a host that is rolled back has an older one.
        async with trio.open_nursery() as nursery:  # owned by this seed
            for deploy in draw(seed):
                await trio.sleep(deploy.after_s)
                began = trio.Event()
                nursery.start_soon(fleet.live, deploy, began, names if deploy.number == 1 else ())
                await began.wait()
        last = Deploy(number=99, versions=VERSIONS[::-1], moves=False, after_s=0, life_s=0, drain_s=0)
        await fleet.finish(last, names)
    world.judge()
    if scope.cancelled_caught:
        message = f"stuck: {', '.join(name for name in names if name not in world.returned) or 'the last host'}"
        raise Broken(message)
    return f"{fleet.held} holds, {fleet.settled} doubts, {trio.current_time():.0f} s"


@final
class Fleet:
    """The hosts of one seed.

    Attributes:
        held: How often a person resumed a run.
        settled: How many steps in doubt a person settled.
    """

    def __init__(self, world: World, file: Path) -> None:
        """No host yet."""
        self.held = 0
        self.settled = 0
        self._world = world
        self._file = file

    async def live(self, deploy: Deploy, began: trio.Event, names: tuple[str, ...] | list[str]) -> None:
        """One host, for its time; the first one is given the inputs."""
        async with self._host(deploy) as supervisor, trio.open_nursery() as nursery:
            nursery.start_soon(self._nurse, supervisor, deploy)
            for name in names:
                await supervisor.accept(name.partition(".")[0], name, kind=KIND, idempotency_key=name)
            began.set()
            await trio.sleep(deploy.life_s)
            nursery.cancel_scope.cancel()

    async def finish(self, deploy: Deploy, names: list[str]) -> None:
        """The last host: every input ends. Raises `Broken`."""
        async with self._host(deploy) as supervisor, trio.open_nursery() as nursery:
            nursery.start_soon(self._nurse, supervisor, deploy)
            for name in names:
                ticket = await supervisor.ticket(name.partition(".")[0], idempotency_key=name)
                outcome = await ticket.wait_outcome()
                if outcome.phase != "consumed":
                    message = f"{name} is {outcome.phase}: {outcome.reason}"
                    raise Broken(message)
                self._world.judge_end(name)
            nursery.cancel_scope.cancel()

    def _host(self, deploy: Deploy) -> AbstractAsyncContextManager[tenure.Supervisor]:
        behaviours = [
            self._world.behaviour(version, moves=deploy.moves and version == deploy.versions[0])
            for version in deploy.versions
        ]
        seams = tenure.Seams(
            writer_executor=InlineExecutor,
            reader_executor=InlineExecutor,
            step_executor=InlineExecutor,
            wall_clock=lambda: EPOCH + trio.current_time(),
            boot_clock=trio.current_time,
            random=random.Random(f"{self._world.seed}/host {deploy.number}"),
        )
        return tenure.open_supervisor(
            self._file,
            behaviours={KIND: behaviours},
            durability="os",
            limits=LIMITS,
            seams=seams,
            drain_s=deploy.drain_s,
        )

    # A person

    async def _nurse(self, supervisor: tenure.Supervisor, deploy: Deploy) -> None:
        source = random.Random(f"{self._world.seed}/nurse {deploy.number}")
        while True:
            await trio.sleep(source.expovariate(1 / 15))
            for name in RUNTIMES:
                with suppress(errors.Error):  # lost, or resumed already, or what this way cannot do
                    await self._look_after(supervisor, source, name)

    async def _look_after(self, supervisor: tenure.Supervisor, source: random.Random, name: str) -> None:
        runtime = supervisor.runtime(name)
        if runtime.held is None:
            return
        doubts = [
            (entry.place, self._world.verdict(entry.arguments_digest or b""))
            for entry in await supervisor.store.read(partial(_current, name=name))
            if entry.status is EntryStatus.IN_DOUBT
        ]
        if doubts:
            self.settled += len(doubts)
            await runtime.settle_step(*doubts[0], *doubts[1:])
            return
        self.held += 1
        version = source.choice(VERSIONS)
        match source.choice(("as it is", "take", "restart", "rename", "move", "move and restart")):
            case "take":
                await runtime.resume(take_recorded=True)
            case "restart":
                await runtime.resume(restart_run=True)
            case "rename":
                names = (TOOL, *map(renamed, VERSIONS))
                to = source.choice(names)
                found = await supervisor.store.read(partial(_current, name=name))
                await runtime.resume(renamed={each.name: to for each in found if each.name in names})
            case "move":
                await runtime.resume(version=version)
            case "move and restart":
                await runtime.resume(version=version, restart_run=True)
            case _:
                await runtime.resume()


def _current(statements: Statements, name: str) -> list[entries.RecordedEntry]:
    record = runtimes.find(statements, tenure.LogicalRuntimeId(name))
    return [] if record is None or record.run is None else entries.of_run(statements, record.run)
