"""A whole host under power cuts: agents that checkpoint, do steps, pay, send and fail, and what must have come of it.

The scenario runs a supervisor. The check opens what a crash left, lets a supervisor bring everything to its end, cuts it off
once more on the way in some of the images, and then compares the conversation, the payments and the messages with what a host
that never crashed would have: each exactly once, in order.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, final

import trio
from attrs import field, frozen

from proof.promises.facet import Rows
from proof.promises.facets import (
    check,
    promises,
)
from tenure.errors import DiskFull
from tenure.persistence.commits.commit import Change
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.seams import Seams
from tenure.supervisor.opening import open_supervisor
from tenure.supervisor.runs.behaviour import Behaviour
from tenure.supervisor.runs.recording.verdicts import (
    DidNotRun,
    Ran,
    StepInDoubt,
    Verdict,
)
from tenure.supervisor.runs.run import Run
from tenure.supervisor.supervisor import Supervisor
from tenure.testing.history import History, Witness
from tenure.testing.machine import Machine
from tenure.testing.observing import inside_of

from .invariants import (
    WAL_PAGES,
    WholeState,
    open_real,
)
from .twice import recover
from .watching import watched

WORKER: Final = "worker"
PEER: Final = "peer"
ORACLE: Final = "oracle"
FAILURES: Final = {1: 1, 3: 9}
"""By task, how often its behaviour raises; more often than a run has attempts makes it a dead letter."""

DEAD: Final = 3


@final
class World:
    """What the agents do outside the store: it survives every crash of theirs."""

    def __init__(self, paid: tuple[int, ...] = (), witness: Witness | None = None) -> None:
        """With the payments that were made before."""
        self.paid = list(paid)
        self.calls = 0
        self._witness = witness

    def copy(self) -> World:
        """The same, for another life."""
        return World(tuple(self.paid))

    def look(self, task: int) -> str:
        """A step that may be repeated."""
        self.calls += 1
        return f"seen {task}"

    def pay(self, task: int) -> str:
        """A step that may not."""
        self.calls += 1
        self.paid.append(task)
        if self._witness is not None:
            self._witness.acknowledged("paid", task)
        return f"paid {task}"

    async def find_out(self, doubt: StepInDoubt) -> Verdict:
        """Whether a payment was made, when the host died before it knew."""
        task = doubt.arguments[0]
        return Ran(f"paid {task}") if task in self.paid else DidNotRun()

    def behaviours(self) -> dict[str, Behaviour]:
        """The agents in this world."""
        return {
            WORKER: Behaviour(self._work, in_doubt=self.find_out),
            PEER: Behaviour(_listen, batch=4),
            ORACLE: Behaviour(_tell),
        }

    async def _work(self, run: Run) -> str:
        task = run.inputs[0].payload["task"]
        await _draft(run)
        run.session.append([task, await run.step("look", self.look, task, repeat="freely")])
        await run.session.attach(_report(task))
        run.state.set("seen", [*await run.state.get("seen", []), task])
        await run.checkpoint()
        if run.attempts < FAILURES.get(task, 0):
            message = f"attempt {run.attempts} at task {task}"
            raise RuntimeError(message)
        run.session.append([task, await run.step("pay", self.pay, task, repeat="never")])
        told = await run.ask(ORACLE, task, ORACLE)
        assert told == f"told {task}", f"the oracle told {told!r} of task {task}"
        run.send(PEER, {"task": task})
        run.state.set("paid", [*await run.state.get("paid", []), task])
        return f"done {task}"


def _report(task: int) -> bytes:
    return f"report {task}".encode()


async def _draft(run: Run) -> None:
    """Say what is not kept: a branch that is left, and what is rewritten and taken back."""
    start = run.session.count
    run.session.append("a draft")
    await run.session.fork(start)
    run.session.append("another")
    await run.session.rewrite(["a third"], keep=start)
    await run.session.pop()


async def _tell(run: Run) -> str:
    return f"told {run.inputs[0].payload}"


async def _listen(run: Run) -> None:
    for each in run.inputs:
        run.session.append(each.payload["task"])


def open_host(machine: Machine, world: World, seams: Seams | None = None) -> AbstractAsyncContextManager[Supervisor]:
    """A supervisor on a machine; its own seams for None."""
    seams = seams or machine.seams(wal_pages=WAL_PAGES)
    return open_supervisor(machine.path(), behaviours=world.behaviours(), seams=seams)


@final
@frozen(kw_only=True)
class Agents:
    """The scenario: tasks for a worker, one after the other and several at once, and the verbs of a life.

    Attributes:
        tasks: How many tasks.
        landed: The types of changes that landed.
    """

    tasks: int = 6
    landed: set[type[Change]] = field(factory=set[type[Change]], init=False)

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        world = World(witness=witness)
        seams = watched(machine.seams(wal_pages=WAL_PAGES), witness, promises, self.landed)
        async with open_host(machine, world, seams) as supervisor:
            await supervisor.spawn(PEER, PEER)
            await supervisor.spawn(WORKER, WORKER)
            for task in range(self.tasks // 2):
                await self._give(supervisor, witness, task)
            async with trio.open_nursery() as nursery:  # owned by this scenario
                for task in range(self.tasks // 2, self.tasks):
                    nursery.start_soon(self._give, supervisor, witness, task)
            brief = await supervisor.spawn("brief", PEER)
            await (await brief.accept({"task": 0})).wait_outcome()
            await brief.reset()
            await brief.accept({"task": 1})
            await brief.retire()
            await brief.wait_state("retired")
            await brief.destroy()

    async def _give(self, supervisor: Supervisor, witness: Witness, task: int) -> None:
        accept = partial(supervisor.runtime(WORKER).accept, {"task": task}, idempotency_key=f"task-{task}")
        try:
            ticket = await accept()
        except DiskFull:
            await trio.sleep(1)
            ticket = await accept()
        witness.acknowledged("task", task)
        outcome = await ticket.wait_outcome()
        witness.acknowledged("outcome", (task, outcome.phase))


@final
@frozen
class AgentsRecovery:
    """A scenario that brings what a crash left to its end, for faults that strike meanwhile (`FaultSweep.over`)."""

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        world = World(History(witness.events).acknowledged("paid"), witness)
        async with open_host(machine, world) as supervisor:
            while _unfinished(supervisor):  # noqa: ASYNC110 - what a user could ask as well
                await trio.sleep(1)


@final
@frozen
class AgentsCheck:
    """The check: see the module.

    Attributes:
        watched: Whether every group was: then the rows must be those that the last one left.
    """

    watched: bool = True
    _state: WholeState = field(factory=WholeState, init=False)

    async def __call__(self, machine: Machine, history: History) -> None:
        """See `tenure.testing.Check`."""
        if self.watched:
            async with open_real(machine, DurabilityClass.DISK) as store:
                await self._state.ask(store, history)
        world = World(history.acknowledged("paid"))
        await recover(machine, world, open_host, _unfinished, partial(_compare, history), (1, 2, 5))


def _unfinished(supervisor: Supervisor) -> bool:
    return bool(inside_of(supervisor.store).rows("SELECT 1 FROM inputs WHERE finished_at IS NULL LIMIT 1"))


async def _compare(history: History, supervisor: Supervisor, world: World) -> None:
    inside = inside_of(supervisor.store)
    check(Rows(inside=inside, history=history))
    rows = inside.rows(
        "SELECT idempotency_key, phase FROM inputs JOIN runtimes USING (runtime)"
        " WHERE runtime_id = ? AND idempotency_key IS NOT NULL ORDER BY admission",
        WORKER,
    )
    ended = {int(key.removeprefix("task-")): phase for key, phase in rows}
    lost = set(history.acknowledged("task")) - set(ended)
    assert not lost, f"tasks {lost} were accepted and are lost"
    for task, phase in history.acknowledged("outcome"):
        assert ended[task] == phase, f"task {task} had ended as {phase} and is {ended[task]}"
    wrong = {task: phase for task, phase in ended.items() if phase != ("abandoned" if task == DEAD else "consumed")}
    assert not wrong, f"tasks ended otherwise than without a crash: {wrong}"
    done = [task for task in ended if task != DEAD]
    assert sorted(world.paid) == sorted(done), f"paid for {world.paid}, and done is {done}"
    said = [[task, f"{what} {task}"] for task in ended for what in ("seen", "paid") if (what, task) != ("paid", DEAD)]
    assert await _conversation(supervisor, WORKER) == said, "the worker's conversation is another"
    assert await _conversation(supervisor, PEER) == done, "the peer heard something else than was sent"
    asked = [
        int(payload)
        for (payload,) in inside.rows(
            "SELECT p.payload FROM inputs i JOIN payloads p USING (input) JOIN runtimes r USING (runtime)"
            " WHERE r.runtime_id = ? ORDER BY i.admission",
            ORACLE,
        )
    ]
    assert sorted(asked) == sorted(done), f"the oracle was asked {asked}, and done is {done}"
    for task in done:
        outcome = await (await supervisor.ticket(WORKER, idempotency_key=f"task-{task}")).wait_outcome()
        assert outcome.result == f"done {task}", f"task {task} ended with {outcome.result!r}"
    if ended:
        session_id, files = await supervisor.session_id(WORKER), supervisor.store.attachments
        for task in ended:
            attachment_id = hashlib.sha256(_report(task)).hexdigest()
            assert await files.get(session_id, attachment_id) == _report(task), f"the report of {task} is another"
            assert await files.is_committed(session_id, attachment_id), f"the report of {task} is not committed"
        kept = (await supervisor.execution_state(WORKER)).values
        wanted = {name: tasks for name, tasks in (("seen", list(ended)), ("paid", done)) if tasks}
        assert kept == wanted, f"the worker keeps {kept}, and not {wanted}"


async def _conversation(supervisor: Supervisor, runtime_id: str) -> list[Any]:
    known = inside_of(supervisor.store).rows("SELECT runtime FROM runtimes WHERE runtime_id = ?", runtime_id)
    return await supervisor.read_session(runtime_id) if known else []
