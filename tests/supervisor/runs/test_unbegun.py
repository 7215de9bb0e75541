"""A step that never repeats, dispatched and not begun when its attempt ends: it is known not to have run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.persistence.seams.executors import Heard
from tests.supervisor.runs.conftest import ALONE, OpenHost, virtual_seams

T = TypeVar("T")

TURNS = range(6)
"""Turns of the scheduler after which the attempt ends: in some the step is dispatched by then, and has not begun."""

POLICY = tenure.RestartPolicy(backoff_s=1.0)


class Payer:
    """Pays in a step by call, and fails beside it in its first attempt, after so many turns."""

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.paid = 0
        self.paid_by_then: int | None = None

    async def pay(self) -> str:
        self.paid += 1
        await trio.sleep(1)
        return "paid"

    async def fail(self) -> None:
        for _ in range(self.turns):
            await trio.lowlevel.checkpoint()
        self.paid_by_then = self.paid
        raise ConnectionError("of a test")

    async def __call__(self, run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run.step("pay", self.pay, repeat="never", call="c1"))
            if run.attempts == 0 and self.paid_by_then is None:
                nursery.start_soon(self.fail)


async def dispatched(supervisor: tenure.Supervisor) -> bool:
    return any(each.status in ("dispatched", "in_doubt") for each in await supervisor.entries("a"))


@pytest.mark.parametrize("turns", TURNS)
async def test_an_attempt_that_fails_before_the_step_has_begun_leaves_no_doubt(
    turns: int, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    payer = Payer(turns)
    async with open_host({"k": tenure.Behaviour(payer, restart=POLICY)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        await trio.sleep(0.1)
        assert await dispatched(supervisor) is bool(payer.paid_by_then)
        await trio.sleep(100)

        assert payer.paid == 1
        assert runtime.held == ("needs attention" if payer.paid_by_then else None)


@pytest.mark.parametrize("turns", TURNS)
async def test_beside_a_step_in_doubt_only_what_has_begun_is_in_doubt(
    turns: int, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    calls: list[str] = []

    async def look(doubt: tenure.StepInDoubt) -> tenure.Verdict | None:
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        return None

    async def act(what: str) -> str:
        calls.append(what)
        if what == "pay":
            await trio.sleep_forever()
        return what

    async def behaviour(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run.step("pay", act, "pay", repeat="never", call="c1"))
            if "pay" in calls:
                nursery.start_soon(lambda: run.step("mail", act, "mail", repeat="never", call="c2"))

    kinds = {"k": tenure.Behaviour(behaviour, in_doubt=look)}
    with trio.CancelScope() as scope:
        async with open_host(kinds) as supervisor:
            await (await supervisor.spawn("a", "k")).accept(1)
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    async with open_host(kinds) as supervisor:
        await trio.sleep(1)
        runtime = supervisor.runtime("a")
        assert runtime.held == "needs attention"
        entries = await supervisor.entries("a")
        doubts = {each.place for each in entries if each.status == "in_doubt"}
        assert doubts <= {"#c1", "#c2"}
        assert {each.place for each in entries} - doubts <= {"#c2"}
        assert ("#c2" in {each.place for each in entries}) is ("mail" in calls)
        await runtime.settle_step(
            "#c1", tenure.Ran("seen"), *[(place, tenure.Ran("seen")) for place in doubts - {"#c1"}]
        )
        await trio.sleep(1)

    assert sorted(calls) == ["mail", "pay"]


class Late:
    """Threads that a system starts late: what was cut off while it waited for one begins all the same, or would."""

    def __init__(self) -> None:
        self.late: list[Callable[[], Any]] = []

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        try:
            await trio.sleep(10)
        except trio.Cancelled:
            self.late.append(function)
            raise
        return function()

    def close(self) -> None:
        """Nothing to close."""


async def test_a_thread_that_is_late_does_not_begin_what_was_left(autojump_clock: MockClock, tmp_path: Path) -> None:
    threads, paid = Late(), list[int]()

    async def fail() -> None:
        await trio.sleep(5)
        raise ConnectionError("of a test")

    async def behaviour(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run.step("pay", paid.append, 1, repeat="never", call="c1"))
            if run.attempts == 0:
                nursery.start_soon(fail)

    seams = attrs.evolve(virtual_seams(1), step_executor=lambda: threads)
    async with tenure.open_supervisor(
        tmp_path / "agents.db", behaviours={"k": tenure.Behaviour(behaviour, restart=POLICY)}, seams=seams, limits=ALONE
    ) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        await trio.sleep(12)
        for each in threads.late:
            each()
        outcome = await ticket.wait_outcome()

    assert outcome.phase == "consumed"
    assert threads.late
    assert paid == [1]


async def test_a_verb_that_drops_the_run_takes_what_is_dispatched_for_in_doubt(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Its commit may be another host's, which knows of the dispatch alone."""
    threads, paid = Late(), list[int]()

    async def behaviour(run: tenure.Run) -> None:
        await run.step("pay", paid.append, 1, repeat="never")

    seams = attrs.evolve(virtual_seams(1), step_executor=lambda: threads)
    async with tenure.open_supervisor(
        tmp_path / "agents.db", behaviours={"k": behaviour}, seams=seams, limits=ALONE
    ) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        await trio.sleep(1)
        await runtime.cancel()
        outcome = await ticket.wait_outcome()
        await trio.sleep(1)
        for each in threads.late:
            each()
        (letter,) = await supervisor.dead_letters("a")

    assert (outcome.phase, letter.reason, letter.in_doubt) == ("abandoned", "cancelled", ("pay at main/1",))
    assert threads.late
    assert paid == []
