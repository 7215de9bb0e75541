"""The verbs of the contracts, as a part of the scenario with every kind of commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tenure.persistence.model.contracts.operations import PersistedOpsSnapshot
from tenure.persistence.model.conversation.envelope import (
    SessionDelta,
    SessionSnapshot,
    TranscriptRewriteCommit,
    encode_snapshot,
)
from tenure.persistence.model.inputs.input_state import InputState
from tenure.persistence.model.lifecycles.lifecycle_record import (
    MachineLifecycleBindingFacts,
    MachineLifecycleCommit,
    MachineLifecycleSnapshot,
)
from tenure.persistence.model.values import (
    InputId,
    InputPhase,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RunId,
    RuntimeState,
    SessionId,
)
from tenure.persistence.store import Store

from .words import Words


async def tell_contracts(store: Store, retried: Callable[..., Awaitable[Any]]) -> None:
    """Write each of them on a runtime that no host owns; `retried` calls a verb again where the disk was full."""
    verbs, name = store.runtimes, "contract"
    path = [_path("a"), _path("a", "b"), _path("a", "c"), _path("d")]
    queued = InputState(input_id=InputId("brought"), phase=InputPhase.QUEUED)
    await retried(verbs.persist_input_state, name, queued)
    consumed = InputState(input_id=InputId("brought"), phase=InputPhase.CONSUMED)
    await retried(
        verbs.commit_session_boundary,
        name,
        _delta(path[0]),
        "brought run",
        RunApplyBoundary.RUN_START,
        ["brought"],
        [consumed],
    )
    receipt = RunBoundaryReceipt(
        run_id=RunId("brought run"),
        boundary=RunApplyBoundary.RUN_CHECKPOINT,
        contributing_input_ids=(InputId("brought"),),
        conversation_digest=path[1].revision,
        message_count=2,
        sequence=2,
    )
    await retried(verbs.atomic_apply, name, _delta(path[1]), receipt, [])
    rewrite = TranscriptRewriteCommit(parent_revision=path[1].revision, revision=path[2].revision, reason="edited")
    await retried(verbs.commit_session_transcript_rewrite_snapshot, name, _delta(path[2]), rewrite)
    stored = await verbs.load_session_snapshot(name) or b""
    await retried(verbs.replace_session_snapshot_if_current, name, stored, encode_snapshot(path[3]))
    await retried(verbs.clear_session_snapshot_if_current, name, encode_snapshot(path[3]))
    await retried(verbs.commit_session_snapshot, name, _delta(path[0]))
    await retried(verbs.clear_session_snapshot, name)
    binding = MachineLifecycleBindingFacts(
        agent_runtime_id="contract:0", fence_token=7, runtime_generation=0, runtime_epoch_id="of a test"
    )
    record = MachineLifecycleSnapshot(runtime_state=RuntimeState.RETIRED, binding=binding)
    commit = MachineLifecycleCommit(snapshot=record)
    await retried(verbs.commit_machine_lifecycle, name, commit, [])
    await retried(verbs.persist_runtime_state, name, RuntimeState.DESTROYED)
    await retried(store.operations.persist_ops_lifecycle, "jobs", PersistedOpsSnapshot(epoch_id="first"))
    await retried(store.operations.delete_ops_lifecycle, "jobs")
    await retried(store.operations.persist_ops_lifecycle, "jobs", PersistedOpsSnapshot(epoch_id="second"))
    await retried(store.credentials.persist_auth_oauth_flow_snapshot, b"flow")
    await retried(store.credentials.update_auth_oauth_flow_snapshot, _next_flow)


async def take_words_back(store: Store, retried: Callable[..., Awaitable[Any]]) -> None:
    """A conversation that is cleared again; its messages stay."""
    words = SessionSnapshot(session_id=SessionId("old talk"), messages=(b"1", b"2"))
    await retried(store.runtimes.commit_session_snapshot, "old talk", _delta(words))
    await retried(store.runtimes.clear_session_snapshot, "old talk")


def _next_flow(flow: bytes | None) -> bytes:
    return (flow or b"") + b"+"


def _path(*messages: str) -> SessionSnapshot:
    return SessionSnapshot(session_id=SessionId("talk"), messages=tuple(message.encode() for message in messages))


def _delta(snapshot: SessionSnapshot) -> SessionDelta:
    return SessionDelta(session_snapshot=encode_snapshot(snapshot))


async def contracts(words: Words) -> None:
    """See `tell_contracts`."""
    await tell_contracts(words.store, words.retried)
