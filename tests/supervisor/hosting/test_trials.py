"""Trials on virtual time: a run has its turn until it has ended, waits durably, or turns out not to begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tests.kit.hosting import (
    cut_off,
    forever,
    host,
    nothing,
)
from tests.kit.past import write_past

TURN_S = 10.0
KINDS = ("first", "middle", "last")


async def leave_in_flight(supervisor: tenure.Supervisor) -> None:
    for kind in KINDS:
        runtime = await supervisor.spawn(kind, kind)
        await runtime.accept("go", idempotency_key="k")
        await runtime.wait_state("running")


async def crash_twice(database: Path) -> None:
    """Leave runtimes as after two crashes of their host in a row, with a run in flight."""
    await cut_off(database, dict.fromkeys(KINDS, forever), leave_in_flight)
    write_past(database, "UPDATE runtimes SET crashes = CASE kind WHEN 'first' THEN 2 WHEN 'middle' THEN 3 ELSE 4 END")


async def last_ran_at(database: Path, first: Any) -> float:
    """When the last of them came to run, in seconds since the host was opened."""
    began: list[float] = []

    async def last(run: tenure.Run) -> None:
        began.append(trio.current_time())

    async with host(database, {"first": first, "middle": nothing, "last": last}) as supervisor:
        opened = trio.current_time()
        await (await supervisor.ticket("last", idempotency_key="k")).wait_outcome()
        await supervisor.runtime("first").stop()
    return began[0] - opened


async def steered(run: tenure.Run) -> None:
    await run.wait_steered()


async def sleeping(run: tenure.Run) -> None:
    await run.sleep(1e6)


async def failing(run: tenure.Run) -> None:
    raise ValueError


async def busy(run: tenure.Run) -> None:
    await run.step("work", forever_step, repeat="freely")


async def forever_step() -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("behave", [steered, sleeping, failing])
async def test_a_turn_ends_when_its_run_waits_durably_or_has_failed(
    database: Path, behave: Any, autojump_clock: trio.testing.MockClock
) -> None:
    await crash_twice(database)

    assert await last_ran_at(database, behave) < 1.0


async def test_a_run_that_is_at_work_keeps_its_turn(database: Path, autojump_clock: trio.testing.MockClock) -> None:
    await crash_twice(database)

    assert await last_ran_at(database, busy) == pytest.approx(TURN_S, abs=0.5)


async def test_a_runtime_whose_run_was_cancelled_before_its_turn_takes_no_time(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    await crash_twice(database)
    began: list[float] = []

    async def behaviour(run: tenure.Run) -> None:
        began.append(trio.current_time())

    async with host(database, {"first": forever, "middle": forever, "last": behaviour}) as supervisor:
        opened = trio.current_time()
        assert await supervisor.runtime("middle").cancel()
        await supervisor.runtime("first").stop()
        await (await supervisor.ticket("last", idempotency_key="k")).wait_outcome()

        assert began[0] - opened < 1.0
