"""What broke when tenure was used, as it was found: runs whose work was done twice, or that were held without need."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(max_attempts=5, backoff_s=1.0)


async def test_a_name_that_is_drawn_anew_charges_nobody_twice(autojump_clock: MockClock, open_host: OpenHost) -> None:
    charged: Counter[str] = Counter()
    names = itertools.cycle(("charge", "charge the card"))

    async def pays(run: tenure.Run) -> None:
        who: str = run.inputs[0].payload
        await run.step(next(names), charged.update, [who], repeat="never")
        if run.attempts == 0:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(pays, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept("ann")
        await runtime.wait_held()
        assert runtime.held == "step mismatch"
        await runtime.resume(restart_run=True)  # what its error offers pays nobody twice either
        await trio.sleep(200)

    assert charged == {"ann": 1}


async def test_a_step_that_lost_against_its_time_is_not_taken_where_it_would_win_now(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    ways = list[list[str]]()

    async def slow() -> str:
        await trio.sleep(1 if len(ways) > 1 else 9)
        return "primary"

    async def asks(run: tenure.Run) -> None:
        ways.append([])
        async with run.move_on_after(5) as scope:
            ways[-1].append(await run.step("primary", slow, repeat="freely"))
        if scope.cancelled_caught:
            ways[-1].append(await run.step("fallback", str, "fallback", repeat="freely"))
        if run.attempts < 2:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(asks, restart=QUICK)}) as supervisor:
        outcome = await (await (await supervisor.spawn("a", "k")).accept(1)).wait_outcome()

    assert outcome.phase == "consumed"
    assert ways == [["fallback"]] * 3


async def test_tools_called_side_by_side_hold_no_agent_and_say_what_they_say_in_one_order(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    source = random.Random(0)
    called: Counter[str] = Counter()

    async def tool(name: str) -> str:
        called[name] += 1
        await trio.sleep(source.random())
        return name

    async def calls(run: tenure.Run) -> None:
        mine: str = run.inputs[0].payload

        async def call(number: int) -> None:
            run.session.append(await run.step("tool", tool, f"{mine}.{number}", repeat="never"))

        async with trio.open_nursery() as nursery:
            for number in range(3):
                name = f"{mine} by id {number}"
                nursery.start_soon(lambda name=name: run.step("tool", tool, name, repeat="never", call=name))
        await run.gather(*[lambda number=number: call(number) for number in range(3)])
        if run.attempts == 0:
            raise ConnectionError("of a test")

    names = [f"agent {number}" for number in range(10)]
    async with open_host({"k": tenure.Behaviour(calls, restart=QUICK)}) as supervisor:
        tickets = [await (await supervisor.spawn(name, "k")).accept(name) for name in names]
        for ticket in tickets:
            assert (await ticket.wait_outcome()).phase == "consumed"
        for name in names:
            assert await supervisor.read_session(name) == [f"{name}.{number}" for number in range(3)]

    assert set(called.values()) == {1}
    assert len(called) == 60


async def test_agents_that_go_on_with_their_host_call_no_more_models_at_once_than_are_allowed(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    at_once = most = 0

    async def model() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await trio.sleep(1)
        at_once -= 1

    async def thinks(run: tenure.Run) -> None:
        await run.step("model", model, repeat="freely")

    kinds = {"k": tenure.Behaviour(thinks, max_running=3)}
    with trio.CancelScope() as scope:
        async with open_host(kinds) as supervisor:
            for number in range(30):
                await (await supervisor.spawn(f"agent {number}", "k")).accept(1, idempotency_key="once")
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    at_once = most = 0
    async with open_host(kinds) as supervisor:
        for number in range(30):
            ticket = await supervisor.ticket(f"agent {number}", idempotency_key="once")
            assert (await ticket.wait_outcome()).phase == "consumed"

    assert most == 3
