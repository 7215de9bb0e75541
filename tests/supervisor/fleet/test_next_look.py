"""When a host that hears hints looks next: on a virtual clock, without a store."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from tenure.persistence.seams.executors import InlineExecutor
from tenure.persistence.seams.limits import POLL_S, Limits
from tenure.persistence.writing.hinting.hinting import Hinting
from tenure.supervisor.fleet.news import News
from tenure.supervisor.fleet.next_look import CROWD, LEAST_REST_S, REST, SELDOM_S, NextLook


async def nap(seconds: float, woken: trio.Event | None) -> None:
    with trio.move_on_after(seconds):
        await (trio.Event() if woken is None else woken).wait()


@pytest.mark.parametrize(
    ("took_s", "rests_s"), [(0.0, LEAST_REST_S), (0.01, REST * 0.01), (1.0, POLL_S)], ids=["quick", "slow", "late"]
)
async def test_a_host_that_is_hinted_at_rests_after_a_look_and_never_longer_than_without_hints(
    autojump_clock: MockClock, took_s: float, rests_s: float
) -> None:
    hinting = Hinting(None, InlineExecutor, lambda: 1)
    hinting.is_heard = True
    next_look = NextLook(hinting, Limits(), News(cast("Any", None)), nap, lambda: 10.0)
    began = autojump_clock.current_time()
    hinting.on_hint()

    await next_look.wait(took_s)
    assert autojump_clock.current_time() - began == pytest.approx(rests_s)

    await next_look.wait(0.0)
    assert autojump_clock.current_time() - began == pytest.approx(rests_s + SELDOM_S)


async def test_a_host_that_is_hinted_at_in_each_rest_rests_as_long_as_without_hints_until_none_comes(
    autojump_clock: MockClock,
) -> None:
    hinting = Hinting(None, InlineExecutor, lambda: 1)
    hinting.is_heard = True
    next_look = NextLook(hinting, Limits(), News(cast("Any", None)), nap, lambda: 10.0)

    async def rested() -> float:
        began = autojump_clock.current_time()
        await next_look.wait(0.0)
        return autojump_clock.current_time() - began

    rests: list[float] = []
    for _ in range(CROWD + 2):
        hinting.on_hint()
        rests.append(await rested())
    seldom = await rested()
    hinting.on_hint()

    assert rests == pytest.approx([LEAST_REST_S] * CROWD + [POLL_S] * 2)
    assert seldom == pytest.approx(SELDOM_S)
    assert await rested() == pytest.approx(LEAST_REST_S)
