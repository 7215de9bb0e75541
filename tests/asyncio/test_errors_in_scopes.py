"""A body of a scope that raises on the loop of asyncio leaves as that of a trio scope does, also where its run enters again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio

import tenure
import tenure.asyncio
from tests.kit.alone import ALONE

QUICK = tenure.RestartPolicy(max_attempts=3, backoff_s=0.01)

Sleep = Callable[[float], Any]


async def raises_past_the_cut(run: Any, sleep: Sleep) -> None:
    async with run.move_on_after(0.3):
        await sleep(0 if run.attempts else 100)
        raise ValueError("past the cut")


async def raises_as_it_ends(run: Any, sleep: Sleep) -> None:
    async with run.move_on_after(0.2):
        try:
            await sleep(100)
        except (asyncio.CancelledError, trio.Cancelled):
            raise ValueError("as it ends") from None


async def raises_as_a_step_is_cut_off(run: Any, sleep: Sleep) -> None:
    async with run.move_on_after(0.2):
        try:
            await run.step("long", sleep, 100, repeat="freely")
        except (asyncio.CancelledError, trio.Cancelled):
            raise ValueError("as it ends") from None


async def raises_in_time(run: Any, sleep: Sleep) -> None:
    async with run.move_on_after(5):
        await run.step("look", str, repeat="freely")
        await sleep(0)
        raise ValueError("in time")


async def raises_within_another(run: Any, sleep: Sleep) -> None:
    async with run.move_on_after(0.3), run.move_on_after(100):
        await sleep(0 if run.attempts else 100)
        raise ValueError("past the cut")


BODIES = [
    *[raises_past_the_cut, raises_as_it_ends, raises_as_a_step_is_cut_off, raises_in_time, raises_within_another],
]


def behaviour(body: Any, sleep: Sleep, seen: list[list[str]]) -> Callable[[Any], Coroutine[Any, Any, None]]:
    async def act(run: Any) -> None:
        said: list[str] = []
        seen.append(said)
        try:
            await body(run, sleep)
        except ValueError as exc:
            said.append(str(exc))
            run.session.append(str(exc))
        else:
            await run.step("in time", str, repeat="never")
        await run.step("after", str, repeat="never")
        if run.attempts < 2:
            raise ConnectionError("of a test")

    return act


@pytest.mark.parametrize("body", BODIES)
def test_the_body_of_a_scope_raises_as_it_does_on_trio(body: Any) -> None:
    seen: list[list[str]] = []
    on_trio: list[list[str]] = []

    async def main() -> str:
        behaviours = {
            kind: tenure.Behaviour(act, restart=QUICK, replay_s=1)
            for kind, act in {
                "k": tenure.asyncio.behaviour(behaviour(body, asyncio.sleep, seen)),
                "trio": behaviour(body, trio.sleep, on_trio),
            }.items()
        }
        async with tenure.asyncio.open_supervisor(":memory:", behaviours=behaviours, limits=ALONE) as supervisor:
            for kind in behaviours:
                ticket = await supervisor.accept(kind, 1, kind=kind)
                async with asyncio.timeout(60):
                    assert (await ticket.wait_outcome()).phase == "consumed", await supervisor.why(kind)
        return "ended"

    assert asyncio.run(main()) == "ended"
    assert seen == on_trio
    assert len(seen) == 3


def test_a_timeout_around_a_scope_does_not_wait_for_the_end_of_that() -> None:
    took: list[float] = []

    async def act(run: tenure.asyncio.Run) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(0.2 if run.attempts else 100):
                async with run.move_on_after(0.4 if not run.attempts else 50):
                    await asyncio.sleep(100)
        except TimeoutError:
            pass
        took.append(loop.time() - began)
        if not run.attempts:
            raise ConnectionError("of a test")

    async def main() -> None:
        given = {"k": tenure.Behaviour(tenure.asyncio.behaviour(act), restart=QUICK)}
        async with tenure.asyncio.open_supervisor(":memory:", behaviours=given) as supervisor:
            ticket = await supervisor.accept("a", 1, kind="k")
            async with asyncio.timeout(60):
                assert (await ticket.wait_outcome()).phase == "consumed"

    asyncio.run(main())
    assert took[1] < 20
