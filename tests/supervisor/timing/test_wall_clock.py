"""A wall clock that is set while something waits: nothing waits longer than it was told to."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

import attrs
import msgspec
import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import Internal
from tenure.supervisor.runs.recording.restart import decide
from tests.kit.hosting import (
    LONGEST_S,
    CutOff,
    virtual_seams,
    wall_clock,
)
from tests.kit.serving import queue

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
async def host(
    database: Path | str, clock: WallClock, behaviour: tenure.Behaviour
) -> AsyncGenerator[tenure.Supervisor]:
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


NO_CALENDAR_S = {"after the year 9999": 300 * 10**9, "before the year 1": -65 * 10**9, "no number": math.nan}


async def create(supervisor: tenure.Supervisor, when: tenure.Cron | tenure.Every) -> object:
    return await supervisor.schedules.create("other", "a", when, 1)


ASKED: dict[str, Callable[[tenure.Supervisor], Awaitable[object]]] = {
    "create every": lambda supervisor: create(supervisor, tenure.Every(60)),
    "create cron": lambda supervisor: create(supervisor, tenure.Cron("0 8 * * *")),
    "update": lambda supervisor: supervisor.schedules.update("there", when=tenure.Every(90)),
    "trigger": lambda supervisor: supervisor.schedules.trigger("there"),
    "pause": lambda supervisor: supervisor.schedules.pause("there"),
    "accept": lambda supervisor: supervisor.accept("b", 1, kind="kind"),
    "accept later": lambda supervisor: supervisor.accept("b", 1, kind="kind", after_s=5),
    "why": lambda supervisor: supervisor.why("a"),
    "prune": lambda supervisor: supervisor.store.prune(older_than_s=1),
    "append": lambda supervisor: supervisor.store.journal.append("stream", [1]),
    "set": lambda supervisor: supervisor.store.state.set("key", b"1", 5),
    "queue": lambda supervisor: queue(supervisor, "body"),
}


@pytest.mark.parametrize("shown", NO_CALENDAR_S)
async def test_a_clock_that_no_calendar_has_is_a_typed_error_and_leaves_nothing(
    shown: str, target: Path | str, autojump_clock: MockClock
) -> None:
    clock = WallClock()
    async with host(target, clock, tenure.Behaviour(fail_once)) as supervisor:
        await supervisor.spawn("a", "kind")
        there = await supervisor.schedules.create("there", "a", tenure.Every(86_400), 1)
        clock.set_by_s = NO_CALENDAR_S[shown]
        for name, ask in ASKED.items():
            with pytest.raises(Internal, match="a clock shows"):
                assert await ask(supervisor) is None, name
        clock.set_by_s = 0.0
        assert await supervisor.schedules.list() == (there,)
        ticket = await supervisor.accept("a", "works on")
        assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_run_that_meets_such_a_clock_is_kept_from_its_own_runtime_alone(
    target: Path | str, autojump_clock: MockClock
) -> None:
    clock, asked = WallClock(), trio.Event()

    async def tell(run: tenure.Run) -> str:
        if not asked.is_set():
            clock.set_by_s = NO_CALENDAR_S["after the year 9999"]
            asked.set()
        return run.now().isoformat()

    async with host(target, clock, tenure.Behaviour(tell)) as supervisor:
        runtime = await supervisor.spawn("a", "kind")
        ticket = await runtime.accept("x")
        await asked.wait()
        await trio.sleep(0.5)
        clock.set_by_s = 0.0
        sibling = await supervisor.accept("b", "x", kind="kind")
        assert (await sibling.wait_outcome()).phase == "consumed"
        await runtime.resume()
        assert (await ticket.wait_outcome()).result is not None


async def test_a_host_does_not_open_under_such_a_clock(target: Path | str, autojump_clock: MockClock) -> None:
    clock = WallClock()
    clock.set_by_s = NO_CALENDAR_S["after the year 9999"]
    with pytest.raises(Internal, match="years 1 to 9999"):
        async with host(target, clock, tenure.Behaviour(fail_once)):
            pass
    clock.set_by_s = 0.0
    async with host(target, clock, tenure.Behaviour(fail_once)) as supervisor:
        await supervisor.spawn("a", "kind")
