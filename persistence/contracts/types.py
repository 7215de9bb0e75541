"""The types of the contract verbs, under the names that the systems before had."""

from __future__ import annotations

from tenure.persistence.model.envelope import (
    SessionDelta,
    SessionSnapshot,
    TranscriptRewriteCommit,
)
from tenure.persistence.model.events.journal import (
    Fact,
    FactRef,
    JournalSnapshot,
    StoredEvent,
)
from tenure.persistence.model.execution import (
    ExecutionId,
    ExecutionSnapshot,
    ExecutionState,
    TenantId,
)
from tenure.persistence.model.graph import (
    ActivePath,
    AgentFrame,
    CheckpointPart,
    FullGraph,
    GcReport,
    NodeId,
    PersistedSessionRead,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    SessionReadScope,
    SessionRelation,
    TokenLedgerEntry,
    TokenUsage,
    VacuumReport,
)
from tenure.persistence.model.inputs.input_state import (
    InputState,
    InputStatePersistenceRecord,
    InputTransition,
    ReconstructionSource,
    StoredInputState,
)
from tenure.persistence.model.inputs.policies import InputDurability, PolicyDecision
from tenure.persistence.model.lifecycles.lifecycle_record import (
    MachineLifecycleBindingFacts,
    MachineLifecycleCommit,
    MachineLifecycleSnapshot,
    MachineLifecycleStoreRecord,
)
from tenure.persistence.model.operations import PersistedOpsSnapshot
from tenure.persistence.model.values import (
    InputId,
    Lane,
    LogicalRuntimeId,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RunId,
    RuntimeState,
    SessionId,
)

__all__ = [
    "ActivePath",
    "AgentFrame",
    "CheckpointPart",
    "ExecutionId",
    "ExecutionSnapshot",
    "ExecutionState",
    "Fact",
    "FactRef",
    "FullGraph",
    "GcReport",
    "InputDurability",
    "InputId",
    "InputState",
    "InputStatePersistenceRecord",
    "InputTransition",
    "JournalSnapshot",
    "Lane",
    "LogicalRuntimeId",
    "MachineLifecycleBindingFacts",
    "MachineLifecycleCommit",
    "MachineLifecycleSnapshot",
    "MachineLifecycleStoreRecord",
    "NodeId",
    "PersistedOpsSnapshot",
    "PersistedSessionRead",
    "PolicyDecision",
    "ReconstructionSource",
    "RunApplyBoundary",
    "RunBoundaryReceipt",
    "RunId",
    "RuntimeCommit",
    "RuntimeCommitResult",
    "RuntimeState",
    "SessionCheckpoint",
    "SessionDelta",
    "SessionGraph",
    "SessionId",
    "SessionMeta",
    "SessionNodeRecord",
    "SessionReadScope",
    "SessionRelation",
    "SessionSnapshot",
    "StoredEvent",
    "StoredInputState",
    "TenantId",
    "TokenLedgerEntry",
    "TokenUsage",
    "TranscriptRewriteCommit",
    "VacuumReport",
]
