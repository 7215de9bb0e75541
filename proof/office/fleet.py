"""An office of one seed: its hosts, the client who gives them inputs, and who looks after its agents."""

from __future__ import annotations

from pathlib import Path
from typing import Final, final

import trio

import tenure
from proof.seeded.cases import Broken
from proof.seeded.client import Client
from proof.seeded.computer import Computer, Host, computer
from proof.seeded.lives import Lives

from .deploys import LAST, Kinds, draw
from .judge import check_files, judge, unfinished
from .person import Person
from .scripts import inputs, lead_of
from .world import LEAD, World

EVERY_S: Final = 5.0
"""Mean seconds between two inputs."""

LOOK_S: Final = 5.0
LONGEST_S: Final = 5_000.0
"""Virtual seconds in which everything must have ended."""


async def play(seed: int, file: Path) -> str:
    """One seed: its result, in a line. Raises `Broken`. What its hosts share in memory stands beside `file`."""
    with computer(seed, file.parent) as machine:
        world = World(seed, lambda: machine.machine.wall_clock())  # noqa: PLW0108 - of the machine that there is then
        office = Office(world, machine)
        with trio.move_on_after(LONGEST_S) as scope:
            await office.play()
        world.judge()
        if scope.cancelled_caught:
            raise Broken(f"stuck: {office.person.said or 'no host has ever answered'}")
    return f"{office.lives.counted()}, {office.person.counted()}, {trio.current_time():.0f} s"


@final
class Office:
    """See `Cast`.

    Attributes:
        lives: Of its hosts.
        person: Who looks after the agents.
    """

    def __init__(self, world: World, machine: Computer) -> None:
        """No host yet."""
        self.lives = Lives(machine, world.seed, self, world.frozen)
        self.person = Person(world)
        self._world = world
        self._client = Client(machine, world.seed, [(lead_of(name), name) for name in inputs()], LEAD, EVERY_S)

    async def play(self) -> None:
        """All hosts, and in the end one that has every kind: everything ends. Raises `Broken`."""
        async with trio.open_nursery() as giving:  # owned by this seed
            giving.start_soon(self._client.give)
            await self.lives.play(draw(self._world.seed), LAST)

    def behaviours(self, host: Host, life: Kinds) -> dict[str, list[tenure.Behaviour]]:
        """See `Cast.behaviours`."""
        return self._world.behaviours(host.name, life.kinds)

    async def look_after(self, host: Host, supervisor: tenure.Supervisor, life: Kinds) -> None:
        """See `Cast.look_after`."""
        check_files(host, self._world)
        await self.person.look_after(host, supervisor, life is LAST)

    async def finish(self, host: Host, supervisor: tenure.Supervisor) -> None:
        """See `Cast.finish`."""
        await self._client.wait_consumed(supervisor)
        while await unfinished(host, supervisor, self._world):  # noqa: ASYNC110 - as a user would ask
            await trio.sleep(LOOK_S)
        await judge(host, supervisor, self._world)
