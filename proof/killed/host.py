"""A host that is about to be killed: ``python -m proof.killed.host PLAN``; `proof.kills` starts it.

Whatever it is promised, and whatever its agents do to the world, it says at once on its standard output, one line of JSON each.
A pipe keeps what was written before a kill, so the parent knows at least what was acknowledged, and never more.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import trio
from attrs import frozen

import tenure
from tenure.errors import Error, InvalidTransition
from tenure.persistence.engines.sqlite.writer import Writer

from .work import Desk

TELLERS: Final = ("ann", "ben", "cat", "don")
LEDGER: Final = "ledger"
POINTS: Final = (
    "random",
    "begin",
    "write",
    "commit",
    "committed",
    "checkpoint",
    "close",
    "step",
    "seen",
    "say",
    "work",
)
"""Where a host may be killed: ``random`` leaves it to the parent, ``write`` is at a statement in the middle of a group,
``committed`` is between COMMIT and the acknowledgement, ``work`` in the handler of queued work."""

IN_FLIGHT: Final = 8
FAILURES: Final = 0.1


@final
@frozen(kw_only=True, slots=True)
class Plan:
    """What one life of the host is to do.

    Attributes:
        path: The database.
        seed: Of this life's randomness.
        life: Which life.
        point: Where it dies.
        passes: At the how-manieth pass of that point.
        numbers: The inputs to give; afterwards it waits for all outcomes and ends in order.
        pieces: The queued work to give.
        paid: Steps that were executed in earlier lives, for who asks about those in doubt.
    """

    path: str
    seed: int
    life: int
    point: str
    passes: int
    numbers: list[int]
    pieces: list[int]
    paid: list[str]


@final
class Points:
    """Where one life ends: at the how-manieth pass of which point."""

    def __init__(self, point: str, passes: int) -> None:
        """Armed."""
        self._point = point
        self._left = passes

    def passed(self, point: str) -> None:
        """A point is passed; perhaps it is the last thing that this process does."""
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def say(self, kind: str, *facts: Any) -> None:
        """Write to the parent; in the pipe when this returns."""
        os.write(1, json.dumps([kind, *facts]).encode() + b"\n")
        self.passed("say")


@final
class Host:
    """One life."""

    def __init__(self, plan: Plan) -> None:
        """Arm the point of death."""
        self._plan = plan
        self._random = random.Random(f"{plan.seed}/{plan.life}")
        self._paid = set(plan.paid)
        self.points = Points(plan.point, plan.passes)
        self.say, self.passed = self.points.say, self.points.passed
        self._free = trio.Semaphore(IN_FLIGHT)
        self._desk = Desk(self.say, self.passed, self._random)

    async def live(self) -> None:
        """Host the agents, give them their inputs, and end in order, if it lives so long."""
        policy = tenure.RestartPolicy(max_attempts=50, backoff_s=0.01, budget=10_000, max_crashes=10_000)
        behaviours = {
            "teller": tenure.Behaviour(self._tell, restart=policy, in_doubt=self._know),
            "ledger": tenure.Behaviour(self._keep, batch=8, restart=policy),
        }
        async with tenure.open_supervisor(self._plan.path, behaviours=behaviours) as supervisor:
            for runtime_id in (*TELLERS, LEDGER):
                runtime = await supervisor.spawn(runtime_id, "ledger" if runtime_id == LEDGER else "teller")
                self.say("token", runtime_id, runtime.fence_token)
                if runtime.state == "retired":
                    await self._perform(runtime, runtime.recycle)
            async with trio.open_nursery() as nursery:  # owned by this life
                for number in self._plan.numbers:
                    await self._free.acquire()
                    nursery.start_soon(self._give, supervisor, number)
                nursery.start_soon(self._retire_and_recycle, supervisor)
                to_the_end = self._plan.point == "none"
                nursery.start_soon(partial(self._desk.live, supervisor, self._plan.pieces, to_the_end=to_the_end))
            if self._plan.point == "none":
                # Each inbox is worked off in its order: after the last word of all, nothing waits any more.
                last = await supervisor.runtime(LEDGER).accept("last", idempotency_key="last")
                await last.wait_outcome()

    async def _give(self, supervisor: tenure.Supervisor, number: int) -> None:
        runtime = supervisor.runtime(TELLERS[number % len(TELLERS)])
        try:
            self.say("giving", number)
            ticket = await self._accept(runtime, number)
            self.say("accepted", runtime.runtime_id, f"n-{number}", ticket.input_id)
            outcome = await ticket.wait_outcome()
            self.say("ended", runtime.runtime_id, ticket.input_id, outcome.phase)
        finally:
            self._free.release()

    async def _accept(self, runtime: tenure.Runtime, number: int) -> tenure.Ticket:
        while True:
            try:
                return await runtime.accept({"number": number}, idempotency_key=f"n-{number}")
            except Error:  # retired just now; it comes back
                await trio.sleep(0.005)

    async def _retire_and_recycle(self, supervisor: tenure.Supervisor) -> None:
        runtime = supervisor.runtime(TELLERS[self._plan.life % len(TELLERS)])
        for verb in (runtime.retire, runtime.recycle):
            await trio.sleep(0.02)
            await self._perform(runtime, verb)

    async def _perform(self, runtime: tenure.Runtime, verb: Callable[[], Awaitable[object]]) -> None:
        self.say("verb", runtime.runtime_id, verb.__name__, "asked")
        while True:
            try:
                await verb()
            except InvalidTransition:  # not while it runs, as one does that has retired with work in its inbox
                await trio.sleep(0.005)
            else:
                break
        self.say("verb", runtime.runtime_id, verb.__name__, "done")

    # The agents

    async def _tell(self, run: tenure.Run) -> None:
        (given,) = run.inputs
        number = given.payload["number"]
        self.say("token", run.runtime_id, run.fence_token)
        for name, repeat in (("pay", "never"), ("post", "keyed"), ("look", "freely")):
            what = f"{run.run_id} {name}"
            result = await run.step(name, partial(self._act, what, repeat), number, repeat=repeat)
            self.say("seen", run.run_id, name, result)
            self.passed("seen")
        run.session.append(number)
        await run.checkpoint()
        if self._random.random() < FAILURES:
            raise RuntimeError(f"{number} fails")
        run.send(LEDGER, number)

    def _act(self, what: str, repeat: str, number: int, key: str | None = None) -> int:
        self.say("executed", what, repeat, key)
        self._paid.add(what)
        self.passed("step")
        return number * number

    async def _know(self, doubt: tenure.StepInDoubt) -> tenure.Verdict | None:
        ran = f"{doubt.run_id} {doubt.name}" in self._paid
        return tenure.Ran(doubt.arguments[0] ** 2) if ran else tenure.DidNotRun()

    async def _keep(self, run: tenure.Run) -> None:
        for given in run.inputs:
            run.session.append(given.payload)


def arm(points: Points) -> None:
    """Put the points of death into the engine's connection that writes."""
    writer: Any = Writer  # its methods are put in place of themselves

    def before(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def armed(*arguments: Any, **keywords: Any) -> Any:
            points.passed(name)
            result = real(*arguments, **keywords)
            if name == "commit":
                points.passed("committed")
            return result

        return armed

    for name in ("begin", "write", "commit", "checkpoint", "close"):
        setattr(writer, name, before(name, getattr(writer, name)))


def main() -> None:
    """Live the life of the plan."""
    plan = Plan(**json.loads(Path(sys.argv[1]).read_bytes()))
    host = Host(plan)
    arm(host.points)
    trio.run(host.live)
    host.say("closed")


if __name__ == "__main__":
    main()
