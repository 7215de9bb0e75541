"""A roll-out of one seed: its hosts, the client who gives them inputs, and who looks after what is held."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Final, final

import trio

import tenure
from proof.seeded.cases import Broken
from proof.seeded.client import Client
from proof.seeded.computer import Computer, Host, computer
from proof.seeded.lives import Lives
from proof.seeded.person import find_doubts, read_entries
from tenure import errors

from .deploys import LAST, VERSIONS, Deploy, draw
from .scripts import TOOL, renamed
from .world import World

KIND: Final = "agent"
RUNTIMES: Final = ("ada", "bob", "cyd")
INPUTS: Final = 3
"""Of each runtime."""

EVERY_S: Final = 4.0
"""Mean seconds between two inputs."""

LONGEST_S: Final = 50_000.0
"""Virtual seconds in which everything must have ended."""


async def play(seed: int, file: Path) -> str:
    """One seed: its result, in a line. Raises `Broken`. What its hosts share in memory stands beside `file`."""
    with computer(seed, file.parent) as machine:
        scope = trio.CancelScope(relative_deadline=LONGEST_S)
        world = World(seed, scope)
        rollout = RollOut(world, machine)
        with scope:
            await rollout.play()
        world.judge()
        if scope.cancelled_caught:
            left = [name for name in rollout.names if name not in world.returned]
            raise Broken(f"stuck: {', '.join(left) or 'the last host'}")
    return f"{rollout.lives.counted()}, {rollout.held} holds, {rollout.settled} doubts, {trio.current_time():.0f} s"


@final
class RollOut:
    """See `Cast`.

    Attributes:
        names: Of the inputs, in their order.
        lives: Of its hosts.
        held: How often a person resumed a run.
        settled: How many steps in doubt a person settled.
    """

    def __init__(self, world: World, machine: Computer) -> None:
        """No host yet."""
        inputs = [(runtime, f"{runtime}.{number}") for number in range(INPUTS) for runtime in RUNTIMES]
        self.names = [name for _, name in inputs]
        self.lives = Lives(machine, world.seed, self, set())
        self.held = 0
        self.settled = 0
        self._world = world
        self._client = Client(machine, world.seed, inputs, KIND, EVERY_S)

    async def play(self) -> None:
        """All hosts, and in the end one that has every version: every input ends. Raises `Broken`."""
        async with trio.open_nursery() as giving:  # owned by this seed
            giving.start_soon(self._client.give)
            await self.lives.play(draw(self._world.seed), LAST)

    def behaviours(self, _host: Host, life: Deploy) -> dict[str, list[tenure.Behaviour]]:
        """See `Cast.behaviours`."""
        made = [
            self._world.behaviour(version, moves=life.moves and version == life.versions[0])
            for version in life.versions
        ]
        return {KIND: made}

    async def finish(self, _host: Host, supervisor: tenure.Supervisor) -> None:
        """See `Cast.finish`."""
        await self._client.wait_consumed(supervisor)
        for name in self.names:
            self._world.judge_end(name)
        for runtime in RUNTIMES:
            said = await supervisor.read_session(runtime)
            if said != [name for name in self.names if name.startswith(runtime)]:
                raise Broken(f"the conversation of {runtime} is {said}")

    # A person

    async def look_after(self, _host: Host, supervisor: tenure.Supervisor, life: Deploy) -> None:
        """See `Cast.look_after`."""
        source = random.Random(f"{self._world.seed}/nurse {life.number}")
        while True:
            await trio.sleep(source.expovariate(1 / 15))
            for name in RUNTIMES:
                with suppress(errors.Error):  # lost, or resumed already, or what this way cannot do
                    await self._look_at(supervisor, source, name)

    async def _look_at(self, supervisor: tenure.Supervisor, source: random.Random, name: str) -> None:
        runtime = supervisor.runtime(name)
        if runtime.held is None:
            return
        self._world.judge_hold(runtime.held, runtime.held_detail)
        doubts = await find_doubts(supervisor, name, self._world.verdict)
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
                found = await read_entries(supervisor, name)
                await runtime.resume(renamed={each.name: to for each in found if each.name in names})
            case "move":
                await runtime.resume(version=version)
            case "move and restart":
                await runtime.resume(version=version, restart_run=True)
            case _:
                await runtime.resume()
