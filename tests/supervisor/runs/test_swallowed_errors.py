"""A behaviour that swallows whatever it is refused, again and again, keeps neither the loop of its host nor its own hold."""

from __future__ import annotations

from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

import tenure
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(max_attempts=3, backoff_s=1.0)
MOST: Final = 5_000
"""Errors that a test swallows before it ends itself: a loop that the host cannot leave would end no test."""


class Swallows:
    """Asks for something again and again, and swallows every error."""

    def __init__(self, ask: Any, kinds: type[BaseException] = Exception) -> None:
        self.ask = ask
        self.swallowed = 0
        self._kinds = kinds

    async def run(self, run: tenure.Run) -> None:
        while self.swallowed < MOST:
            try:
                await self.ask(run)
            except self._kinds:
                self.swallowed += 1


async def asks_step(run: tenure.Run) -> None:
    await run.step("look", str, repeat="freely")


async def asks_map(run: tenure.Run) -> None:
    await run.map("look", str, [1], repeat="freely")


async def asks_gather(run: tenure.Run) -> None:
    await run.gather(lambda: asks_step(run))


async def asks_checkpoint(run: tenure.Run) -> None:
    await run.checkpoint()


async def asks_sleep(run: tenure.Run) -> None:
    await run.sleep(1)


async def asks_another(run: tenure.Run) -> None:
    await run.ask("b", 1)


ASKS = [asks_step, asks_map, asks_gather, asks_checkpoint, asks_sleep, asks_another]


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("kinds", [Exception, BaseException])
async def test_its_runtime_is_held_for_the_first_of_them(
    autojump_clock: MockClock, open_host: OpenHost, ask: Any, kinds: type[BaseException]
) -> None:
    swallows = Swallows(ask, kinds)

    async def act(run: tenure.Run) -> None:
        if run.attempts == 0:
            await run.spawn("child", "k")
            await run.checkpoint()
            raise ConnectionError("of a test")
        await swallows.run(run)

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        with trio.fail_after(60):
            await runtime.wait_held()
        assert runtime.held == "step mismatch"
    assert swallows.swallowed < MOST or kinds is BaseException


async def test_a_run_that_may_do_no_more_steps_leaves_the_loop_to_others(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    swallows = Swallows(asks_step)

    async with open_host({"k": tenure.Behaviour(swallows.run, restart=QUICK), "well": asks_step}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        while not swallows.swallowed:
            await trio.lowlevel.checkpoint()
        ticket = await (await supervisor.spawn("b", "well")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        await runtime.stop()
        assert 0 < swallows.swallowed < MOST
