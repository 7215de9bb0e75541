"""Agents that speak, and readers that follow them over every death of their host: the simulation of output.

What is said follows from the input; how long it takes, and what of it fails, is drawn anew at every call. Each reader goes on
after the last position that it was given.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, Final, final

import trio

import tenure
from tenure.testing.simulation import Client, Simulation
from tenure.testing.simulation.model import expect

AGENTS: Final = ("gus", "hal")
WORDS: Final = 3
TURNS: Final = 3
FAILING: Final = 0.1


class LostForWords(Exception):
    """A step fails in the middle of what it says."""


def held_by(entries: Iterable[tenure.OutputEntry]) -> dict[str, list[Any]]:
    """What a reader holds of each run, who drops what it is told to drop."""
    held: list[tenure.OutputEntry] = []
    for entry in entries:
        if entry.kind is tenure.OutputKind.DATA:
            held.append(entry)
        elif entry.kind is tenure.OutputKind.RESTARTED:
            after = entry.drop_after or ""
            held = [
                each
                for each in held
                if each.run_id != entry.run_id or each.position <= after or entry.place not in ("", each.place)
            ]
    found: dict[str, list[Any]] = {}
    for entry in held:
        found.setdefault(entry.run_id, []).append(entry.value)
    return found


@final
class Talk:
    """The agents, and those who follow them. Outlives every host."""

    def __init__(self, seed: int) -> None:
        """Nothing is said."""
        self._random = random.Random(f"{seed}/words")
        self._seen: dict[str, list[tenure.OutputEntry]] = {name: [] for name in AGENTS}

    async def talk(self, run: tenure.Run) -> None:
        """Say what the inputs ask for, some of it in steps."""
        for given in run.inputs:
            for turn in range(TURNS):
                await run.emit([given.payload, turn])
                await run.step("say", self._say, given.payload, turn, repeat="freely", attempts=5, backoff_s=1.0)
            await run.emit([given.payload])

    async def _say(self, name: str, turn: int) -> None:
        for word in range(WORDS):
            tenure.emit([name, turn, word])
            await trio.sleep(self._random.expovariate(1 / 2))
            if self._random.random() < FAILING:
                raise LostForWords

    async def __call__(self, client: Client) -> None:
        """Have them talk, one input after another, while readers follow."""
        for name in AGENTS:
            await client.spawn(name, "talker")
        async with trio.open_nursery() as nursery:  # owned by this workload
            for name in AGENTS:
                nursery.start_soon(self._follow, client.another(f"reader of {name}"), name)
            number = 0
            while not client.over:
                number += 1
                given = await client.accept(AGENTS[number % 2], f"talk {number}")
                await client.outcome(given)
                await client.sleep(client.random.expovariate(1 / 60))
            nursery.cancel_scope.cancel()

    async def _follow(self, client: Client, name: str) -> None:
        while True:
            await client.sleep(client.random.expovariate(1 / 10))
            await self._read_on(client, name)

    async def _read_on(self, client: Client, name: str) -> None:
        mine = self._seen[name]

        async def read(host: tenure.Supervisor) -> list[tenure.OutputEntry]:
            runtime = await host.find(name)
            after = mine[-1].position if mine else None
            return [entry async for entry in runtime.follow(after, run_id="none", events=True)]

        mine.extend(await client.ask(f"what {name} says", read))

    async def check(self, client: Client) -> None:
        """Who followed has what is there, each position once, and of each run that finished what it said, once."""
        for name in AGENTS:
            await self._read_on(client, name)
            mine, self._seen[name] = self._seen[name], []
            await self._read_on(client, name)
            expect(mine == self._seen[name], f"who followed {name} has another output than who reads it at the end")
            positions = [entry.position for entry in mine]
            expect(positions == sorted(set(positions)), f"{name} was given a position twice")
            ended: dict[str, Any] = {
                entry.run_id: entry.value for entry in mine if entry.kind is tenure.OutputKind.ENDED
            }
            for run_id, values in held_by(mine).items():
                if ended.get(run_id) == "finished":
                    expect(values == _said(values[0][0]), f"what {name} has said in {run_id} is {values}")
            _check_events(name, mine)
        expect(any(self._seen.values()), "none has said anything")


def _check_events(name: str, entries: list[tenure.OutputEntry]) -> None:
    """A run begins once, before its first word, and ends once, after its last; of each input there is one end."""
    runs: dict[str, list[str]] = {}
    for entry in entries:
        told = runs.setdefault(entry.run_id, [])
        if entry.kind is tenure.OutputKind.RUN:
            told.append(entry.value["state"])
        elif entry.kind is not tenure.OutputKind.INPUT:
            expect("begun" in told and "ended" not in told, f"{name} speaks in {entry.run_id} outside of its life")
    for run_id, told in runs.items():
        expect(told[:1] == ["begun"] and told.count("begun") == 1, f"{run_id} of {name} begins so: {told}")
        expect("ended" not in told[:-1], f"{run_id} of {name} goes on after its end: {told}")
    inputs = [entry.value["input_id"] for entry in entries if entry.kind is tenure.OutputKind.INPUT]
    expect(len(inputs) == len({*inputs}), f"an input of {name} has ended twice")


def talking(seed: int, hours: float = 0.5) -> Simulation:
    """The simulation of output for one seed."""
    talk = Talk(seed)
    patient = tenure.RestartPolicy(max_attempts=9, budget=10_000)
    return Simulation(
        behaviours={"talker": tenure.Behaviour(talk.talk, restart=patient, events=True)},
        workload=talk,
        check=talk.check,
        hours=hours,
    )


def _said(name: str) -> list[Any]:
    turns = [[[name, turn], *[[name, turn, word] for word in range(WORDS)]] for turn in range(TURNS)]
    return [each for turn in turns for each in turn] + [[name]]
