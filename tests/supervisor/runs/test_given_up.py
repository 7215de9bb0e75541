"""Steps that outlive their bound: how long an async one is waited for, what counts it, and when its next attempt begins."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import StepFailed
from tests.kit.hosting import consumed
from tests.supervisor.runs.test_step_threads import WATCHDOG_S, until

pytestmark = pytest.mark.process  # real threads


class Stubborn:
    """An async tool that is cancelled in vain."""

    def __init__(self) -> None:
        self.go_on = trio.Event()
        self.begun = 0
        self.at_once = 0
        self.most_at_once = 0

    async def use(self) -> str:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        with trio.move_on_after(WATCHDOG_S, shield=True):
            await self.go_on.wait()
        self.at_once -= 1
        return "done"


def asks(function: Any, seen: list[object], **terms: Any) -> tenure.Behaviour:
    async def ask(run: tenure.Run) -> None:
        try:
            seen.append(await run.step("use", function, repeat="freely", **terms))
        except StepFailed as exc:
            seen.append(exc.detail)

    return tenure.Behaviour(ask, grace_s=terms.pop("grace_s", 0.01))


async def test_an_async_step_that_ignores_its_cancellation_is_given_up_counted_and_named(database: Path) -> None:
    tool, seen = Stubborn(), list[object]()
    behaviours = {"asks": asks(tool.use, seen, timeout_s=0.01)}
    with trio.fail_after(WATCHDOG_S):
        async with tenure.open_supervisor(database, behaviours=behaviours) as supervisor:
            await consumed(await supervisor.spawn("a", "asks"), "go")
            assert seen == ["TimeoutError: it took longer than 0.01 s"]
            (left,) = supervisor.statistics().step_threads
            assert (left.runtime_id, left.name, left.given_up) == ("a", "use", True)

            tool.go_on.set()
            await until(lambda: not supervisor.statistics().given_up)


async def test_what_a_step_returns_within_its_grace_is_its_result(database: Path) -> None:
    async def slow() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.05)
        return "done"

    seen = list[object]()
    behaviours = {"asks": asks(slow, seen, timeout_s=0.01, grace_s=WATCHDOG_S)}
    with trio.fail_after(WATCHDOG_S):
        async with tenure.open_supervisor(database, behaviours=behaviours) as supervisor:
            await consumed(await supervisor.spawn("a", "asks"), "go")
    assert seen == ["done"]


async def test_beyond_the_limit_no_bounded_async_step_begins(database: Path) -> None:
    tool, seen = Stubborn(), list[object]()
    behaviours = {"asks": asks(tool.use, seen, timeout_s=0.01)}
    limits = tenure.Limits(given_up=1)
    with trio.fail_after(WATCHDOG_S):
        async with tenure.open_supervisor(database, behaviours=behaviours, limits=limits) as supervisor:
            await consumed(await supervisor.spawn("a", "asks"), "go")
            runtime = await supervisor.spawn("b", "asks")
            await runtime.accept("go")
            assert await runtime.wait_held() == "needs attention"
            assert tool.begun == 1
            tool.go_on.set()


async def test_an_error_of_a_bounded_async_step_is_its_own(database: Path) -> None:
    async def fails() -> None:
        await trio.lowlevel.checkpoint()
        raise ConnectionError("of a test")

    seen = list[object]()
    behaviours = {"asks": asks(fails, seen, timeout_s=WATCHDOG_S)}
    async with tenure.open_supervisor(database, behaviours=behaviours) as supervisor:
        await consumed(await supervisor.spawn("a", "asks"), "go")
    assert seen == ["ConnectionError: of a test"]


@pytest.mark.parametrize("overlap", [False, True])
async def test_a_further_attempt_begins_when_the_task_of_the_one_before_is_over_or_overlaps(
    database: Path, *, overlap: bool
) -> None:
    tool, seen = Stubborn(), list[object]()
    terms = {"timeout_s": 0.01, "attempts": 2, "backoff_s": 0.0, "overlap": overlap}
    behaviours = {"asks": asks(tool.use, seen, **terms)}
    with trio.fail_after(WATCHDOG_S):
        async with tenure.open_supervisor(database, behaviours=behaviours) as supervisor:
            ticket = await (await supervisor.spawn("a", "asks")).accept("go")
            await until(lambda: supervisor.statistics().given_up)
            await (until(lambda: tool.begun == 2) if overlap else trio.testing.wait_all_tasks_blocked(0.01))
            tool.go_on.set()
            await ticket.wait_outcome()
    assert tool.most_at_once == (2 if overlap else 1)


@pytest.mark.parametrize("overlap", [False, True])
async def test_a_further_attempt_begins_when_the_thread_of_the_one_before_is_over_or_overlaps(
    database: Path, *, overlap: bool
) -> None:
    go_on, begun, over, lock = threading.Event(), list[int](), list[int](), threading.Lock()

    def use() -> str:
        with lock:
            begun.append(len(over))  # how many were over by then
            first = len(begun) == 1
        if first:
            go_on.wait(WATCHDOG_S)
        with lock:
            over.append(1)
        return "done"

    seen = list[object]()
    terms = {"timeout_s": 0.05, "attempts": 1_000, "backoff_s": 0.0, "overlap": overlap}
    behaviours = {"asks": asks(use, seen, **terms)}
    with trio.fail_after(WATCHDOG_S):
        async with tenure.open_supervisor(database, behaviours=behaviours) as supervisor:
            ticket = await (await supervisor.spawn("a", "asks")).accept("go")
            await until(lambda: supervisor.statistics().given_up)
            await (until(lambda: len(begun) >= 2) if overlap else trio.testing.wait_all_tasks_blocked(0.01))
            go_on.set()
            await ticket.wait_outcome()
    # On a machine that stands still an attempt may be given up before its thread begins, or after it was done: another follows.
    assert begun[:2] == ([0, 0] if overlap else [0, 1])
