"""The types of the contract verbs, under the names that the systems before had."""

from __future__ import annotations

from tenure.persistence.envelope import (
    SessionDelta,
    SessionSnapshot,
    TranscriptRewriteCommit,
)
from tenure.persistence.input_state import (
    InputState,
    InputStatePersistenceRecord,
    InputTransition,
    ReconstructionSource,
    StoredInputState,
)
from tenure.persistence.lifecycle_record import (
    MachineLifecycleBindingFacts,
    MachineLifecycleCommit,
    MachineLifecycleSnapshot,
    MachineLifecycleStoreRecord,
)
from tenure.persistence.operations import PersistedOpsSnapshot
from tenure.persistence.policies import (
    InputDurability,
    PolicyDecision,
)
from tenure.persistence.values import (
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
    "InputDurability",
    "InputId",
    "InputState",
    "InputStatePersistenceRecord",
    "InputTransition",
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
    "StoredInputState",
    "TranscriptRewriteCommit",
]
