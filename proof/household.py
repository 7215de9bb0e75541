"""A household under power cuts and faults: a lead that spawns, asks, waits and is put aside, and those around it.

Each lead asks its child, and somebody who fails for good while a hold of their kind keeps them from beginning; waits for a
person who answers, or for one who does not; asks what is answered too late; sleeps; and says meanwhile what it does. Beside
it a schedule fires, a reader follows, and a runtime with a secret is destroyed and erased. Whatever the crash, each lead
hears what it had to and has asked once, nothing is done twice, what was abandoned is paid back once, each instant of the
schedule was done once, who followed was told nothing that is not there, and of the secret no byte is left in any file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Final, Protocol, final

import trio
from attrs import field, frozen

import tenure
from tenure.errors import AskFailed, NotFound
from tenure.persistence.commits.commit import Change
from tenure.persistence.model.values import DurabilityClass
from tenure.testing.drive.images import Cut
from tenure.testing.history import History, Witness
from tenure.testing.machine import Machine
from tenure.testing.observing import inside_of

from .facet import Rows
from .facets import check, promises
from .invariants import WAL_PAGES, open_real
from .simulated_talk import held_by
from .watching import watch

LEAD: Final = "lead"
CHILD: Final = "child"
SICK: Final = "sick"
LEDGER: Final = "ledger"
CLOCK: Final = "clock"
KEEPER: Final = "keeper"
GO: Final = "go"
TASKS: Final = 2
ASIDE_S: Final = 2.0
TICK_S: Final = 12.0
TICKS: Final = 3
ENDLESS_S: Final = 1e6
POLICY: Final = tenure.RestartPolicy(max_attempts=50, backoff_s=1.0, budget=1_000, max_crashes=1_000)
SICK_POLICY: Final = tenure.RestartPolicy(max_attempts=2, backoff_s=1.0, budget=1_000, max_crashes=1_000)
CUTS: Final = (Cut.KILL, Cut.NOTHING, Cut.EVERYTHING, Cut.SUBSET, Cut.TORN)


Look = Callable[..., Sequence[tuple[Any, ...]]]
"""Reads rows of the database by a statement and its parameters, below the verbs."""


class Hears(Protocol):
    """Who is told what was done, and what was promised."""

    def acknowledged(self, subject: str, value: Any = None) -> None:
        """See `Witness.acknowledged`."""
        ...


def told(keeper: str) -> str:
    """What a keeper is told, and has to forget."""
    return f"what {keeper} was told"


def is_approved(task: int) -> bool:
    """Whether a person approves a task; the others wait until their time is over."""
    return task % 2 == 0


@final
class World:
    """What is done outside of the store: it outlives every crash.

    `pace` is how long a second of the agents takes.
    """

    def __init__(
        self, events: Iterable[tuple[str, Any]] = (), witness: Hears | None = None, *, pace: float = 1.0
    ) -> None:
        """With what was done before."""
        self.events = list(events)
        self._witness = witness
        self._pace = pace

    def note(self, kind: str, what: Any) -> None:
        """It is done now."""
        self.events.append((kind, what))
        if self._witness is not None:
            self._witness.acknowledged(kind, what)

    def of(self, kind: str) -> list[Any]:
        """What was done of a kind."""
        return [what for each, what in self.events if each == kind]

    # What the steps do

    def work(self, task: int) -> str:
        """A step that may not be repeated."""
        tenure.emit([task, "works"])
        self.note("worked", task)
        return f"worked {task}"

    def charge(self, task: int, *, key: str) -> str:
        """A step that may be under its key."""
        self.note("charged", f"{task} under {key}")
        return f"charge {task}"

    async def find_out(self, doubt: tenure.StepInDoubt) -> tenure.Verdict:
        """Whether it was done, when the host died before it knew."""
        task = doubt.arguments[0]
        return tenure.Ran(f"worked {task}") if task in self.of("worked") else tenure.DidNotRun()

    # What runs do

    def behaviours(self) -> dict[str, tenure.Behaviour]:
        """The agents in this world."""
        aside_s = ASIDE_S * self._pace
        return {
            LEAD: tenure.Behaviour(self._lead, restart=POLICY, aside_after_s=aside_s),
            CHILD: tenure.Behaviour(self._work, restart=POLICY, aside_after_s=aside_s, in_doubt=self.find_out),
            SICK: tenure.Behaviour(self._fail, restart=SICK_POLICY, on_abandoned=_pay_back),
            LEDGER: tenure.Behaviour(_write_down, restart=POLICY),
            CLOCK: tenure.Behaviour(_strike, restart=POLICY),
            KEEPER: tenure.Behaviour(_keep, restart=POLICY),
        }

    async def _work(self, run: tenure.Run) -> str:
        task = run.inputs[0].payload
        if task == "late":
            await run.sleep(ENDLESS_S)
        return await run.step("work", self.work, task, repeat="never")

    async def _fail(self, run: tenure.Run) -> None:
        await run.step("charge", self.charge, run.inputs[0].payload, repeat="keyed")
        message = "for good"
        raise ConnectionError(message)

    async def _lead(self, run: tenure.Run) -> str:
        task: int = run.inputs[0].payload
        child = await run.spawn(f"{CHILD}-{task}", CHILD, scope="run", on_end="stop")
        await run.emit([task, "asks"])
        run.session.append(await run.ask(child, task, correlation_id=f"of {task}"))
        run.send(LEDGER, f"delayed {task}", kind=LEDGER, after_s=8.0 * self._pace)
        run.session.append(await _failed(run, SICK, task, None))
        timeout_s = ENDLESS_S if is_approved(task) else 6.0 * self._pace
        said = await run.wait_steered(timeout_s=timeout_s, correlation_id=_approval(task))
        run.session.append([each.payload for each in said])
        run.session.append(await _failed(run, child, "late", 4.0 * self._pace))
        await run.sleep(5.0 * self._pace)
        await run.emit([task, "done"])
        return f"done {task}"


def _approval(task: int) -> str:
    return f"approval {task}"


async def _failed(run: tenure.Run, target: str, payload: object, timeout_s: float | None) -> str:
    try:
        return f"answered {await run.ask(target, payload, SICK if target == SICK else CHILD, timeout_s=timeout_s)}"
    except AskFailed as exc:
        return exc.reason


async def _pay_back(run: tenure.Run) -> None:
    (task,) = [given.payload for given in run.inputs]
    charged = [entry.result for entry in await run.recorded("charge")]
    run.send(LEDGER, f"{charged} of {task} back, {run.abandoned}", kind=LEDGER)


async def _write_down(run: tenure.Run) -> None:
    for given in run.inputs:
        run.session.append(given.payload)


async def _strike(run: tenure.Run) -> None:
    for given in run.inputs:
        run.session.append(given.source["scheduled_at"])


async def _keep(run: tenure.Run) -> str:
    secret: str = run.inputs[0].payload
    run.session.append(secret)
    run.state.set("kept", secret)
    await run.emit(secret)
    return secret


def heard_by(task: int) -> list[Any]:
    """What a lead hears, as its conversation says it."""
    return [f"worked {task}", "abandoned", ["yes"] if is_approved(task) else [], "late"]


def written_of(task: int) -> list[str]:
    """What the ledger has of a task."""
    return [f"delayed {task}", f"['charge {task}'] of {task} back, max_attempts_exhausted"]


def open_host(machine: Machine, world: World) -> AbstractAsyncContextManager[tenure.Supervisor]:
    """A supervisor on a machine."""
    seams = machine.seams(wal_pages=WAL_PAGES)
    return tenure.open_supervisor(machine.path(), behaviours=world.behaviours(), seams=seams)


@final
@frozen
class Household:
    """The scenario: what a person asks for, and sees through.

    Attributes:
        landed: The types of changes that landed.
    """

    landed: set[type[Change]] = field(factory=set[type[Change]], init=False)

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        async with open_host(machine, World(witness=witness)) as supervisor:
            watch(supervisor.store, witness, promises, self.landed)
            await supervisor.hold(kind=SICK, note="of a person")
            for task in range(TASKS):
                await give(supervisor, task)
                witness.acknowledged("task", task)
            await supervisor.accept(KEEPER, told(KEEPER), kind=KEEPER, idempotency_key=GO)
            ends_at = datetime.fromtimestamp(machine.wall_clock() + TICK_S * (TICKS + 0.5), UTC)
            every = tenure.Every(TICK_S)
            await supervisor.schedules.create(CLOCK, CLOCK, every, "tick", CLOCK, overlap="queue", ends_at=ends_at)
            async with trio.open_nursery() as nursery:  # owned by this scenario
                nursery.start_soon(follow, supervisor, 0, witness)
                await see_through(supervisor, inside_of(supervisor.store).rows, witness)
                nursery.cancel_scope.cancel()


@final
@frozen
class HouseholdRecovery:
    """A scenario that sees through what a crash left, for faults that strike meanwhile (`FaultSweep.over`)."""

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        async with open_host(machine, World(_done(History(witness.events)), witness)) as supervisor:
            await see_through(supervisor, inside_of(supervisor.store).rows, witness)


@final
@frozen
class HouseholdCheck:
    """The check: see the module."""

    async def __call__(self, machine: Machine, history: History) -> None:
        """See `tenure.testing.Check`."""
        # Not all rows: what a host knows of its behaviours is a group of its open, before it can be watched.
        async with open_real(machine, DurabilityClass.DISK) as store:
            check(Rows(inside=inside_of(store), history=history))
        _check_erased(machine, history)
        # In some of the images the recovery is cut off too, after some time.
        world, crash_after_s = World(_done(history)), machine.random.choice((0, 0, 0, 1.5, 7, 20))
        if crash_after_s:
            async with open_host(machine, world) as supervisor:
                with trio.move_on_after(crash_after_s):
                    await see_through(supervisor, inside_of(supervisor.store).rows)
                machine = machine.crashed(machine.random.choice(CUTS))
                world = World(world.events)
        async with open_host(machine, world) as supervisor:
            rows = inside_of(supervisor.store).rows
            await see_through(supervisor, rows)
            check(Rows(inside=inside_of(supervisor.store), history=history))
            await compare(supervisor, rows, world, history)
        _check_erased(machine, history)


def _done(history: History) -> list[tuple[str, Any]]:
    return [(kind, what) for kind in ("worked", "charged") for what in history.acknowledged(kind)]


# A person


async def give(supervisor: tenure.Supervisor, task: int) -> None:
    """Give a task to a lead of its own."""
    await supervisor.accept(f"{LEAD}-{task}", task, kind=LEAD, idempotency_key=GO)


async def see_through(
    supervisor: tenure.Supervisor, look: Look, witness: Hears | None = None, every_s: float = 1.0
) -> None:
    """Do what a person does until all has ended: let the sick ones go, approve, erase."""
    while await _care(supervisor, look, witness):  # noqa: ASYNC110 - as a person would look
        await trio.sleep(every_s)


async def _care(supervisor: tenure.Supervisor, look: Look, witness: Hears | None) -> bool:
    """One look: whether something is unfinished."""
    asked = look("SELECT 1 FROM inputs i JOIN runtimes r USING (runtime) WHERE r.runtime_id = ?", SICK)
    if asked and look("SELECT 1 FROM holds"):
        await supervisor.resume(kind=SICK)
    for (lead,) in look("SELECT runtime_id FROM runtimes WHERE kind = ? AND run IS NOT NULL", LEAD):
        task = _task_of(lead)
        if is_approved(task):
            key = _approval(task)
            await supervisor.accept(lead, "yes", lane="steer", correlation_id=key, idempotency_key=key)
    left = [keeper for (keeper,) in look(_KEEPERS, KEEPER) if not await _erase(supervisor, keeper, look, witness)]
    return (
        bool(left)
        or bool(look("SELECT 1 FROM inputs WHERE finished_at IS NULL LIMIT 1"))
        or bool([each for each in await supervisor.schedules.list() if each.next_at is not None])
    )


_KEEPERS: Final = """
SELECT runtime_id FROM runtimes WHERE kind = ? AND runtime NOT IN (SELECT runtime FROM erasures WHERE done_at IS NOT NULL)
"""
_KEPT: Final = """
SELECT r.state, i.finished_at FROM runtimes r LEFT JOIN inputs i USING (runtime) WHERE runtime_id = ?
"""


def _task_of(lead: str) -> int:
    return int(lead.rpartition("-")[2])


async def _erase(supervisor: tenure.Supervisor, keeper: str, look: Look, witness: Hears | None) -> bool:
    """Destroy a keeper once it keeps its secret, and erase it; whether all of it is gone."""
    found = look(_KEPT, keeper)
    if any(state != "destroyed" and finished_at is None for state, finished_at in found):
        return False
    handle = await supervisor.find(keeper)
    erasure = await (handle.erase() if found[0][0] == "destroyed" else handle.destroy(erase=True))
    if erasure is not None and erasure.gone and witness is not None:
        witness.acknowledged("gone", keeper)
    return erasure is not None and erasure.gone


async def follow(supervisor: tenure.Supervisor, task: int, witness: Hears) -> None:
    """Follow a lead, and tell what is heard."""
    lead = await supervisor.find(f"{LEAD}-{task}")
    async for entry in lead.follow():
        witness.acknowledged("heard", [lead.runtime_id, entry.position, entry.kind, entry.value])


# What must have come of it


def _check_erased(machine: Machine, history: History) -> None:
    """Where it was said that all of the secret is gone, no file has it."""
    gone = [told(keeper).encode() for keeper in history.acknowledged("gone")]
    for name in files_of(machine):
        file = machine.disk.find(name)
        assert file is not None
        content = bytes(file.visible)
        assert not [each for each in gone if each in content], f"the secret is gone, and stands in {name}"


def files_of(machine: Machine) -> list[str]:
    """The names of all files on the disk of a machine."""
    return [name for name in machine.disk.entries() if not machine.disk.is_folder(name)]


async def compare(supervisor: tenure.Supervisor, look: Look, world: World, history: History) -> None:
    """Where all has ended: every task is there, has heard what it had to, and nothing was done twice."""
    held = look("SELECT runtime_id, held, held_detail FROM runtimes WHERE held IS NOT NULL")
    assert not held, f"held: {held}"
    keys = look(
        "SELECT runtime_id FROM runtimes r JOIN inputs USING (runtime) WHERE r.kind = ? AND idempotency_key = ?",
        LEAD,
        GO,
    )
    tasks = sorted(_task_of(lead) for (lead,) in keys)
    assert set(history.acknowledged("task")) <= set(tasks), "a task was accepted and is lost"
    assert sorted(world.of("worked")) == tasks, f"worked at {world.of('worked')}, and the tasks are {tasks}"
    assert len(set(world.of("charged"))) == len(tasks), f"charged under other keys: {world.of('charged')}"
    for task in tasks:
        outcome = await (await supervisor.ticket(f"{LEAD}-{task}", idempotency_key=GO)).wait_outcome()
        assert outcome.result == f"done {task}", f"task {task} has ended with {outcome}"
        heard = await supervisor.read_session(f"{LEAD}-{task}")
        assert heard == heard_by(task), f"lead {task} has heard {heard}"
        child = look("SELECT state FROM runtimes WHERE runtime_id = ?", f"{CHILD}-{task}")
        assert [*child] == [("stopped",)], f"the child of lead {task} is {child}"
    written = Counter[str](await _session(supervisor, LEDGER))
    wanted = Counter([each for task in tasks for each in written_of(task)])
    assert written == wanted, f"the ledger has {written}, and not {wanted}"
    asked = look("SELECT count(*) FROM inputs WHERE kind = 'peer_request'")
    assert [*asked] == [(3 * len(tasks),)], f"{asked} was asked, for {tasks}"
    await _compare_schedule(supervisor)
    await _compare_output(supervisor, tasks, history)


async def _compare_schedule(supervisor: tenure.Supervisor) -> None:
    for schedule in await supervisor.schedules.list():
        became = await supervisor.schedules.occurrences(schedule.schedule_id)
        instants = sorted(each.scheduled_at for each in became)
        assert len(set(instants)) == TICKS, f"the instants are {instants}"
        assert not [each for each in became if each.skipped is not None], f"skipped: {became}"
        struck = await _session(supervisor, CLOCK)
        assert struck == instants, f"struck at {struck}, and the instants are {instants}"


async def _compare_output(supervisor: tenure.Supervisor, tasks: list[int], history: History) -> None:
    for task in tasks:
        entries = await _output(supervisor, f"{LEAD}-{task}")
        positions = [entry.position for entry in entries]
        assert positions == sorted(set(positions)), f"lead {task} gives a position twice"
        said = list(held_by(entries).values())
        assert said == [[[task, "asks"], [task, "done"]]], f"lead {task} has said {said}"
        there = {(entry.position, entry.kind, repr(entry.value)) for entry in entries}
        heard = [each for lead, *each in history.acknowledged("heard") if lead == f"{LEAD}-{task}"]
        lost = [each for each in heard if (each[0], each[1], repr(each[2])) not in there]
        assert not lost, f"{lost} was heard of lead {task}, and is not there"
        worked = list(held_by(await _output(supervisor, f"{CHILD}-{task}")).values())
        assert worked in ([[[task, "works"]]], []), f"child {task} has said {worked}"


async def _output(supervisor: tenure.Supervisor, runtime_id: str) -> list[tenure.OutputEntry]:
    runtime = await supervisor.find(runtime_id)
    return [entry async for entry in runtime.follow(run_id="none")]


async def _session(supervisor: tenure.Supervisor, runtime_id: str) -> list[Any]:
    try:
        return await supervisor.read_session(runtime_id)
    except NotFound:
        return []
