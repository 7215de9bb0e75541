"""One case is played: hosts that are left, what is given to them, and in the end it is judged."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any, Final, final

import trio
from attrs import frozen

import tenure
from proof.seeded.cases import Broken, virtual_seams

from .cases import Case, Given, draw
from .judging import compare, expect, judge_asked, judge_inputs, judge_sends
from .player import Player
from .world import AGENT, BEGIN, OUTSIDE, PEERS, SINK, World

ENTERINGS: Final = 3
"""So often the run gets to its end; before the last one it fails there."""

GO: Final = "go"
KEY: Final = "the first"
UNSTABLE: Final = "of the proof of re-entry"
LONGEST_S: Final = 500_000.0
REST_S: Final = 60.0
"""After the end, for what has joined too late to run."""

LIMITS: Final = tenure.Limits(lease_s=1e6, renew_s=1e5, poll_s=5.0, passivate_s=200.0)


@final
@frozen(kw_only=True, slots=True)
class Came:
    """What there was in some cases.

    Attributes:
        enterings: Of their runs.
        hosts: That were opened.
        things: In their programs.
        compared: How often what was seen was compared with what had been seen before.
    """

    enterings: int = 0
    hosts: int = 0
    things: int = 0
    compared: int = 0

    def __add__(self, other: Came) -> Came:
        return Came(
            enterings=self.enterings + other.enterings,
            hosts=self.hosts + other.hosts,
            things=self.things + other.things,
            compared=self.compared + other.compared,
        )

    def __str__(self) -> str:
        return (
            f"programs of {self.things} things, {self.enterings} enterings on {self.hosts} hosts, "
            f"{self.compared} times the same was seen again"
        )


async def play(seed: int, file: Path) -> Came:
    """Play a seed to its end. Raises `Broken`."""
    case = draw(seed)
    story = Story(case, file)
    with trio.move_on_after(LONGEST_S) as scope:
        await story.play()
    if scope.cancelled_caught:
        message = f"stuck after {len(story.world.enterings)} enterings"
        raise Broken(message)
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
        self.world = World()
        self.hosts = 0
        self.compared = 0
        self._case = case
        self._file = file
        self._left = list(case.given)
        self._leaves = list(case.leaves)
        self._ends = 0
        self._began_at: float | None = None
        self._accepted: list[str] = []

    async def play(self) -> None:
        """One host after another, until all has ended. Raises `Broken`."""
        ended = False
        while not ended:
            ended = await self._live()
            self._judge_enterings()

    # Hosts

    async def _live(self) -> bool:
        """One host: whether all had ended before it was left."""
        case, leave = self._case, self._leaves.pop() if self._leaves else None
        seams = virtual_seams(random.Random(f"{case.seed}/host {self.hosts}"))
        self.hosts += 1
        cut_off = leave.after_s if leave is not None and leave.cut_off else math.inf
        ends = leave.after_s if leave is not None and not leave.cut_off else math.inf
        ended = False
        with trio.move_on_after(cut_off):
            async with tenure.open_supervisor(
                self._file, behaviours=self._behaviours(), durability="os", limits=LIMITS, seams=seams, drain_s=0
            ) as supervisor:
                with trio.move_on_after(ends):
                    ended = await self._use(supervisor)
        return ended

    async def _use(self, supervisor: tenure.Supervisor) -> bool:
        if self._began_at is None:
            await self._begin(supervisor)
            self._began_at = trio.current_time()
        async with trio.open_nursery() as nursery:  # owned by this host
            nursery.start_soon(self._give, supervisor, self._began_at)
            nursery.start_soon(_watch, supervisor)
            await self._wait_consumed(supervisor)
            while self._left or self._leaves:  # noqa: ASYNC110 - another task gives, and the end of this host leaves
                await trio.sleep(1)
            await trio.sleep(REST_S)
            nursery.cancel_scope.cancel()
        await self._judge_end(supervisor)
        return True

    async def _begin(self, supervisor: tenure.Supervisor) -> None:
        for peer in PEERS:
            await supervisor.accept(peer, BEGIN, kind="echo", idempotency_key=BEGIN)
        await supervisor.accept(SINK, BEGIN, kind="sink", idempotency_key=BEGIN)
        await supervisor.hold(AGENT)
        await supervisor.accept(AGENT, GO, kind="agent", idempotency_key=KEY)
        for number in range(self._case.beside):
            name = f"beside-{number}"
            await supervisor.accept(AGENT, name, idempotency_key=name)
        await supervisor.resume(AGENT)

    # From outside

    async def _give(self, supervisor: tenure.Supervisor, began_at: float) -> None:
        while self._left:
            await trio.sleep_until(began_at + self._left[0].at_s)
            await self._give_one(supervisor, self._left[0])
            self._left.pop(0)

    async def _give_one(self, supervisor: tenure.Supervisor, given: Given) -> None:
        match given.what:
            case "state":
                await supervisor.set_execution_state(AGENT, {OUTSIDE: given.name})
            case "hold":
                await supervisor.hold(AGENT)
                await trio.sleep(1.3)
                await supervisor.resume(AGENT)
            case "late":
                await supervisor.accept(AGENT, given.name, deadline_s=2.0)
            case _:
                lane, name = given.what, given.name
                await supervisor.accept(
                    AGENT, name, lane=lane, correlation_id=given.correlation_id, idempotency_key=name
                )
                if name not in self._accepted:
                    self._accepted.append(name)

    async def _wait_consumed(self, supervisor: tenure.Supervisor) -> None:
        while True:
            outcome = await (await supervisor.ticket(AGENT, idempotency_key=KEY)).wait_outcome()
            if outcome.phase == "consumed":
                return
            expect(self._case.restarted and UNSTABLE in (outcome.error or ""), f"its input: {outcome}")
            letters = [each for each in await supervisor.dead_letters(AGENT) if each.payload == b'"go"']
            expect(bool(letters), f"its input is {outcome.phase}, and no dead letter says so")
            await (await supervisor.find(AGENT)).retry(letters[0].input_id, fresh=True)

    # Behaviours

    def _behaviours(self) -> dict[str, Any]:
        case, world = self._case, self.world
        often = tenure.RestartPolicy(
            max_attempts=1 if case.restarted else 50,
            backoff_s=0.5,
            backoff_limit_s=0.5,
            budget=500,
            max_crashes=100,
        )
        agent = tenure.Behaviour(
            self._act,
            batch=3,
            version=case.version,
            restart=often,
            in_doubt=world.in_doubt,
            aside_after_s=case.aside_after_s,
        )
        once = tenure.RestartPolicy(max_attempts=1, budget=1_000_000)
        bad = tenure.Behaviour(world.fail, restart=once)
        return {"agent": agent, "echo": world.echo, "bad": bad, "sink": world.collect}

    async def _act(self, run: tenure.Run) -> None:
        inputs = [each.payload for each in run.inputs]
        if inputs[0] != GO:
            for each in inputs:
                self.world.count(self.world.ran, each, run.run_id)
            return
        entering = self.world.enter()
        number = len(self.world.enterings)
        entering.see("inputs", inputs)
        entering.settle("inputs")
        player = Player(self.world, entering, run, random.Random(f"{self._case.seed}/entering {number}"))
        await player.play(self._case.program)
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

    def _judge_enterings(self) -> None:
        expect(not self.world.broken, next(iter(self.world.broken), ""))
        judge_asked(self.world)
        if not self._case.restarted:
            self.compared = compare(self.world.enterings)

    async def _judge_end(self, supervisor: tenure.Supervisor) -> None:
        last = self.world.enterings[-1]
        expect(last.whole, "the run has ended, and its last entering has not")
        conversation = await supervisor.read_session(AGENT)
        said = last.seen["conversation"]
        expect(repr(conversation) == said, f"stored is {conversation}, of {said}")
        stored = (await supervisor.execution_state(AGENT)).values
        own = {name: value for name, value in stored.items() if name != OUTSIDE}
        expect(own == last.own, f"stored is {own}, of {last.own}")
        judge_sends(self.world)
        judge_inputs(self.world, self._accepted)


async def _watch(supervisor: tenure.Supervisor) -> None:
    """Nothing here is ever held."""
    await (await supervisor.find(AGENT)).wait_held()
    message = f"held: {(await supervisor.why(AGENT))['held']}"
    raise Broken(message)
