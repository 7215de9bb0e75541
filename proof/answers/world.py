"""What the agents of a case do, and what they have heard: it outlives every host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, final

import trio

import tenure
from proof.seeded.cases import Broken
from tenure.errors import AskCycle, AskFailed

from .hosts import Mortal

PARENT: Final = "parent"
CHILD: Final = "child"
GRAND: Final = "grandchild"

LATE_S: Final = 20.0
LONG_S: Final = 45.0
ASIDE_S: Final = 6.0

Heard = list[Any]

ANSWERS: Final[Mapping[str, Heard]] = {
    "answers": ["worked"],
    "sleeps": ["slept"],
    "is steered": ["yes"],
    "asks another": ["worked", "worked"],
    "closes a circle": ["a circle", CHILD],
    "asks at once": ["fine"],
    "needs a person": ["worked"],
    "kills its hosts": ["worked"],
    "is on hold": ["worked"],
    "fails": ["abandoned", "max_attempts_exhausted"],
    "rejects": ["rejected", "rejected"],
    "is late": ["late"],
    "is missing": ["refused", None],
    "is cancelled": ["abandoned", "cancelled"],
    "is stopped": ["abandoned", "stopped"],
    "is reset": ["abandoned", "reset"],
    "is retired": ["retired"],
    "is destroyed": ["abandoned", "destroyed"],
    "is erased": ["abandoned", "destroyed"],
}
"""What becomes of a child, and what its parent hears."""

AT_ONCE: Final = "asks at once"
"""A child that asks its parent while that asks it: one of both may hear of a circle, and never both."""

WORKING: Final = ("answers", "needs a person", "kills its hosts", "is on hold")
"""A child that works, and answers."""

BY_A_PERSON: Final = ("is cancelled", "is stopped", "is reset", "is retired", "is destroyed", "is erased")
"""A child that waits until a person ends it."""

POLICY: Final = tenure.RestartPolicy(max_attempts=50, backoff_s=2.0, budget=1_000, max_crashes=1_000)
POLICIES: Final[Mapping[str, tenure.RestartPolicy]] = {
    "fails": tenure.RestartPolicy(max_attempts=2, backoff_s=2.0, max_crashes=1_000),
    "needs a person": tenure.RestartPolicy(max_attempts=50, backoff_s=2.0, budget=2, max_crashes=1_000),
    "kills its hosts": tenure.RestartPolicy(max_attempts=50, backoff_s=2.0, budget=1_000, max_crashes=2),
}
KILLS: Final = 2
"""Hosts that a child kills, where it does."""


@final
class World:
    """The agents of one case.

    Attributes:
        how: What becomes of the child.
        waits: Set when the child has begun to wait for a person.
        healed: Whether a person has looked after the child: it fails no more.
        heard: What the parent has heard, each time.
        at_once: What was heard of whom, each time, where both ask at once.
    """

    def __init__(self, how: str) -> None:
        """Nothing was done yet."""
        self.how = how
        self.waits = trio.Event()
        self.healed = False
        self.heard: list[Heard] = []
        self.at_once: dict[str, list[Heard]] = {}
        self.done: Counter[str] = Counter()
        self._kills = 0

    def behaviours(self, host: Mortal) -> Mapping[str, tenure.Behaviour]:
        """The agents, as they live on a host."""

        async def ask(run: tenure.Run) -> Heard:
            return await self._ask(run)

        async def answer(run: tenure.Run) -> Heard:
            return await self._answer(run, host)

        async def work(run: tenure.Run) -> str:
            return await self._work(run, host)

        restart = POLICIES.get(self.how, POLICY)
        return {
            PARENT: tenure.Behaviour(ask, restart=POLICY, aside_after_s=ASIDE_S),
            CHILD: tenure.Behaviour(answer, restart=restart, aside_after_s=ASIDE_S),
            GRAND: tenure.Behaviour(work, restart=POLICY),
        }

    def settled(self, name: str) -> tenure.Verdict:
        """What a person finds who looks whether a piece of work was done."""
        return tenure.Ran("worked") if self.done[name] else tenure.DidNotRun()

    async def _ask(self, run: tenure.Run) -> Heard:
        if self.how == AT_ONCE:
            return await self._ask_at_once(run, CHILD)
        if run.inputs[0].payload != self.how:
            return await run.ask(CHILD, "go on")  # it was asked by its own child
        if self.how != "is missing":
            await run.spawn(CHILD, CHILD, scope="run", on_end="stop")
        heard: Heard
        try:
            timeout_s = LATE_S if self.how == "is late" else None
            heard = await run.ask(CHILD, self.how, correlation_id="of the case", timeout_s=timeout_s)
        except AskFailed as exc:
            outcome = exc.outcome if isinstance(exc.outcome, tenure.Outcome) else None
            heard = [exc.reason, None if outcome is None else outcome.reason]
        self.heard.append(heard[:1] if self.how == "is late" else heard)
        run.session.append(heard)
        return self.heard[-1]

    async def _ask_at_once(self, run: tenure.Run, other: str) -> Heard:
        if run.inputs[0].payload != self.how:
            return ["fine"]
        heard: Heard
        try:
            heard = await run.ask(other, "and you?", kind=other)  # it may not be there yet
        except AskCycle:
            heard = ["a circle"]
        self.at_once.setdefault(other, []).append(heard)
        return heard

    async def _answer(  # noqa: C901, PLR0911 - one sort of child after another
        self, run: tenure.Run, host: Mortal
    ) -> Heard:
        how = self.how
        if how == AT_ONCE:
            return await self._ask_at_once(run, PARENT)
        if how in WORKING:
            return [await self._work(run, host)]
        if how in BY_A_PERSON:
            self.waits.set()
            await run.wait_steered()
            return ["retired" if run.retiring else "steered"]
        match how:
            case "sleeps":
                await run.sleep(LONG_S)
                return ["slept"]
            case "is steered":
                self.waits.set()
                return [each.payload for each in await run.wait_steered()]
            case "asks another":
                return [await run.ask(GRAND, "work", kind=GRAND), await self._work(run, host)]
            case "closes a circle":
                try:
                    return [await run.ask(PARENT, "and you?")]
                except AskCycle as exc:
                    return ["a circle", *[each for each in exc.chain if each != PARENT]]
            case "rejects":
                run.reject(run.inputs[0], "not wanted")
                return []
            case "is late":
                await run.sleep(LONG_S)
                return []
            case _:
                message = "it fails"
                raise ConnectionError(message)

    async def _work(self, run: tenure.Run, host: Mortal) -> str:
        """Work once, whatever happens."""
        name = run.runtime_id
        if self.how == "needs a person" and not self.healed:
            message = "until a person looks after it"
            raise ConnectionError(message)

        async def work() -> str:
            async def act() -> None:
                self.done[name] += 1
                await trio.lowlevel.checkpoint()

            await host.operate(act)
            return "worked"

        if self.how == "kills its hosts" and self._kills < KILLS:
            self._kills += 1
            host.die()
        if host.dead.is_set():
            await trio.sleep_forever()
        return await run.step("work", work, repeat="never")

    # Judging

    def judge(self, result: object) -> None:
        """The parent has heard what it had to, and each time the same. Raises `Broken`."""
        if self.how == AT_ONCE:
            self._judge_at_once()
            return
        right = ANSWERS[self.how]
        expect(result == right, f"the parent has returned {result}, and not {right}")
        expect(all(each == right for each in self.heard), f"the parent has heard {self.heard}, and not {right}")
        twice = [name for name, times in self.done.items() if times > 1]
        expect(not twice, f"{twice} worked more than once")
        expect("worked" not in right or self.done[CHILD] == 1, "the child has not worked")

    def _judge_at_once(self) -> None:
        heard = [each for of_one in self.at_once.values() for each in of_one[:1]]
        expect(sorted(heard) in ([["a circle"], ["fine"]], [["fine"], ["fine"]]), f"both have heard {heard}")
        same = all(each == of_one[0] for of_one in self.at_once.values() for each in of_one)
        expect(same, f"one has heard this and that: {self.at_once}")


def expect(holds: object, otherwise: str) -> None:
    """Raises `Broken` where something does not hold."""
    if not holds:
        raise Broken(otherwise)
