"""Times that a branch was given last, before it ended: the same where the run enters again, as all others are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.supervisor.operators.reads import StoreReads
from tests.kit.alone import OpenHost

Sides = Callable[[tenure.Run, Callable[[], Any]], Any]


async def asks_nothing(run: tenure.Run) -> list[datetime]:
    return [run.now(), run.now()]


async def asks_before(run: tenure.Run) -> list[datetime]:
    await run.step("own", str, repeat="freely")
    return [run.now()]


async def asks_by_call(run: tenure.Run) -> list[datetime]:
    given = [run.now()]
    await run.step("own", str, repeat="freely", call="own")
    return [*given, run.now()]


async def in_gather(run: tenure.Run, side: Callable[[], Any]) -> Any:
    return await run.gather(side, side_that_sleeps, side)


async def in_first(run: tenure.Run, side: Callable[[], Any]) -> Any:
    return await run.first(trio.sleep_forever, side)


async def nested(run: tenure.Run, side: Callable[[], Any]) -> Any:
    return await run.gather(lambda: run.gather(side), lambda: run.first(side))


async def of_one_that_raises(run: tenure.Run, side: Callable[[], Any]) -> Any:
    async def raises() -> None:
        raise LookupError(await side())

    try:
        await run.gather(raises)
    except LookupError as exc:
        return exc.args


async def side_that_sleeps() -> None:
    await trio.sleep(3)


@pytest.mark.parametrize("ask", [asks_nothing, asks_before, asks_by_call])
@pytest.mark.parametrize("sides", [in_gather, in_first, nested, of_one_that_raises])
async def test_a_time_that_a_branch_was_given_last_is_the_same_where_the_run_enters_again(
    autojump_clock: MockClock, open_host: OpenHost, sides: Sides, ask: Any
) -> None:
    if ask is asks_by_call and sides in (in_gather, nested):
        ask = asks_before  # a call id is asked for once
    given: list[str] = []

    async def act(run: tenure.Run) -> None:
        given.append(str(await sides(run, lambda: ask(run))))
        await run.step("after", str, repeat="freely")
        await trio.sleep(5)
        if run.attempts < 2:
            raise ConnectionError("of a test")

    restart = tenure.RestartPolicy(max_attempts=5, backoff_s=1.0)
    async with open_host({"k": tenure.Behaviour(act, restart=restart)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        outcome = await (await runtime.accept(1)).wait_outcome()
        assert outcome.phase == "consumed"
        assert len(given) == 3
        assert len({*given}) == 1
        places = [each.place for each in await supervisor.entries("a")]
        assert len(places) == len({*places})


async def test_why_names_the_sleep_and_not_what_is_recorded_beside_it(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def act(run: tenure.Run) -> None:
        await run.first(lambda: asks_nothing(run))
        async with run.move_on_after(1):
            await run.step("cut", trio.sleep, 50, repeat="freely")
        await run.gather(lambda: asks_nothing(run))
        await run.sleep(1_000)

    async with open_host({"k": act}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        await trio.sleep(10)
        assert "its run sleeps, at main/4" in (await StoreReads.why(supervisor, "a"))["because"]
