"""The proof of re-entry on asyncio, in real time, which is short there: ``python -m proof.reentry --asyncio``.

That loop has no virtual time, so no seed plays the same twice: what is promised holds whatever comes first.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any, Final, cast, final

from attrs import asdict, evolve, has

import tenure
import tenure.asyncio
from proof.seeded.cases import Broken

from .cases import Case, Given, draw
from .judging import compare, expect, judge_asked, judge_inputs, judge_sends
from .loops import ASYNCIO
from .play import ENTERINGS, GO, KEY, UNSTABLE, Came
from .player import Player
from .programs import Program
from .world import AGENT, BEGIN, OUTSIDE, PEERS, SINK, World

SECOND: Final = 0.01
"""Real seconds in one of a program."""

LONGEST_S: Final = 60.0
ARRIVES_S: Final = 10.0
"""Real seconds for what was sent last."""

_TIMES: Final = {"seconds": SECOND, "timeout_s": SECOND, "after_s": 0.0}
"""What one second of these takes. What a task waits before a step by ``call=`` is in no record, and never exact here."""


def in_real_time(program: Program) -> Program:
    """A program whose times are short."""
    shortened: Program = _shortened(program)
    return shortened


def _shortened(part: Any) -> Any:
    kind: Any = part.__class__
    if kind is tuple:
        return tuple([_shortened(each) for each in cast("tuple[Any, ...]", part)])
    if not has(kind):
        return part
    fields = asdict(part, recurse=False)
    given = {name: each for name, each in fields.items() if each is not None}
    return evolve(
        part, **{name: each * _TIMES[name] if name in _TIMES else _shortened(each) for name, each in given.items()}
    )


def play(seed: int, file: Path) -> Came:
    """Play a seed to its end. Raises `Broken`."""
    case = draw(seed)
    story = Story(case, file)
    asyncio.run(story.play())
    enterings = len(story.world.enterings)
    return Came(enterings=enterings, hosts=story.hosts, things=case.drawn, compared=story.compared)


@final
class Story:
    """One case on its file.

    Attributes:
        world: What is outside of every run.
        hosts: How many there were.
        compared: See `Came`.
    """

    def __init__(self, case: Case, file: Path) -> None:
        """No host yet."""
        self.world = World(ASYNCIO.sleep, SECOND)
        self.hosts = 0
        self.compared = 0
        self._case = case
        self._program = in_real_time(case.program)
        self._file = file
        self._given = [each for each in case.given if each.what in ("steer", "queue", "state")]
        self._leaves = list(case.leaves)
        self._ends = 0
        self._began_at: float | None = None
        self._accepted: list[str] = []

    async def play(self) -> None:
        """One host after another, until all has ended. Raises `Broken`."""
        ended = False
        while not ended:
            ended = await self._live()
            expect(not self.world.broken, next(iter(self.world.broken), ""))
            judge_asked(self.world)
            self.compared = compare(self.world.enterings)

    async def _live(self) -> bool:
        """One host: whether all had ended before it was left."""
        leave = self._leaves.pop() if self._leaves else None
        self.hosts += 1
        ended = False
        after_s = LONGEST_S if leave is None else leave.after_s * SECOND
        is_cut_off = leave is not None and leave.cut_off
        opens = tenure.asyncio.open_supervisor(self._file, behaviours=self._behaviours(), durability="os", drain_s=0)
        async with (
            ASYNCIO.cut(after_s if is_cut_off else LONGEST_S),
            opens as supervisor,
            ASYNCIO.cut(LONGEST_S if is_cut_off else after_s),
        ):
            await self._use(supervisor)
            ended = True
        expect(ended or leave is not None, f"stuck after {len(self.world.enterings)} enterings")
        return ended

    async def _use(self, supervisor: tenure.asyncio.Supervisor) -> None:
        if self._began_at is None:
            await self._begin(supervisor)
            self._began_at = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            given = tasks.create_task(self._give(supervisor, self._began_at))
            watch = tasks.create_task(_watch(supervisor))
            outcome = await (await supervisor.ticket(AGENT, idempotency_key=KEY)).wait_outcome()
            expect(outcome.phase == "consumed", f"its input: {outcome}")
            await given
            watch.cancel()
        await self._judge_end(supervisor)

    async def _begin(self, supervisor: tenure.asyncio.Supervisor) -> None:
        for peer in PEERS:
            await supervisor.accept(peer, BEGIN, kind="echo", idempotency_key=BEGIN)
        await supervisor.accept(SINK, BEGIN, kind="sink", idempotency_key=BEGIN)
        await supervisor.hold(AGENT)
        await supervisor.accept(AGENT, GO, kind="agent", idempotency_key=KEY)
        for number in range(self._case.beside):
            await supervisor.accept(AGENT, f"beside-{number}", idempotency_key=f"beside-{number}")
        await supervisor.resume(AGENT)

    async def _give(self, supervisor: tenure.asyncio.Supervisor, began_at: float) -> None:
        while self._given:
            await asyncio.sleep(began_at + self._given[0].at_s * SECOND - time.monotonic())
            await self._give_one(supervisor, self._given[0])
            self._given.pop(0)

    async def _give_one(self, supervisor: tenure.asyncio.Supervisor, given: Given) -> None:
        name, lane = given.name, given.what
        if lane == "state":
            await supervisor.set_execution_state(AGENT, {OUTSIDE: name})
            return
        await supervisor.accept(AGENT, name, lane=lane, correlation_id=given.correlation_id, idempotency_key=name)
        if name not in self._accepted:
            self._accepted.append(name)

    # Behaviours

    def _behaviours(self) -> dict[str, Any]:
        often = tenure.RestartPolicy(
            max_attempts=50, backoff_s=SECOND, backoff_limit_s=SECOND, budget=500, max_crashes=100
        )
        agent = tenure.Behaviour(
            tenure.asyncio.behaviour(self._act),
            batch=3,
            version=self._case.version,
            restart=often,
            in_doubt=self.world.in_doubt,
            aside_after_s=None if self._case.aside_after_s is None else self._case.aside_after_s * SECOND,
        )
        bad = tenure.Behaviour(self.world.fail, restart=tenure.RestartPolicy(max_attempts=1, budget=1_000_000))
        return {"agent": agent, "echo": self.world.echo, "bad": bad, "sink": self.world.collect}

    async def _act(self, run: Any) -> None:
        inputs = [each.payload for each in run.inputs]
        if inputs[0] != GO:
            for each in inputs:
                self.world.count(self.world.ran, each, run.run_id)
            return
        entering = self.world.enter()
        entering.see("inputs", inputs)
        entering.settle("inputs")
        source = random.Random(f"{self._case.seed}/entering {len(self.world.enterings)}")
        await Player(self.world, entering, run, source, ASYNCIO).play(self._program)
        entering.see("conversation", await run.session.messages())
        values = await run.state.all()
        entering.see("state", values)
        entering.own = {name: value for name, value in values.items() if name != OUTSIDE}
        entering.see("children", [each.runtime_id for each in await run.children()])
        await run.step("end", str, repeat="freely")
        entering.whole = True
        self._ends += 1
        if self._ends < ENTERINGS:
            raise ConnectionError(UNSTABLE)

    # Judging

    async def _judge_end(self, supervisor: tenure.asyncio.Supervisor) -> None:
        last = self.world.enterings[-1]
        expect(last.whole, "the run has ended, and its last entering has not")
        conversation = await supervisor.read_session(AGENT)
        expect(repr(conversation) == last.seen["conversation"], f"stored is {conversation}, and not what was seen")
        own = {
            name: value for name, value in (await supervisor.execution_state(AGENT)).values.items() if name != OUTSIDE
        }
        expect(own == last.own, f"stored is {own}, of {last.own}")
        until = time.monotonic() + ARRIVES_S
        while time.monotonic() < until and not self._all_has_arrived():  # noqa: ASYNC110 - other runs of the host
            await asyncio.sleep(SECOND)
        judge_sends(self.world)
        judge_inputs(self.world, self._accepted)

    def _all_has_arrived(self) -> bool:
        last = self.world.enterings[-1]
        seen = [*last.steered, *self.world.ran]
        return all(each in self.world.arrived for each in last.sent) and all(
            each in seen or repr(each) in last.seen["inputs"] for each in self._accepted
        )


async def _watch(supervisor: tenure.asyncio.Supervisor) -> None:
    """Nothing here is ever held."""
    await (await supervisor.find(AGENT)).wait_held()
    message = f"held: {(await supervisor.why(AGENT))['held']}"
    raise Broken(message)
