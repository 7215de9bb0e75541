"""The hosts of a roll-out, beside and after one another; who gives them inputs, and who looks after what is held."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, final

import trio

import tenure
from proof.seeded.cases import Broken
from proof.seeded.computer import Computer, Host, computer
from tenure import errors
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.records import runtimes
from tenure.persistence.facets.runs import entries
from tenure.persistence.model.entries import EntryStatus
from tenure.persistence.model.texts import leaves

from .deploys import LAST, VERSIONS, Deploy, End, draw
from .scripts import TOOL, renamed
from .world import World

KIND: Final = "agent"
RUNTIMES: Final = ("ada", "bob", "cyd")
INPUTS: Final = 3
"""Of each runtime."""

EVERY_S: Final = 4.0
"""Mean seconds between two inputs."""

RETRY_S: Final = 2.0
FROZEN_S: Final = 90.0
"""So long a frozen host stands still: longer than its lease."""

LONGEST_S: Final = 50_000.0
"""Virtual seconds in which everything must have ended."""

LIMITS: Final = tenure.Limits(lease_s=60.0, renew_s=10.0, poll_s=5.0)

Use = Callable[[tenure.Supervisor], Awaitable[object]]


async def play(seed: int, file: Path) -> str:
    """One seed: its result, in a line. Raises `Broken`. What its hosts share in memory stands beside `file`."""
    with computer(seed, file.parent) as machine:
        world = World(seed)
        fleet = Fleet(world, machine)
        with trio.move_on_after(LONGEST_S) as scope:
            await fleet.play()
        world.judge()
        if scope.cancelled_caught:
            left = [name for name in fleet.names if name not in world.returned]
            raise Broken(f"stuck: {', '.join(left) or 'the last host'}")
    ends = ", ".join(f"{count} {end.value}" for end, count in sorted(fleet.ends.items(), key=str))
    return f"{ends}, {fleet.held} holds, {fleet.settled} doubts, {trio.current_time():.0f} s"


@final
class Fleet:
    """The hosts of one seed.

    Attributes:
        names: Of the inputs, in their order.
        ends: How hosts went, and how often.
        held: How often a person resumed a run.
        settled: How many steps in doubt a person settled.
    """

    def __init__(self, world: World, machine: Computer) -> None:
        """No host yet."""
        self.names = [f"{runtime}.{number}" for number in range(INPUTS) for runtime in RUNTIMES]
        self.ends: Counter[End] = Counter()
        self.held = 0
        self.settled = 0
        self._world = world
        self._computer = machine
        self._accepted = trio.Event()

    async def play(self) -> None:
        """All hosts, and in the end one that has every version: every input ends. Raises `Broken`."""
        async with trio.open_nursery() as giving:  # owned by this seed
            giving.start_soon(self._give)
            async with trio.open_nursery() as nursery:  # as long as a host lives
                for deploy in draw(self._world.seed):
                    await trio.sleep(deploy.after_s)
                    nursery.start_soon(self._live, deploy, partial(self._until_end, deploy))
            await self._live(LAST, self._finish)

    # Hosts

    async def _live(self, deploy: Deploy, use: Callable[[Host, tenure.Supervisor], Awaitable[None]]) -> None:
        host = Host(f"{deploy.number}", self._computer, self._world.seed, deploy.number)
        behaviours = [
            self._world.behaviour(version, moves=deploy.moves and version == deploy.versions[0])
            for version in deploy.versions
        ]

        async def with_nurse(supervisor: tenure.Supervisor) -> None:
            async with trio.open_nursery() as nursery:  # owned by this host
                nursery.start_soon(self._nurse, supervisor, deploy)
                await use(host, supervisor)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:  # owned by this host, and lives longer than it
            nursery.start_soon(self._end, host, deploy)
            try:
                await host.live({KIND: behaviours}, LIMITS, deploy.drain_s, with_nurse)
            except* errors.Error as group:
                raise Broken(f"host {deploy.number} has ended: {next(iter(leaves(group)))!r}") from group
            nursery.cancel_scope.cancel()

    async def _end(self, host: Host, deploy: Deploy) -> None:
        """What becomes of a host from outside."""
        await trio.sleep(deploy.life_s)
        self.ends[deploy.end] += deploy is not LAST
        if deploy.end is End.KILLED:
            host.after(deploy.operations, host.die)
        elif deploy.end is End.POWER:
            host.after(deploy.operations, self._computer.cut_power)
        elif deploy.end is End.FROZEN:
            host.freeze()
            await trio.sleep(FROZEN_S)
            host.thaw()

    async def _until_end(self, deploy: Deploy, _host: Host, _supervisor: tenure.Supervisor) -> None:
        match deploy.end:
            case End.ORDERLY:
                await trio.sleep(deploy.life_s)
            case End.FROZEN:
                await trio.sleep(2 * deploy.life_s + FROZEN_S)
            case _:
                await trio.sleep_forever()

    async def _finish(self, _host: Host, supervisor: tenure.Supervisor) -> None:
        await self._accepted.wait()
        for name in self.names:
            ticket = await supervisor.ticket(name.partition(".")[0], idempotency_key=name)
            outcome = await ticket.wait_outcome()
            if outcome.phase != "consumed":
                raise Broken(f"{name} is {outcome.phase}: {outcome.reason}")
            self._world.judge_end(name)
        for runtime in RUNTIMES:
            said = await supervisor.read_session(runtime)
            if said != [name for name in self.names if name.startswith(runtime)]:
                raise Broken(f"the conversation of {runtime} is {said}")

    # A client

    async def _give(self) -> None:
        """Give every input to a host that answers, again until one has acknowledged it."""
        source = random.Random(f"{self._world.seed}/client")
        for name in self.names:
            await trio.sleep(source.expovariate(1 / EVERY_S))
            while not await self._gave(source, name):  # noqa: ASYNC110 - no host may be there to say so
                await trio.sleep(RETRY_S)
        self._accepted.set()

    async def _gave(self, source: random.Random, name: str) -> bool:
        living = [host for host in self._computer.hosts if host.lives]
        if not living:
            return False
        host, given = source.choice(living), False

        async def give() -> None:
            nonlocal given
            with suppress(errors.Error):  # it closes, or dies
                await host.accept(name.partition(".")[0], name, KIND)
                given = True

        async with trio.open_nursery() as nursery:  # owned by this call

            async def give_up() -> None:
                await host.over.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(give_up)
            await give()
            nursery.cancel_scope.cancel()
        return given

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
        self._world.judge_hold(runtime.held, runtime.held_detail)
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
