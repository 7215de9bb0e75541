"""A hold comes when what it is for is found, however long another branch of the run still waits durably."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tests.kit.alone import OpenHost

LONG_S = 100_000.0


async def sleeps(run: tenure.Run) -> None:
    await run.sleep(LONG_S)


async def asks(run: tenure.Run) -> None:
    await run.ask("b", 1, kind="silent")


async def backs_off(run: tenure.Run) -> None:
    await run.step("ring", int, "nobody", repeat="freely", attempts=3, backoff_s=LONG_S, backoff_limit_s=LONG_S)


async def silent(run: tenure.Run) -> None:
    await trio.sleep_forever()


@asynccontextmanager
async def deployed(open_host: OpenHost, behaviour: Any, version: str) -> AsyncGenerator[tenure.Supervisor]:
    with trio.CancelScope() as scope:
        kinds = {"k": tenure.Behaviour(behaviour, version=version), "silent": silent}
        async with open_host(kinds) as supervisor:
            yield supervisor
            scope.cancel()  # nothing is drained
            await trio.sleep_forever()


@pytest.mark.parametrize("waits", [sleeps, asks, backs_off])
async def test_a_mismatch_holds_while_another_branch_waits(
    autojump_clock: MockClock, open_host: OpenHost, waits: Any
) -> None:
    async def before(run: tenure.Run) -> None:
        await run.step("pay", str, repeat="never", call="c1")
        await trio.sleep_forever()

    async def after(run: tenure.Run) -> None:
        await run.gather(partial(waits, run), partial(run.step, "pay by card", str, repeat="never"))

    async with deployed(open_host, before, "1") as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1)
        await wait_all_tasks_blocked()
    async with deployed(open_host, after, "2") as supervisor:
        runtime = await supervisor.spawn("a", "k")
        with trio.fail_after(LONG_S / 2):
            assert await runtime.wait_held() == "step mismatch"
        assert "#c1" in (runtime.held_detail or "")


@pytest.mark.parametrize("waits", [sleeps, asks, backs_off])
async def test_a_doubt_holds_while_another_branch_waits_and_that_goes_on_where_it_stood(
    autojump_clock: MockClock, open_host: OpenHost, waits: Any
) -> None:
    paid = 0

    async def pay() -> None:
        nonlocal paid
        paid += 1
        await trio.sleep_forever()

    async def behaviour(run: tenure.Run) -> None:
        with trio.move_on_after(LONG_S / 4):  # so that the one that asks ends, too
            await run.gather(partial(waits, run), partial(run.step, "pay", pay, repeat="never"))

    async with deployed(open_host, behaviour, "1") as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
        await wait_all_tasks_blocked()
    async with deployed(open_host, behaviour, "1") as supervisor:
        runtime = await supervisor.spawn("a", "k")
        with trio.fail_after(LONG_S / 8):
            assert await runtime.wait_held() == "needs attention"
        await runtime.settle_step("main/1.2/1", tenure.Ran("paid"))
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert (await ticket.wait_outcome()).phase == "consumed"

    assert paid == 1
