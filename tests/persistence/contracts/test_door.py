"""The door: whatever a caller passes to a verb of a facet, it gets a typed error of its own, or reads back what it wrote.

The verbs and their arguments are found by their signatures. A verb that is added needs a good call in `CALLS`, and is in the
sweep from then on. ``TENURE_SHARES=whole`` runs every variation, each turn a share of them.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tenure import (
    ActivePath,
    AgentFrame,
    AttachmentIntent,
    CheckpointPart,
    DeliveryPolicy,
    ExecutionSnapshot,
    ExecutionState,
    Fact,
    FactRef,
    InputId,
    InputState,
    InputTransition,
    MachineLifecycleBindingFacts,
    MachineLifecycleCommit,
    MergeKey,
    PersistedOpsSnapshot,
    PolicyDecision,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkItem,
    QueuedWorkKind,
    QueuedWorkPayload,
    ReconstructionSource,
    RuntimeCommit,
    RuntimeState,
    SessionCheckpoint,
    SessionMeta,
    SessionNodeRecord,
    SessionRelation,
    SlotPolicy,
    Store,
    TokenLedgerEntry,
    TokenUsage,
)
from tenure.errors import CounterOverflow, Error, Internal, ReadFailed, StoreBroken
from tenure.persistence.contracts.attachments import AttachmentsContract
from tenure.persistence.contracts.credentials import CredentialsContract
from tenure.persistence.contracts.journals.journal import JournalContract
from tenure.persistence.contracts.operations import OperationsContract
from tenure.persistence.contracts.queued.queue import QueueContract
from tenure.persistence.contracts.runtimes import RuntimeContract
from tenure.persistence.contracts.sessions import SessionsContract
from tenure.persistence.contracts.state import StateContract
from tenure.persistence.model.values import InputPhase, RunApplyBoundary
from tenure.persistence.upkeep.verify_store import ROWS, verify_parts
from tests.kit.hostile import variations, verbs_of
from tests.kit.shares import share
from tests.persistence.contracts.builders import delta, envelope, receipt, rewrite, snapshot

INPUT = InputState(
    input_id=InputId("i1"),
    history=(InputTransition(at=1.0, before=None, after=InputPhase.ACCEPTED, reason="came"),),
    policy=PolicyDecision(),
    reconstruction_source=ReconstructionSource(rule_id="r", source_input_ids=(InputId("i0"),)),
)
OPERATIONS = PersistedOpsSnapshot(epoch_id="epoch")
MINTED = receipt(1, "a", inputs=("i1",))
COMMIT = MachineLifecycleCommit.of(RuntimeState.IDLE, MachineLifecycleBindingFacts(agent_runtime_id="a", fence_token=3))


def computed(_: bytes | None) -> bytes:
    return b"flow"


def folded(_: Any, event: Any) -> Any:
    return event


def hot(_: Any) -> list[FactRef]:
    return []


EXECUTION = ExecutionSnapshot(
    execution_id="e",
    tenant_id="t",
    state=ExecutionState.WAITING,
    sequence_number=1,
    waiting_for="w",
    user_id="u",
    current_step_id="s",
    step_outputs={"a": 1},
    variables={"b": [2]},
)

REPORT = hashlib.sha256(b"report").hexdigest()

CLAIMING = {
    "session_id": "g",
    "owner_id": "o",
    "boundary": QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT,
    "lease_ttl_ms": 1,
}

CLAIM = QueuedWorkClaim(
    session_id="g",
    claim_id="qwc:1:1",
    owner_id="o",
    lease_token="t",
    fencing_token=1,
    claimed_at_epoch_ms=1,
    expires_at_epoch_ms=2,
    batches=(
        QueuedWorkBatch(
            session_id="g",
            batch_id="qwb:1",
            enqueue_seq=1,
            enqueued_at_ms=1,
            source_key="k",
            delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot_policy=SlotPolicy.JOIN,
            merge_key=MergeKey.never(),
            available_at_ms=1,
            items=(
                QueuedWorkItem(item_id="i", payload=QueuedWorkPayload(kind=QueuedWorkKind.SESSION_COMMAND, body=b"w")),
            ),
        ),
    ),
)

CALLS: dict[str, dict[str, Any]] = {
    "runtimes.commit_session_boundary": {
        "runtime_id": "r",
        "session_delta": delta("a"),
        "run_id": "run-1",
        "boundary": RunApplyBoundary.RUN_START,
        "contributing_input_ids": ["i1"],
        "input_updates": [INPUT],
    },
    "runtimes.atomic_apply": {
        "runtime_id": "r",
        "session_delta": delta("a"),
        "receipt": MINTED,
        "input_updates": [INPUT],
        "session_store_key": "talk",
    },
    "runtimes.load_boundary_receipt": {"runtime_id": "r", "run_id": "run-1", "sequence": 1},
    "runtimes.commit_session_snapshot": {"runtime_id": "r", "session_delta": delta("a")},
    "runtimes.commit_session_transcript_rewrite_snapshot": {
        "runtime_id": "r",
        "session_delta": delta("b"),
        "commit": rewrite(snapshot("a"), snapshot("b")),
    },
    "runtimes.load_session_snapshot": {"runtime_id": "r"},
    "runtimes.clear_session_snapshot": {"runtime_id": "r"},
    "runtimes.replace_session_snapshot_if_current": {
        "runtime_id": "r",
        "expected_current": envelope("a"),
        "replacement": envelope("b"),
    },
    "runtimes.clear_session_snapshot_if_current": {"runtime_id": "r", "expected_current": envelope("a")},
    "runtimes.is_runtime_projection_quarantined": {"runtime_id": "r"},
    "runtimes.persist_input_state": {"runtime_id": "r", "state": INPUT},
    "runtimes.persist_input_states_atomically": {"runtime_id": "r", "states": [INPUT]},
    "runtimes.load_input_state": {"runtime_id": "r", "input_id": "i1"},
    "runtimes.load_input_states": {"runtime_id": "r"},
    "runtimes.persist_runtime_state": {"runtime_id": "r", "state": RuntimeState.IDLE},
    "runtimes.load_runtime_state": {"runtime_id": "r"},
    "runtimes.atomic_lifecycle_commit": {
        "runtime_id": "r",
        "runtime_state": RuntimeState.IDLE,
        "input_states": [INPUT],
    },
    "runtimes.commit_machine_lifecycle": {"runtime_id": "r", "commit": COMMIT, "input_states": [INPUT]},
    "runtimes.load_machine_lifecycle_record": {"runtime_id": "r"},
    "operations.persist_ops_lifecycle": {"runtime_id": "r", "snapshot": OPERATIONS},
    "operations.load_ops_lifecycle": {"runtime_id": "r"},
    "operations.delete_ops_lifecycle": {"runtime_id": "r"},
    "credentials.persist_auth_oauth_flow_snapshot": {"snapshot": b"flow"},
    "credentials.load_auth_oauth_flow_snapshot": {},
    "credentials.update_auth_oauth_flow_snapshot": {"update": computed},
    "credentials.auth_authority_key": {},
    "journal.append": {
        "stream": "s",
        "events": [{"n": 1}],
        "expected_cursor": None,
        "facts": [Fact("h", {"v": 1}), "h"],
        "types": None,
    },
    "journal.stream": {"stream": "s", "after": 0, "types": None},
    "journal.follow": {"stream": "s", "after": 0, "types": None},
    "journal.open": {
        "stream": "s",
        "fold": folded,
        "initial": None,
        "strategy": "every_cycle",
        "snapshot_every": 1,
        "facts_above": 100,
        "rehydration": "hybrid",
        "hot": hot,
        "first": [{"n": 0}],
        "types": None,
        "encode": None,
        "decode": None,
    },
    "journal.bind": {"stream": "bound", "runtime_id": "r"},
    "journal.save": {"stream": "s", "log": [{"n": 1}], "types": None},
    "journal.checkpoint": {"stream": "s", "log": [{"n": 1}], "types": None},
    "journal.load": {"stream": "s", "types": None},
    "journal.delete": {"stream": "s"},
    "journal.exists": {"stream": "s"},
    "journal.list": {},
    "journal.save_snapshot": {"stream": "s", "cursor": 1, "snapshot": b"one", "facts": [Fact(b"h", b"bytes")]},
    "journal.load_snapshot": {"stream": "s"},
    "journal.save_fact": {"fact_hash": "h", "value": {"v": 1}},
    "journal.load_fact": {"fact_hash": "h"},
    "state.save_snapshot": {"snapshot": EXECUTION},
    "state.load_snapshot": {"execution_id": "e"},
    "state.delete_snapshot": {"execution_id": "e"},
    "state.list_snapshots": {"tenant_id": "t", "limit": 10},
    "state.stale": {"execution_id": "e", "stream": "s"},
    "state.set": {"key": "e:k", "value": b"v", "ttl": 60},
    "state.get": {"key": "e:k"},
    "state.delete": {"key": "e:k"},
    "state.exists": {"key": "e:k"},
    "state.write": {"values": {"e:w": b"v", "e:k": None}, "ttl": 60, "keep": False, "expected": {"e:none": None}},
    "state.renew": {"keys": ["e:k", "e:w"], "ttl": 60},
    "state.get_all": {"keys": ["e:k", "e:w"]},
    "state.items": {"prefix": "e:", "after": "e:a", "limit": 10, "reverse": True},
    "state.set_json": {"key": "e:j", "value": {"v": 1}, "ttl": None},
    "state.get_json": {"key": "e:j"},
    "state.delete_execution_state": {"execution_id": "e"},
    "state.bind": {"execution_id": "bound", "runtime_id": "r"},
    "state.sweep": {},
    "state.health_check": {},
    "sessions.bind": {"session_id": "g"},
    "sessions.load_session": {"session_id": "g", "scope": ActivePath("a")},
    "sessions.load_node": {"session_id": "g", "node_id": "a"},
    "sessions.load_session_meta": {"session_id": "g"},
    "sessions.commit_runtime_state": {
        "commit": RuntimeCommit(
            session_id="g",
            expected_head_revision=0,
            nodes=(
                SessionNodeRecord(
                    node_id="a", payload=b"a", agent_frame_id="f", caused_by={"by": 1}, timestamp="2026-01-02T03:04:05Z"
                ),
                SessionNodeRecord(node_id="b", payload=b"b", parent_node_id="a"),
            ),
            leaf_node_id="b",
            config={"c": 1},
            agent_frames=(AgentFrame(frame_id="f", frame={"m": 1}),),
            current_agent_frame_id="f",
            checkpoint=SessionCheckpoint(turn_state={"t": 1}, parts={"p": CheckpointPart(body=b"p")}),
            usage_deltas=(TokenLedgerEntry(source="s", model="m", usage=TokenUsage(input_tokens=1)),),
            turn_id="t",
        )
    },
    "sessions.save_session_meta": {
        "meta": SessionMeta(
            session_id="g",
            session_name="n",
            created_at="c",
            model="m",
            cwd="d",
            relation=SessionRelation(parent_session_id="h", caused_by=[1]),
        )
    },
    "sessions.tombstone_nodes": {"session_id": "g", "ids": ["x"]},
    "sessions.vacuum": {"session_id": "g"},
    "sessions.gc_unreachable": {},
    "attachments.bind": {"session_id": "g"},
    "attachments.record_intent": {"intent": AttachmentIntent(attachment_id=REPORT, session_id="g", canonical_uri="u")},
    "attachments.put": {"session_id": "g", "data": b"report", "canonical_uri": "u"},
    "attachments.put_file": {"session_id": "g", "path": "nowhere", "canonical_uri": "u"},
    "attachments.get": {"session_id": "g", "attachment_id": REPORT},
    "attachments.id_of": {"data": b"report"},
    "attachments.is_committed": {"session_id": "g", "attachment_id": REPORT},
    "attachments.get_file": {"session_id": "g", "attachment_id": REPORT, "path": "/nowhere/else"},
    "attachments.commit_refs": {"session_id": "g", "attachment_ids": [REPORT]},
    "attachments.list_uncommitted": {"older_than_epoch_ms": 2**60},
    "attachments.forget": {"session_id": "g", "attachment_id": REPORT},
    "attachments.collect": {"older_than_epoch_ms": 2**60},
    "queue.enqueue_queued_work": {
        "batch": QueuedWorkBatchDraft(
            session_id="g",
            delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot_policy=SlotPolicy.JOIN,
            payloads=(QueuedWorkPayload(kind=QueuedWorkKind.TURN_INPUT, body=b"w"),),
            source_key="k",
            merge_key=MergeKey.group("m"),
            available_at_ms=1,
        )
    },
    "queue.claim_ready_queued_work": CLAIMING | {"max_batches": 1},
    "queue.claim_ready_queued_work_by_batch_ids": CLAIMING | {"batch_ids": ["qwb:1"]},
    "queue.renew_queued_work_claim": {"claim": CLAIM, "lease_ttl_ms": 1},
    "queue.abandon_queued_work_claim": {"claim": CLAIM},
    "queue.complete_queued_work_claim": {"completion": CLAIM.completion()},
    "queue.cancel_queued_work_batch": {"session_id": "g", "batch_id": "qwb:1"},
    "queue.retry_queued_work_batch": {"session_id": "g", "batch_id": "qwb:1"},
    "queue.list_failed_queued_work": {"session_id": "g"},
    "queue.list_queued_work": {"session_id": "g"},
    "queue.list_pending_queued_work": {"session_id": "g"},
}
"""A call of each verb that a new store takes, or refuses for what is not stored; every argument of the signature is in it."""

OWN_ERRORS = {
    f"{name}={said}"
    for name in ("update", "fold", "hot", "encode", "decode")
    for said in ("a class", "a function", "hostile object")
}
"""What such a function raises comes back as it is: it is the caller's."""

AFTER: dict[str, str] = {
    "runtimes.commit_session_transcript_rewrite_snapshot": "runtimes.commit_session_snapshot",
    "journal.bind": "runtimes.persist_runtime_state",
    "journal.stream": "journal.append",
    "journal.follow": "journal.append",
    "journal.load": "journal.save",
    "state.bind": "runtimes.persist_runtime_state",
    "sessions.load_session": "sessions.commit_runtime_state",
    "sessions.load_node": "sessions.commit_runtime_state",
    "sessions.load_session_meta": "sessions.save_session_meta",
    "sessions.tombstone_nodes": "sessions.commit_runtime_state",
    "attachments.get": "attachments.put",
    "attachments.get_file": "attachments.put",
    "attachments.commit_refs": "attachments.put",
    "attachments.list_uncommitted": "attachments.put",
    "attachments.forget": "attachments.put",
    "attachments.collect": "attachments.put",
    "queue.claim_ready_queued_work": "queue.enqueue_queued_work",
    "queue.claim_ready_queued_work_by_batch_ids": "queue.enqueue_queued_work",
    "queue.cancel_queued_work_batch": "queue.enqueue_queued_work",
    "queue.list_queued_work": "queue.enqueue_queued_work",
    "queue.retry_queued_work_batch": "queue.enqueue_queued_work",
    "queue.list_failed_queued_work": "queue.enqueue_queued_work",
    "queue.list_pending_queued_work": "queue.enqueue_queued_work",
    "state.get": "state.set",
    "state.exists": "state.set",
    "state.get_json": "state.set_json",
    "state.load_snapshot": "state.save_snapshot",
}
"""What must have been called before, for the verb to have anything to do."""


CONTRACTS = "tenure.persistence.contracts"
GRAVE = (Internal, StoreBroken, CounterOverflow)
"""Never the answer to an argument: no counter of a new store is exhausted."""


def facets_of(store: Store) -> dict[str, object]:
    public = {name: found for name, found in vars(store).items() if not name.startswith("_")}
    return {name: found for name, found in public.items() if type(found).__module__.startswith(CONTRACTS)}


KINDS: dict[str, type[Any]] = {
    "runtimes": RuntimeContract,
    "operations": OperationsContract,
    "credentials": CredentialsContract,
    "journal": JournalContract,
    "state": StateContract,
    "sessions": SessionsContract,
    "queue": QueueContract,
    "attachments": AttachmentsContract,
}


def good_call(verb: str) -> dict[str, Any]:
    facet, name = verb.split(".")
    kind = KINDS[facet]
    fence = {"fence": None} if "fence" in inspect.signature(getattr(kind, name)).parameters else {}
    return CALLS[verb] | fence


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    async def look(path: Path) -> dict[str, set[str]]:
        async with tenure.open_store(path) as store:
            return {
                f"{facet}.{verb}": set(inspect.signature(called).parameters)
                for facet, found in facets_of(store).items()
                for verb, called in verbs_of(found).items()
                if verb != "shutdown"  # `Store.shutdown` under another name; nothing is left to read
            }

    return trio.run(look, tmp_path_factory.mktemp("listed") / "agents.db")


def test_every_verb_has_a_good_call_with_every_argument(listed: dict[str, set[str]]) -> None:
    assert set(listed) == set(CALLS), "add a good call of the verb to CALLS"
    assert {verb: found - {"fence"} for verb, found in listed.items()} == {
        verb: set(call) for verb, call in CALLS.items()
    }


async def call(store: Store, verb: str, arguments: dict[str, Any]) -> Any:
    facet, name = verb.split(".")
    called: Callable[..., Any] = getattr(getattr(store, facet), name)
    answer = called(**arguments)
    if verb == "journal.open":
        async with answer as log:
            return await log.append([{"n": 1}])
    if verb in ("journal.stream", "journal.follow"):
        with trio.move_on_after(0.01):
            return await anext(answer, None)
    return await answer if inspect.isawaitable(answer) else answer


async def answer_to(store: Store, verb: str, arguments: dict[str, Any]) -> Any:
    try:
        return await call(store, verb, arguments)
    except BaseException as exc:  # noqa: BLE001 - what comes out is what is looked at
        return exc


async def read_all(store: Store) -> list[str]:
    """What was acknowledged and cannot be read."""
    wrong: list[str] = []
    for runtime_id in ("r", "alice"):
        wrong += [
            repr(found) for found in await store.runtimes.load_input_states(runtime_id) if isinstance(found, ReadFailed)
        ]
        for verb in ("runtimes.load_session_snapshot", "runtimes.load_runtime_state", "operations.load_ops_lifecycle"):
            answer = await answer_to(store, verb, {"runtime_id": runtime_id})
            wrong += [f"{verb}: {answer!r}"] if isinstance(answer, BaseException) else []
        for sequence in (1, 2):
            key = {"runtime_id": runtime_id, "run_id": "run-1", "sequence": sequence}
            answer = await answer_to(store, "runtimes.load_boundary_receipt", key)
            wrong += [f"receipt {sequence}: {answer!r}"] if isinstance(answer, BaseException) else []
    await store.credentials.load_auth_oauth_flow_snapshot()
    wrong += [repr(each) for part in await verify_parts(store) if part.part != ROWS for each in part.problems]
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("verb", CALLS)
async def test_a_hostile_argument_is_the_callers_error_or_is_read_back(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a text may be taken for the name of a file
    every = [each for each in variations(good_call(verb)) if each[0] not in OWN_ERRORS]
    taken = share(every, 108)
    wrong: list[str] = []
    async with tenure.open_store(":memory:") as store:
        if verb in AFTER:
            await call(store, AFTER[verb], good_call(AFTER[verb]))
        for said, arguments in taken:
            answer = await answer_to(store, verb, arguments)
            if isinstance(answer, BaseException) and (not isinstance(answer, Error) or isinstance(answer, GRAVE)):
                wrong.append(f"{said}: {type(answer).__name__}")
            unreadable = await read_all(store)
            wrong += [f"{said}: then {each}" for each in unreadable]
            if unreadable:
                break
        assert store.broken is None
    assert not wrong, f"{len(wrong)} of {len(taken)}"
