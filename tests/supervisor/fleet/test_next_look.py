"""When a host that hears hints looks next: on a virtual clock, without a store."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tenure.persistence.engines.listeners import Hint
from tenure.persistence.seams.executors import InlineExecutor
from tenure.persistence.seams.limits import POLL_S, Limits
from tenure.persistence.writing.hinting.hinting import Hinting
from tenure.persistence.writing.hinting.pace import LONGEST_SPARE_S, SPARE_S
from tenure.supervisor.fleet.news import News
from tenure.supervisor.fleet.next_look import AGAIN, AGAIN_S, BEAT_S, CROWD, LEAST_REST_S, REST, SELDOM_S, NextLook
from tests.persistence.writing.hinting.test_hinting import Line
from tests.persistence.writing.hinting.test_pace import accept


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


@pytest.mark.parametrize("took_s", [0.0, 0.008, 0.015], ids=["quick", "slow", "as often as without"])
async def test_a_host_that_hints_make_look_as_often_as_without_looks_so_for_a_while_and_is_spared_them(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, took_s: float
) -> None:
    hinting, spared_at = Hinting(None, InlineExecutor, lambda: 1), list[float]()
    hinting.is_heard = True

    def spare(_seconds: float) -> None:
        spared_at.append(autojump_clock.current_time())

    monkeypatch.setattr(hinting, "spare", spare)
    next_look = NextLook(hinting, Limits(), News(cast("Any", None)), nap, lambda: 10.0)

    async def rested() -> float:
        began = autojump_clock.current_time()
        await next_look.wait(took_s)
        return autojump_clock.current_time() - began

    before = min(max(LEAST_REST_S, REST * took_s), POLL_S)
    for _ in range(CROWD):
        assert not spared_at
        hinting.on_hint()
        assert await rested() == pytest.approx(before)
    assert len(spared_at) == 1

    while autojump_clock.current_time() - spared_at[0] < SPARE_S + BEAT_S - POLL_S / 2:
        hinting.on_hint()
        assert await rested() == pytest.approx(POLL_S)
    while (seldom := await rested()) < SELDOM_S / 2:
        assert seldom == pytest.approx(POLL_S)
    assert seldom == pytest.approx(SELDOM_S), "none has come since"
    hinting.on_hint()
    assert await rested() == pytest.approx(before)
    assert len(spared_at) == 1


async def test_a_host_that_goes_on_being_hinted_at_is_spared_for_longer_and_longer(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hinting, spared = Hinting(None, InlineExecutor, lambda: 1), list[float]()
    hinting.is_heard = True
    monkeypatch.setattr(hinting, "spare", spared.append)
    next_look = NextLook(hinting, Limits(), News(cast("Any", None)), nap, lambda: 10.0)
    looks = list[int]()

    while len(spared) < 6:  # hints come without end
        began = len(spared)
        looks.append(0)
        while len(spared) == began:
            spares_on = autojump_clock.current_time()
            hinting.on_hint()
            await next_look.wait(0.0)
            looks[-1] += autojump_clock.current_time() - spares_on < POLL_S / 2
    assert spared == [SPARE_S, 2 * SPARE_S, 4 * SPARE_S, LONGEST_SPARE_S, LONGEST_SPARE_S, LONGEST_SPARE_S]
    assert looks == [CROWD, *[AGAIN] * 5]

    await trio.sleep(LONGEST_SPARE_S + 2 * AGAIN_S)
    for _ in range(CROWD + 1):  # the first look is as it was asked for before
        hinting.on_hint()
        await next_look.wait(0.0)
    assert spared[6:] == [SPARE_S]


async def test_a_host_whose_hints_come_more_seldom_than_looks_without_them_is_not_spared_them(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hinting, spared = Hinting(None, InlineExecutor, lambda: 1), list[float]()
    hinting.is_heard = True
    monkeypatch.setattr(hinting, "spare", spared.append)
    next_look = NextLook(hinting, Limits(), News(cast("Any", None)), nap, lambda: 10.0)

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def hints() -> None:
            while True:
                await trio.sleep(2 * POLL_S)
                hinting.on_hint()

        for _ in range(3 * CROWD):
            await next_look.wait(0.0)
        nursery.cancel_scope.cancel()
    assert autojump_clock.current_time() > 5 * CROWD * POLL_S
    assert not spared


async def test_a_host_looks_as_without_hints_while_one_of_which_it_awaits_something_is_spared_them(
    autojump_clock: MockClock,
) -> None:
    line = Line()
    hinting = Hinting(lambda _: line, InlineExecutor, lambda: 1)
    next_look = NextLook(hinting, Limits(), News(cast("Any", None)), nap, lambda: 10.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hinting.serve)
        line.come(Hint(host=1, own=True), Hint(host=7, spare_s=SPARE_S))
        await wait_all_tasks_blocked()
        await next_look.wait(0.0)  # for the hint itself
        began = autojump_clock.current_time()
        async with trio.open_nursery() as looking:
            looking.start_soon(next_look.wait, 0.0)
            await trio.sleep(POLL_S / 2)
            hinting.landed([accept("theirs")], {"theirs": 7})
        assert autojump_clock.current_time() - began == pytest.approx(POLL_S), "it does not sleep on"
        nursery.cancel_scope.cancel()
