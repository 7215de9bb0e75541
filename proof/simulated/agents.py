"""Agents that do what their inputs say, and the clients that torment them: tenure's own simulation.

An input carries a script. Scripts are drawn by the clients; what an agent does between its steps follows from the script
alone, as tenure asks of behaviours. What the world does to it (a tool that fails, a peer that is slow) is drawn anew at every
call.
"""

from __future__ import annotations

import random
import re
from contextlib import suppress
from functools import partial
from typing import Any, Final, final

import trio

import tenure
from tenure import errors
from tenure.testing.simulation.client import (
    Client,
    Given,
)
from tenure.testing.simulation.simulation import Simulation

Script = list[list[Any]]

RUNTIMES: Final = ("ada", "bob", "cyd", "dan", "eve", "fay")
VERSIONS: Final = ("1", "2", "3")
"""Of the agents, where the host is deployed anew."""

KINDS: Final = ("worker", "worker", "worker", "batcher", "careful", "asker")
"""Of the runtimes, in their order."""


class ToolFailed(Exception):
    """A tool of an agent failed, as tools do."""


@final
class Tools:
    """The world outside: what steps do there, and how it fails. Outlives every host."""

    def __init__(self, seed: int) -> None:
        """Nothing was done yet."""
        self.random = random.Random(f"{seed}/tools")
        self.done: dict[str, int] = {}

    async def slow(self, name: str, share: float, key: str = "") -> str:
        """Works a while, and fails now and then."""
        await trio.sleep(self.random.expovariate(1 / SLOW_S))
        return self.quick(name, share, key)

    def quick(self, name: str, share: float, key: str = "") -> str:
        """Works at once, and fails now and then."""
        if self.random.random() < share:
            raise ToolFailed(name)
        self.done[name] = self.done.get(name, 0) + 1
        return f"{name} {key} {self.done[name]}"

    async def asked(self, doubt: tenure.StepInDoubt) -> tenure.Verdict | None:
        """Know whether a step ran, as a person could who looks."""
        name = str(doubt.arguments[0])
        if self.random.random() < PUZZLED:
            return None
        return tenure.Ran(f"{name} seen") if self.done.get(name) else tenure.DidNotRun()


@final
class Agent:
    """The one behaviour of all kinds."""

    def __init__(self, tools: Tools, version: str = "") -> None:
        """With these tools, in a version that changes scripts; in none as they are."""
        self._tools = tools
        self._version = version

    async def __call__(self, run: tenure.Run) -> None:
        """Do what the inputs say, one after another."""
        for given in run.inputs:
            run.session.append({"input": given.input_id, "from": given.source.get("runtime_id")})
            name: str = given.payload["name"]
            for label, (word, *rest) in edited(given.payload["script"], name, self._version):
                await self._do(run, given, f"{name}.{label}", word, rest)

    async def _do(  # noqa: C901, PLR0912 - the words of a small language
        self, run: tenure.Run, given: tenure.RunInput, name: str, word: str, rest: list[Any]
    ) -> None:
        tools = self._tools
        match word:
            case "step":
                repeat, slow, share = rest
                function = tools.slow if slow else tools.quick
                # By a name of its own where scripts change: what stands is taken for another of the same name.
                tool = f"tool{name.rpartition('.')[2]}" if self._version else "tool"
                result = await run.step(tool, function, name, share, repeat=repeat)
                run.session.append({"tool": result})
            case "send":
                target, script = rest
                run.send(target, {"name": name, "script": script})
            case "checkpoint":
                await run.checkpoint()
            case "consume":
                await run.checkpoint((given,))
            case "sleep":
                await run.sleep(rest[0])
            case "pause":
                await trio.sleep(rest[0])
            case "fail":
                if tools.random.random() < rest[0]:
                    raise ToolFailed(f"{name} fails by itself")
            case "read":
                await run.session.messages()
            case "reject":
                run.reject(given, "not wanted")
            case "verb":
                getattr(run, rest[0])()
            case "drift":
                argument = tools.random.random() < rest[0]
                await run.step("drift", tools.quick, f"{name}{argument}", 0.0, repeat="freely")
            case _:
                raise ValueError(word)


def draw_script(source: random.Random, depth: int = 0) -> Script:  # noqa: C901 - as `Agent`
    """What an agent shall do."""
    script: Script = []
    for _ in range(source.randrange(1, 6)):
        word = source.choices(WORDS, WEIGHTS)[0]
        if word in ENDINGS and any(each[0] in ENDINGS for each in script):
            continue  # an input ends once
        match word:
            case "step":
                repeat = source.choice(["freely", "keyed", "never"])
                script.append([word, repeat, source.choice([True, False]), source.choice([0.0, 0.0, 0.1, 0.5])])
            case "send":
                if depth < DEPTH:
                    script.append([word, source.choice([*RUNTIMES, "nobody"]), draw_script(source, depth + 1)])
            case "sleep":
                script.append([word, round(source.expovariate(1 / 60), 3)])
            case "pause":
                script.append([word, round(source.expovariate(1 / 5), 3)])
            case "fail":
                script.append([word, source.choice([0.05, 0.3, 1.0])])
            case "verb":
                script.append([word, source.choice(["retire", "stop", "reset"])])
            case "drift":
                script.append([word, 0.5])
            case _:
                script.append([word])
    return script


def edited(script: Script, name: str, version: str) -> list[tuple[str, list[Any]]]:
    """What a version does for a script, each word with a label that no edit changes: mostly the script as it is."""
    words = [(str(at), word) for at, word in enumerate(script)]
    source = random.Random(f"{name}/{version}")
    if version in ("", VERSIONS[0]) or source.random() > EDITED:
        return words
    at = source.randrange(len(words))
    match source.choice(("insert", "remove", "checkpoint")):
        case "insert":
            repeat = source.choice(["freely", "keyed", "never"])
            words.insert(at, (f"new{version}", ["step", repeat, source.choice([True, False]), 0.0]))
        case "remove":
            del words[at]
        case _:
            words.insert(at, (f"new{version}", ["checkpoint"]))
    return words


# How often things happen.
EDITED: Final = 0.4
MOVED: Final = 0.5
SLOW_S: Final = 8.0
DEPTH: Final = 2
STEERED: Final = 0.1
REPEATED: Final = 0.1
DESTROYED: Final = 0.02
CANCELLED: Final = 0.2
PUZZLED: Final = 0.2
CARE: Final = 0.7
PATIENCE: Final = 0.3

ENDINGS: Final = ("consume", "reject")
WORDS: Final = ("step", "send", "checkpoint", "consume", "sleep", "pause", "fail", "read", "reject", "verb", "drift")
WEIGHTS: Final = (10, 5, 5, 1, 2, 3, 1, 1, 0.3, 0.15, 0.1)


@final
class Torment:
    """The workload: clients who give input, clients who carry out verbs, and one who looks after what is held."""

    def __init__(self, hours: float, *, deploys: bool = False) -> None:
        """For this long, with hosts of one deploy or of several."""
        self._hours = hours
        self._deploys = deploys

    async def __call__(self, client: Client) -> None:
        """Torment the host until the time is up, then wait for every outcome."""
        for runtime_id, kind in zip(RUNTIMES, KINDS, strict=True):
            await client.spawn(runtime_id, kind)
        async with trio.open_nursery() as helpers:  # owned by this workload
            helpers.start_soon(self._nurse, client.another("nurse"))
            async with trio.open_nursery() as nursery:  # owned by this workload
                for number in range(4):
                    nursery.start_soon(self._give, client.another(f"giver{number}"))
                nursery.start_soon(self._govern, client.another("governor"))
                nursery.start_soon(self._haunt, client.another("zombie"))
            helpers.cancel_scope.cancel()

    async def _give(self, client: Client) -> None:
        source = client.random
        async with trio.open_nursery() as nursery:  # owned by this client
            last: Given | None = None
            number = 0
            while not client.over:
                await client.sleep(source.expovariate(1 / (self._hours * 3600 / 25)))
                runtime_id = source.choice(RUNTIMES)
                number += 1
                payload = {"name": f"{client.name}.{number}", "script": draw_script(source)}
                lane = "steer" if source.random() < STEERED else "queue"
                try:
                    if last is not None and source.random() < REPEATED:
                        await self._repeat(client, last)
                        continue
                    last = await client.accept(runtime_id, payload, lane=lane)
                except (errors.NotAccepting, errors.RuntimeDestroyed):
                    await self._revive(client, runtime_id)
                    continue
                nursery.start_soon(self._wait, client, last)

    async def _repeat(self, client: Client, last: Given) -> None:
        """A known key with another payload is refused; it names its input still."""
        try:
            await client.accept(last.runtime_id, {"name": "other", "script": []}, key=last.key)
        except errors.IdempotencyConflict:
            return
        raise AssertionError(f"{last} was given again with another payload, and taken")

    async def _wait(self, client: Client, given: Given) -> None:
        await client.outcome(given)

    async def _revive(self, client: Client, runtime_id: str) -> None:
        try:
            await client.spawn(runtime_id, KINDS[RUNTIMES.index(runtime_id)])
            await client.verb(runtime_id, "recycle")
        except errors.Error:
            return

    async def _govern(self, client: Client) -> None:
        source = client.random
        verbs = ["retire", "reset", "stop", "recycle", "stop", "retire"]
        while not client.over:
            await client.sleep(source.expovariate(1 / (self._hours * 3600 / 12)))
            runtime_id = source.choice(RUNTIMES)
            try:
                if source.random() < DESTROYED:
                    await client.verb(runtime_id, "destroy")
                elif source.random() < CANCELLED:
                    await client.ask(f"cancel {runtime_id}", partial(cancel, runtime_id))
                else:
                    await client.verb(runtime_id, source.choice(verbs))
                await client.sleep(source.expovariate(1 / 30))
                await self._revive(client, runtime_id)
            except (errors.InvalidTransition, errors.RuntimeDestroyed):
                continue

    async def _haunt(self, client: Client) -> None:
        while not client.over:
            await client.sleep(client.random.expovariate(1 / (self._hours * 3600 / 10)))
            await client.write_late(client.random.choice(RUNTIMES))

    async def _nurse(self, client: Client) -> None:
        while True:
            await client.sleep(client.random.expovariate(1 / 200))
            for runtime_id in RUNTIMES:
                held = await client.ask("held", partial(why_held, runtime_id))
                if held is not None and client.random.random() < CARE:
                    with suppress(errors.Error):  # its host has gone, or it was healed already
                        await self._heal(client, runtime_id, *held)

    async def _heal(self, client: Client, runtime_id: str, why: str, detail: str) -> None:
        in_doubt = re.search(r"step \S+ at (\S+) was", detail)
        if in_doubt is None or client.random.random() < PATIENCE:
            moved = self._deploys and client.random.random() < MOVED
            version = client.random.choice(VERSIONS) if moved else None
            await client.resume(runtime_id, restart_run=why in ("step mismatch", "needs attention"), version=version)
        else:
            verdict = client.random.choice((tenure.Ran("said so"), tenure.DidNotRun()))
            await client.settle_step(runtime_id, in_doubt[1], verdict)


async def cancel(runtime_id: str, host: tenure.Supervisor) -> bool:
    """Cancel the current run of a runtime, where the host has it."""
    try:
        return await host.runtime(runtime_id).cancel()
    except errors.NotFound:
        return False


async def why_held(runtime_id: str, host: tenure.Supervisor) -> tuple[str, str] | None:
    """Why a runtime is held, where the host has it."""
    try:
        runtime = host.runtime(runtime_id)
    except errors.NotFound:
        return None
    return None if runtime.held is None else (runtime.held, runtime.held_detail or "")


def torment(seed: int, hours: float = 1.0, *, deploys: bool = False) -> Simulation:
    """Tenure's own simulation for one seed; where it deploys, the last deploy has every version, so that all can end."""
    tools = Tools(seed)
    if not deploys:
        return Simulation(behaviours=_behaviours(Agent(tools), tools, "1"), workload=Torment(hours), hours=hours)
    of_version = [_behaviours(Agent(tools, version), tools, version) for version in VERSIONS]
    last = {kind: [each[kind] for each in reversed(of_version)] for kind in of_version[0]}
    return Simulation(
        behaviours=of_version[0],
        deploys=(of_version[1], of_version[2], last),
        workload=Torment(hours, deploys=True),
        hours=hours,
    )


def _behaviours(agent: Agent, tools: Tools, version: str) -> dict[str, tenure.Behaviour]:
    batcher, careful = tenure.RestartPolicy(max_attempts=2), tenure.RestartPolicy(max_attempts=5, backoff_s=5, budget=4)
    return {
        "worker": tenure.Behaviour(agent, version=version),
        "batcher": tenure.Behaviour(agent, version=version, batch=4, restart=batcher),
        "careful": tenure.Behaviour(agent, version=version, restart=careful),
        "asker": tenure.Behaviour(agent, version=version, in_doubt=tools.asked),
    }
