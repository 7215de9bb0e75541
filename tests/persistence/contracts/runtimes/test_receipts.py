"""Boundaries: conversation, receipt and inputs in one commit."""

from __future__ import annotations

import attrs
import pytest

from tenure import RunApplyBoundary, RunId, Store, StoredInputState
from tenure.errors import (
    ContinuityViolation,
    DuplicateReceipt,
    IdempotencyConflict,
    InvalidInput,
    InvalidSnapshot,
    ReceiptConflict,
    SessionKeyMismatch,
    SnapshotSuperseded,
    StaleFence,
    WriteFailed,
)
from tenure.persistence.contracts.types import InputState, SessionDelta
from tests.persistence.contracts.builders import (
    consumed,
    delta,
    envelope,
    queued,
    receipt,
    snapshot,
    texts,
)


async def phases(store: Store, runtime_id: str = "alice") -> dict[str, str]:
    rows = await store.runtimes.load_input_states(runtime_id)
    return {each.state.input_id: each.state.phase for each in rows if isinstance(each, StoredInputState)}


async def test_a_session_boundary_returns_the_receipt_exactly_as_it_is_stored(store: Store) -> None:
    given = await store.runtimes.commit_session_boundary(
        "alice", delta("a", "b"), "run-1", RunApplyBoundary.RUN_START, ["i1"], [consumed("i1")]
    )

    assert given.sequence == 1
    assert given.conversation_digest == snapshot("a", "b").revision
    assert given.message_count == 2
    assert given.contributing_input_ids == ("i1",)
    assert given.runtime_id == "alice"
    assert given.durability == store.durability
    assert await store.runtimes.load_boundary_receipt("alice", "run-1", 1) == given


async def test_a_session_boundary_stamps_every_input_with_run_and_sequence(store: Store) -> None:
    runtimes = store.runtimes
    await runtimes.commit_session_boundary("alice", delta("a"), "run-1", RunApplyBoundary.RUN_CHECKPOINT, [], [])
    await runtimes.commit_session_boundary(
        "alice", delta("a", "b"), "run-1", RunApplyBoundary.RUN_START, ["i1", "i2"], [consumed("i1"), queued("i2")]
    )

    for input_id in ("i1", "i2"):
        found = await runtimes.load_input_state("alice", input_id)
        assert found is not None
        assert (found.state.last_run_id, found.state.last_boundary_sequence) == ("run-1", 2)


async def test_sequences_are_dense_from_one_in_each_run(store: Store) -> None:
    sequences = [
        (
            await store.runtimes.commit_session_boundary(
                "alice", delta("a"), run, RunApplyBoundary.RUN_CHECKPOINT, [], []
            )
        ).sequence
        for run in ("run-1", "run-1", "run-2", "run-1")
    ]

    assert sequences == [1, 2, 1, 3]


async def test_bytes_that_are_no_envelope_write_nothing(store: Store) -> None:
    with pytest.raises(InvalidSnapshot):
        await store.runtimes.commit_session_boundary(
            "alice", SessionDelta(session_snapshot=b"{}"), "run-1", RunApplyBoundary.RUN_START, [], [queued("i1")]
        )

    assert await store.runtimes.load_boundary_receipt("alice", "run-1", 1) is None
    assert not await phases(store)


async def test_an_atomic_apply_writes_conversation_receipt_and_inputs(store: Store) -> None:
    await store.runtimes.atomic_apply("alice", delta("a"), receipt(1, "a", inputs=("i1",)), [consumed("i1")], "talk")

    stored = await store.runtimes.load_boundary_receipt("alice", "run-1", 1)
    assert stored is not None
    assert stored.conversation_digest == snapshot("a").revision
    assert texts(await store.runtimes.load_session_snapshot("alice")) == ["a"]
    assert await phases(store) == {"i1": "consumed"}


async def test_an_atomic_apply_without_a_delta_keeps_the_receipt_as_it_was_brought(store: Store) -> None:
    brought = attrs.evolve(receipt(1, of_delta=False), message_count=42)

    await store.runtimes.atomic_apply("alice", None, brought, [], "whatever")

    stored = await store.runtimes.load_boundary_receipt("alice", "run-1", 1)
    assert stored is not None
    assert (stored.conversation_digest, stored.message_count) == (None, 42)
    assert await store.runtimes.load_session_snapshot("alice") is None


async def test_a_key_that_is_not_the_sessions_is_refused(store: Store) -> None:
    with pytest.raises(SessionKeyMismatch) as caught:
        await store.runtimes.atomic_apply("alice", delta("a"), receipt(1, "a"), [], "another")

    assert (caught.value.expected, caught.value.actual) == ("another", "talk")
    assert await store.runtimes.load_boundary_receipt("alice", "run-1", 1) is None


@pytest.mark.parametrize("again", ["identical", "other inputs", "other digest"])
async def test_the_same_sequence_again_is_a_duplicate_whatever_it_says(store: Store, again: str) -> None:
    first = receipt(1, "a")
    await store.runtimes.atomic_apply("alice", delta("a"), first, [])
    stored = await store.runtimes.load_boundary_receipt("alice", "run-1", 1)
    brought = {
        "identical": first,
        "other inputs": attrs.evolve(first, contributing_input_ids=("x",)),
        "other digest": attrs.evolve(first, conversation_digest="0" * 64),
    }[again]

    with pytest.raises(DuplicateReceipt):
        await store.runtimes.atomic_apply("alice", delta("a", "b"), brought, [queued("late")])

    assert await store.runtimes.load_boundary_receipt("alice", "run-1", 1) == stored
    assert texts(await store.runtimes.load_session_snapshot("alice")) == ["a"]
    assert not await phases(store)


async def test_a_duplicate_is_said_before_an_older_conversation_is(store: Store) -> None:
    await store.runtimes.atomic_apply("alice", delta("a"), receipt(1, "a"), [])
    await store.runtimes.atomic_apply("alice", delta("a", "b"), receipt(2, "a", "b"), [])

    with pytest.raises(DuplicateReceipt):
        await store.runtimes.atomic_apply("alice", delta("a"), receipt(1, "a"), [])


@pytest.mark.parametrize("sequence", [0, 2, 3, -1])
async def test_a_sequence_that_is_not_the_next_is_refused(store: Store, sequence: int) -> None:
    with pytest.raises(ReceiptConflict):
        await store.runtimes.atomic_apply("alice", delta("a"), receipt(sequence, "a"), [queued("i1")])

    assert await store.runtimes.load_session_snapshot("alice") is None
    assert not await phases(store)


@pytest.mark.parametrize(
    "wrong", [{"conversation_digest": "0" * 64}, {"conversation_digest": None}, {"message_count": 2}]
)
async def test_a_receipt_that_contradicts_its_delta_is_refused(store: Store, wrong: dict[str, object]) -> None:
    with pytest.raises(ReceiptConflict):
        await store.runtimes.atomic_apply("alice", delta("a"), attrs.evolve(receipt(1, "a"), **wrong), [])

    assert await store.runtimes.load_session_snapshot("alice") is None


async def test_a_receipt_that_names_another_runtime_is_refused(store: Store) -> None:
    with pytest.raises(ReceiptConflict):
        await store.runtimes.atomic_apply("alice", None, attrs.evolve(receipt(1), runtime_id="bob"), [])


async def test_a_digest_that_is_none_is_refused_before_the_store_is_asked(store: Store) -> None:
    with pytest.raises(InvalidInput):
        await store.runtimes.atomic_apply("alice", None, attrs.evolve(receipt(1), conversation_digest="FF"), [])


async def test_an_older_conversation_loses_its_receipt_and_inputs_with_an_error(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b", "c"))

    with pytest.raises(SnapshotSuperseded):
        await store.runtimes.atomic_apply("alice", delta("a"), receipt(1, "a"), [queued("i1")])

    assert await store.runtimes.load_boundary_receipt("alice", "run-1", 1) is None
    assert not await phases(store)


async def test_another_history_is_refused_with_everything_beside_it(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b"))

    with pytest.raises(ContinuityViolation):
        await store.runtimes.atomic_apply("alice", delta("a", "x", "y"), receipt(1, "a", "x", "y"), [queued("i1")])

    assert await store.runtimes.load_boundary_receipt("alice", "run-1", 1) is None
    assert texts(await store.runtimes.load_session_snapshot("alice")) == ["a", "b"]
    assert not await phases(store)


async def test_a_bad_input_takes_the_whole_boundary_with_it(store: Store) -> None:
    await store.runtimes.persist_input_state("alice", queued("i0", idempotency_key="k"))

    with pytest.raises(IdempotencyConflict):
        await store.runtimes.atomic_apply(
            "alice", delta("a"), receipt(1, "a"), [queued("i1"), queued("i2", idempotency_key="k")]
        )

    assert await phases(store) == {"i0": "queued"}
    assert await store.runtimes.load_boundary_receipt("alice", "run-1", 1) is None
    assert await store.runtimes.load_session_snapshot("alice") is None


async def test_a_stale_token_is_refused_before_anything_else_of_the_commit(store: Store) -> None:
    await store.runtimes.atomic_apply("alice", delta("a"), receipt(1, "a"), [])

    with pytest.raises(StaleFence):
        await store.runtimes.atomic_apply("alice", delta("a"), receipt(1, "a"), [], fence=77)


async def test_a_token_for_a_runtime_that_nobody_knows_is_stale(store: Store) -> None:
    with pytest.raises(StaleFence):
        await store.runtimes.persist_runtime_state("nobody", "idle", fence=1)

    assert await store.runtimes.load_runtime_state("nobody") is None


async def test_a_receipt_is_found_under_its_exact_key_only(store: Store) -> None:
    await store.runtimes.atomic_apply("rt:session:1", None, receipt(1, of_delta=False), [])

    assert await store.runtimes.load_boundary_receipt("1", RunId("run-1"), 1) is None
    assert await store.runtimes.load_boundary_receipt("rt:session:1", "run-1", 2) is None
    assert await store.runtimes.load_boundary_receipt("rt:session:1", "run-2", 1) is None
    assert await store.runtimes.load_boundary_receipt("rt:session:1", "run-1", 1) is not None


async def test_every_refusal_is_a_failed_write(store: Store) -> None:
    for refusal in (DuplicateReceipt, ReceiptConflict, SnapshotSuperseded, ContinuityViolation, SessionKeyMismatch):
        assert issubclass(refusal, WriteFailed)


async def test_input_updates_are_taken_in_either_vintage(store: Store) -> None:
    await store.runtimes.persist_input_state("alice", queued("i1"))
    stored = await store.runtimes.load_input_state("alice", "i1")
    assert stored is not None

    await store.runtimes.atomic_apply("alice", None, receipt(1, of_delta=False), [stored])

    again = await store.runtimes.load_input_state("alice", "i1")
    assert isinstance(again, StoredInputState)
    assert isinstance(again.state, InputState)
    assert envelope("a") == envelope("a")
