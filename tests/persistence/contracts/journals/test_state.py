"""`store.state`: snapshots of executions and their working memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import tenure
from tenure import ExecutionSnapshot, ExecutionState, Seams, Store
from tenure.errors import Closed, Corrupt, InvalidInput, NotFound, PayloadTooLarge, StaleFence, ValueConflict
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.state.values import WriteValues
from tenure.persistence.model.values import RuntimeState
from tests.kit.clocks import Clock
from tests.kit.ground import submit
from tests.kit.stores import settle_all
from tests.persistence.contracts.damage import execute
from tests.persistence.contracts.owners.owned import Owner


def snapshot(execution_id: str, sequence: int = 0, tenant: str = "acme") -> ExecutionSnapshot:
    return ExecutionSnapshot.new(execution_id, tenant, ExecutionState.RUNNING, sequence)


async def test_a_snapshot_comes_back_as_it_was(store: Store) -> None:
    saved = ExecutionSnapshot(
        execution_id="run1",
        tenant_id="acme",
        state=ExecutionState.WAITING,
        waiting_for="a person",
        sequence_number=7,
        user_id="u",
        current_step_id="step",
        step_outputs={"a": [1, None, {"b": 2.5}]},
        variables={"x": "y"},
        timestamp=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    )

    assert await store.state.save_snapshot(saved)

    assert await store.state.load_snapshot("run1") == saved
    assert saved.with_user("another").user_id == "another"
    assert await store.state.load_snapshot("run10") is None


async def test_an_older_snapshot_never_overwrites_a_newer_one(store: Store) -> None:
    assert await store.state.save_snapshot(snapshot("run1", 5))
    assert not await store.state.save_snapshot(snapshot("run1", 4))
    assert await store.state.save_snapshot(attrs.evolve(snapshot("run1", 5), user_id="equal"))

    found = await store.state.load_snapshot("run1")

    assert found is not None
    assert (found.sequence_number, found.user_id) == (5, "equal")
    await store.state.delete_snapshot("run1")
    await store.state.delete_snapshot("run1")
    assert await store.state.load_snapshot("run1") is None


async def test_snapshots_of_a_tenant_come_newest_first(store: Store) -> None:
    for name in ("a", "b", "c"):
        await store.state.save_snapshot(snapshot(name))
    await store.state.save_snapshot(snapshot("other", tenant="umbrella"))
    await store.state.save_snapshot(snapshot("a", 1))

    assert await store.state.list_snapshots("acme", 10) == ["a", "c", "b"]
    assert await store.state.list_snapshots("acme", 2) == ["a", "c"]
    assert await store.state.list_snapshots("acme", 0) == []
    assert await store.state.list_snapshots("acme", 2**80) == ["a", "c", "b"]
    with pytest.raises(InvalidInput):
        await store.state.list_snapshots("acme", -1)


async def test_an_execution_stays_its_tenants(store: Store) -> None:
    await store.state.save_snapshot(snapshot("run1"))

    with pytest.raises(InvalidInput):
        await store.state.save_snapshot(snapshot("run1", 1, tenant="umbrella"))

    assert await store.state.list_snapshots("umbrella", 10) == []


async def test_stale_says_how_far_the_journal_is_ahead(store: Store) -> None:
    assert await store.state.stale("run1") is None
    await store.state.save_snapshot(snapshot("run1", 2))
    await store.journal.append("run1", [1, 2])
    assert await store.state.stale("run1") == 0
    await store.journal.append("run1", [3, 4, 5])

    assert await store.state.stale("run1") == 3
    assert await store.state.stale("run1", "no such stream") == -2


@pytest.mark.parametrize(
    "changed",
    [
        {"sequence_number": -1},
        {"sequence_number": 2**63},
        {"execution_id": ""},
        {"tenant_id": "x" * 201},
        {"timestamp": datetime(2026, 1, 1)},  # noqa: DTZ001 - the fault
        {"variables": {"x": float("nan")}},
        {"step_outputs": {1: "one"}},
        {"state": "resting"},
    ],
    ids=str,
)
async def test_a_snapshot_that_would_not_come_back_is_refused(store: Store, changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await store.state.save_snapshot(attrs.evolve(snapshot("run1"), **changed))

    assert await store.state.load_snapshot("run1") is None


# Working memory


async def test_values_come_back_until_they_are_deleted(store: Store) -> None:
    await store.state.set("exec:run1:var:x", b"\x00bytes")
    await store.state.set("exec:run1:var:x", b"others")

    assert await store.state.get("exec:run1:var:x") == b"others"
    assert await store.state.exists("exec:run1:var:x")
    await store.state.delete("exec:run1:var:x")
    await store.state.delete("exec:run1:var:x")
    assert await store.state.get("exec:run1:var:x") is None
    assert not await store.state.exists("exec:run1:var:x")


async def test_json_comes_back_as_json(store: Store) -> None:
    await store.state.set_json("k", {"a": [1, None, "x"]})
    await store.state.set("bytes", b"{")

    assert await store.state.get_json("k") == {"a": [1, None, "x"]}
    assert await store.state.get_json("absent") is None
    with pytest.raises(Corrupt):
        await store.state.get_json("bytes")
    with pytest.raises(InvalidInput):
        await store.state.set_json("k", b"bytes")


@pytest.mark.parametrize("ttl", [0, -1, timedelta(0), timedelta(seconds=-1), float("inf"), float("nan"), True, "5"])
async def test_a_time_to_live_is_above_zero(store: Store, ttl: Any) -> None:
    with pytest.raises(InvalidInput):
        await store.state.set("k", b"", ttl)


async def test_a_value_too_large_is_refused(store: Store) -> None:
    with pytest.raises(PayloadTooLarge):
        await store.state.set("k", bytes(store.limits.payload_bytes + 1))
    with pytest.raises(InvalidInput):
        await store.state.set("k" * 501, b"")


@pytest.mark.parametrize("target", ["memory", "file"])
async def test_a_value_expires_at_its_deadline_and_never_returns(tmp_path: Path, target: str) -> None:
    clock = Clock()
    path = ":memory:" if target == "memory" else tmp_path / "agents.db"
    async with tenure.open_store(path, seams=Seams(wall_clock=clock)) as store:
        await store.state.set("a", b"1", ttl=10)
        await store.state.set("b", b"2", ttl=timedelta(seconds=20))
        await store.state.set("c", b"3")
        clock.now = 1_009.9
        assert await store.state.get("a") == b"1"
        clock.now = 1_010.0
        assert not await store.state.exists("a")
        assert await store.state.get("b") == b"2"

        clock.now = 500.0  # set back

        assert await store.state.get("a") is None
        await store.state.set("d", b"4", ttl=5)
        clock.now = 1_014.0  # from the mark on, 1,010
        assert await store.state.get("d") == b"4"
        clock.now = 1_015.0
        assert await store.state.get("d") is None
        clock.now = 10_000.0
        await store.state.set("e", b"", ttl=1)  # time has been seen to be 10,000
        clock.now = 500.0
        assert await store.state.get("b") is None
        assert await store.state.get("c") == b"3"


async def test_the_high_water_mark_outlives_the_store(tmp_path: Path) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "agents.db", seams=Seams(wall_clock=clock)) as store:
        await store.state.set("a", b"1", ttl=10)
        await store.state.set("b", b"1", ttl=10)
        clock.now = 2_000.0
        assert await store.state.get("a") is None
    clock.now = 1_000.0
    async with tenure.open_store(tmp_path / "agents.db", seams=Seams(wall_clock=clock)) as store:
        assert await store.state.get("b") is None


async def test_a_set_without_a_time_to_live_clears_an_old_one() -> None:
    clock = Clock()
    async with tenure.open_store(":memory:", seams=Seams(wall_clock=clock)) as store:
        await store.state.set("a", b"1", ttl=10)
        await store.state.set("a", b"2")
        clock.now = 2_000.0

        assert await store.state.get("a") == b"2"
        assert await store.state.sweep() == 0


async def test_a_sweep_deletes_what_has_expired(tmp_path: Path) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "agents.db", seams=Seams(wall_clock=clock)) as store:
        async with trio.open_nursery() as nursery:
            for number in range(450):
                nursery.start_soon(store.state.set, f"k{number}", b"", 10)
        await store.state.set("stays", b"", 10_000)
        clock.now = 1_500.0

        assert await store.state.sweep() == 450
        assert await store.state.sweep() == 0
        assert await store.state.exists("stays")
        clock.now = 20_000.0
        assert (await store.prune(0)).state_values == 1


async def test_each_set_with_a_time_to_live_takes_expired_values_along() -> None:
    clock = Clock()
    async with tenure.open_store(":memory:", seams=Seams(wall_clock=clock)) as store:
        for number in range(20):
            await store.state.set(f"k{number}", b"", 10)
        clock.now = 1_500.0
        for _ in range(3):
            await store.state.set("k", b"", 10)

        assert await store.state.sweep() == 0


# Executions


async def test_delete_execution_state_takes_its_own_keys_and_no_others(store: Store) -> None:
    await store.state.save_snapshot(snapshot("run1"))
    await store.state.save_snapshot(snapshot("run10"))
    gone = ["run1:a", "run1:", "exec:run1:var:x", "run1:sub:b"]
    kept = ["run1", "run10:a", "run1;a", "exec:run10:var:x", "exec:run1", "run_1:a", "xrun1:a", "exec", "run1/a"]
    for key in gone + kept:
        await store.state.set(key, key.encode())

    await store.state.delete_execution_state("run1")

    assert [key for key in gone + kept if await store.state.exists(key)] == kept
    assert await store.state.load_snapshot("run1") is None
    assert await store.state.load_snapshot("run10") is not None


@pytest.mark.parametrize("name", ["exec", "exec:run1"])
async def test_the_namespace_of_keys_is_no_execution(store: Store, name: str) -> None:
    await store.state.set("exec:run1:var:x", b"1")

    with pytest.raises(InvalidInput):
        await store.state.delete_execution_state(name)

    assert await store.state.get("exec:run1:var:x") == b"1"


async def test_a_bound_execution_obeys_the_fence_of_its_runtime(store: Store) -> None:
    token = (await Owner(store, "ada").own()).fence_token
    await store.state.bind("run1", "ada", fence=token)
    await store.state.set("run1:a", b"1", fence=token)
    await store.state.set("exec:run1:b", b"1", fence=token)
    await store.state.save_snapshot(snapshot("run1"), fence=token)

    for fence in (None, token + 1):
        with pytest.raises(StaleFence):
            await store.state.set("run1:a", b"2", fence=fence)
        with pytest.raises(StaleFence):
            await store.state.set("exec:run1:sub:b", b"2", fence=fence)
        with pytest.raises(StaleFence):
            await store.state.delete("run1:a", fence=fence)
        with pytest.raises(StaleFence):
            await store.state.save_snapshot(snapshot("run1", 1), fence=fence)
        with pytest.raises(StaleFence):
            await store.state.delete_snapshot("run1", fence=fence)
        with pytest.raises(StaleFence):
            await store.state.delete_execution_state("run1", fence=fence)

    assert await store.state.get("run1:a") == b"1"
    assert not await store.state.exists("exec:run1:sub:b")
    await store.state.set("run10:a", b"anybody's")
    await store.state.delete_execution_state("run1", fence=token)
    assert not await store.state.exists("run1:a")


async def test_a_binding_that_comes_after_writes_without_any_is_obeyed_from_then_on(store: Store) -> None:
    token = (await Owner(store, "ada").own()).fence_token
    await store.state.set("run1:a", b"1")
    await store.state.set("run1:a", b"2")

    await store.state.bind("run1", "ada", fence=token)

    with pytest.raises(StaleFence):
        await store.state.set("run1:a", b"3")
    assert await store.state.get("run1:a") == b"2"


@pytest.mark.parametrize("count", [1, 40], ids=["one key", "many keys"])
async def test_of_two_in_one_group_that_expect_no_value_the_first_has_it(store: Store, count: int) -> None:
    keys = [f"run:{number}" for number in range(count)]

    def write(value: bytes, *keys: str) -> Commit:
        values = tuple([(key, value) for key in keys])
        expected = tuple([(key, None) for key in keys])
        return Commit(changes=(WriteValues(values=values, expected=expected),))

    outcomes = await settle_all(
        [
            submit(store, write(b"1", *keys)),
            submit(store, write(b"2", "free", keys[-1])),
            submit(store, write(b"3", "other")),
        ]
    )
    assert [isinstance(each, ValueConflict) for each in outcomes] == [False, True, False]

    for taken in ([keys[0]], [*keys, "new"]):
        with pytest.raises(ValueConflict):
            await store.state.write(dict.fromkeys(taken, b"4"), expected=dict.fromkeys(taken))
    assert set((await store.state.get_all([*keys, "free", "other", "new"])).values()) == {b"1", b"3"}
    assert not await store.state.exists("free")


async def test_a_value_that_has_expired_is_none_where_none_is_expected(tmp_path: Path) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "a.db", seams=Seams(wall_clock=clock)) as store:
        await store.state.write(dict.fromkeys(("a", "b"), b"1"), ttl=1.0)
        clock.now += 2.0

        assert await store.state.write({"a": b"2"}, expected={"a": None}) == 1
        assert await store.state.write({"b": b"2"}, expected={"a": b"2", "b": None}) == 1
        assert await store.state.get_all(["a", "b"]) == {"a": b"2", "b": b"2"}


async def test_the_range_of_an_execution_does_not_take_a_bound_one_below_it(store: Store) -> None:
    token = (await Owner(store, "ada").own()).fence_token
    await store.state.bind("run1:sub", "ada", fence=token)
    await store.state.set("run1:sub:a", b"1", fence=token)

    with pytest.raises(StaleFence):
        await store.state.delete_execution_state("run1")

    assert await store.state.exists("run1:sub:a")


async def test_an_execution_is_bound_to_one_runtime(store: Store) -> None:
    await store.runtimes.persist_runtime_state("ada", RuntimeState.IDLE)
    await store.runtimes.persist_runtime_state("bob", RuntimeState.IDLE)
    await store.state.bind("run1", "ada")
    await store.state.bind("run1", "ada")

    with pytest.raises(InvalidInput):
        await store.state.bind("run1", "bob")
    with pytest.raises(NotFound):
        await store.state.bind("run2", "nobody")
    with pytest.raises(InvalidInput):
        await store.state.set("unbound", b"", fence=1)


async def test_damage_of_one_value_or_snapshot_is_its_own(store: Store) -> None:
    for name in ("a", "b"):
        await store.state.set(f"{name}:k", name.encode())
        await store.state.save_snapshot(snapshot(name))
    await execute(store, "UPDATE state_values SET value = x'00' WHERE value_key = 'a:k'")
    await execute(store, "UPDATE execution_snapshots SET sequence = 9 WHERE execution_id = 'a'")

    with pytest.raises(Corrupt):
        await store.state.get("a:k")
    with pytest.raises(Corrupt):
        await store.state.load_snapshot("a")
    assert await store.state.get("b:k") == b"b"
    assert await store.state.load_snapshot("b") is not None


# The storage backend below


@pytest.mark.sqlite("names the engine")
async def test_the_storage_backend_is_that_of_the_store(store: Store) -> None:
    assert store.state.name == store.name
    assert store.state.requires_network is False
    assert store.state.supports_air_gapped is True
    await store.state.health_check()

    await store.state.shutdown()

    with pytest.raises(Closed):
        await store.state.health_check()
