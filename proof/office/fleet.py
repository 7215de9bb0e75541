"""The hosts of an office, beside and after one another, and the client who gives them inputs."""

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
from proof.rollouts.deploys import End
from proof.seeded.cases import Broken
from proof.seeded.computer import Computer, Host, computer
from tenure import errors
from tenure.persistence.model.texts import leaves

from .deploys import LAST, Life, draw
from .judge import check_files, judge, unfinished
from .person import Person
from .scripts import inputs, lead_of
from .world import LEAD, World

EVERY_S: Final = 5.0
"""Mean seconds between two inputs."""

RETRY_S: Final = 2.0
FROZEN_S: Final = 90.0
"""So long a frozen host stands still: longer than its lease."""

LOOK_S: Final = 5.0
LONGEST_S: Final = 5_000.0
"""Virtual seconds in which everything must have ended."""

LIMITS: Final = tenure.Limits(lease_s=60.0, renew_s=10.0, poll_s=5.0)


async def play(seed: int, file: Path) -> str:
    """One seed: its result, in a line. Raises `Broken`. What its hosts share in memory stands beside `file`."""
    with computer(seed, file.parent) as machine:
        world = World(seed, lambda: machine.machine.wall_clock())  # noqa: PLW0108 - of the machine that there is then
        fleet = Fleet(world, machine)
        with trio.move_on_after(LONGEST_S) as scope:
            await fleet.play()
        world.judge()
        if scope.cancelled_caught:
            raise Broken(f"stuck: {fleet.person.said or 'no host has ever answered'}")
    ends = ", ".join(f"{count} {end.value}" for end, count in sorted(fleet.ends.items(), key=str))
    return f"{ends}, {fleet.person.counted()}, {trio.current_time():.0f} s"


@final
class Fleet:
    """The hosts of one seed.

    Attributes:
        ends: How hosts went, and how often.
        person: Who looks after the agents.
    """

    def __init__(self, world: World, machine: Computer) -> None:
        """No host yet."""
        self.ends: Counter[End] = Counter()
        self.person = Person(world)
        self._world = world
        self._computer = machine
        self._accepted = trio.Event()

    async def play(self) -> None:
        """All hosts, and in the end one that has every kind: everything ends. Raises `Broken`."""
        async with trio.open_nursery() as giving:  # owned by this seed
            giving.start_soon(self._give)
            async with trio.open_nursery() as nursery:  # as long as a host lives
                for life in draw(self._world.seed):
                    await trio.sleep(life.after_s)
                    nursery.start_soon(self._live, life, partial(self._until_end, life))
            await self._live(LAST, self._finish)

    # Hosts

    async def _live(self, life: Life, use: Callable[[Host, tenure.Supervisor], Awaitable[None]]) -> None:
        host = Host(f"{life.number}", self._computer, self._world.seed, life.number)

        async def with_person(supervisor: tenure.Supervisor) -> None:
            check_files(host, self._world)
            async with trio.open_nursery() as nursery:  # owned by this host
                nursery.start_soon(self.person.look_after, host, supervisor, life is LAST)
                await use(host, supervisor)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:  # owned by this host, and lives longer than it
            nursery.start_soon(self._end, host, life)
            try:
                await host.live(self._world.behaviours(host.name, life.kinds), LIMITS, 0.0, with_person)
            except* errors.Error as group:
                raise Broken(f"host {life.number} has ended: {next(iter(leaves(group)))!r}") from group
            nursery.cancel_scope.cancel()

    async def _end(self, host: Host, life: Life) -> None:
        """What becomes of a host from outside."""
        await trio.sleep(life.life_s)
        self.ends[life.end] += life is not LAST
        if life.end is End.KILLED:
            host.after(life.operations, host.die)
        elif life.end is End.POWER:
            host.after(life.operations, self._computer.cut_power)
        elif life.end is End.FROZEN:
            self._world.frozen.add(host.name)
            host.freeze()
            await trio.sleep(FROZEN_S)
            host.thaw()

    async def _until_end(self, life: Life, _host: Host, _supervisor: tenure.Supervisor) -> None:
        match life.end:
            case End.ORDERLY:
                await trio.sleep(life.life_s)
            case End.FROZEN:
                await trio.sleep(2 * life.life_s + FROZEN_S)
            case _:
                await trio.sleep_forever()

    async def _finish(self, host: Host, supervisor: tenure.Supervisor) -> None:
        await self._accepted.wait()
        for name in inputs():
            ticket = await supervisor.ticket(lead_of(name), idempotency_key=name)
            outcome = await ticket.wait_outcome()
            if outcome.phase != "consumed":
                raise Broken(f"{name} is {outcome.phase}: {outcome.reason}")
        while await unfinished(host, supervisor, self._world):  # noqa: ASYNC110 - as a user would ask
            await trio.sleep(LOOK_S)
        await judge(host, supervisor, self._world)

    # A client

    async def _give(self) -> None:
        """Give every input to a host that answers, again until one has acknowledged it."""
        source = random.Random(f"{self._world.seed}/client")
        for name in inputs():
            await trio.sleep(source.expovariate(1 / EVERY_S))
            while not await self._gave(source, name):  # noqa: ASYNC110 - no host may be there to say so
                await trio.sleep(RETRY_S)
        self._accepted.set()

    async def _gave(self, source: random.Random, name: str) -> bool:
        living = [host for host in self._computer.hosts if host.lives]
        if not living:
            return False
        host, given = source.choice(living), False
        async with trio.open_nursery() as nursery:  # owned by this call

            async def give_up() -> None:
                await host.over.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(give_up)
            with suppress(errors.Error):  # it closes, or dies
                await host.accept(lead_of(name), name, LEAD)
                given = True
            nursery.cancel_scope.cancel()
        return given
