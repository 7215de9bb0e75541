"""The rows of runs that are put aside: what is due is found by its time, and a damaged row harms no other."""

from __future__ import annotations

import random
from functools import partial

import pytest

from tenure import Lane, RunId, Store
from tenure.errors import Corrupt, Error, Internal, SchemaMismatch, StoreBroken
from tenure.persistence.facets.records import asides
from tenure.persistence.facets.runs.interrupted import DropRun, PutAside
from tenure.persistence.facets.runs.runs import NothingBegun, RunBegun
from tenure.persistence.model.values import AbandonReason
from tenure.persistence.upkeep.verify import verify_runtime
from tests.kit.ground import host_key
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import SCHEMA, damage, execute, outcome, restore, save, spoilt
from tests.persistence.contracts.owners.owned import KIND, Owner

FIRST = (float("-inf"), 0)


async def put(owner: Owner, *, wake_at: float | None = None, steerable: bool = False) -> RunId:
    """A runtime whose run is aside."""
    await owner.own()
    await owner.accept("waits")
    run_id: RunId = (await owner.begin("rests")).run_id
    change = PutAside(runtime_id=owner.runtime_id, run_id=run_id, wake_at=wake_at, steerable=steerable)
    assert await owner.write(change) == (True,)
    return run_id


async def due(store: Store, now: float) -> list[str]:
    read = partial(asides.find_due, kind=KIND, host=host_key(store), now=now, after=FIRST, count=9)
    return [each.runtime_id for each in await store.read(read)]


async def test_those_that_are_due_are_found_by_their_time_and_no_other_is_begun() -> None:
    async with open_seen_store(":memory:") as store:
        for name, wake_at in (("a", 9e9), ("b", 8e9), ("c", None), ("d", 9.5e9)):
            await put(Owner(store, name), wake_at=wake_at)
        assert await due(store, 7e9) == []
        assert await due(store, 9.2e9) == ["b", "a"]
        assert await store.read(partial(asides.find_next, kind=KIND, now=8.5e9)) == 9e9
        owner = Owner(store, "c")
        assert not (await owner.own()).has_work
        assert isinstance(await owner.begin("other"), NothingBegun)


async def test_what_steers_wakes_those_alone_that_wait_for_it() -> None:
    async with open_seen_store(":memory:") as store:
        waits, sleeps = Owner(store, "waits"), Owner(store, "sleeps")
        run_id = await put(waits, steerable=True)
        await put(sleeps, wake_at=9e9)
        for owner in (waits, sleeps):
            await owner.accept("in the queue")
        assert await due(store, 8e9) == []
        for owner in (waits, sleeps):
            await owner.accept("go on", lane=Lane.STEER)
        assert await due(store, 8e9) == ["waits"]
        assert (await waits.own()).has_work
        begun = await waits.begin("other")
        assert isinstance(begun, RunBegun)
        assert begun.run_id == run_id
        assert await execute(store, "SELECT runtime_id FROM asides JOIN runtimes USING (runtime)") == [("sleeps",)]


async def test_a_run_is_not_put_aside_where_what_it_waits_for_has_come() -> None:
    async with open_seen_store(":memory:") as store:
        owner = Owner(store, "a")
        await owner.own()
        await owner.accept("waits")
        run_id = (await owner.begin("rests")).run_id
        await owner.accept("go on", lane=Lane.STEER)
        change = PutAside(runtime_id=owner.runtime_id, run_id=run_id, wake_at=None, steerable=True)
        assert await owner.write(change) == (False,)
        change = PutAside(runtime_id=owner.runtime_id, run_id=run_id, wake_at=1.0, steerable=False)
        assert await owner.write(change) == (False,)
        assert await execute(store, "SELECT owner IS NULL, aside FROM runtimes") == [(0, 0)]


@pytest.mark.parametrize("column", SCHEMA["asides"])
async def test_damage_of_a_row_is_found_and_harms_its_own_runtime_alone(column: str) -> None:
    source = random.Random(column)
    async with open_seen_store(":memory:") as store:
        owner, other = Owner(store, "a"), Owner(store, "b")
        await put(owner, wake_at=9e9, steerable=True)
        await put(other, wake_at=8e9, steerable=True)
        saved, bytes_of = await save(store), f"SELECT hex({column}) FROM asides ORDER BY runtime"
        before = await execute(store, bytes_of)
        (key,) = (await execute(store, "SELECT runtime FROM runtimes WHERE runtime_id = 'a'"))[0]
        for _, expression, value in [each for each in spoilt("asides", source, 1) if each[0] == column]:
            await damage(store, "asides", column, f"runtime = {key}", expression, value)
            if await execute(store, bytes_of) == before:
                continue  # the schema itself refuses it
            found = await outcome(partial(store.read, partial(verify_runtime, runtime_id=owner.runtime_id)))
            strays = await store.read(asides.verify_strays)
            assert strays or not found.is_sound, (expression, value)
            drop = DropRun(runtime_id=owner.runtime_id, reason=AbandonReason.CANCELLED)
            for call in (
                partial(owner.accept, "go on", lane=Lane.STEER),
                owner.own,
                partial(owner.begin, "other"),
                partial(owner.write, drop),
            ):
                answer = await outcome(call)
                assert not isinstance(answer, Internal | StoreBroken), (expression, value, answer)
                assert not isinstance(answer, Error) or isinstance(answer, Corrupt | SchemaMismatch), answer
            assert "b" in await due(store, 8.5e9)
            assert (await other.own()).aside
            await restore(store, saved)
