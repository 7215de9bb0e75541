"""What the winner of a `first` saw last is on disk with its winning: the same where the run enters again from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import StepFailed
from tests.kit.alone import OpenHost


def fails_at_first() -> Callable[[], str]:
    calls = iter([ConnectionError("of a test")])

    def function(**_: str) -> str:
        for error in calls:
            raise error
        return "done"

    return function


async def a_time(run: tenure.Run, function: Callable[[], str]) -> str:
    return str(run.now())


async def an_error(run: tenure.Run, function: Callable[[], str]) -> str:
    try:
        return await run.step("look", function, repeat="freely")
    except StepFailed as exc:
        return exc.detail


async def an_error_of_a_keyed_step(run: tenure.Run, function: Callable[[], str]) -> str:
    try:
        return await run.step("pay", function, repeat="keyed", call="call_1")
    except StepFailed as exc:
        return exc.detail


async def a_cut(run: tenure.Run, function: Callable[[], str]) -> str:
    with trio.move_on_after(run.attempts * 9 + 1):
        await run.sleep(5)
        return "slept"
    return "cut off"


async def a_winner_within(run: tenure.Run, function: Callable[[], str]) -> str:
    return await run.first(lambda: an_error(run, function), trio.sleep_forever)


@pytest.mark.parametrize("side", [a_time, an_error, an_error_of_a_keyed_step, a_cut, a_winner_within])
async def test_what_the_winner_saw_last_is_the_same_where_nothing_is_recorded_after_it(
    autojump_clock: MockClock, open_host: OpenHost, side: Callable[..., Any]
) -> None:
    function, given = fails_at_first(), list[Any]()

    async def act(run: tenure.Run) -> None:
        given.append(await run.first(trio.sleep_forever, lambda: side(run, function)))
        if run.attempts == 0:
            await trio.sleep(5)
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(act)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        with trio.fail_after(1_000):
            outcome = await (await runtime.accept(1)).wait_outcome()

    assert outcome.phase == "consumed", outcome
    assert len(given) == 2
    assert given[0] == given[1]
