"""The world of a roll-out: it counts what steps do there, and judges."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final, final

import trio

import tenure
from proof.seeded import Broken
from tenure.persistence.model.codec import digest, encode

from .scripts import OUTSIDE, Script, script_of

FAILS: Final = 0.1


class ToolFailed(Exception):
    """A tool failed, as tools do."""


@final
class World:
    """Outlives every host.

    Attributes:
        seed: What everything follows from.
        returned: The version under which the run of an input has returned last.
    """

    def __init__(self, seed: int) -> None:
        """Nothing was done yet."""
        self.seed = seed
        self.returned: dict[str, str] = {}
        self._random = random.Random(f"{seed}/world")
        self._done: Counter[str] = Counter()
        self._keys: dict[str, str] = {}
        self._works: dict[str, str] = {}
        self._broken: list[str] = []
        self._known: dict[bytes, str] = {}

    def behaviour(self, version: str, *, moves: bool) -> tenure.Behaviour:
        """The behaviour in one version."""

        async def act(run: tenure.Run) -> None:
            for given in run.inputs:
                for name, word in script_of(self.seed, given.payload, version):
                    await self._do(run, name, *word)
                self.returned[given.payload] = version

        policy = tenure.RestartPolicy(max_attempts=1_000, backoff_s=2.0, backoff_limit_s=20.0, budget=10_000)
        return tenure.Behaviour(act, version=version, moves=moves, restart=policy, replay_s=20.0)

    async def _do(self, run: tenure.Run, name: str, kind: str, repeat: str, work: str) -> None:
        match kind, repeat:
            case "sleep", _:
                await run.sleep(5.0)
            case "checkpoint", _:
                await run.checkpoint()
            case _, "keyed":
                await run.step(name, self._keyed, work, repeat="keyed")
            case _, "never":
                await run.step(name, self._never, work, repeat="never")
            case _:
                await run.step(name, self._freely, work, repeat="freely")

    async def _freely(self, work: str) -> str:
        await self._take_time()
        return work

    async def _keyed(self, work: str, *, key: str) -> str:
        if self._keys.setdefault(work, key) != key:
            self._broken.append(f"{work} was done under two keys")
        if (other := self._works.setdefault(key, work)) != work:
            self._broken.append(f"{work} and {other} were done under one key")
        self._done[work] += 1
        await self._take_time()
        return work

    async def _never(self, work: str) -> str:
        self._known[digest(encode([work], "arguments"))] = work
        self._done[work] += 1
        if self._done[work] > 1:
            self._broken.append(f"{work}, which never repeats, was done {self._done[work]} times")
        await trio.sleep(self._random.expovariate(1 / 4))
        return work

    async def _take_time(self) -> None:
        await trio.sleep(self._random.expovariate(1 / 4))
        if self._random.random() < FAILS:
            raise ToolFailed

    def verdict(self, arguments: bytes) -> tenure.Verdict:
        """What a person finds who looks whether a step with these arguments ran."""
        work = self._known.get(arguments)
        return tenure.Ran("seen") if work is not None else tenure.DidNotRun()

    def judge(self) -> None:
        """Raises `Broken`."""
        if self._broken:
            raise Broken(self._broken[0])

    def judge_end(self, name: str) -> None:
        """The run of an input has returned: all was done that its version does. Raises `Broken`."""
        self.judge()
        version = self.returned.get(name)
        if version is None:
            message = f"{name} was consumed, and its behaviour has not returned"
            raise Broken(message)
        left = [work for work in _outside(script_of(self.seed, name, version)) if not self._done[work]]
        if left:
            message = f"{name} was consumed under version {version}, and {left} was left out"
            raise Broken(message)


def _outside(script: Script) -> list[str]:
    return [work for _, (kind, repeat, work) in script if kind == "step" and repeat in OUTSIDE]
