"""A scope whose body ends where it was cut off before: what is in no record may be quicker the next time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(max_attempts=4, backoff_s=0.1, backoff_limit_s=0.1)


async def alone(run: tenure.Run, slow: float) -> list[bool]:
    async with run.move_on_after(1) as scope:
        await trio.sleep(slow)
    return [scope.cancelled_caught]


async def with_an_error(run: tenure.Run, slow: float) -> list[bool]:
    async with run.move_on_after(1) as scope:
        await trio.sleep(slow)
        raise ConnectionError
    return [scope.cancelled_caught]


async def after_one_that_was_not(run: tenure.Run, slow: float) -> list[bool]:
    async with run.move_on_after(1) as before:
        await trio.lowlevel.checkpoint()
    return [before.cancelled_caught, *await alone(run, slow)]


async def around_one_that_was_not(run: tenure.Run, slow: float) -> list[bool]:
    found = list[bool]()
    async with run.move_on_after(3) as scope:
        async with run.move_on_after(1) as within:
            await trio.lowlevel.checkpoint()
        found.append(within.cancelled_caught)
        await trio.sleep(slow)
    return [*found, scope.cancelled_caught]


async def in_one_that_was_not(run: tenure.Run, slow: float) -> list[bool]:
    async with run.move_on_after(30) as around:
        found = await alone(run, slow)
        await run.step("in it", str, repeat="freely")
    return [around.cancelled_caught, *found]


async def twice(run: tenure.Run, slow: float) -> list[bool]:
    return [*await alone(run, slow), *await alone(run, slow)]


async def after_an_entry(run: tenure.Run, slow: float) -> list[bool]:
    async with run.move_on_after(1) as scope:
        await run.step("in it", str, repeat="freely")
        await trio.sleep(slow)
    return [scope.cancelled_caught]


async def in_a_branch(run: tenure.Run, slow: float) -> list[bool]:
    [found] = await run.gather(lambda: alone(run, slow))
    return found


async def long(seconds: float) -> None:
    await trio.sleep(seconds)


async def several_in_a_total(run: tenure.Run, slow: float) -> list[bool]:
    found = list[bool]()
    async with run.move_on_after(60) as total:
        for _ in range(4):
            async with run.move_on_after(30) as scope:
                await run.step("look", long, 25, repeat="freely")
            found.append(scope.cancelled_caught)
    return [*found, total.cancelled_caught]


async def calls_in_a_total(run: tenure.Run, slow: float) -> list[bool]:
    found = list[bool]()
    async with run.move_on_after(60) as total:
        for number in range(4):
            async with run.move_on_after(30) as scope:
                await run.step("look", long, 25, repeat="freely", call=f"call_{number}")
            found.append(scope.cancelled_caught)
    return [*found, total.cancelled_caught]


async def calls_beside_one_that_is_cut_off(run: tenure.Run, slow: float) -> list[bool]:
    async def later() -> None:
        await trio.sleep(0.5)
        await run.step("look", long, 0.1, repeat="freely", call="later")
        await trio.sleep(1.5)
        await run.step("pay", str, repeat="never", call="never")

    async with run.move_on_after(1) as scope, trio.open_nursery() as nursery:
        nursery.start_soon(later)
        await run.step("look", long, 9, repeat="freely", call="cut off")
    return [scope.cancelled_caught]


async def several_in_no_record(run: tenure.Run, slow: float) -> list[bool]:
    found = list[bool]()
    async with run.move_on_after(60) as total:
        await run.step("look", long, 50, repeat="freely")
        async with run.move_on_after(30) as scope:
            await trio.sleep(40)
        found.append(scope.cancelled_caught)
    return [*found, total.cancelled_caught]


async def one_in_it_and_the_total(run: tenure.Run, slow: float) -> list[bool]:
    found = list[bool]()
    async with run.move_on_after(60) as total:
        for _ in range(4):
            async with run.move_on_after(25) as scope:
                await run.step("look", long, 100, repeat="freely")
            found.append(scope.cancelled_caught)
    return [*found, total.cancelled_caught]


async def after_one_in_it_that_cut_a_step(run: tenure.Run, slow: float) -> list[bool]:
    async with run.move_on_after(3) as total:
        async with run.move_on_after(1) as scope:
            await run.step("look", long, 9, repeat="freely")
        await trio.sleep(slow)
    return [scope.cancelled_caught, total.cancelled_caught]


async def after_a_scope_of_trio_in_it_that_cut_a_step(run: tenure.Run, slow: float) -> list[bool]:
    async with run.move_on_after(3) as total:
        with trio.move_on_after(1) as scope:
            await run.step("look", long, 9, repeat="freely")
        await trio.sleep(slow)
    return [scope.cancelled_caught, total.cancelled_caught]


@pytest.mark.parametrize(
    "scopes",
    [
        alone,
        with_an_error,
        after_one_that_was_not,
        around_one_that_was_not,
        in_one_that_was_not,
        twice,
        after_an_entry,
        in_a_branch,
        several_in_a_total,
        calls_in_a_total,
        calls_beside_one_that_is_cut_off,
        several_in_no_record,
        one_in_it_and_the_total,
        after_one_in_it_that_cut_a_step,
        after_a_scope_of_trio_in_it_that_cut_a_step,
    ],
)
async def test_it_is_cut_off_again(autojump_clock: MockClock, open_host: OpenHost, scopes: Callable[..., Any]) -> None:
    found = list[list[bool]]()

    async def act(run: tenure.Run) -> None:
        found.append(await scopes(run, 0.1 if run.attempts else 9))
        await run.step("cut off" if True in found[-1] else "not cut off", str, repeat="freely")
        if run.attempts < 2:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        with trio.fail_after(1_000):
            outcome = await (await runtime.accept(1)).wait_outcome()

    assert outcome.phase == "consumed", outcome
    assert len(found) == 3
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("scopes", [alone, after_an_entry, in_a_branch, in_one_that_was_not, twice])
async def test_one_that_was_not_cut_off_is_not_where_its_run_is_slower_when_it_enters_again(
    autojump_clock: MockClock, open_host: OpenHost, scopes: Callable[..., Any]
) -> None:
    found = list[list[bool]]()

    async def act(run: tenure.Run) -> None:
        found.append(await scopes(run, 9 if run.attempts else 0.1))
        await run.step("cut off" if True in found[-1] else "not cut off", str, repeat="freely")
        async with run.move_on_after(1) as scope:
            await trio.sleep(9 if run.attempts == 2 else 0.1)  # its time counts where nothing is recorded after it
        found[-1].append(scope.cancelled_caught)
        if run.attempts < 2:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        with trio.fail_after(1_000):
            outcome = await (await runtime.accept(1)).wait_outcome()

    assert outcome.phase == "consumed", outcome
    assert [each[:-1] for each in found] == [found[0][:-1]] * 3
    assert not any(found[0])
    assert [each[-1] for each in found] == [False, False, True]
