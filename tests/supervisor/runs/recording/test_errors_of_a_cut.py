"""A body that makes an error of its cancellation: the record says so, and it raises again where its run enters again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
import tenure.asyncio
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(max_attempts=4, backoff_s=0.1, backoff_limit_s=0.1)

OVER_S = 0.3

Sleep = Callable[[float], Any]


class OfLibraryError(Exception):
    """What a library makes of a cancellation."""


async def wait(sleep: Sleep, seconds: float) -> None:
    """As a library waits that has errors of its own."""
    try:
        await sleep(seconds)
    except (trio.Cancelled, asyncio.CancelledError) as exc:
        raise OfLibraryError from exc


async def look(run: Any) -> None:
    await run.step("past the cut", str, repeat="freely")


async def at_first(run: Any, sleep: Sleep, slow: float) -> None:
    async with run.move_on_after(OVER_S):
        await wait(sleep, slow)
        await wait_for(look(run))


async def wait_for(asked: Any) -> None:
    try:
        await asked
    except (trio.Cancelled, asyncio.CancelledError) as exc:
        raise OfLibraryError from exc


async def in_the_end(run: Any, sleep: Sleep, slow: float) -> None:
    async with run.move_on_after(OVER_S):
        ended = False
        try:
            await sleep(slow)
            await look(run)
            ended = True
        finally:
            if not ended:
                raise OfLibraryError


async def after_an_entry(run: Any, sleep: Sleep, slow: float) -> None:
    async with run.move_on_after(OVER_S):
        await run.step("before", str, repeat="freely")
        run.session.append("before the cut")
        await wait(sleep, slow)
        run.session.append("past the cut")
        await wait_for(look(run))


async def within_another(run: Any, sleep: Sleep, slow: float) -> None:
    async with run.move_on_after(1_000):
        await at_first(run, sleep, slow)


async def of_one_around_it(run: Any, sleep: Sleep, slow: float) -> None:
    async with run.move_on_after(OVER_S):
        try:
            async with run.move_on_after(1_000):
                await sleep(slow)
                await look(run)
        except (trio.Cancelled, asyncio.CancelledError) as exc:
            raise OfLibraryError from exc


async def in_a_branch(run: Any, sleep: Sleep, slow: float) -> None:
    await run.gather(lambda: at_first(run, sleep, slow), lambda: run.step("beside", str, repeat="freely"))


async def after_one_that_was_cut_off(run: Any, sleep: Sleep, slow: float) -> None:
    async with run.move_on_after(OVER_S):
        await sleep(slow)
        await look(run)
    await at_first(run, sleep, slow)


async def beside_it(run: Any, sleep: Sleep, slow: float) -> None:
    async with run.move_on_after(OVER_S), trio.open_nursery() as nursery:
        nursery.start_soon(wait, sleep, 1_000)
        await sleep(slow)
        await look(run)


OF_ASYNCIO = [
    at_first,
    in_the_end,
    after_an_entry,
    within_another,
    of_one_around_it,
    in_a_branch,
    after_one_that_was_cut_off,
]
SCOPES = [*OF_ASYNCIO, beside_it]


def behaviour(scopes: Any, sleep: Sleep, again: float, found: list[Any]) -> Any:
    async def act(run: Any) -> None:
        try:
            await scopes(run, sleep, again if found else 100.0)
            raised = False
        except* OfLibraryError:
            raised = True
        found.append([raised, await run.session.messages()])
        await run.step("after an error" if raised else "after its end", str, repeat="freely")
        if len(found) < 3:
            raise ConnectionError("of a test")

    return act


@pytest.mark.parametrize("again", [0.0, 1.0, 1_000.0])
@pytest.mark.parametrize("scopes", SCOPES)
async def test_the_body_raises_where_its_run_enters_again(
    autojump_clock: MockClock, open_host: OpenHost, scopes: Any, again: float
) -> None:
    found: list[Any] = []
    act = behaviour(scopes, trio.sleep, again, found)

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        with trio.fail_after(1_000):
            assert (await ticket.wait_outcome()).phase == "consumed", runtime.held_detail
        assert "past the cut" not in [each.name for each in await supervisor.entries("a")]
    assert found == [[True, found[0][1]]] * 3
    assert "past the cut" not in found[0][1]


@pytest.mark.parametrize("again", [0.0, 1.0])
@pytest.mark.parametrize("scopes", OF_ASYNCIO)
def test_and_so_it_is_on_the_loop_of_asyncio(scopes: Any, again: float) -> None:
    found: list[Any] = []
    act = tenure.asyncio.behaviour(behaviour(scopes, asyncio.sleep, again, found))

    async def main() -> None:
        given = {"k": tenure.Behaviour(act, restart=QUICK)}
        async with tenure.asyncio.open_supervisor(":memory:", behaviours=given) as supervisor:
            runtime = await supervisor.spawn("a", "k")
            ticket = await runtime.accept(1)
            async with asyncio.timeout(30):
                assert (await ticket.wait_outcome()).phase == "consumed", runtime.held_detail
            assert "past the cut" not in [each.name for each in await supervisor.entries("a")]

    asyncio.run(main())
    assert found == [[True, found[0][1]]] * 3


def fail() -> None:
    raise OfLibraryError


async def returns(run: Any, slow: float) -> None:
    async with run.move_on_after(OVER_S):
        await wait(trio.sleep, slow)


async def lets_it_pass(run: Any, slow: float) -> None:
    async with run.move_on_after(OVER_S):
        if slow == 0.0:
            await trio.sleep(1_000)
        await wait(trio.sleep, slow)


@pytest.mark.parametrize("scopes", [returns, lets_it_pass])
async def test_a_body_that_does_not_raise_again_holds_its_runtime(
    autojump_clock: MockClock, open_host: OpenHost, scopes: Any
) -> None:
    async def act(run: tenure.Run) -> None:
        try:
            await scopes(run, 0.0 if run.attempts else 100.0)
        except OfLibraryError:
            await run.step("after an error", str, repeat="freely")
            raise

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        with trio.fail_after(1_000):
            assert await runtime.wait_held() == "step mismatch"
        assert "raised an error" in (runtime.held_detail or "")


async def test_an_error_of_another_reason_past_the_time_of_its_scope_is_in_no_record(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def act(run: tenure.Run) -> None:
        try:
            async with run.move_on_after(1):
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.1 if run.attempts else 9)
                fail()
        except OfLibraryError:
            await run.step("after", str, repeat="freely")
        if not run.attempts:
            raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        with trio.fail_after(1_000):
            assert (await ticket.wait_outcome()).phase == "consumed"
        assert [each.name for each in await supervisor.entries("a")] == ["after"]
