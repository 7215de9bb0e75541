"""Tasks that a branch starts in a nursery outside of it: refused live when the branch has ended, not at the next entering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput
from tests.kit.alone import OpenHost

ONCE = tenure.RestartPolicy(max_attempts=1)


async def asks_step(run: tenure.Run) -> None:
    await run.step("later", str, repeat="freely")


async def asks_call(run: tenure.Run) -> None:
    await run.step("later", str, repeat="freely", call="later")


async def asks_gather(run: tenure.Run) -> None:
    await run.gather(lambda: asks_step(run))


async def sends(run: tenure.Run) -> None:
    run.send("b", 1)


async def appends(run: tenure.Run) -> None:
    run.session.append(1)


async def writes(run: tenure.Run) -> None:
    run.state.set("a", 1)


async def draws(run: tenure.Run) -> None:
    run.now()


ASKS = [asks_step, asks_call, asks_gather, sends, appends, writes, draws]

Sides = Callable[[tenure.Run, Callable[[], Any]], Any]


async def of_gather(run: tenure.Run, side: Callable[[], Any]) -> None:
    await run.gather(side)


async def of_first(run: tenure.Run, side: Callable[[], Any]) -> None:
    await run.first(side, trio.sleep_forever)


async def nested(run: tenure.Run, side: Callable[[], Any]) -> None:
    await run.gather(lambda: of_gather(run, side))


@pytest.mark.parametrize("sides", [of_gather, of_first, nested])
@pytest.mark.parametrize("ask", ASKS)
async def test_what_a_task_asks_for_after_the_end_of_its_branch_is_refused(
    autojump_clock: MockClock, open_host: OpenHost, ask: Any, sides: Sides
) -> None:
    refused: list[str] = []

    async def act(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:

            async def task() -> None:
                await trio.sleep(5)
                try:
                    await ask(run)
                except InvalidInput as exc:
                    refused.append(exc.detail)

            async def side() -> None:
                nursery.start_soon(task)
                await run.step("own", str, repeat="freely")

            await sides(run, side)
            await run.step("after", str, repeat="freely")
            await trio.sleep(10)

    async with open_host({"k": tenure.Behaviour(act, restart=ONCE)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        outcome = await ticket.wait_outcome()
        (said,) = refused
        assert "has ended" in said
        assert "in a nursery inside it" in said
        assert outcome.phase == "consumed"
        assert [each.place for each in await supervisor.entries("a")][-1] == "main/2"


@pytest.mark.parametrize("call", [None, "later"])
@pytest.mark.parametrize("attempts", [1, 2])
async def test_a_branch_that_returns_while_its_step_is_in_flight_fails_the_attempt(
    autojump_clock: MockClock, open_host: OpenHost, call: str | None, attempts: int
) -> None:
    async def act(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:

            async def task() -> None:
                await run.step("slow", trio.sleep, 5, repeat="freely", call=call)

            async def side() -> None:
                nursery.start_soon(task)
                await trio.sleep(1)

            await run.gather(side)
            await run.step("after", str, repeat="freely")

    restart = tenure.RestartPolicy(max_attempts=attempts, backoff_s=1.0)
    async with open_host({"k": tenure.Behaviour(act, restart=restart)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        outcome = await (await runtime.accept(1)).wait_outcome()
        assert outcome.reason == "max_attempts_exhausted"
        assert "step slow is in flight where main/1.1 returns" in (outcome.error or "")
        assert runtime.held is None


async def test_so_does_a_behaviour_whose_step_another_task_of_the_program_waits_for(
    autojump_clock: MockClock, open_host: OpenHost, nursery: trio.Nursery
) -> None:
    done: list[float] = []

    async def act(run: tenure.Run) -> None:
        async def task() -> None:
            with trio.CancelScope() as scope:
                left.append(scope)
                await run.step("pay", pay, repeat="never")

        nursery.start_soon(task)
        await trio.sleep(1)

    async def pay() -> None:
        await trio.sleep(100)
        done.append(trio.current_time())

    left: list[trio.CancelScope] = []
    async with open_host({"k": tenure.Behaviour(act, restart=ONCE)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        outcome = await (await runtime.accept(1)).wait_outcome()
        assert "step pay is in flight where main returns" in (outcome.error or "")
        (letter,) = await supervisor.dead_letters("a")
        assert letter.in_doubt == ("pay at main/1",)
        for each in left:
            each.cancel()
    assert not done


async def test_a_task_in_a_nursery_inside_its_branch_is_of_that_branch(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def act(run: tenure.Run) -> None:
        async def side() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(asks_step, run)

        await run.gather(side)
        await run.step("after", str, repeat="freely")
        if not run.attempts:
            raise ConnectionError("of a test")

    async with open_host({"k": act}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert [each.place for each in await supervisor.entries("a")] == ["main/1", "main/1.1/1", "main/2"]
