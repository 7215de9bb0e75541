"""The world outside of every run: what its steps do there is counted, and what each entering has seen is kept."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final, final

import trio

import tenure
from tenure.supervisor.runs.recording.step_terms import Terms

from .programs import KEYED, NEVER, Step

AGENT: Final = "agent"
PEERS: Final = ("e1", "e2", "e3")
SINK: Final = "sink"
BEGIN: Final = "begin"
"""The first input of each of these."""

OUTSIDE: Final = "outside"
"""A value of the state that is set from outside."""

FAILED: Final = "failed: "
"""What is seen where something failed begins with this: it is on disk with what the run records next."""

BACKOFF_S: Final = 0.7
STEERED_BACK: Final = 0.3
"""The share of questions after which a peer steers who has asked."""


@final
class Entering:
    """What one entering of a run has seen.

    Attributes:
        seen: By name, as text.
        settled: Names of what is on disk, so that the next entering sees it again.
        sent: What it has sent.
        steered: What it was steered with.
        own: The values of the state that it has set.
        whole: Whether it got to the end of its program: then all of it is on disk.
    """

    __slots__ = ("own", "seen", "sent", "settled", "steered", "whole")

    def __init__(self) -> None:
        """Nothing yet."""
        self.seen: dict[str, str] = {}
        self.settled: set[str] = set()
        self.sent: list[str] = []
        self.steered: list[Any] = []
        self.own: dict[str, Any] = {}
        self.whole = False

    def see(self, name: str, value: object) -> None:
        """Keep what was seen."""
        self.seen[name] = repr(value)

    def has_failed(self, name: str) -> bool:
        """Whether that is what was seen."""
        return self.seen.get(name, "").startswith(f"'{FAILED}")

    def settle(self, *names: str) -> None:
        """These are on disk."""
        self.settled.update(names)


@final
class World:
    """Outlives every host.

    Attributes:
        enterings: What each entering of the run has seen, in their order.
        broken: Promises of steps that were broken.
        never: How often the function of each step that never repeats was called.
        arrived: How many inputs of the sink each message became.
        ran: How many runs of their own each input has begun.
        asked: How many questions the peers were asked for each that the run asks.
    """

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = trio.sleep, second: float = 1.0) -> None:
        """Nothing is done yet. What steps do takes its time with `sleep`, and so many seconds are one of a program."""
        self._sleep = sleep
        self._second = second
        self.enterings: list[Entering] = []
        self.broken: list[str] = []
        self.never: Counter[str] = Counter()
        self.arrived: Counter[str] = Counter()
        self.ran: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._keys: dict[str, str] = {}
        self._counted: set[tuple[str, str]] = set()

    def enter(self) -> Entering:
        """The run enters once more."""
        self.enterings.append(Entering())
        return self.enterings[-1]

    def count(self, what: Counter[str], name: str, by: str) -> None:
        """Count it, once for each id that it is counted by, however often that is entered."""
        if (name, by) not in self._counted:
            self._counted.add((name, by))
            what[name] += 1

    # Steps

    def function(self, step: Step) -> Callable[..., Any]:
        """What a step does; one of a map is given its item."""

        async def act(item: str = "", key: str = "") -> dict[str, object]:
            self._count(step, item or step.name, key)
            await self._sleep(step.seconds)
            return self._result(step, item or step.name)

        def act_at_once(item: str = "", key: str = "") -> dict[str, object]:
            self._count(step, item or step.name, key)
            return self._result(step, item or step.name)

        return act_at_once if step.is_sync else act

    def _count(self, step: Step, work: str, key: str) -> None:
        self._done[work] += 1
        if step.repeat == NEVER:
            self.never[work] += 1
            if self.never[work] > 1:
                self.broken.append(f"{work}, which never repeats, was done {self.never[work]} times")
        if step.repeat == KEYED and (not key or self._keys.setdefault(work, key) != key):
            self.broken.append(f"{work} was done under two keys")

    def _result(self, step: Step, work: str) -> dict[str, object]:
        if step.fails or (step.flaky and self._done[work] == 1):
            message = f"{work} fails"
            raise ValueError(message)
        return {"of": work, "at": self._done[work]}

    async def in_doubt(self, doubt: tenure.StepInDoubt) -> tenure.Verdict:
        """Know whether a step ran."""
        work = str(doubt.arguments[0]) if doubt.arguments else doubt.name
        return tenure.Ran({"of": work, "at": 0}) if self.never[work] else tenure.DidNotRun()

    def terms_of(self, step: Step) -> Terms:
        """How it is tried."""
        terms = Terms()
        if step.repeat != NEVER:
            terms["attempts"] = step.attempts
            terms["backoff_s"] = BACKOFF_S * self._second
        if step.timeout_s is not None:
            terms["timeout_s"] = step.timeout_s
            if step.repeat == NEVER:
                terms["on_timeout"] = "failed"
        return terms

    # Who stands beside the run

    async def echo(self, run: tenure.Run) -> Any:
        """A peer: answer after a while, and steer some of those that ask."""
        for each in run.inputs:
            if each.payload != BEGIN:
                name, seconds = each.payload
                self.count(self.asked, name, each.input_id)
                await trio.sleep(seconds)
                if random.Random(f"{name} steers").random() < STEERED_BACK:
                    run.send(str(each.source["runtime_id"]), f"from-{name}", lane="steer", correlation_id="c1")
        return run.inputs[0].payload

    async def fail(self, _run: tenure.Run) -> None:
        """A peer that fails."""
        message = "of the proof"
        raise ValueError(message)

    async def collect(self, run: tenure.Run) -> None:
        """Count what arrives."""
        for each in run.inputs:
            self.count(self.arrived, each.payload, each.input_id)
