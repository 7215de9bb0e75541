"""How a host closes when its body is cancelled."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import Closed, StoreBroken
from tenure.supervisor.opening import DRAIN_S
from tenure.supervisor.supervisor import host_of
from tests.kit.ground import pull_the_plug
from tests.kit.hosting import (
    cut_off,
    forever,
    host,
    peek,
)


async def sleep_for_ever(run: object) -> None:
    await trio.sleep_forever()


async def test_a_cancelled_host_closes_at_once_and_leaves_its_row_closed(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    began = 0.0
    with trio.CancelScope() as scope:
        async with host(database, {"kind": sleep_for_ever}) as supervisor:
            runtime = await supervisor.spawn("alice", "kind")
            await runtime.accept(1)
            await runtime.wait_state("running")
            began = trio.current_time()
            scope.cancel()
            await trio.sleep_forever()

    # The writer's own task is inside the scope too, and must outlive the closing.
    assert trio.current_time() == began
    assert peek(database, "SELECT count(*) FROM hosts WHERE closed_at IS NOT NULL") == [[1]]


async def test_a_verb_that_comes_between_the_end_of_the_store_and_that_of_the_body_is_told_of_the_store(
    database: Path,
) -> None:
    broken = trio.Event()

    async def checkpoint(run: tenure.Run) -> None:
        await broken.wait()
        await run.checkpoint()

    with pytest.raises(StoreBroken) as caught:  # noqa: PT012 - what leaves the whole of it
        async with host(database, {"kind": checkpoint}) as supervisor:
            runtime = await supervisor.spawn("alice", "kind")
            await runtime.accept(1)
            with trio.CancelScope(shield=True):
                await runtime.wait_state("running")
                pull_the_plug(supervisor.store)
                broken.set()
                await trio.testing.wait_all_tasks_blocked()  # the actor has ended
                with pytest.raises(StoreBroken) as told:
                    await runtime.destroy()
                assert not told.value.in_doubt

    assert "pulled the plug" in str(caught.value)


async def test_each_who_waits_gets_an_error_of_its_own_with_no_traceback_of_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    met: list[Closed] = []

    async def meet(wait: Callable[[], Awaitable[object]]) -> None:
        for _ in range(2):
            try:
                await wait()
            except Closed as exc:
                met.append(exc)

    async with trio.open_nursery() as nursery, host(":memory:", {"kind": forever}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        for _ in range(10):
            nursery.start_soon(meet, ticket.wait_outcome)
            nursery.start_soon(meet, partial(runtime.wait_state, "retired"))
        await trio.testing.wait_all_tasks_blocked()
        host_of(supervisor).tasks.body.cancel()

    assert len(met) == len({id(exc) for exc in met}) == 40
    assert max(len(traceback.extract_tb(exc.__traceback__)) for exc in met) < 20, "each has its own frames alone"


async def test_a_host_that_ends_counts_no_attempt_of_a_run_with_a_nursery(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def side_by_side(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await run.gather(trio.sleep_forever, trio.sleep_forever)

    async def begin(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1, idempotency_key="once")
        await trio.testing.wait_all_tasks_blocked()

    # Whether the run or its actor hears of the end first is for trio to choose.
    for _ in range(10):
        await cut_off(tmp_path / "a.db", {"k": side_by_side}, begin)
        assert peek(tmp_path / "a.db", "SELECT attempts, error FROM runs") == [[0, None]]


@pytest.mark.parametrize("ends", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_process_while_the_host_drains_does_not_wait_for_other_runs(
    database: Path, autojump_clock: trio.testing.MockClock, ends: type[BaseException]
) -> None:
    leaving = trio.Event()

    async def behaviour(run: tenure.Run) -> None:
        await leaving.wait()
        await trio.sleep(1 if run.runtime_id == "short" else 100)
        raise ends

    left_at = 0.0
    with pytest.raises(ends):  # noqa: PT012 - what leaves the whole of it
        async with host(database, {"kind": behaviour}) as supervisor:
            for runtime_id in ("long", "short"):
                runtime = await supervisor.spawn(runtime_id, "kind")
                await runtime.accept(1)
                await runtime.wait_state("running")
            leaving.set()
            left_at = trio.current_time()

    assert trio.current_time() - left_at < 2 < DRAIN_S


@pytest.mark.parametrize("way", ["left", "cancelled"])
async def test_a_host_that_waits_for_code_which_goes_on_says_for_which_runtimes_ever_more_seldom(
    way: str, target: Path | str, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    cleans_s, began = {"alice": 20.0, "bob": 40.0, "carol": 0.0}, 0.0

    async def stubborn(run: tenure.Run) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(cleans_s[run.runtime_id])

    with trio.CancelScope() as scope:
        async with host(target, {"kind": stubborn}) as supervisor:
            for name in cleans_s:
                runtime = await supervisor.spawn(name, "kind")
                await runtime.accept(1)
                await runtime.wait_state("running")
            began = trio.current_time() + (DRAIN_S if way == "left" else 0)
            if way == "cancelled":
                scope.cancel()

    assert trio.current_time() - began == 40.0
    lines = [each.getMessage() for each in caplog.records if "this host ends" in each.getMessage()]
    assert [line.partition("waited for ")[2].partition(";")[0] for line in lines] == [
        f"{seconds} s for code that was cancelled and goes on, of {names}"
        for seconds, names in ((5, "'alice', 'bob'"), (15, "'alice', 'bob'"), (35, "'bob'"))
    ]


async def test_a_host_that_waits_for_nothing_says_nothing(
    target: Path | str, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with host(target, {"kind": forever}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept(1)
        await runtime.wait_state("running")

    assert not [each for each in caplog.records if "this host ends" in each.getMessage()]
