"""A scope that is cut off between two entries: recorded too, so that where the run enters again nothing more is done in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
import tenure.asyncio
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(max_attempts=4, backoff_s=0.1, backoff_limit_s=0.1)

Sleep = Callable[[float], Any]


async def between(run: Any, sleep: Sleep, ask: Any, slow: float) -> None:
    async with run.move_on_after(0.3):
        await run.step("before", str, repeat="freely")
        await sleep(slow)
        await ask(run)


async def at_first(run: Any, sleep: Sleep, ask: Any, slow: float) -> None:
    async with run.move_on_after(0.3):
        await sleep(slow)
        await ask(run)


async def twice(run: Any, sleep: Sleep, ask: Any, slow: float) -> None:
    await at_first(run, sleep, ask, slow)
    await at_first(run, sleep, ask, slow)


async def after_one_that_cut_off_a_step(run: Any, sleep: Sleep, ask: Any, slow: float) -> None:
    async with run.move_on_after(0.3):
        await run.sleep(1_000)
    await at_first(run, sleep, ask, slow)


async def in_a_branch(run: Any, sleep: Sleep, ask: Any, slow: float) -> None:
    await run.gather(lambda: between(run, sleep, ask, slow), lambda: run.step("beside", str, repeat="freely"))


async def within_another(run: Any, sleep: Sleep, ask: Any, slow: float) -> None:
    async with run.move_on_after(1_000):
        await between(run, sleep, ask, slow)
        await run.step("outside", str, repeat="freely")


async def beside_a_call(run: Any, sleep: Sleep, ask: Any, slow: float) -> None:
    async def other() -> None:
        await sleep(slow)
        await ask(run)

    async with run.move_on_after(0.3), trio.open_nursery() as nursery:
        nursery.start_soon(partial(run.step, "long", trio.sleep, 1_000, repeat="freely", call="long"))
        nursery.start_soon(other)


OF_ASYNCIO = [between, at_first, twice, after_one_that_cut_off_a_step, in_a_branch, within_another]
SCOPES = [*OF_ASYNCIO, beside_a_call]


async def pays(run: Any) -> None:
    await run.step("pay", str, repeat="never")


async def looks(run: Any) -> None:
    await run.step("look", str, repeat="freely")


async def gathers(run: Any) -> None:
    await run.gather(lambda: looks(run))


async def sleeps(run: Any) -> None:
    await run.sleep(1)


async def asks_another(run: Any) -> None:
    await run.ask("b", 1, kind="echo")


async def attaches(run: Any) -> None:
    await run.session.attach(b"1")


async def maps(run: Any) -> None:
    await run.map("look", str, [1, 2], repeat="freely")


async def spawns(run: Any) -> None:
    await run.spawn("child", "echo")


async def races(run: Any) -> None:
    await run.first(lambda: looks(run))


async def calls(run: Any) -> None:
    await run.step("call", str, repeat="freely", call="call_1")


async def pays_by_call(run: Any) -> None:
    await run.step("pay", str, repeat="never", call="call_1")


async def pays_twice_by_call(run: Any) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(partial(run.step, "pay", str, repeat="never", call=f"call_{number}"))


ASKS = [
    pays,
    looks,
    gathers,
    sleeps,
    asks_another,
    attaches,
    maps,
    spawns,
    races,
    calls,
    pays_by_call,
    pays_twice_by_call,
]


async def echoes(run: Any) -> Any:
    return run.inputs[0].payload


def behaviour(scopes: Any, ask: Any, sleep: Sleep) -> Any:
    async def act(run: Any) -> None:
        await scopes(run, sleep, ask, 0.0 if run.attempts else 100.0)
        await run.step("after", str, repeat="freely")
        if run.attempts < 2:
            raise ConnectionError("of a test")

    return act


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("scopes", SCOPES)
async def test_what_comes_after_the_cut_is_not_asked_for_where_the_run_enters_again(
    autojump_clock: MockClock, open_host: OpenHost, scopes: Any, ask: Any
) -> None:
    act = behaviour(scopes, ask, trio.sleep)

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK), "echo": echoes}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        with trio.fail_after(1_000):
            assert (await ticket.wait_outcome()).phase == "consumed", runtime.held_detail
        names = [each.name for each in await supervisor.entries("a")]
        assert not {"pay", "look", "b", "attach", "child", "call"} & {*names}
        assert names[-1] == "after"


@pytest.mark.parametrize("scopes", OF_ASYNCIO)
def test_and_so_it_is_on_the_loop_of_asyncio(scopes: Any) -> None:
    act = tenure.asyncio.behaviour(behaviour(scopes, looks, asyncio.sleep))

    async def main() -> None:
        given = {"k": tenure.Behaviour(act, restart=QUICK)}
        async with tenure.asyncio.open_supervisor(":memory:", behaviours=given) as supervisor:
            runtime = await supervisor.spawn("a", "k")
            ticket = await runtime.accept(1)
            async with asyncio.timeout(30):
                assert (await ticket.wait_outcome()).phase == "consumed", runtime.held_detail
            assert "look" not in [each.name for each in await supervisor.entries("a")]

    asyncio.run(main())


async def test_a_scope_that_is_put_in_before_moves_nothing(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def act(run: tenure.Run) -> None:
        if run.attempts:
            async with run.move_on_after(1_000):
                await run.step("first", str, repeat="freely")
        else:
            await run.step("first", str, repeat="freely")
        await between(run, trio.sleep, looks, 0.0 if run.attempts else 100.0)
        await run.step("after", str, repeat="freely")
        if not run.attempts:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        with trio.fail_after(1_000):
            assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_call_of_a_task_beside_the_scope_does_not_wait_for_its_end(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    ended: list[float] = []

    async def act(run: tenure.Run) -> None:
        async def beside() -> None:
            await trio.sleep(0.0 if run.attempts else 200.0)
            await run.step("call", str, repeat="never", call="call_1")
            ended.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(beside)
            async with run.move_on_after(100):
                await trio.sleep(1_000)
            if not run.attempts:
                raise ConnectionError("of a test")
        ended.append(trio.current_time())

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        with trio.fail_after(1_000):
            assert (await ticket.wait_outcome()).phase == "consumed"
    assert ended[1] - ended[0] > 90


async def test_what_a_scope_cut_off_within_one_of_trio_is_cut_off_by_that_again(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def act(run: tenure.Run) -> None:
        async with run.move_on_after(5):
            await trio.sleep(0.0 if run.attempts else 3.0)
            with trio.move_on_after(3):
                await run.step("long", trio.sleep, 1_000, repeat="freely")
            run.session.append("past the cut")
            await run.step("pay", str, repeat="never")
        await run.step("after", str, repeat="freely")
        if run.attempts < 2:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        with trio.fail_after(1_000):
            assert (await ticket.wait_outcome()).phase == "consumed"
        assert "pay" not in [each.name for each in await supervisor.entries("a")]
        assert await supervisor.read_session("a") == []


@pytest.mark.parametrize("inner", ["recorded", "of trio"])
async def test_a_scope_that_was_not_over_is_not_over_after_a_shorter_one_within_it(
    autojump_clock: MockClock, open_host: OpenHost, inner: str
) -> None:
    found: list[bool] = []

    async def act(run: tenure.Run) -> None:
        async with run.move_on_after(5) as scope:
            if inner == "recorded":
                async with run.move_on_after(1):
                    await run.step("long", trio.sleep, 1_000, repeat="freely")
            else:
                with trio.move_on_after(1):
                    await run.step("long", trio.sleep, 1_000, repeat="freely")
            await trio.sleep(10.0 if run.attempts else 1.0)
        found.append(scope.cancelled_caught)
        await run.step("after", str, repeat="freely")
        if run.attempts < 2:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        with trio.fail_after(1_000):
            assert (await ticket.wait_outcome()).phase == "consumed"
    assert found == [False] * 3


async def keeps_nothing(_run: Any) -> None:
    """Asks for nothing either."""


async def appends(run: Any) -> None:
    run.session.append("past the cut")


@pytest.mark.parametrize("say", [keeps_nothing, appends])
async def test_what_scopes_cut_off_past_the_cut_of_one_around_them_is_in_no_record(
    autojump_clock: MockClock, open_host: OpenHost, say: Any
) -> None:
    found: list[Any] = []

    async def act(run: tenure.Run) -> None:
        async with run.move_on_after(200):
            await trio.sleep(0.0 if found else 300.0)
            for _ in range(2):
                async with run.move_on_after(1):
                    await say(run)
                    await trio.sleep(100)  # as long as an entering may take to come past what is recorded, and longer
        drawn = run.random.random()
        async with run.move_on_after(1):
            await run.step("in the scope", str, repeat="freely")
        found.append([drawn, await run.session.messages()])
        await run.step("after", str, repeat="freely")
        if run.attempts < 2:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        with trio.fail_after(2_000):
            assert (await ticket.wait_outcome()).phase == "consumed"
        assert [each.name for each in await supervisor.entries("a")] == ["cut off", "in the scope", "after"]
    assert found[1:] == found[:1] * 2
