"""Operations: the table, the stored snapshot, and the registry in memory."""

from __future__ import annotations

import attrs
import pytest
import trio
import trio.testing

from tenure import OperationRegistry, PersistedOpsSnapshot, Store
from tenure.errors import Closed, Corrupt, FeedGap, NotFound, OperationRejected, SchemaMismatch, StaleFence, WriteFailed
from tenure.persistence.engines.engine import NotStorable
from tenure.persistence.model.contracts.operations import (
    ARROWS,
    Operation,
    OperationEvent,
    OperationKind,
    OperationResult,
    OperationStatus,
    OpsCursors,
    advance,
    is_terminal,
    result_of,
)
from tests.persistence.contracts.damage import execute

TABLE = {
    "start": "provisioning -> running",
    "progress": "running -> running  retiring -> retiring",
    "peer_ready": "running -> running  retiring -> retiring",
    "complete": "running -> completed  retiring -> completed",
    "fail": "provisioning -> failed  running -> failed  retiring -> failed",
    "cancel": "provisioning -> cancelled  running -> cancelled  retiring -> cancelled",
    "abort": "provisioning -> aborted",
    "retire": "running -> retiring",
    "retired": "running -> retired  retiring -> retired",
    "terminate": "provisioning -> terminated  running -> terminated  retiring -> terminated",
}
EXPECTED = {
    (words[0], event): words[2] for event, row in TABLE.items() for words in (part.split() for part in row.split("  "))
}
RESULTS = {
    "completed": "completed",
    "failed": "failed",
    "terminated": "failed",
    "aborted": "cancelled",
    "cancelled": "cancelled",
    "retired": "cancelled",
}


def job(status: str = "provisioning", kind: OperationKind = OperationKind.MOB_MEMBER_CHILD) -> Operation:
    return Operation(operation_id="op", kind=kind, status=OperationStatus(status))


@pytest.mark.parametrize("status", OperationStatus)
@pytest.mark.parametrize("event", OperationEvent)
def test_every_pair_follows_its_arrow_or_is_refused(status: OperationStatus, event: OperationEvent) -> None:
    target = EXPECTED.get((status, event))
    if target is None:
        with pytest.raises(OperationRejected):
            advance(job(status), event)
    else:
        assert advance(job(status), event) == target


@pytest.mark.parametrize("status", OperationStatus)
def test_every_status_has_a_result(status: OperationStatus) -> None:
    assert result_of(status) == RESULTS.get(status, "running")
    assert is_terminal(status) == (status in RESULTS)
    assert is_terminal(status) == (status not in ARROWS)
    assert job(status).result is OperationResult(RESULTS.get(status, "running"))


def test_a_peer_is_ready_once_and_only_where_there_is_one() -> None:
    with pytest.raises(OperationRejected):
        advance(job("running", OperationKind.BACKGROUND_TOOL_OP), OperationEvent.PEER_READY)
    with pytest.raises(OperationRejected):
        advance(attrs.evolve(job("running"), peer_ready=True), OperationEvent.PEER_READY)


# The stored side


async def test_a_snapshot_comes_back_and_can_be_deleted_twice(store: Store) -> None:
    given = PersistedOpsSnapshot(
        epoch_id="e", operations=(job("completed"),), cursors=OpsCursors(agent_applied_cursor=3), max_concurrent=2
    )
    await store.operations.persist_ops_lifecycle("alice", PersistedOpsSnapshot(epoch_id="old"))
    await store.operations.persist_ops_lifecycle("alice", given)
    assert await store.operations.load_ops_lifecycle("alice") == given
    assert await store.operations.load_ops_lifecycle("bob") is None

    await store.operations.delete_ops_lifecycle("alice")
    await store.operations.delete_ops_lifecycle("alice")
    await store.operations.delete_ops_lifecycle("nobody")
    assert await store.operations.load_ops_lifecycle("alice") is None


async def test_a_snapshot_is_guarded_by_the_fence(store: Store) -> None:
    with pytest.raises(StaleFence):
        await store.operations.persist_ops_lifecycle("alice", PersistedOpsSnapshot(epoch_id="e"), fence=5)


@pytest.mark.parametrize(
    ("sql", "error"),
    [("SET snapshot = x'7b'", Corrupt), ("SET snapshot = '[]'", Corrupt), ("SET record_version = 2", SchemaMismatch)],
)
async def test_a_bad_snapshot_is_an_error_and_no_new_epoch(store: Store, sql: str, error: type[Exception]) -> None:
    await store.operations.persist_ops_lifecycle("alice", PersistedOpsSnapshot(epoch_id="e"))
    try:
        await execute(store, f"UPDATE operations {sql}")
    except NotStorable:
        return  # such a value has no place there: the engine is guard enough

    with pytest.raises(error):
        await OperationRegistry.open(store.operations, "alice", epoch_id="new")


# The registry


async def opened(store: Store, **more: int) -> OperationRegistry:
    return await OperationRegistry.open(
        store.operations,
        "alice",
        epoch_id="e-1",
        max_concurrent=more.get("max_concurrent"),
        max_completed=more.get("max_completed", 256),
    )


async def running(registry: OperationRegistry, *names: str, kind: str = "background_tool_op") -> None:
    for name in names:
        await registry.register(name, kind)
        await registry.start(name)


async def test_a_job_goes_from_registration_to_its_end(store: Store) -> None:
    registry = await opened(store)
    await registry.register("op", "mob_member_child", source="alice")
    await registry.start("op")
    await registry.peer_ready("op")
    await registry.progress("op")
    await registry.progress("op")
    await registry.retire("op")

    ended = await registry.retired("op", "bye")

    assert (ended.status, ended.progress_count, ended.peer_ready, ended.detail) == ("retired", 2, True, "bye")
    assert ended.completion_sequence == 1
    assert registry.get("op") == ended


@pytest.mark.parametrize("end", ["complete", "fail", "cancel", "abort", "terminate", "retired"])
async def test_every_end_is_on_disk_before_it_is_heard(store: Store, end: str) -> None:
    registry = await opened(store)
    await registry.register("op", "background_tool_op")
    if end != "abort":
        await registry.start("op")
    heard: list[Operation] = []

    async def watch() -> None:
        heard.append(await registry.watch("op"))
        stored = await store.operations.load_ops_lifecycle("alice")
        assert stored is not None
        assert stored.operations == (heard[0],)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            await getattr(registry, end)("op")
    assert heard == [registry.get("op")]
    assert await registry.watch("op") == heard[0]


async def test_an_end_that_cannot_be_written_is_not_heard(store: Store) -> None:
    registry = await OperationRegistry.open(store.operations, "alice", epoch_id="e", fence=99)
    await running(registry, "op")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.watch, "op")
        await trio.testing.wait_all_tasks_blocked()

        with pytest.raises(WriteFailed):
            await registry.complete("op")

        await trio.testing.wait_all_tasks_blocked()
        assert registry.get("op").status == "running"
        assert registry.watermark == 0
        assert nursery.child_tasks
        nursery.cancel_scope.cancel()


async def test_ends_are_waited_for_in_the_order_asked(store: Store) -> None:
    registry = await opened(store, max_completed=1)
    await running(registry, "a", "b", "c")
    found: list[tuple[Operation, ...]] = []

    async def wait() -> None:
        found.append(await registry.wait_all(["c", "a", "b"]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        for name in ("a", "b", "c"):
            await registry.complete(name)

    assert [each.operation_id for each in found[0]] == ["c", "a", "b"]


async def test_a_wait_for_all_is_one_of_a_kind(store: Store) -> None:
    registry = await opened(store)
    await running(registry, "a", "b")
    with pytest.raises(OperationRejected):
        await registry.wait_all(["a", "a"])
    with pytest.raises(NotFound):
        await registry.wait_all(["a", "x"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.wait_all, ["a"])
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OperationRejected):
            await registry.wait_all(["b"])
        nursery.cancel_scope.cancel()

    await registry.complete("b")
    assert [each.status for each in await registry.wait_all(["b"])] == ["completed"]


async def test_the_feed_has_a_window_and_says_what_it_lost(store: Store) -> None:
    registry = await opened(store, max_completed=2)
    assert registry.completions() == ()
    await running(registry, "a", "b", "c")
    await running(registry, "slot", kind="background_tool_capacity_slot")
    await registry.complete("a", "1")
    await registry.complete("slot")
    assert [each.operation_id for each in registry.completions(0)] == ["a"]
    await registry.fail("b")
    await registry.cancel("c")

    with pytest.raises(FeedGap) as caught:
        registry.completions(0)
    assert (caught.value.requested, caught.value.oldest) == (0, 2)
    assert [(each.sequence, each.status) for each in registry.completions(1)] == [(2, "failed"), (3, "cancelled")]
    assert registry.completions(3) == ()
    assert registry.watermark == 3
    with pytest.raises(NotFound):
        registry.get("a")


async def test_a_reader_of_the_feed_can_wait(store: Store) -> None:
    registry = await opened(store)
    await running(registry, "a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.complete, "a")
        found = await registry.wait_completions(0)

    assert [each.operation_id for each in found] == ["a"]


async def test_limits_hold(store: Store) -> None:
    registry = await opened(store, max_concurrent=1)
    await running(registry, "a")
    with pytest.raises(OperationRejected):
        await registry.register("b", "background_tool_op")
    with pytest.raises(OperationRejected):
        await registry.register("a", "background_tool_op")
    with pytest.raises(NotFound):
        await registry.start("x")
    await registry.complete("a")
    await registry.register("b", "background_tool_op")


async def test_recovery_keeps_ends_epoch_feed_and_waits_for_jobs_elsewhere(store: Store) -> None:
    first = await opened(store)
    await running(first, "tool")
    await running(first, "job", kind="detached_job_wait")
    await first.register("early", "detached_job_wait")
    await running(first, "done")
    await first.complete("done", "42")
    await first.acknowledge(OpsCursors(agent_applied_cursor=1, runtime_observed_seq=1))

    again = await OperationRegistry.open(store.operations, "alice", epoch_id="another")

    assert again.epoch_id == "e-1"
    assert {each.operation_id: each.status for each in again.list()} == {"job": "running", "done": "completed"}
    assert (await again.watch("done")).detail == "42"
    assert [each.operation_id for each in again.completions()] == ["done"]
    assert again.cursors == OpsCursors(agent_applied_cursor=1, runtime_observed_seq=1)
    assert (await again.complete("job")).completion_sequence == 2


async def test_cursors_never_move_back(store: Store) -> None:
    registry = await opened(store)
    await registry.acknowledge(OpsCursors(agent_applied_cursor=5, runtime_observed_seq=1))
    after = await registry.acknowledge(OpsCursors(agent_applied_cursor=2, runtime_last_injected_seq=7))

    assert after == OpsCursors(agent_applied_cursor=5, runtime_observed_seq=1, runtime_last_injected_seq=7)


async def test_the_end_of_the_owner_ends_what_runs_and_only_that(store: Store) -> None:
    registry = await opened(store)
    await running(registry, "a", "b")
    await registry.complete("a")

    ended = await registry.terminate_owner("host went away")

    assert [(each.operation_id, each.status) for each in ended] == [("b", "terminated")]
    assert registry.get("a").status == "completed"
    assert await registry.terminate_owner() == ()
    with pytest.raises(OperationRejected):
        await registry.register("c", "background_tool_op")
    with pytest.raises(OperationRejected):
        await registry.complete("b")


async def test_a_burst_of_ends_loses_none(store: Store) -> None:
    registry = await opened(store)
    names = [f"op-{index}" for index in range(20)]
    await running(registry, *names)
    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(registry.complete, name)

    stored = await store.operations.load_ops_lifecycle("alice")
    assert stored is not None
    assert sorted(each.operation_id for each in stored.completion_entries) == sorted(names)
    assert [each.sequence for each in registry.completions()] == list(range(1, 21))


async def test_closing_answers_everybody(store: Store) -> None:
    registry = await opened(store)
    await running(registry, "a")
    errors: list[str] = []

    async def expect_closed(wait: str) -> None:
        with pytest.raises(Closed):
            await (registry.watch("a") if wait == "watch" else registry.wait_completions(0))
        errors.append(wait)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_closed, "watch")
        nursery.start_soon(expect_closed, "feed")
        await trio.testing.wait_all_tasks_blocked()
        registry.close()

    assert sorted(errors) == ["feed", "watch"]
    with pytest.raises(Closed):
        await registry.watch("a")
