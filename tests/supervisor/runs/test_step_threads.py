"""Threads of sync steps: one that hangs gives its slot back when its run ends, is counted, named and bounded."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import LimitReached, StepFailed
from tenure.persistence.seams.slots import Slots
from tests.kit.hosting import consumed

pytestmark = pytest.mark.process  # real threads

WATCHDOG_S = 20.0


class Hangs:
    """A tool that does not come back before the test lets it."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.calls: list[str] = []

    def use(self, who: str) -> str:
        self.calls.append(who)
        self.go_on.wait(WATCHDOG_S)
        return who


@pytest.fixture
def tool() -> Generator[Hangs]:
    tool = Hangs()
    yield tool
    tool.go_on.set()


async def until(reached: Callable[[], object]) -> None:
    """Threads have no event that a test could wait for."""
    while not reached():  # noqa: ASYNC110
        await trio.sleep(0.001)


async def give_up(supervisor: tenure.Supervisor, tool: Hangs, runtime_id: str) -> None:
    """Let a step of a runtime hang, and cancel its run."""
    runtime = await supervisor.spawn(runtime_id, "hangs")
    ticket = await runtime.accept(runtime_id)
    await until(lambda: runtime_id in tool.calls)
    await runtime.cancel()
    assert (await ticket.wait_outcome()).reason == "cancelled"


def behaviours(tool: Hangs) -> dict[str, Any]:
    async def hangs(run: tenure.Run) -> None:
        await run.step("hang", tool.use, run.inputs[0].payload, repeat="freely")

    async def quick(run: tenure.Run) -> None:
        run.session.append(await run.step("quick", sorted, [2, 1], repeat="freely"))

    return {"hangs": hangs, "quick": quick}


async def test_hung_steps_of_runs_that_have_ended_keep_no_other_step_from_running(database: Path, tool: Hangs) -> None:
    limits = tenure.Limits(step_threads=2)
    with trio.fail_after(WATCHDOG_S / 2):
        async with tenure.open_supervisor(database, behaviours=behaviours(tool), limits=limits) as supervisor:
            for number in range(5):
                await give_up(supervisor, tool, f"hung-{number}")
            await consumed(await supervisor.spawn("living", "quick"), "go")

            assert await supervisor.read_session("living") == [[1, 2]]


async def test_a_step_that_was_given_up_is_counted_and_named_until_its_thread_ends(
    database: Path, tool: Hangs, caplog: pytest.LogCaptureFixture
) -> None:
    with trio.fail_after(WATCHDOG_S / 2), caplog.at_level(logging.WARNING, "tenure"):
        async with tenure.open_supervisor(database, behaviours=behaviours(tool)) as supervisor:
            await give_up(supervisor, tool, "hung")
            await until(
                lambda: supervisor.statistics().given_up
            )  # the run is cancelled some turns after the verb is on disk
            statistics = supervisor.statistics()
            (thread,) = statistics.step_threads

            assert (thread.runtime_id, thread.name, thread.given_up) == ("hung", "hang", True)
            assert (statistics.given_up, statistics.waiting_steps) == (1, 0)
            assert thread.seconds >= 0
            tool.go_on.set()
            await until(lambda: not supervisor.statistics().given_up)

    (line,) = [record for record in caplog.records if "given up" in record.getMessage()]
    assert (line.name, line.levelname) == ("tenure.runs", "WARNING")
    assert (vars(line)["runtime_id"], vars(line)["step"]) == ("hung", "hang")


async def test_steps_that_wait_for_a_thread_say_which_step_has_held_one_longest(
    database: Path, tool: Hangs, caplog: pytest.LogCaptureFixture
) -> None:
    limits = tenure.Limits(step_threads=1)
    with trio.fail_after(WATCHDOG_S / 2), caplog.at_level(logging.WARNING, "tenure"):
        async with tenure.open_supervisor(database, behaviours=behaviours(tool), limits=limits) as supervisor:
            await (await supervisor.spawn("hung", "hangs")).accept("hung")
            await until(lambda: tool.calls)
            ticket = await (await supervisor.spawn("living", "quick")).accept("go")
            await until(lambda: supervisor.statistics().waiting_steps)
            (line,) = [record for record in caplog.records if "wait for a thread" in record.getMessage()]

            assert (vars(line)["runtime_id"], vars(line)["step"]) == ("hung", "hang")
            tool.go_on.set()
            assert (await ticket.wait_outcome()).phase == "consumed"


@pytest.mark.parametrize("repeat", ["freely", "keyed", "never"])
async def test_beyond_the_limit_no_step_begins_and_its_runtime_is_held(
    repeat: str, database: Path, tool: Hangs
) -> None:
    calls: list[object] = []
    seen: list[LimitReached] = []

    def use(**key: str) -> None:
        calls.append(key)

    async def asks(run: tenure.Run) -> None:
        try:
            await run.step("use", use, repeat=repeat)
        except LimitReached as exc:  # swallowed, and the run does not go on all the same
            seen.append(exc)

    limits = tenure.Limits(given_up=1, step_threads=2)
    known = {**behaviours(tool), "asks": asks}
    with trio.fail_after(WATCHDOG_S / 2):
        async with tenure.open_supervisor(database, behaviours=known, limits=limits) as supervisor:
            await give_up(supervisor, tool, "hung")
            runtime = await supervisor.spawn("asks", "asks")
            ticket = await runtime.accept("go")
            assert await runtime.wait_held() == "needs attention"
            assert [error.limit for error in seen] == [1]
            assert not calls

            tool.go_on.set()
            await until(lambda: not supervisor.statistics().given_up)
            await runtime.resume()
            assert (await ticket.wait_outcome()).phase == "consumed"
    assert len(calls) == 1


async def test_hung_steps_of_runs_that_live_lend_their_slots_and_keep_their_results(
    database: Path, tool: Hangs
) -> None:
    limits = tenure.Limits(step_threads=2, step_slot_s=0.05)
    with trio.fail_after(WATCHDOG_S / 2):
        async with tenure.open_supervisor(database, behaviours=behaviours(tool), limits=limits) as supervisor:
            hung = [await (await supervisor.spawn(each, "hangs")).accept(each) for each in ("one", "two")]
            await until(lambda: len(tool.calls) == 2)
            for number in range(3):
                await consumed(await supervisor.spawn(f"living-{number}", "quick"), "go")
            assert [each.lent for each in supervisor.statistics().step_threads] == [True, False]

            tool.go_on.set()
            assert [(await ticket.wait_outcome()).phase for ticket in hung] == ["consumed", "consumed"]
            assert supervisor.statistics().step_threads == ()
            await consumed(await supervisor.spawn("later", "quick"), "go")


async def test_a_runtime_with_many_hung_steps_keeps_no_step_of_another_waiting(database: Path, tool: Hangs) -> None:
    async def many(run: tenure.Run) -> None:
        await run.map("hang", tool.use, [str(number) for number in range(20)], repeat="freely")

    limits = tenure.Limits(step_threads=2, step_slot_s=0.05, given_up=4)
    known = {**behaviours(tool), "many": many}
    with trio.fail_after(WATCHDOG_S / 2):
        async with tenure.open_supervisor(database, behaviours=known, limits=limits) as supervisor:
            ticket = await (await supervisor.spawn("many", "many")).accept("go")
            await until(lambda: len(tool.calls) == 2)
            await trio.sleep(10 * limits.step_slot_s)  # long enough for all that may be lent
            assert len(tool.calls) == 2
            await consumed(await supervisor.spawn("living", "quick"), "go")
            assert len(tool.calls) <= 3  # the slot that the other borrowed goes to the many

            tool.go_on.set()
            assert (await ticket.wait_outcome()).phase == "consumed"
            assert len(tool.calls) == 20


async def test_no_more_slots_are_lent_than_steps_may_be_given_up(database: Path, tool: Hangs) -> None:
    limits = tenure.Limits(step_threads=1, step_slot_s=0.01, given_up=2)
    with trio.fail_after(WATCHDOG_S / 2):
        async with tenure.open_supervisor(database, behaviours=behaviours(tool), limits=limits) as supervisor:
            tickets = [await (await supervisor.spawn(f"{number}", "hangs")).accept(f"{number}") for number in range(5)]
            await until(lambda: len(tool.calls) == 3)
            await trio.sleep(10 * limits.step_slot_s)  # long enough for a fourth
            assert (len(tool.calls), supervisor.statistics().waiting_steps) == (3, 2)

            tool.go_on.set()
            for ticket in tickets:
                assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_slot_that_is_given_to_a_cancelled_wait_goes_on_to_the_next() -> None:
    slots = Slots(1)
    scope = trio.CancelScope()

    async def wait() -> None:
        with scope:
            await slots.take("b", lambda _: WATCHDOG_S)

    await slots.take("a", lambda _: WATCHDOG_S)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
        slots.give_back("a")
    assert not slots.full


def cancelled() -> None:
    raise asyncio.CancelledError


def cancelled_in_a_group() -> None:
    raise BaseExceptionGroup("several", [asyncio.CancelledError(), ValueError("and this")])


@pytest.mark.parametrize("function", [cancelled, cancelled_in_a_group])
async def test_a_cancelled_error_of_asyncio_out_of_a_thread_is_a_failed_step(function: Any, database: Path) -> None:
    seen: list[str] = []

    async def behaviour(run: tenure.Run) -> None:
        try:
            await run.step("cancelled", function, repeat="freely")
        except StepFailed as exc:
            seen.append(exc.detail)

    with trio.fail_after(WATCHDOG_S / 2):
        async with tenure.open_supervisor(database, behaviours={"k": behaviour}) as supervisor:
            await consumed(await supervisor.spawn("a", "k"), "go")

    assert [detail.partition(";")[0] for detail in seen] == ["CancelledError"]
