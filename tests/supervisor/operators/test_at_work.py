"""Why a run stands where it does, as its own host knows it: steps that execute, and steps that wait for the record."""

from __future__ import annotations

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
