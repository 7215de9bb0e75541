"""The world of a roll-out: it counts what steps do there, and judges."""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import Final, final

import trio

import tenure
from proof.seeded.cases import Broken
from tenure.persistence.model.codec import digest, encode

from .scripts import OUTSIDE, Script, input_of, script_of

FAILS: Final = 0.1
SEEN: Final = "seen"
"""The result of a step in doubt of which a person has found that it ran."""

HOLDS: Final = ("step mismatch", "needs attention")
PLACE: Final = re.compile(r"main/\d")


class ToolFailed(Exception):
    """A tool failed, as tools do."""


@final
class World:
    """Outlives every host.

    Attributes:
        seed: What everything follows from.
        returned: The version under which the run of an input has returned last.
    """

    def __init__(self, seed: int, scope: trio.CancelScope) -> None:
        """Nothing was done yet. `scope` is all that happens: it ends with the first promise that is broken."""
        self.seed = seed
        self.returned: dict[str, str] = {}
        self._random = random.Random(f"{seed}/world")
        self._done: Counter[str] = Counter()
        self._keys: dict[str, str] = {}
        self._works: dict[str, str] = {}
        self._scope = scope
        self._broken: str | None = None
        self._known: dict[bytes, str] = {}
        self._taken: set[str] = set()

    def behaviour(self, version: str, *, moves: bool) -> tenure.Behaviour:
        """The behaviour in one version."""

        async def act(run: tenure.Run) -> None:
            for given in run.inputs:
                self._begin(given.payload)
                for name, word in script_of(self.seed, given.payload, version):
                    await self._do(run, name, *word)
                run.session.append(given.payload)
                self.returned[given.payload] = version

        policy = tenure.RestartPolicy(max_attempts=1_000, backoff_s=2.0, backoff_limit_s=20.0, budget=10_000)
        return tenure.Behaviour(act, version=version, moves=moves, restart=policy, replay_s=20.0)

    def _begin(self, given: str) -> None:
        runtime, _, number = given.partition(".")
        late = [name for name in (f"{runtime}.{before}" for before in range(int(number))) if name not in self.returned]
        if late:
            self._find(f"{given} began before {late}")

    async def _do(self, run: tenure.Run, name: str, kind: str, repeat: str, work: str) -> None:
        match kind, repeat:
            case "sleep", _:
                await run.sleep(5.0)
            case "checkpoint", _:
                await run.checkpoint()
            case _, "keyed":
                self._hear(work, await run.step(name, self._keyed, work, repeat="keyed"))
            case _, "never":
                self._hear(work, await run.step(name, self._never, work, repeat="never"))
            case _:
                self._hear(work, await run.step(name, self._freely, work, repeat="freely"))

    def _hear(self, work: str, result: str) -> None:
        if result in (work, SEEN):
            return
        # What stands was recorded under another version, which asked for other work here.
        self._taken.add(work)
        if input_of(result) != input_of(work):
            self._find(f"{work} was given the result of {result}")

    async def _freely(self, work: str) -> str:
        await self._take_time()
        return work

    async def _keyed(self, work: str, *, key: str) -> str:
        if self._keys.setdefault(work, key) != key:
            self._find(f"{work} was done under two keys")
        if (other := self._works.setdefault(key, work)) != work:
            self._find(f"{work} and {other} were done under one key")
        self._done[work] += 1
        await self._take_time()
        return work

    async def _never(self, work: str) -> str:
        self._known[digest(encode([work], "arguments"))] = work
        self._done[work] += 1
        if self._done[work] > 1:
            self._find(f"{work}, which never repeats, was done {self._done[work]} times")
        await trio.sleep(self._random.expovariate(1 / 4))
        return work

    async def _take_time(self) -> None:
        await trio.sleep(self._random.expovariate(1 / 4))
        if self._random.random() < FAILS:
            raise ToolFailed

    def verdict(self, arguments: bytes) -> tenure.Verdict:
        """What a person finds who looks whether a step with these arguments ran."""
        work = self._known.get(arguments)
        return tenure.Ran(SEEN) if work is not None else tenure.DidNotRun()

    def judge_hold(self, held: str, detail: str | None) -> None:
        """A person looks at a hold: it must say which step it is about, and where."""
        if held not in HOLDS or not PLACE.search(detail or ""):
            self._find(f"held, {held}: {detail}")

    def _find(self, broken: str) -> None:
        self._broken = self._broken or broken
        self._scope.cancel()

    def judge(self) -> None:
        """Raises `Broken`."""
        if self._broken is not None:
            raise Broken(self._broken)

    def judge_end(self, name: str) -> None:
        """The run of an input has returned: all was done that its version does. Raises `Broken`."""
        self.judge()
        version = self.returned.get(name)
        if version is None:
            message = f"{name} was consumed, and its behaviour has not returned"
            raise Broken(message)
        left = [
            work
            for work in _outside(script_of(self.seed, name, version))
            if not (self._done[work] or work in self._taken)
        ]
        if left:
            message = f"{name} was consumed under version {version}, and {left} was left out"
            raise Broken(message)


def _outside(script: Script) -> list[str]:
    return [work for _, (kind, repeat, work) in script if kind == "step" and repeat in OUTSIDE]
