"""Why a run stands where it does, as its own host knows it: steps that execute, and steps that wait for the record."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import tenure
from tests.kit.alone import OpenHost


async def test_why_names_a_freely_step_that_executes(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def think() -> None:
        await trio.sleep(60)

    async def behaviour(run: tenure.Run) -> None:
        await run.step("look", int, repeat="freely")
        await run.step("think", think, repeat="freely")

    async with open_host({"k": tenure.Behaviour(behaviour, version="2")}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(0)
        await trio.sleep(5)
        why = await supervisor.why("a")
        await ticket.wait_outcome()
        after = await supervisor.why("a")

    assert why["because"] == "its run executes step think at main/2, attempt 1, version 2, for 5 s"
    assert after["because"] == "nothing waits in its inbox"


@pytest.mark.process
async def test_why_tells_a_sync_step_that_waits_for_a_thread_from_one_that_runs(database: Path) -> None:
    """In real time, since its threads are."""
    began, go_on = threading.Semaphore(0), threading.Event()

    def hang() -> None:
        began.release()
        go_on.wait()

    async def behaviour(run: tenure.Run) -> None:
        await run.step("hang", hang, repeat="freely")

    limits = tenure.Limits(step_threads=1)
    async with tenure.open_supervisor(database, behaviours={"k": behaviour}, limits=limits) as supervisor:
        first = await supervisor.accept("first", 0, kind="k")
        await trio.to_thread.run_sync(began.acquire)
        second = await supervisor.accept("second", 0, kind="k")
        with trio.fail_after(30):
            while not supervisor.statistics().waiting_steps:  # noqa: ASYNC110 - in real time no event says it
                await trio.sleep(0.01)
        told = {each: (await supervisor.why(each))["because"] for each in ("first", "second")}
        go_on.set()
        for ticket in (first, second):
            assert (await ticket.wait_outcome()).phase == "consumed"

    assert told["first"].startswith("its run executes step hang at main/1, attempt 1, for ")
    assert told["second"].startswith("its run waits for a thread for step hang at main/1, attempt 1, for ")


async def test_why_names_a_step_that_waits_until_what_is_recorded_is_reached(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def old(run: tenure.Run) -> None:
        async def side() -> None:
            await run.step("look", int, repeat="freely")
            await run.step("look again", int, repeat="freely")

        await run.gather(side, lambda: run.sleep(3600))

    async def new(run: tenure.Run) -> None:
        async def side() -> None:
            await run.step("look", int, repeat="freely")
            await trio.sleep(60)  # the record is not reached meanwhile
            await run.step("look again", int, repeat="freely")

        async def pay() -> None:
            await run.sleep(3600)
            await run.step("pay", int, repeat="never")

        await run.gather(side, pay)

    async with open_host({"k": old}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(0)
        await trio.sleep(3580)
    async with open_host({"k": new}) as supervisor:
        await trio.sleep(25)
        why = await supervisor.why("a")

    assert why["because"].startswith("its run waits with step pay at main/1.2/2, attempt 1, for ")
    assert "recorded, and not reached: step look again, freely" in why["because"]
