"""Inputs as whole records: what may be written, and what is read when a row is bad."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import pytest

from tenure import (
    AbandonReason,
    InputDurability,
    InputId,
    InputKind,
    InputPhase,
    InputState,
    InputStatePersistenceRecord,
    InputTransition,
    Lane,
    LogicalRuntimeId,
    PolicyDecision,
    ReconstructionSource,
    RunId,
    Store,
    StoredInputState,
)
from tenure.errors import Corrupt, IdempotencyConflict, InvalidInput, InvalidTransition, PayloadTooLarge
from tenure.persistence.upkeep.verify import verify_runtime
from tests.persistence.contracts.builders import (
    consumed,
    queued,
)
from tests.persistence.contracts.damage import execute

FULL = InputState(
    input_id=InputId("i1"),
    kind=InputKind.CONTINUATION,
    phase=InputPhase.QUEUED,
    payload=b"\x00\xff opaque",
    source='{"type":"system"}',
    durability=InputDurability.DERIVED,
    supersession_key="s",
    correlation_id="c",
    policy=PolicyDecision(record_transcript=False),
    recovery_lane=Lane.STEER,
    admission_sequence=1_000_000_007,
    history=(InputTransition(at=1.5, before=InputPhase.ACCEPTED, after=InputPhase.QUEUED, reason="because"),),
    error="boom",
    attempt_count=2,
    last_run_id=RunId("run-9"),
    last_boundary_sequence=4,
    recovery_count=3,
    reconstruction_source=ReconstructionSource(rule_id="r", source_event_id="e", source_input_ids=(InputId("i0"),)),
    created_at=2.5,
)


async def load(store: Store, input_id: str) -> InputState:
    found = await store.runtimes.load_input_state("alice", input_id)
    assert found is not None
    return attrs.evolve(found.state, updated_at=None)


async def test_every_field_of_an_input_comes_back(store: Store) -> None:
    await store.runtimes.persist_input_state("alice", FULL)

    assert await load(store, "i1") == FULL


async def test_a_stored_input_is_written_as_it_was_read(store: Store) -> None:
    await store.runtimes.persist_input_state("alice", FULL)
    before = await store.runtimes.load_input_state("alice", "i1")
    assert before is not None

    await store.runtimes.persist_input_state("alice", before)

    assert await load(store, "i1") == FULL
    assert before.stored_input_state_version == 1


async def test_an_absent_input_is_none(store: Store) -> None:
    assert await store.runtimes.load_input_state("alice", "i1") is None
    assert await store.runtimes.load_input_states("alice") == []


async def test_the_last_writer_wins_until_the_input_has_ended(store: Store) -> None:
    await store.runtimes.persist_input_state("alice", queued("i1", payload=b"1"))
    await store.runtimes.persist_input_state("alice", queued("i1", payload=b"2", error="late"))

    assert (await load(store, "i1")).payload == b"2"
    assert (await load(store, "i1")).error == "late"


ENDS: list[dict[str, Any]] = [
    {"phase": InputPhase.CONSUMED},
    {"phase": InputPhase.ABANDONED, "reason": AbandonReason.CANCELLED},
    {"phase": InputPhase.ABANDONED, "reason": AbandonReason.RESET},
    {"phase": InputPhase.SUPERSEDED, "successor": InputId("i2")},
    {"phase": InputPhase.COALESCED, "successor": InputId("i2")},
]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("after", [*ENDS, {"phase": InputPhase.QUEUED}, {"phase": InputPhase.APPLIED}])
async def test_no_input_leaves_an_end(store: Store, end: dict[str, Any], after: dict[str, Any]) -> None:
    await store.runtimes.persist_input_state("alice", InputState(input_id=InputId("i1"), **end))
    stored = await load(store, "i1")

    if after == end:
        await store.runtimes.persist_input_state("alice", InputState(input_id=InputId("i1"), **after))
    else:
        with pytest.raises(InvalidTransition):
            await store.runtimes.persist_input_state("alice", InputState(input_id=InputId("i1"), **after))

    assert await load(store, "i1") == stored


async def test_several_inputs_land_together_or_not_at_all(store: Store) -> None:
    await store.runtimes.persist_input_state("alice", consumed("i3"))

    with pytest.raises(InvalidTransition):
        await store.runtimes.persist_input_states_atomically("alice", [queued("i1"), queued("i2"), queued("i3")])

    assert [each.state.input_id for each in await rows(store)] == ["i3"]


async def rows(store: Store) -> list[StoredInputState]:
    found = await store.runtimes.load_input_states("alice")
    assert all(isinstance(each, StoredInputState) for each in found)
    return [each for each in found if isinstance(each, StoredInputState)]


async def test_keys_are_judged_when_all_rows_are_written(store: Store) -> None:
    first, second = queued("i1", idempotency_key="a"), queued("i2", idempotency_key="b")
    await store.runtimes.persist_input_states_atomically("alice", [first, second])

    swapped = [attrs.evolve(first, idempotency_key="b"), attrs.evolve(second, idempotency_key="a")]
    await store.runtimes.persist_input_states_atomically("alice", swapped)

    assert [each.state.idempotency_key for each in await rows(store)] == ["b", "a"]


async def test_a_key_has_one_owner(store: Store) -> None:
    await store.runtimes.persist_input_state("alice", consumed("i1", idempotency_key="k"))

    with pytest.raises(IdempotencyConflict):
        await store.runtimes.persist_input_state("alice", queued("i2", idempotency_key="k"))
    with pytest.raises(IdempotencyConflict):
        await store.runtimes.persist_input_states_atomically(
            "alice", [queued("i3", idempotency_key="m"), queued("i4", idempotency_key="m")]
        )

    await store.runtimes.persist_input_state("bob", queued("i2", idempotency_key="k"))
    assert [each.state.input_id for each in await rows(store)] == ["i1"]


async def test_inputs_come_in_the_order_of_admission_and_not_of_their_rows(store: Store) -> None:
    for input_id, admission in (("i1", 30), ("i2", 10), ("i3", 20)):
        await store.runtimes.persist_input_state("alice", queued(input_id, admission_sequence=admission))

    assert [each.state.input_id for each in await rows(store)] == ["i2", "i3", "i1"]


async def test_an_input_whose_damaged_key_is_below_all_that_are_given_is_said(store: Store) -> None:
    for input_id in ("i1", "i2"):
        await store.runtimes.persist_input_state("alice", queued(input_id))
    await execute(store, "UPDATE inputs SET input = -5 WHERE input_id = 'i1'")

    sound, damaged = await store.runtimes.load_input_states("alice")

    assert isinstance(sound, StoredInputState)
    assert sound.state.input_id == "i2"
    assert isinstance(damaged, Corrupt)
    assert not (await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId("alice")))).is_sound


async def test_the_lowest_place_is_given_to_none(store: Store) -> None:
    with pytest.raises(InvalidInput, match="admission_sequence"):
        await store.runtimes.persist_input_state("alice", queued("i1", admission_sequence=-(2**63)))


async def test_the_store_gives_admissions_that_rise(store: Store) -> None:
    for input_id in ("i2", "i1", "i3"):
        await store.runtimes.persist_input_state("alice", queued(input_id))

    assert [each.state.input_id for each in await rows(store)] == ["i2", "i1", "i3"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_id": ""},
        {"phase": InputPhase.ABANDONED},
        {"phase": InputPhase.SUPERSEDED},
        {"phase": InputPhase.COALESCED, "reason": AbandonReason.RESET},
        {"phase": InputPhase.QUEUED, "reason": AbandonReason.RESET},
        {"phase": InputPhase.QUEUED, "successor": InputId("i2")},
        {"phase": InputPhase.CONSUMED, "recovery_lane": Lane.QUEUE},
        {"phase": InputPhase.ABANDONED, "reason": AbandonReason.MAX_ATTEMPTS_EXHAUSTED},
        {"attempt_count": -1},
        {"durability": InputDurability.EPHEMERAL, "idempotency_key": "k"},
        {"durability": InputDurability.DERIVED},
        {"source": "nobody"},
    ],
)
async def test_an_input_that_contradicts_itself_is_refused(store: Store, wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"input_id": InputId("i1"), "source": '{"type":"operator"}'}
    state = InputState(**(given | wrong))
    if "source" in wrong:
        state = attrs.evolve(state, durability=InputDurability.DERIVED)

    with pytest.raises(InvalidInput):
        InputStatePersistenceRecord.of(state)
    with pytest.raises(InvalidInput):
        await store.runtimes.persist_input_state("alice", state)

    assert await store.runtimes.load_input_states("alice") == []


async def test_an_input_that_stands_in_a_batch_twice_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput):
        await store.runtimes.persist_input_states_atomically("alice", [queued("i1"), consumed("i1")])


async def test_a_payload_over_the_limit_is_refused(store: Store) -> None:
    with pytest.raises(PayloadTooLarge):
        await store.runtimes.persist_input_state("alice", queued("i1", payload=bytes(store.limits.payload_bytes + 1)))


def test_an_input_does_not_show_its_payload() -> None:
    assert "opaque" not in repr(FULL)
