"""Operations as a table, and the snapshot of a registry of them (design §14).

An operation is a long job that a runtime started and watches. It goes one way: provisioning, running, perhaps retiring, then
one of six terminals. What has no arrow raises `OperationRejected` and changes nothing. There is no I/O here and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, final

import msgspec
from attrs import frozen

from tenure.errors import Corrupt, OperationRejected, SchemaMismatch

OPS_RECORD_VERSION: Final = 1
"""Version of a stored snapshot; another one is refused."""

MAX_COMPLETED: Final = 256
"""Ended operations that are remembered, and entries that the completion feed keeps."""


@final
class OperationKind(StrEnum):
    """What sort of job."""

    MOB_MEMBER_CHILD = "mob_member_child"
    BACKGROUND_TOOL_OP = "background_tool_op"
    BACKGROUND_TOOL_CAPACITY_SLOT = "background_tool_capacity_slot"
    DETACHED_JOB_WAIT = "detached_job_wait"


@final
class OperationStatus(StrEnum):
    """How far a job has come."""

    PROVISIONING = "provisioning"
    RUNNING = "running"
    RETIRING = "retiring"
    COMPLETED = "completed"
    FAILED = "failed"
    ABORTED = "aborted"
    CANCELLED = "cancelled"
    RETIRED = "retired"
    TERMINATED = "terminated"


@final
class OperationEvent(StrEnum):
    """What can happen to a job that is registered."""

    START = "start"
    PROGRESS = "progress"
    PEER_READY = "peer_ready"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    ABORT = "abort"
    RETIRE = "retire"
    RETIRED = "retired"
    TERMINATE = "terminate"


@final
class OperationResult(StrEnum):
    """How a job ended, for those who only want to know whether it worked."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_P, _R, _T = OperationStatus.PROVISIONING, OperationStatus.RUNNING, OperationStatus.RETIRING

ARROWS: Final[Mapping[OperationStatus, Mapping[OperationEvent, OperationStatus]]] = MappingProxyType(
    {
        _P: MappingProxyType(
            {
                OperationEvent.START: _R,
                OperationEvent.FAIL: OperationStatus.FAILED,
                OperationEvent.CANCEL: OperationStatus.CANCELLED,
                OperationEvent.ABORT: OperationStatus.ABORTED,
                OperationEvent.TERMINATE: OperationStatus.TERMINATED,
            }
        ),
        _R: MappingProxyType(
            {
                OperationEvent.PROGRESS: _R,
                OperationEvent.PEER_READY: _R,
                OperationEvent.COMPLETE: OperationStatus.COMPLETED,
                OperationEvent.FAIL: OperationStatus.FAILED,
                OperationEvent.CANCEL: OperationStatus.CANCELLED,
                OperationEvent.RETIRE: _T,
                OperationEvent.RETIRED: OperationStatus.RETIRED,
                OperationEvent.TERMINATE: OperationStatus.TERMINATED,
            }
        ),
        _T: MappingProxyType(
            {
                OperationEvent.PROGRESS: _T,
                OperationEvent.PEER_READY: _T,
                OperationEvent.COMPLETE: OperationStatus.COMPLETED,
                OperationEvent.FAIL: OperationStatus.FAILED,
                OperationEvent.CANCEL: OperationStatus.CANCELLED,
                OperationEvent.RETIRED: OperationStatus.RETIRED,
                OperationEvent.TERMINATE: OperationStatus.TERMINATED,
            }
        ),
    }
)
"""One row per status that leads on; a terminal has none."""

_RESULTS: Final[Mapping[OperationStatus, OperationResult]] = MappingProxyType(
    {
        OperationStatus.COMPLETED: OperationResult.COMPLETED,
        OperationStatus.FAILED: OperationResult.FAILED,
        OperationStatus.TERMINATED: OperationResult.FAILED,
        OperationStatus.ABORTED: OperationResult.CANCELLED,
        OperationStatus.CANCELLED: OperationResult.CANCELLED,
        OperationStatus.RETIRED: OperationResult.CANCELLED,
    }
)


def result_of(status: OperationStatus) -> OperationResult:
    """What a status means to those who only want to know whether it worked."""
    return _RESULTS.get(status, OperationResult.RUNNING)


def is_terminal(status: OperationStatus) -> bool:
    """Whether nothing leads away from this status."""
    return status not in ARROWS


@final
@frozen(kw_only=True, slots=True)
class Operation:
    """One job.

    Attributes:
        operation_id: Its id, unique in its registry.
        kind: What sort of job.
        source: Who started it, for people.
        status: How far it has come.
        peer_ready: Whether the peer that it stands for has said that it is there.
        progress_count: How often it reported progress.
        detail: How it ended, for those who wait: a result or an error, as the caller writes it.
        completion_sequence: Its place in the completion feed; None while it runs, and for kinds that the feed leaves out.
    """

    operation_id: str
    kind: OperationKind
    source: str | None = None
    status: OperationStatus = OperationStatus.PROVISIONING
    peer_ready: bool = False
    progress_count: int = 0
    detail: str | None = None
    completion_sequence: int | None = None

    @property
    def result(self) -> OperationResult:
        """How it ended."""
        return result_of(self.status)

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return is_terminal(self.status)


def advance(operation: Operation, event: OperationEvent) -> OperationStatus:
    """Return the status that follows.

    Raises:
        OperationRejected: There is no such arrow; a peer is ready that is not expected, or was ready before.
    """
    following = ARROWS.get(operation.status, {}).get(event)
    if following is None:
        raise OperationRejected(operation_id=operation.operation_id, detail=f"{event} in {operation.status}")
    if event is OperationEvent.PEER_READY:
        if operation.kind is not OperationKind.MOB_MEMBER_CHILD:
            raise OperationRejected(operation_id=operation.operation_id, detail=f"a {operation.kind} has no peer")
        if operation.peer_ready:
            raise OperationRejected(operation_id=operation.operation_id, detail="its peer is ready already")
    return following


@final
@frozen(kw_only=True, slots=True)
class CompletionEntry:
    """One entry of the completion feed.

    Attributes:
        sequence: Its place, from 1.
        operation_id: Which job ended.
        kind: What sort of job.
        status: How it ended.
        detail: See `Operation.detail`.
    """

    sequence: int
    operation_id: str
    kind: OperationKind
    status: OperationStatus
    detail: str | None = None


@final
@frozen(kw_only=True, slots=True)
class OpsCursors:
    """How far the readers of the feed have come. Notices may come twice; none is lost.

    Attributes:
        agent_applied_cursor: What the agent has taken in.
        runtime_observed_seq: What its runtime has seen.
        runtime_last_injected_seq: What its runtime has put into the conversation.
    """

    agent_applied_cursor: int = 0
    runtime_observed_seq: int = 0
    runtime_last_injected_seq: int = 0


@final
@frozen(kw_only=True, slots=True)
class PersistedOpsSnapshot:
    """A registry as it is stored.

    Attributes:
        epoch_id: The registration of the runtime that it belongs to.
        operations: Every job that it remembers, in the order of registration.
        completion_entries: The completion feed, oldest first.
        next_completion_seq: The sequence that the next end gets.
        max_completed: Ended jobs that are remembered.
        max_concurrent: Jobs that may run at once; None does not limit.
        cursors: How far the readers of the feed have come.
    """

    epoch_id: str
    operations: tuple[Operation, ...] = ()
    completion_entries: tuple[CompletionEntry, ...] = ()
    next_completion_seq: int = 1
    max_completed: int = MAX_COMPLETED
    max_concurrent: int | None = None
    cursors: OpsCursors = OpsCursors()


def encode_ops(snapshot: PersistedOpsSnapshot) -> bytes:
    """A snapshot as it is stored."""
    return msgspec.json.encode(snapshot)


def decode_ops(data: bytes, version: object, runtime_id: str) -> PersistedOpsSnapshot:
    """Read a stored snapshot.

    Raises:
        SchemaMismatch: It is of another version.
        Corrupt: It is none.
    """
    if type(version) is not int or version != OPS_RECORD_VERSION:
        raise SchemaMismatch(what=f"the operations of {runtime_id!r}", expected=OPS_RECORD_VERSION, actual=str(version))
    try:
        return msgspec.json.decode(data, type=PersistedOpsSnapshot)
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as exc:
        raise Corrupt(record="operations", key=runtime_id, detail=type(exc).__name__) from exc


def recovered(snapshot: PersistedOpsSnapshot) -> PersistedOpsSnapshot:
    """Return what a new process can go on from: what has ended, and waits for jobs that live elsewhere.

    Every other job died with its process. Epoch, feed and cursors stay.
    """
    kept = tuple(
        each
        for each in snapshot.operations
        if each.is_terminal or (each.kind is OperationKind.DETACHED_JOB_WAIT and each.status is OperationStatus.RUNNING)
    )
    return PersistedOpsSnapshot(
        epoch_id=snapshot.epoch_id,
        operations=kept,
        completion_entries=snapshot.completion_entries,
        next_completion_seq=snapshot.next_completion_seq,
        max_completed=snapshot.max_completed,
        max_concurrent=snapshot.max_concurrent,
        cursors=snapshot.cursors,
    )
