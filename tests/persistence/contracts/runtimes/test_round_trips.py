"""Whatever is acknowledged is read back equal; and mistakes at the door, one by one."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
import trio
from attrs import evolve
from hypothesis import example, given, settings, strategies as st

import tenure
from tenure import (
    AbandonReason,
    InputDurability,
    InputId,
    InputKind,
    InputPhase,
    InputState,
    InputTransition,
    Lane,
    MachineLifecycleBindingFacts,
    MachineLifecycleCommit,
    PolicyDecision,
    ReconstructionSource,
    RunApplyBoundary,
    RunId,
    RuntimeState,
    SessionDelta,
    SessionId,
    SessionSnapshot,
    Store,
    StoredInputState,
    TranscriptRewriteCommit,
    decode_snapshot,
    encode_snapshot,
)
from tenure.errors import Corrupt, InvalidInput, InvalidSnapshot, SchemaMismatch, SessionBindingMismatch
from tenure.persistence.model.conversation.envelope import EMPTY_DIGEST
from tenure.persistence.model.lifecycles.lifecycle_record import decode_lifecycle_record
from tests.kit.shares import examples
from tests.persistence.contracts.builders import delta, queued, rewrite, snapshot

texts = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20)
ids = texts.filter(bool)
numbers = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
places = st.integers(1 - 2**63, 2**63 - 1)
moments = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | moments | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


transitions = st.builds(
    InputTransition,
    at=moments,
    before=maybe(st.sampled_from(InputPhase)),
    after=st.sampled_from(InputPhase),
    reason=maybe(texts),
)
sources = st.builds(
    ReconstructionSource,
    rule_id=maybe(texts),
    source_event_id=maybe(texts),
    source_input_ids=st.lists(ids.map(InputId), max_size=2).map(tuple),
)
inputs = st.builds(
    InputState,
    input_id=ids.map(InputId),
    kind=st.sampled_from(InputKind),
    phase=st.sampled_from(InputPhase),
    payload=st.binary(max_size=20),
    source=st.sampled_from(['{"type":"external"}', '{"type":"timer","n":[1]}']),
    durability=st.sampled_from(InputDurability),
    idempotency_key=maybe(ids),
    supersession_key=maybe(ids),
    correlation_id=maybe(ids),
    policy=maybe(st.builds(PolicyDecision)),
    recovery_lane=maybe(st.sampled_from(Lane)),
    admission_sequence=maybe(places),
    history=st.lists(transitions, max_size=2).map(tuple),
    reason=maybe(st.sampled_from(AbandonReason)),
    successor=maybe(ids.map(InputId)),
    error=maybe(texts),
    attempt_count=counts,
    last_run_id=maybe(ids.map(RunId)),
    last_boundary_sequence=maybe(counts),
    recovery_count=counts,
    reconstruction_source=maybe(sources),
    created_at=maybe(moments),
)
bindings = st.builds(
    MachineLifecycleBindingFacts,
    agent_runtime_id=maybe(texts),
    fence_token=maybe(numbers),
    runtime_generation=maybe(numbers),
    runtime_epoch_id=maybe(texts),
)
snapshots = st.builds(
    SessionSnapshot,
    session_id=ids.map(SessionId),
    messages=st.lists(st.binary(max_size=20), max_size=3).map(tuple),
    meta=st.dictionaries(texts, json_values, max_size=3),
)


def comparable(state: InputState, stored: InputState) -> InputState:
    """What was brought, with what the store assigns where it was left out."""
    return evolve(
        state,
        admission_sequence=stored.admission_sequence if state.admission_sequence is None else state.admission_sequence,
        created_at=stored.created_at if state.created_at is None else state.created_at,
        updated_at=stored.updated_at,
        recovery_lane=stored.recovery_lane if state.recovery_lane is None else state.recovery_lane,
    )


@pytest.mark.slow
@settings(max_examples=examples(200))
@given(state=inputs)
@example(state=InputState(input_id=InputId("i"), payload=b"1", phase=InputPhase.QUEUED, created_at=-0.0))
def test_an_input_that_is_acknowledged_is_read_back_equal(state: InputState) -> None:
    async def write_and_read() -> StoredInputState | None:
        async with tenure.open_store(":memory:") as store:
            await store.runtimes.persist_input_state("r", state)
            return await store.runtimes.load_input_state("r", state.input_id)

    try:
        found = trio.run(write_and_read)
    except InvalidInput:
        return  # it contradicted itself, and nothing was acknowledged
    assert found is not None
    assert found.state == comparable(state, found.state)


@settings(max_examples=examples(50))
@given(binding=bindings, state=st.sampled_from(RuntimeState))
def test_a_binding_that_is_acknowledged_is_read_back_equal(
    binding: MachineLifecycleBindingFacts, state: RuntimeState
) -> None:
    async def write_and_read() -> bytes | None:
        async with tenure.open_store(":memory:") as store:
            await store.runtimes.commit_machine_lifecycle("r", MachineLifecycleCommit.of(state, binding), ())
            return await store.runtimes.load_machine_lifecycle_record("r")

    data = trio.run(write_and_read)
    assert data is not None
    assert decode_lifecycle_record(data, "r").binding == binding


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(given_snapshot=snapshots, run=ids.map(RunId), contributing=st.lists(ids.map(InputId), max_size=3))
def test_a_conversation_and_its_receipt_are_read_back_equal(
    given_snapshot: SessionSnapshot, run: RunId, contributing: list[InputId]
) -> None:
    async def write_and_read() -> None:
        brought = SessionDelta(session_snapshot=encode_snapshot(given_snapshot))
        async with tenure.open_store(":memory:") as store:
            minted = await store.runtimes.commit_session_boundary(
                "r", brought, run, RunApplyBoundary.IMMEDIATE, contributing, ()
            )
            assert minted.contributing_input_ids == tuple(contributing)
            assert await store.runtimes.load_boundary_receipt("r", run, minted.sequence) == minted
            data = await store.runtimes.load_session_snapshot("r")
            assert data is not None
            assert decode_snapshot(data) == given_snapshot

    trio.run(write_and_read)


@pytest.mark.parametrize("sequence", [2**63, 2**100, 0, -1])
async def test_a_receipt_of_an_impossible_number_is_not_there(store: Store, sequence: int) -> None:
    assert await store.runtimes.load_boundary_receipt("r", "run-1", sequence) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("payload", None),
        ("payload", "text"),
        ("phase", "asleep"),
        ("durability", "for ever"),
        ("recovery_lane", "fast"),
        ("history", (InputTransition(at=math.nan, before=None, after=InputPhase.ACCEPTED),)),
        ("history", (InputTransition(at=1.0, before=None, after="asleep"),)),  # type: ignore[arg-type]
        ("attempt_count", 2**63),
        ("attempt_count", True),
        ("created_at", math.inf),
        ("idempotency_key", "a\0b"),
        ("supersession_key", "\ud83d"),
        ("correlation_id", "x" * 501),
        ("source", "[" * 400 + "]" * 400),
        ("input_id", ""),
    ],
)
async def test_an_input_that_could_not_be_read_again_is_refused(store: Store, name: str, value: object) -> None:
    with pytest.raises(InvalidInput):
        await store.runtimes.persist_input_state("r", evolve(queued("i1"), **{name: value}))

    assert list(await store.runtimes.load_input_states("r")) == []
    await store.health_check()


async def test_a_word_of_an_enum_is_judged_as_its_member(store: Store) -> None:
    words: dict[str, Any] = {"durability": "ephemeral", "idempotency_key": "k"}

    with pytest.raises(InvalidInput, match="ephemeral"):
        await store.runtimes.persist_input_state("r", queued("i1", **words))

    await store.runtimes.persist_input_state("r", queued("i1", durability="ephemeral", kind="prompt"))
    found = await store.runtimes.load_input_state("r", "i1")
    assert found is not None
    assert found.state.durability is InputDurability.EPHEMERAL
    assert found.state.kind is InputKind.PROMPT


def test_a_lifecycle_commit_of_a_state_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidInput):
        MachineLifecycleCommit.of("bogus")  # type: ignore[arg-type]


@pytest.mark.parametrize("version", [True, 1.0, "1", 2])
def test_a_record_of_another_version_is_refused_also_where_it_equals_one(version: object) -> None:
    data = msgspec.json.encode({"record_version": version, "runtime_state": "idle", "binding": {}})

    with pytest.raises(SchemaMismatch):
        decode_lifecycle_record(data, "r")


@pytest.mark.parametrize("meta", [{"a": math.nan}, {"a": b"x"}, {"a": {1}}, {"a": (math.inf,)}, {1: "a"}])
def test_meta_that_would_not_come_back_is_no_snapshot(meta: dict[str, Any]) -> None:
    with pytest.raises(InvalidSnapshot):
        encode_snapshot(SessionSnapshot(session_id=SessionId("talk"), meta=meta))


def test_a_rewrite_at_a_moment_that_is_not_a_number_is_no_snapshot() -> None:
    commit = TranscriptRewriteCommit(
        parent_revision=EMPTY_DIGEST.hex(), revision=EMPTY_DIGEST.hex(), created_at=math.nan
    )

    with pytest.raises(InvalidSnapshot):
        encode_snapshot(SessionSnapshot(session_id=SessionId("talk"), rewrites=(commit,)))


async def test_the_same_rewrite_made_again_is_recorded_again(store: Store) -> None:
    longer, shorter = snapshot("a", "b"), snapshot("a")
    taken_back = rewrite(longer, shorter)

    async def write(*messages: str, rewrites: int, commit: TranscriptRewriteCommit | None = None) -> None:
        brought = encode_snapshot(snapshot(*messages, rewrites=(taken_back,) * rewrites))
        if commit is None:
            await store.runtimes.commit_session_snapshot("r", SessionDelta(session_snapshot=brought))
        else:
            brought_delta = SessionDelta(session_snapshot=brought)
            await store.runtimes.commit_session_transcript_rewrite_snapshot("r", brought_delta, commit)

    await write("a", "b", rewrites=0)
    await write("a", rewrites=0, commit=taken_back)
    await write("a", "b", rewrites=1)
    await write("a", rewrites=1, commit=taken_back)  # brought without itself, as the first time
    data = await store.runtimes.load_session_snapshot("r")

    assert data is not None
    assert decode_snapshot(data).rewrites == (taken_back, taken_back)


async def test_a_binding_mismatch_names_both_sessions(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("other", delta("a", session="theirs"))
    with pytest.raises(SessionBindingMismatch) as caught:
        await store.runtimes.commit_session_snapshot("r", delta("a", session="theirs"))
    assert (caught.value.bound, caught.value.attempted) == (None, "theirs")

    await store.runtimes.commit_session_snapshot("r", delta(session="mine"))
    with pytest.raises(SessionBindingMismatch) as caught:
        await store.runtimes.commit_session_snapshot("r", delta("a", session="theirs"))
    assert (caught.value.bound, caught.value.attempted) == ("mine", "theirs")


def test_corrupt_is_not_what_a_caller_hears_of_a_mistake() -> None:
    assert not issubclass(InvalidInput, Corrupt)
