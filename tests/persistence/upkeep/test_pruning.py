"""Pruning: what has ended long ago goes where it is asked for, and nothing else ever does."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tenure
from tenure import InputId, Limits, LogicalRuntimeId, RunId, Seams, Store
from tenure.errors import IdempotencyConflict, InvalidInput
from tenure.persistence.commits.upkept import PAGE
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox import outcomes
from tenure.persistence.facets.prunable import Pruned
from tenure.persistence.facets.runs import (
    dead_letters,
    runs,
)
from tenure.persistence.model.entries import EntryStatus
from tenure.persistence.model.lifecycles.retention import KEYS_KEPT_S
from tenure.persistence.upkeep.verify import (
    Verification,
    verify_runtime,
)
from tests.kit.clocks import Clock
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.builders import (
    consumed,
    delta,
    receipt,
    rewrite,
    snapshot,
)
from tests.persistence.contracts.owners.owned import Owner

DAY_S = 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000.0, step=0.001)


@pytest.fixture(params=["memory", "file"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncGenerator[Store]:
    target = ":memory:" if request.param == "memory" else str(tmp_path / "agents.db")
    async with open_seen_store(target, durability="memory", seams=Seams(wall_clock=clock)) as opened:
        yield opened


async def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    async with store.read_connection() as connection:
        return await connection.query(sql)


async def verified(store: Store, name: str = "alice") -> Verification:
    found = await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId(name)))
    assert found.is_sound, found.problems
    return found


async def run(owner: Owner, name: str, *messages: bytes, **more: Any) -> None:
    """One input and the run that consumes it, with a step and a checkpoint."""
    await owner.accept(name, **more)
    await owner.begin(name)
    await owner.step(name, "look", EntryStatus.SUCCEEDED, b"1")
    await owner.write(owner.append(name, *messages), owner.receipt(name))
    await owner.write(owner.receipt(name, tenure.RunApplyBoundary.RUN_START), owner.finish(name))


async def owned(store: Store, name: str = "alice") -> Owner:
    owner = Owner(store, name)
    await owner.own()
    return owner


async def test_what_is_younger_stays(store: Store, clock: Clock) -> None:
    await run(await owned(store), "one")
    clock.now += DAY_S

    assert await store.prune(2 * DAY_S) == Pruned()
    assert (await verified(store)).receipts == 2


async def test_a_finished_run_goes_whole_and_the_chain_goes_on_from_its_anchor(store: Store, clock: Clock) -> None:
    owner = await owned(store)
    await run(owner, "one", b'"a"')
    await run(owner, "two", b'"b"', idempotency_key="key")
    clock.now += DAY_S
    await run(owner, "three", b'"c"')

    assert await store.prune(DAY_S / 2) == Pruned(receipts=4, runs=2, steps=2, inputs=1, payloads_of_keys=1)

    found = await verified(store)
    assert (found.receipts, found.pruned) == (2, 4)
    assert "first 4 links were pruned" in found.not_recomputed[0].detail
    path = await store.read(partial(sessions.path_of_runtime, runtime_id=LogicalRuntimeId("alice")))
    assert path == [b'"a"', b'"b"', b'"c"'], "the conversation is never pruned"
    await run(owner, "four")
    assert (await verified(store)).receipts == 4
    assert await rows(store, "SELECT run_id FROM runs ORDER BY run") == [("alice three",), ("alice four",)]


async def test_an_anchor_that_was_tampered_with_is_found(store: Store) -> None:
    owner = await owned(store)
    await run(owner, "one")
    await store.prune(0)
    await run(owner, "two")
    from tests.persistence.contracts.damage import execute

    await execute(store, "UPDATE anchors SET chain = zeroblob(32)")

    found = await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId("alice")))
    assert not found.is_sound


async def test_a_key_is_known_for_thirty_days_longer(store: Store, clock: Clock) -> None:
    owner = await owned(store)
    await run(owner, "one", idempotency_key="key")
    await store.prune(0)

    again = await owner.accept("one", idempotency_key="key")
    assert (again.input_id, again.phase, again.deduplicated) == ("alice one", "consumed", True)
    with pytest.raises(IdempotencyConflict):
        await owner.accept("other", idempotency_key="key")
    (stored,) = await store.runtimes.load_input_states("alice")
    assert isinstance(stored, tenure.StoredInputState)
    assert stored.state.payload == b""

    clock.now += KEYS_KEPT_S - 60
    assert await store.prune(0) == Pruned()
    clock.now += 120
    assert await store.prune(0) == Pruned(keys=1)
    assert not (await owner.accept("one again", idempotency_key="key")).deduplicated


async def test_dead_letters_wait_for_a_person(store: Store) -> None:
    owner = await owned(store)
    await owner.accept("dead")
    await owner.begin("dead")
    await owner.step("dead", "look", EntryStatus.SUCCEEDED, b"1")
    await owner.write(owner.fail("dead"))
    await owner.accept("sending")
    await owner.begin("sending")
    await owner.write(
        owner.send("sending", 1, "nobody"),
        owner.receipt("sending", tenure.RunApplyBoundary.RUN_START),
        owner.finish("sending"),
    )
    letters = partial(dead_letters.of_runtime, runtime_id=LogicalRuntimeId("alice"), after=InputId(""), count=9)

    assert await store.prune(0) == Pruned()
    assert len(await store.read(letters)) == 2
    await owner.write(owner.retry("dead"))
    assert (await owner.begin("dead")).again, "with its steps"
    await owner.write(owner.fail("dead"))

    assert await store.prune(0, dead_letters=True) == Pruned(receipts=1, runs=2, steps=1, sends=1, inputs=2)
    assert not await store.read(letters)
    await verified(store)


async def test_what_waits_or_runs_stays_and_holds_back_what_stands_behind_it(store: Store) -> None:
    owner = await owned(store)
    await owner.accept("one")
    await owner.begin("one")
    await owner.write(owner.append("one", b'"a"'), owner.receipt("one"))
    await owner.write(owner.fail("one", retry_at=1.0))
    await owner.accept("behind")

    assert await store.prune(0) == Pruned()

    assert (await owner.begin("one")).again
    await owner.write(owner.receipt("one", tenure.RunApplyBoundary.RUN_START), owner.finish("one"))
    await run(owner, "two")  # over "behind", which is older
    assert (await store.prune(0)).receipts == 4
    assert await rows(store, "SELECT input_id FROM inputs") == [("alice two",)]
    await verified(store)


async def test_a_run_that_has_no_input_left_but_goes_on_stays(store: Store) -> None:
    owner = await owned(store)
    await owner.accept("one")
    await owner.begin("one")
    reject = runs.RejectInput(
        runtime_id=owner.runtime_id, run_id=RunId("alice one"), input_id=InputId("alice one"), error="no"
    )
    await owner.write(reject)

    assert await store.prune(0, dead_letters=True) == Pruned()
    await owner.write(owner.append("one", b'"a"'), owner.receipt("one"))
    await verified(store)


async def test_a_dead_letter_keeps_the_chain_behind_its_receipt(store: Store) -> None:
    owner = await owned(store)
    await owner.accept("dead")
    await owner.begin("dead")
    await owner.write(owner.receipt("dead"))
    await owner.write(owner.fail("dead"))
    await run(owner, "two")

    assert await store.prune(0) == Pruned()
    await owner.write(owner.drop("dead"))
    assert await store.prune(0) == Pruned(receipts=3, runs=2, steps=1, inputs=2)
    assert (await verified(store)).pruned == 3


async def test_links_that_are_no_receipts_are_passed(store: Store) -> None:
    owner = await owned(store)
    await owner.reset()
    await run(owner, "one")
    await owner.reset()

    assert await store.prune(0) == Pruned(receipts=2, links=2, runs=1, steps=1, inputs=1)
    assert (await verified(store)).pruned == 4


async def test_what_a_conversation_left_behind_goes_and_what_it_holds_stays(store: Store) -> None:
    talk = "talk"
    before, after = snapshot("a", "b", "c", session=talk), snapshot("a", "x", session=talk)
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b", "c", session=talk))
    await store.runtimes.commit_session_transcript_rewrite_snapshot(
        "alice", delta("a", "x", session=talk), rewrite(before, after)
    )
    stored = await store.runtimes.load_session_snapshot("alice")

    assert await store.prune(0) == Pruned(nodes=2)
    assert await store.runtimes.load_session_snapshot("alice") == stored
    await verified(store)


async def test_a_run_that_began_before_a_clear_keeps_what_it_reads(store: Store) -> None:
    owner = await owned(store)
    await run(owner, "one", b'"a"', b'"b"')
    await owner.accept("two")
    begun = await owner.begin("two")
    await store.runtimes.clear_session_snapshot("alice", fence=owner.token)

    assert (await store.prune(0)).nodes == 0
    path = await store.read(lambda statements: sessions.path_to(statements, begun.base, begun.base_count))
    assert path == [b'"a"', b'"b"']
    await owner.write(owner.receipt("two", tenure.RunApplyBoundary.RUN_START), owner.finish("two"))
    assert (await store.prune(0)).nodes == 2
    await verified(store)


async def test_receipts_of_the_contract_go_when_their_run_is_over(store: Store) -> None:
    runtimes = store.runtimes
    await runtimes.commit_session_boundary("alice", delta("a"), "run-0", "run_start", ["i"], [consumed("i")])
    await runtimes.atomic_apply("alice", None, receipt(1, run="run-1", of_delta=False), [])  # `run_start`
    await runtimes.commit_session_boundary("alice", delta("a", "b"), "run-2", "run_checkpoint", [], [])

    assert await store.prune(0) == Pruned(receipts=2, runs=2, inputs=1)
    assert await runtimes.load_boundary_receipt("alice", "run-2", 1) is not None
    await runtimes.atomic_apply("alice", None, receipt(2, run="run-2", of_delta=False), [])
    await verified(store)


async def test_many_rows_go_in_many_commits(store: Store) -> None:
    owner = await owned(store)
    for number in range(PAGE + 10):
        await owner.accept(str(number))
        await owner.begin(str(number))
        await owner.write(owner.receipt(str(number), tenure.RunApplyBoundary.RUN_START), owner.finish(str(number)))
    groups = store.statistics().groups

    assert (await store.prune(0)).runs == PAGE + 10
    assert store.statistics().groups - groups == 4, "two pages of receipts, two of runs"


@pytest.mark.parametrize("age_s", [-1, math.nan, math.inf])
async def test_an_age_that_is_none_is_refused(store: Store, age_s: float) -> None:
    with pytest.raises(InvalidInput):
        await store.prune(age_s)


async def test_beside_the_host_that_owns_the_runtime(tmp_path: Path) -> None:
    path, limits = tmp_path / "agents.db", Limits(lease_s=900, renew_s=300)
    async with (
        open_seen_store(path, durability="memory", limits=limits) as owning,
        open_seen_store(path, durability="memory", limits=limits) as pruning,
    ):
        owner = await owned(owning)
        await run(owner, "one", b'"a"', idempotency_key="key")
        await owner.accept("two")
        await owner.begin("two")

        assert await pruning.prune(0) == Pruned(receipts=2, runs=1, steps=1, payloads_of_keys=1)

        assert (await owner.accept("one", idempotency_key="key")).deduplicated
        await owner.write(owner.append("two", b'"b"'), owner.receipt("two"))
        await owner.write(owner.receipt("two", tenure.RunApplyBoundary.RUN_START), owner.finish("two"))
        assert (await verified(owning)).pruned == 2


async def test_a_ticket_of_a_pruned_input_has_its_outcome_and_no_receipt(store: Store) -> None:
    owner = await owned(store)
    await run(owner, "one", idempotency_key="key")
    await store.prune(0)

    found = await store.read(
        partial(outcomes.find_outcome, runtime_id=LogicalRuntimeId("alice"), input_id=InputId("alice one"))
    )
    assert found is not None
    assert (found.phase, found.run_id, found.boundary) == ("consumed", None, None)
