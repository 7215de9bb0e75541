"""What must have come of a household when all has ended, and where a secret must not stand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import tenure
from proof.simulated.talk import held_by
from tenure.errors import NotFound
from tenure.testing.history import History
from tenure.testing.machine import Machine

from .agents import CHILD, CLOCK, GO, LEAD, LEDGER, TICKS, World, heard_by, told, written_of
from .person import Look, task_of


def check_erased(machine: Machine, history: History) -> None:
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
    tasks = sorted(task_of(lead) for (lead,) in keys)
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
