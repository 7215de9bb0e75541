"""A scope cuts an entry off whose own nursery raises at that: it is cut off, and what it raised stands in its record."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.supervisor.runs.recording.step_terms import cut_in
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(max_attempts=5, backoff_s=1.0)
ENTRIES = ["step", "call", "gather", "map"]


async def cleans_up_badly() -> None:
    """Do something side by side, of which one thing fails when it is cancelled."""

    async def fails() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as exc:
            raise ValueError("of the clean-up") from exc

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fails)
        nursery.start_soon(trio.sleep_forever)


async def ask_for(run: tenure.Run, entry: str, function: Any, repeat: str) -> None:
    match entry:
        case "gather":
            await run.gather(function)
        case "map":

            async def of_item(_: int) -> None:
                await function()

            await run.map("work", of_item, [1], repeat=repeat)
        case _:
            await run.step("work", function, repeat=repeat, call="c" if entry == "call" else None)


@pytest.mark.parametrize("entry", ENTRIES)
async def test_it_is_cut_off_alike_where_the_run_enters_again(
    autojump_clock: MockClock, open_host: OpenHost, entry: str
) -> None:
    done, ways = list[int](), list[str]()

    async def work() -> None:
        done.append(1)
        await cleans_up_badly()

    async def act(run: tenure.Run) -> None:
        way = "cut off"
        try:
            async with run.move_on_after(5):
                await ask_for(run, entry, work, "freely")
        except BaseExceptionGroup:
            way = "raised"
        await run.step("look", str, way, repeat="freely")
        ways.append(way)
        if run.attempts == 0:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(act, version="1", restart=QUICK)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
    assert ways == ["cut off"] * 2
    assert len(done) == 1


@pytest.mark.parametrize("entry", ["step", "call"])
async def test_one_that_never_repeats_leaves_its_doubt(
    autojump_clock: MockClock, open_host: OpenHost, entry: str
) -> None:
    async def act(run: tenure.Run) -> None:
        with trio.move_on_after(5):
            await ask_for(run, entry, cleans_up_badly, "never")

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        (letter,) = await supervisor.dead_letters("a")
    assert [each.partition(" at ")[0] for each in letter.in_doubt] == ["work"]


async def test_what_it_raised_stands_in_its_record(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def act(run: tenure.Run) -> None:
        async with run.move_on_after(5):
            await run.step("work", cleans_up_badly, repeat="freely")
        await trio.sleep(50)

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1)
        await trio.sleep(20)
        entries = await supervisor.entries("a", content=True)
    assert "ValueError: of the clean-up" in str(entries)


async def test_a_loser_that_cleans_up_badly_does_not_end_its_first(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def wins() -> str:
        await trio.sleep(1)
        return "won"

    async def act(run: tenure.Run) -> Any:
        return await run.first(cleans_up_badly, wins)

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).result == "won"


async def test_ctrl_c_in_what_is_cut_off_goes_on() -> None:
    cancelled = list[BaseException]()
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as exc:
            cancelled.append(exc)
            raise
    assert cut_in(BaseExceptionGroup("", [ValueError(), *cancelled])) is cancelled[0]
    assert cut_in(BaseExceptionGroup("", [KeyboardInterrupt(), *cancelled])) is None
    assert cut_in(ValueError()) is None
