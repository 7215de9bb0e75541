"""Opening and closing a host: recovery, draining, and whose exception leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import NotFound, RuntimeOwned, StoreBroken
from tests.kit.ground import pull_the_plug
from tests.kit.hosting import (
    CutOff,
    consumed,
    cut_off,
    echo,
    forever,
    host,
    nothing,
    peek,
    virtual_seams,
)


async def test_what_was_left_goes_on_at_the_next_open_without_a_spawn(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def leave(supervisor: tenure.Supervisor) -> None:
        for name in ("alice", "bob", "carol"):
            runtime = await supervisor.spawn(name, "kind")
            for n in range(3):
                await runtime.accept(n, idempotency_key=str(n))
        await supervisor.spawn("idle", "kind")

    await cut_off(database, {"kind": forever}, leave)
    async with host(database, {"kind": echo}) as supervisor:
        for name in ("alice", "bob", "carol"):
            await (await supervisor.ticket(name, idempotency_key="2")).wait_outcome()

            assert await supervisor.read_session(name) == [0, 1, 2]
        assert supervisor.statistics().runtimes == 3  # who has no work is not brought back


@pytest.mark.slow
async def test_many_runtimes_come_back(database: Path, autojump_clock: trio.testing.MockClock) -> None:
    count = 520  # more than a page of recovery

    async def spawn(supervisor: tenure.Supervisor, name: str) -> None:
        await (await supervisor.spawn(name, "kind")).accept("go", idempotency_key="k")

    async def leave(supervisor: tenure.Supervisor) -> None:
        async with trio.open_nursery() as nursery:
            for n in range(count):
                nursery.start_soon(spawn, supervisor, f"agent {n}")

    await cut_off(database, {"kind": forever}, leave)
    async with host(database, {"kind": nothing}) as supervisor:
        for n in range(count):
            await (await supervisor.ticket(f"agent {n}", idempotency_key="k")).wait_outcome()

    assert peek(database, "SELECT count(*), count(DISTINCT runtime) FROM receipts") == [[count, count]]


async def test_a_stored_kind_without_a_behaviour_stays_as_it_is(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def leave(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go", idempotency_key="k")

    await cut_off(database, {"kind": forever}, leave)
    async with host(database, {"other": nothing}) as supervisor:
        await trio.sleep(100)
        with pytest.raises(NotFound):
            supervisor.runtime("alice")
        assert await supervisor.unowned() == [
            tenure.UnownedRuntime(runtime_id=tenure.LogicalRuntimeId("alice"), kind="kind", reason="kind")
        ]
    assert peek(database, "SELECT phase FROM inputs") in ([["queued"]], [["staged"]])
    async with host(database, {"kind": nothing}) as supervisor:
        await (await supervisor.ticket("alice", idempotency_key="k")).wait_outcome()
        assert await supervisor.unowned() == []


async def test_a_normal_exit_lets_the_run_that_executes_come_to_its_end_and_begins_no_other(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def slow(run: tenure.Run) -> None:
        await trio.sleep(3)
        run.session.append(run.inputs[0].payload)

    async with host(database, {"kind": slow}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        for n in range(3):
            await runtime.accept(n)
        await runtime.wait_state("running")
        began = trio.current_time()

    assert trio.current_time() - began == pytest.approx(3, abs=0.1)
    assert peek(database, "SELECT phase, count(*) FROM inputs GROUP BY phase ORDER BY phase") == [
        ["consumed", 1],
        ["queued", 2],
    ]


async def test_a_normal_exit_waits_for_a_run_no_longer_than_it_was_told(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with tenure.open_supervisor(
        target, behaviours={"kind": forever}, drain_s=7.0, seams=virtual_seams()
    ) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go")
        await runtime.wait_state("running")
        began = trio.current_time()

    assert trio.current_time() - began == pytest.approx(7, abs=0.1)


@pytest.mark.parametrize(("sleep_s", "took_s"), [(None, 0.0), (1e6, 0.0), (3.0, 3.0)])
async def test_a_normal_exit_waits_for_no_run_that_waits_durably_for_longer(
    target: Path | str, sleep_s: float | None, took_s: float, autojump_clock: trio.testing.MockClock
) -> None:
    async def waiting(run: tenure.Run) -> None:
        await (run.wait_steered() if sleep_s is None else run.sleep(sleep_s))

    async with host(target, {"kind": waiting}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go")
        await runtime.wait_state("running")
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()

    assert trio.current_time() - began == pytest.approx(took_s, abs=0.1)


async def test_a_cancelled_exit_drains_nothing(database: Path, autojump_clock: trio.testing.MockClock) -> None:
    with trio.move_on_after(1) as scope:
        async with host(database, {"kind": forever}) as supervisor:
            runtime = await supervisor.spawn("alice", "kind")
            await runtime.accept("go")
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(1, abs=0.1)
    assert peek(database, "SELECT count(*) FROM hosts WHERE closed_at IS NULL") == [[0]]


async def test_the_bodys_exception_leaves_as_it_is(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    error = CutOff("as it is")
    with pytest.raises(CutOff) as caught:  # noqa: PT012 - what leaves the whole of it
        async with host(target, {"kind": nothing}) as supervisor:
            await supervisor.spawn("alice", "kind")
            raise error

    assert caught.value is error


async def test_a_group_that_the_body_raises_leaves_as_that_group(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    group = ExceptionGroup("mine", [ValueError()])
    with pytest.raises(ExceptionGroup) as caught:
        async with host(target, {"kind": nothing}):
            raise group

    assert caught.value is group


async def test_a_broken_store_cancels_the_body_and_raises_one_typed_error(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(StoreBroken) as caught:  # noqa: PT012 - what leaves the whole of it
        async with host(target, {"kind": nothing}) as supervisor:
            await supervisor.spawn("alice", "kind")
            pull_the_plug(supervisor.store)
            await trio.sleep_forever()

    assert "pulled the plug" in str(caught.value)


async def test_a_runtime_that_a_living_host_owns_is_refused_to_another_until_that_one_closes(database: Path) -> None:
    # The real locks.
    async with tenure.open_supervisor(database, behaviours={"kind": nothing}) as second:
        async with tenure.open_supervisor(database, behaviours={"kind": nothing}) as first:
            runtime = await first.spawn("alice", "kind")
            with pytest.raises(RuntimeOwned) as caught:
                await second.spawn("alice", "kind")
            await consumed(runtime, "go")
            token = runtime.fence_token
        again = await second.spawn("alice", "kind")
        await consumed(again, "go on")

        assert caught.value.runtime_id == "alice"
        assert again.fence_token > token


@pytest.mark.sqlite("memory is a place of SQLite")
async def test_a_host_in_memory_leaves_nothing_and_says_so(autojump_clock: trio.testing.MockClock) -> None:
    async with host(":memory:", {"kind": nothing}) as supervisor:
        receipt = await consumed(await supervisor.spawn("alice", "kind"), "go")
    async with host(":memory:", {"kind": nothing}) as supervisor:
        with pytest.raises(NotFound):
            await supervisor.read_session("alice")

    assert receipt.durability == "memory"


@pytest.mark.sqlite("classes of a file")
@pytest.mark.parametrize("durability", ["disk", "os"])
async def test_a_receipt_names_what_its_commit_survives(database: Path, durability: str) -> None:
    async with tenure.open_supervisor(database, behaviours={"kind": nothing}, durability=durability) as supervisor:
        receipt = await consumed(await supervisor.spawn("alice", "kind"), "go")

    assert receipt.durability == durability
