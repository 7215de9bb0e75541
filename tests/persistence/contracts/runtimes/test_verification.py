"""Verifying a runtime: what is sound is said to be, and every sort of tampering is found."""

from __future__ import annotations

from functools import partial

import pytest

from tenure import LogicalRuntimeId, MachineLifecycleCommit, RuntimeState, Store
from tenure.errors import NotFound
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import NotStorable
from tenure.persistence.facets.ownership.lifecycle import WriteLifecycle
from tenure.persistence.model.values import AbandonReason
from tenure.persistence.upkeep.inspect import (
    list_runtimes,
    show_runtime,
)
from tenure.persistence.upkeep.verify import (
    Verification,
    runtime_ids,
    verify_runtime,
)
from tests.persistence.contracts.builders import (
    consumed,
    delta,
    envelope,
    queued,
    receipt,
    rewrite,
    snapshot,
)
from tests.persistence.contracts.damage import execute

ALICE = LogicalRuntimeId("alice")


async def live(store: Store) -> None:
    """Receipts, a rewrite, a clear and a reset: every sort of link."""
    runtimes = store.runtimes
    await runtimes.commit_machine_lifecycle(ALICE, MachineLifecycleCommit.of(RuntimeState.IDLE), [])
    await runtimes.commit_session_boundary(
        ALICE, delta("a", "b"), "run-1", "run_start", ["i1"], [consumed("i1"), queued("i2")]
    )
    commit = rewrite(snapshot("a", "b"), snapshot("a", "x"))
    await runtimes.commit_session_transcript_rewrite_snapshot(ALICE, delta("a", "x"), commit)
    await runtimes.clear_session_snapshot(ALICE)
    await runtimes.commit_session_snapshot(ALICE, delta("c"))
    await runtimes.replace_session_snapshot_if_current(ALICE, envelope("c"), envelope("d"))
    await runtimes.atomic_apply(ALICE, delta("d", "e"), receipt(2, "d", "e"), [])
    reset = WriteLifecycle(
        runtime_id=ALICE, state=RuntimeState.IDLE, abandon=AbandonReason.RESET, end_run=True, next_generation=True
    )
    await store.commit(Commit(runtime_id=ALICE, changes=(reset,)))


async def verify(store: Store) -> Verification:
    return await store.read(partial(verify_runtime, runtime_id=ALICE))


async def test_a_sound_runtime_is_said_to_be(store: Store) -> None:
    await live(store)

    found = await verify(store)

    assert found.is_sound, found.problems
    assert (found.receipts, found.links, found.nodes, found.inputs) == (2, 4, 6, 2)
    assert found.not_recomputed == ()


async def test_what_nothing_stored_can_prove_is_said_and_is_no_fault(store: Store) -> None:
    await live(store)
    await store.runtimes.atomic_apply(ALICE, None, receipt(3, of_delta=False), [])
    await execute(store, "DELETE FROM nodes WHERE tombstoned_at IS NOT NULL")  # as a vacuum does

    found = await verify(store)

    assert found.is_sound, found.problems
    assert sorted((each.key, each.detail) for each in found.not_recomputed) == [
        ("run-1:1", "no stored messages lead to its digest"),
        ("run-1:3", "it was brought without a conversation"),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE receipts SET message_count = 9 WHERE sequence = 1",
        "UPDATE receipts SET fence_token = fence_token + 1 WHERE sequence = 2",
        "UPDATE receipts SET chain = zeroblob(32) WHERE sequence = 2",
        "UPDATE receipts SET input_ids = '[]' WHERE sequence = 1",
        "UPDATE receipts SET input_ids = 'junk' WHERE sequence = 1",
        "UPDATE receipts SET position = 40 WHERE sequence = 2",
        "UPDATE receipts SET position = 'x' WHERE sequence = 2",
        "DELETE FROM receipts WHERE sequence = 1",
        "DELETE FROM receipts WHERE sequence = 2",
        "UPDATE links SET detail = 'other' WHERE event = 'rewrite'",
        "UPDATE links SET event = 'clear' WHERE event = 'reset'",
        "DELETE FROM links WHERE event = 'clear'",
        "DELETE FROM links WHERE event = 'reset'",
        "UPDATE runtimes SET chain = zeroblob(32)",
        "UPDATE runtimes SET boundaries = 2",
        "UPDATE nodes SET payload = x'00' WHERE position = 1",
        "UPDATE nodes SET position = 7 WHERE position = 2",
        "UPDATE nodes SET parent = NULL WHERE position = 2",
        "UPDATE sessions SET message_count = 1",
        "UPDATE inputs SET phase = 'asleep' WHERE input_id = 'i2'",
        "UPDATE inputs SET boundary = 8 WHERE input_id = 'i1'",
        "UPDATE payloads SET payload = x'00'",
        "UPDATE runtimes SET state = 'asleep'",
    ],
)
async def test_tampering_is_found(store: Store, sql: str) -> None:
    await live(store)

    try:
        await execute(store, sql)
    except NotStorable:
        return  # such a value has no place there: the engine is guard enough

    assert not (await verify(store)).is_sound


async def test_a_runtime_that_nobody_knows_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await verify(store)


async def test_what_is_listed_and_shown_holds_no_content(store: Store) -> None:
    await live(store)
    await store.runtimes.persist_input_state("bob", queued("i1", payload=b'"private"'))

    lines = await store.read(list_runtimes)
    shown = await store.read(partial(show_runtime, runtime_id=ALICE))

    assert await store.read(runtime_ids) == ["alice", "bob"]
    assert [(each.runtime_id, each.state, each.owner) for each in lines] == [
        ("alice", "idle", None),
        ("bob", "idle", None),
    ]
    assert shown["inputs"] == {"abandoned": 1, "consumed": 1}
    assert shown["session"]["message_count"] == 2
    assert shown["chain_length"] == 6
    assert shown["generation"] == 1
    assert "private" not in repr((lines, shown))
