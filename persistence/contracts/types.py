"""The types of the contract verbs, under the names that the systems before had."""

from __future__ import annotations

from tenure.persistence.model.envelope import (
    SessionDelta,
    SessionSnapshot,
    TranscriptRewriteCommit,
)
from tenure.persistence.model.execution import (
    ExecutionId,
    ExecutionSnapshot,
    ExecutionState,
    TenantId,
)
from tenure.persistence.model.input_state import (
    InputState,
    InputStatePersistenceRecord,
    InputTransition,
    ReconstructionSource,
    StoredInputState,
)
from tenure.persistence.model.journal import (
    Fact,
    FactRef,
    JournalSnapshot,
    StoredEvent,
)
from tenure.persistence.model.lifecycle_record import (
    MachineLifecycleBindingFacts,
    MachineLifecycleCommit,
    MachineLifecycleSnapshot,
    MachineLifecycleStoreRecord,
)
from tenure.persistence.model.operations import PersistedOpsSnapshot
from tenure.persistence.model.policies import (
    InputDurability,
    PolicyDecision,
)
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
    "ExecutionId",
    "ExecutionSnapshot",
    "ExecutionState",
    "Fact",
    "FactRef",
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
    "PersistedOpsSnapshot",
    "PolicyDecision",
    "ReconstructionSource",
    "RunApplyBoundary",
    "RunBoundaryReceipt",
    "RunId",
    "RuntimeState",
    "SessionDelta",
    "SessionId",
    "SessionSnapshot",
    "StoredEvent",
    "StoredInputState",
    "TenantId",
    "TranscriptRewriteCommit",
]
