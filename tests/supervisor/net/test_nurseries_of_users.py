"""Nurseries and scopes that a user's code opens itself: whatever is raised in them, or left open, is its own run's trouble."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio
import trio.lowlevel
import trio.testing

import tenure
from tests.kit.hosting import consumed, host, nothing
from tests.kit.serving import Noting, queue, served, serving
from tests.kit.shares import share

from .test_hostile_exceptions import HOSTILE, NoText, NoTextBase

ONCE = tenure.RestartPolicy(max_attempts=1)


class NoTextAtAll:
    def __repr__(self) -> str:
        raise AttributeError("no text here")


class WrongTraceback(Exception):
    def with_traceback(self, _: Any) -> Any:
        return None


class NoTextAgain(Exception):
    """Answers whatever it is asked `LEFT` times, and never again: so that each who asks is found."""

    left = 0

    def __repr__(self) -> str:
        self.answer()
        return "NoTextAgain()"

    def with_traceback(self, found: Any) -> Any:
        self.answer()
        return super().with_traceback(found)

    def answer(self) -> None:
        if self.left == 0:
            raise AttributeError("no answer any more")
        self.left -= 1

    @classmethod
    def after(cls, times: int) -> NoTextAgain:
        made = cls()
        made.left = times
        return made


class NoTextOfValueAgain:
    """Of a value in an exception: the same."""

    def __init__(self) -> None:
        self.left = 1

    def __repr__(self) -> str:
        self.left -= 1
        if self.left < 0:
            raise AttributeError("no text any more")
        return "a value"


RAISED: dict[str, Callable[[], BaseException]] = {
    **HOSTILE,
    "a BaseException without a text": NoTextBase,
    "a value without a text": lambda: ValueError(NoTextAtAll()),
    "a group of a value without a text": lambda: BaseExceptionGroup("some", [ValueError(NoTextAtAll()), KeyError(1)]),
    "no traceback can be set": WrongTraceback,
    **{f"no answer after {times}": partial(NoTextAgain.after, times) for times in range(1, 7)},
    "a value without a text the second time": lambda: ValueError(NoTextOfValueAgain()),
    "a group of a value without a text the second time": lambda: ExceptionGroup(
        "some", [ValueError(NoTextOfValueAgain())]
    ),
    "plain": lambda: ValueError("plain"),
}


def fail(raised: str) -> NoReturn:
    error = RAISED[raised]()
    raise error


async def in_task(raised: str) -> None:
    async def task() -> None:
        await trio.lowlevel.checkpoint()
        fail(raised)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(task)
        nursery.start_soon(trio.sleep_forever)


async def in_started_task(raised: str) -> None:
    async def task(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.lowlevel.checkpoint()
        fail(raised)

    async with trio.open_nursery() as nursery:
        await nursery.start(task)
        await trio.sleep_forever()


async def in_task_of_task(raised: str) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(in_task, raised)
        nursery.start_soon(trio.sleep_forever)


async def in_body(raised: str) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        await trio.lowlevel.checkpoint()
        fail(raised)


async def in_inner_body(raised: str) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        with trio.move_on_after(1_000):
            await in_body(raised)


WAYS = {each.__name__: each for each in (in_task, in_started_task, in_task_of_task, in_body, in_inner_body)}


@pytest.mark.parametrize("place", ["behaviour", "step", "bounded step", "branch"])
@pytest.mark.parametrize("way", WAYS)
async def test_whatever_is_raised_in_a_nursery_of_a_behaviour_ends_its_own_run_alone(
    way: str, place: str, autojump_clock: trio.testing.MockClock
) -> None:
    async def hostile(run: tenure.Run) -> None:
        raised = run.inputs[0].payload
        match place:
            case "behaviour":
                await WAYS[way](raised)
            case "step":
                await run.step("hostile", WAYS[way], raised, repeat="freely")
            case "bounded step":
                await run.step("hostile", WAYS[way], raised, repeat="freely", timeout_s=100.0)
            case _:
                await run.gather(partial(WAYS[way], raised), partial(trio.sleep, 1))

    restart = tenure.RestartPolicy(max_attempts=1, budget=100)
    async with host(":memory:", {"hostile": tenure.Behaviour(hostile, restart=restart), "kind": nothing}) as supervisor:
        mallory = await supervisor.spawn("mallory", "hostile")
        for raised in share(RAISED, 3):  # its task works on
            outcome = await (await mallory.accept(raised)).wait_outcome()
            assert outcome.reason == "max_attempts_exhausted", raised
        await consumed(await supervisor.spawn("alice", "kind"), "go")


async def test_what_a_task_raises_is_caught_as_it_is_where_it_can_be_asked_for_its_text(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[str] = []

    async def work(_: tenure.Run) -> None:
        try:
            await in_task("plain")
        except* ValueError as exc:
            seen.extend(str(each) for each in exc.exceptions)
        try:
            await in_task("its text raises")
        except* RuntimeError as exc:
            seen.extend(str(each) for each in exc.exceptions)

    async with host(target, {"kind": work}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
    assert seen == ["plain", "NoText: (no text: AttributeError)"]


async def test_an_error_from_a_nursery_that_was_left_open_says_so_with_what_came_before(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def work(_: tenure.Run) -> None:
        async with trio.open_nursery():
            raise NoText

    async with host(target, {"kind": tenure.Behaviour(work, restart=ONCE)}) as supervisor:
        outcome = await (await (await supervisor.spawn("alice", "kind")).accept("go")).wait_outcome()
    assert (outcome.error or "").startswith("RuntimeError: a nursery was left open, after AttributeError: no text here")


async def test_a_nursery_that_is_not_left_is_an_error_and_its_tasks_end(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    ended: list[str] = []

    async def task() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append("task")

    async def work(_: tenure.Run) -> None:
        nursery = await trio.open_nursery().__aenter__()
        nursery.start_soon(task)
        await trio.sleep(1)

    async with host(target, {"kind": tenure.Behaviour(work, restart=ONCE), "other": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        outcome = await (await runtime.accept("go")).wait_outcome()
        assert (outcome.error or "").startswith("RuntimeError: a nursery was left open by code that had returned")
        assert ended == ["task"]
        await consumed(await supervisor.spawn("bob", "other"), "go")


async def test_a_scope_that_is_left_open_cuts_off_no_later_run(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    """As a generator leaves it that is not read to its end; the task works on for the next runs."""

    async def work(run: tenure.Run) -> int:
        if run.inputs[0].payload == "first":
            trio.move_on_after(5).__enter__()
            return 1
        await trio.sleep(10)
        return 2

    async with host(target, {"kind": tenure.Behaviour(work, restart=ONCE), "other": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        tickets = [await runtime.accept("first"), await runtime.accept("second")]
        assert [(await each.wait_outcome()).result for each in tickets] == [1, 2]
        await runtime.stop()
        await consumed(await supervisor.spawn("bob", "other"), "go")


@pytest.mark.parametrize("way", WAYS)
async def test_a_handler_of_queued_work_whose_nursery_breaks_fails_its_own_work(
    way: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    noting = Noting()

    async def handle(work: tenure.QueuedWork) -> None:
        if str(work.session_id) == "mallory":
            await WAYS[way]("a BaseException without a text")
        await noting(work)

    async with host(target, {}) as supervisor:
        await queue(supervisor, "bad", session="mallory")
        await queue(supervisor, "good", session="alice")
        async with serving(supervisor, handle, restart=ONCE):
            await served(supervisor, "mallory", "alice")
        assert noting.done == ["good"]
