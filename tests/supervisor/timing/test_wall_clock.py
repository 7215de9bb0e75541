"""A wall clock that is set while something waits: nothing waits longer than it was told to."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

import attrs
import msgspec
import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.supervisor.runs.recording.restart import decide
from tests.kit.hosting import (
    LONGEST_S,
    CutOff,
    virtual_seams,
    wall_clock,
)

HOUR_S = 3600.0
BACKOFF_S = 4.0


@final
class WallClock:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.set_by_s = 0.0

    def __call__(self) -> float:
        return wall_clock() + self.set_by_s


@asynccontextmanager
async def host(database: Path, clock: WallClock, behaviour: tenure.Behaviour) -> AsyncGenerator[tenure.Supervisor]:
    seams = attrs.evolve(virtual_seams(), wall_clock=clock)
    with trio.fail_after(LONGEST_S):
        async with tenure.open_supervisor(database, behaviours={"kind": behaviour}, seams=seams) as supervisor:
            yield supervisor


async def fail_once(run: tenure.Run) -> None:
    if run.attempts == 0:
        raise ValueError("once")


@pytest.mark.parametrize("set_by_s", [-HOUR_S, HOUR_S], ids=["back", "forward"])
@pytest.mark.parametrize("restarts", [False, True], ids=["same-host", "next-host"])
async def test_a_backoff_ends_in_its_time_although_the_clock_was_set(
    database: Path, autojump_clock: MockClock, set_by_s: float, *, restarts: bool
) -> None:
    clock = WallClock()
    policy = tenure.RestartPolicy(backoff_s=BACKOFF_S, backoff_limit_s=BACKOFF_S, jitter=0)
    behaviour = tenure.Behaviour(fail_once, restart=policy)
    began = trio.current_time()
    async with host(database, clock, behaviour) as supervisor:
        runtime = await supervisor.spawn("a", "kind")
        ticket = await runtime.accept("x", idempotency_key="k")
        await trio.sleep(1)
        clock.set_by_s = set_by_s
        if not restarts:
            await ticket.wait_outcome()
    if restarts:
        began = trio.current_time()
        async with host(database, clock, behaviour) as supervisor:
            await (await supervisor.ticket("a", idempotency_key="k")).wait_outcome()

    assert trio.current_time() - began <= BACKOFF_S + 0.01
    if not restarts:
        assert trio.current_time() - began >= BACKOFF_S - 0.01


@pytest.mark.slow
async def test_a_sleep_over_a_restart_lasts_at_most_as_long_as_was_asked_although_the_clock_was_set_back(
    database: Path, autojump_clock: MockClock
) -> None:
    clock = WallClock()
    woken: list[float] = []

    async def sleeper(run: tenure.Run) -> None:
        await run.sleep(100)
        woken.append(trio.current_time())

    behaviour = tenure.Behaviour(sleeper)

    async def fall_asleep() -> None:
        async with host(database, clock, behaviour) as supervisor:
            await (await supervisor.spawn("a", "kind")).accept("x", idempotency_key="k")
            await trio.sleep(40)
            raise CutOff

    with pytest.raises(CutOff):
        await fall_asleep()
    clock.set_by_s = -HOUR_S
    began = trio.current_time()
    async with host(database, clock, behaviour) as supervisor:
        await (await supervisor.ticket("a", idempotency_key="k")).wait_outcome()

    assert woken == [pytest.approx(began + 100, abs=0.01)]


def test_failures_that_lie_ahead_since_the_clock_was_set_back_count_as_of_now() -> None:
    policy = tenure.RestartPolicy(budget=3, period_s=60)
    source = random.Random(1)

    def fail(failures: list[float], now: float) -> list[float]:
        stored = msgspec.json.encode(failures).decode()
        decision = decide(policy, attempts=0, failures=stored, now=now, source=source)
        return msgspec.json.decode(decision.failures, type=list[float])

    after = fail([9000.0], 1000.0)

    assert after == [1000.0, 1000.0]
    assert fail(after, 1061.0) == [1061.0]


async def test_a_run_whose_only_input_is_late_at_a_checkpoint_ends_and_does_not_wait_for_ever(
    database: Path, autojump_clock: MockClock
) -> None:
    clock = WallClock()
    waits = trio.Event()

    async def asks(run: tenure.Run) -> None:
        await trio.sleep(1)
        clock.set_by_s += HOUR_S  # the checkpoint comes before the next look at deadlines
        await run.checkpoint()
        waits.set()
        await run.wait_steered()

    async with host(database, clock, tenure.Behaviour(asks)) as one:
        runtime = await one.spawn("a", "kind")
        late = await runtime.accept("late", deadline_s=HOUR_S / 2)
        await waits.wait()
        with trio.fail_after(100):
            assert (await late.wait_outcome()).reason == "deadline_exceeded"
            await runtime.wait_state("attached")
