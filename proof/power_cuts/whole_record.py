"""A whole record under power cuts: a behaviour that asks for everything a record can hold, cut off at every write.

Each input makes two runs, of which the second goes on after the first (`run.again`). Whatever the crash, what must not be done
twice was done once, `keyed` work has one key, what a run was given of time, chance and patches is what it was given before, and
the conversation is that of a host that never crashed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, final

import trio
from attrs import field, frozen

from proof.promises.facet import Rows
from proof.promises.facets import check, promises
from tenure.persistence.commits.commit import Change
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.seams import Seams
from tenure.supervisor.opening import open_supervisor
from tenure.supervisor.runs.again import Again
from tenure.supervisor.runs.behaviour import Behaviour
from tenure.supervisor.runs.recording.restart import RestartPolicy
from tenure.supervisor.runs.recording.verdicts import DidNotRun, Ran, StepInDoubt, Verdict
from tenure.supervisor.runs.run import Run
from tenure.supervisor.supervisor import Supervisor
from tenure.testing.history import History, Witness
from tenure.testing.machine import Machine
from tenure.testing.observing import inside_of

from .invariants import WAL_PAGES, open_real
from .twice import recover
from .watching import watched

AGENT: Final = "agent"
TASKS: Final = 2
POLICY: Final = RestartPolicy(max_attempts=50, backoff_s=1.0, budget=1_000, max_crashes=1_000)
ENDLESS_S: Final = 1e6


@final
class World:
    """What is done outside of the store: it outlives every crash.

    Attributes:
        calls: How often a function was called.
    """

    def __init__(self, events: Iterable[tuple[str, Any]] = (), witness: Witness | None = None) -> None:
        """With what was done before."""
        self.calls = 0
        self._events = list(events)
        self._witness = witness

    def copy(self) -> World:
        """The same, for another life."""
        return World(self._events)

    def _note(self, kind: str, what: Any) -> None:
        self.calls += 1
        self._events.append((kind, what))
        if self._witness is not None:
            self._witness.acknowledged(kind, what)

    def of(self, kind: str) -> list[Any]:
        """What was done of a kind."""
        return [what for each, what in self._events if each == kind]

    # What steps do

    def freely(self, work: str, *given: object) -> list[object]:
        """What may be repeated; it gives back what it was given."""
        self._note("freely", work)
        return [work, *given]

    def never(self, work: str) -> str:
        """What may not."""
        self._note("never", work)
        return work

    def keyed(self, work: str, *, key: str) -> str:
        """What may under its key; it fails the first time."""
        self._note("keyed", (work, key))
        if len([each for each, _ in self.of("keyed") if each == work]) == 1:
            message = f"{work} for the first time"
            raise ConnectionError(message)
        return work

    async def hang(self, work: str) -> None:
        """What is cut off."""
        self._note("freely", work)
        await trio.sleep(ENDLESS_S)

    async def find_out(self, doubt: StepInDoubt) -> Verdict:
        """Whether it was done, when the host died before it knew."""
        work = doubt.arguments[0]
        return Ran(work) if work in self.of("never") else DidNotRun()

    def behaviours(self) -> dict[str, Behaviour]:
        """The agents in this world."""
        return {AGENT: Behaviour(self._work, version="1", in_doubt=self.find_out, restart=POLICY)}

    # What a run does

    async def _work(self, run: Run) -> str | Again:
        task, part = run.inputs[0].payload
        name = f"{task}.{part}"
        drawn = [run.now().timestamp(), run.random.random(), str(run.uuid()), await run.patched("new")]
        seen = await run.step("draw", self.freely, f"{name} draw", *drawn, repeat="freely")
        assert seen == [f"{name} draw", *drawn], f"{name} was given {seen}, and is given {drawn}"
        run.session.append(f"{name} began")
        await self._side_by_side(run, name)
        await self._by_call(run, name)
        await self._cut_off(run, name)
        await run.checkpoint()
        if run.attempts == 0 and task == 1:
            message = "of the first attempt"
            raise ConnectionError(message)
        run.session.append(await run.step("end", self.never, f"{name} end", repeat="never"))
        return run.again([task, part + 1]) if part == 0 else f"done {task}"

    async def _side_by_side(self, run: Run, name: str) -> None:
        async def mails() -> None:
            mail = run.step("mail", self.keyed, f"{name} mail", repeat="keyed", attempts=3, backoff_s=5.0)
            run.session.append(await mail)

        async def nested() -> None:
            async def pays() -> None:
                await run.step("pay", self.never, f"{name} inner", repeat="never")

            async def looks() -> None:
                await run.step("look", self.freely, f"{name} look", repeat="freely")

            await run.gather(pays, looks)
            run.session.append(f"{name} nested")

        seen, paid = [f"{name} look {each}" for each in "ab"], [f"{name} pay {each}" for each in "ab"]
        assert await run.map("look", self.freely, seen, repeat="freely", limit=1) == [[each] for each in seen]
        assert await run.map("pay", self.never, paid, repeat="never") == paid
        await run.gather(mails, nested)

    async def _by_call(self, run: Run, name: str) -> None:
        async def never(call: str) -> None:
            await run.step("tool", self.never, f"{name} {call}", repeat="never", call=call)

        async def keyed(call: str) -> None:
            await run.step("tool", self.keyed, f"{name} {call}", repeat="keyed", call=call, attempts=2)

        async with trio.open_nursery() as nursery:  # owned by this behaviour
            nursery.start_soon(never, "c1")
            nursery.start_soon(never, "c2")
            nursery.start_soon(keyed, "c3")

    async def _cut_off(self, run: Run, name: str) -> None:
        async def quick() -> None:
            run.session.append(await run.step("quick", self.never, f"{name} quick", repeat="never"))

        async def slow() -> None:
            await run.sleep(ENDLESS_S)

        await run.first(slow, quick)
        async with run.move_on_after(2.0):
            await run.step("hang", self.hang, f"{name} hang", repeat="freely")
        await run.sleep(3.0)


def never_of(task: int, part: int) -> set[str]:
    """What of an input is done once."""
    return {f"{task}.{part} {what}" for what in ("inner", "pay a", "pay b", "c1", "c2", "quick", "end")}


def said_of(task: int) -> list[str]:
    """What is said of an input."""
    of_each = ("began", "mail", "nested", "quick", "end")
    return [f"{task}.{part} {what}" for part in (0, 1) for what in of_each]


def open_host(machine: Machine, world: World, seams: Seams | None = None) -> AbstractAsyncContextManager[Supervisor]:
    """A supervisor on a machine; its own seams for None."""
    seams = seams or machine.seams(wal_pages=WAL_PAGES)
    return open_supervisor(machine.path(), behaviours=world.behaviours(), seams=seams)


@final
@frozen
class WholeRecord:
    """The scenario: an agent, and inputs for it."""

    landed: set[type[Change]] = field(factory=set[type[Change]], init=False)

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        seams = watched(machine.seams(wal_pages=WAL_PAGES), witness, promises, self.landed)
        async with open_host(machine, World(witness=witness), seams) as supervisor:
            runtime = await supervisor.spawn(AGENT, AGENT)
            for task in range(TASKS):
                await runtime.accept([task, 0], idempotency_key=f"task-{task}")
                witness.acknowledged("task", task)
            await _all_ended(supervisor)


@final
@frozen
class WholeRecordCheck:
    """The check: see the module."""

    async def __call__(self, machine: Machine, history: History) -> None:
        """See `tenure.testing.Check`."""
        # Not all rows, as the other scenarios: a host with versions writes a group while it opens, before it can be watched.
        async with open_real(machine, DurabilityClass.DISK) as store:
            check(Rows(inside=inside_of(store), history=history))
        done = [(kind, what) for kind in ("freely", "never", "keyed") for what in history.acknowledged(kind)]
        world = World(done)
        await recover(machine, world, open_host, _unfinished, partial(_compare, history), (1, 3, 9))


async def _all_ended(supervisor: Supervisor) -> None:
    while _unfinished(supervisor):  # noqa: ASYNC110 - the database has no event to wait for
        await trio.sleep(1)


def _unfinished(supervisor: Supervisor) -> bool:
    sql = "SELECT 1 FROM inputs i JOIN runtimes r USING (runtime) WHERE finished_at IS NULL AND held IS NULL LIMIT 1"
    return bool(inside_of(supervisor.store).rows(sql))


async def _compare(history: History, supervisor: Supervisor, world: World) -> None:
    inside = inside_of(supervisor.store)
    held = inside.rows("SELECT runtime_id, held, held_detail FROM runtimes WHERE held IS NOT NULL")
    assert not held, f"held: {held}"
    rows = inside.rows("SELECT idempotency_key FROM inputs WHERE idempotency_key LIKE 'task-%' ORDER BY admission")
    tasks = [int(key.removeprefix("task-")) for (key,) in rows]
    assert set(history.acknowledged("task")) <= set(tasks), "an input was accepted and is lost"
    not_consumed = inside.rows("SELECT input_id, phase, reason FROM inputs WHERE phase <> 'consumed'")
    assert not not_consumed, f"not consumed: {not_consumed}"
    never = Counter(world.of("never"))
    wanted = Counter({work for task in tasks for part in (0, 1) for work in never_of(task, part)})
    assert never == wanted, f"done twice, or left out, or too much: {(never - wanted) + (wanted - never)}"
    keys: dict[str, str] = {}
    for work, key in world.of("keyed"):
        assert keys.setdefault(work, key) == key, f"{work} was done under two keys"
    assert len(set(keys.values())) == len(keys) == 4 * len(tasks), "a key is that of two works, or work was left out"
    said = [each for task in tasks for each in said_of(task)]
    if tasks:
        found = await supervisor.read_session(AGENT)
        assert found == said, f"the conversation is {found}, and not {said}"
