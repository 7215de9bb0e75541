"""Durable runtimes for agent hosts, inside the host's own process.

`open_supervisor` hosts agents: it spawns runtimes, takes their inputs and runs their behaviours. `open_store` opens the store
alone. A behaviour is an async function that takes a `Run`. What can go wrong stands in `tenure.errors`; a program that lives
on asyncio uses `tenure.asyncio`; tests of your own agents use `tenure.testing`.
"""

from __future__ import annotations

from tenure.persistence.model.events.event_types import EventTypes as EventTypes
from tenure.persistence.model.events.strategy import Rehydration as Rehydration, Strategy as Strategy
from tenure.persistence.model.inputs.policies import (
    ConsumePoint as ConsumePoint,
    QueueMode as QueueMode,
    Routing as Routing,
)

from .persistence.contracts.attachments import SessionScopedAttachmentStore as SessionScopedAttachmentStore
from .persistence.contracts.erasing import Erasure as Erasure
from .persistence.contracts.journals.event_log import EventLog as EventLog
from .persistence.contracts.operation_registry import OperationRegistry as OperationRegistry
from .persistence.contracts.runtime_persistence import RuntimePersistence as RuntimePersistence
from .persistence.contracts.sealing.rekeying import Rekeyed as Rekeyed
from .persistence.contracts.types import (
    ActivePath as ActivePath,
    AgentFrame as AgentFrame,
    AttachmentIntent as AttachmentIntent,
    AttachmentManifest as AttachmentManifest,
    AttachmentManifestEntry as AttachmentManifestEntry,
    CheckpointPart as CheckpointPart,
    DeliveryPolicy as DeliveryPolicy,
    ExecutionId as ExecutionId,
    ExecutionSnapshot as ExecutionSnapshot,
    ExecutionState as ExecutionState,
    Fact as Fact,
    FactRef as FactRef,
    FullGraph as FullGraph,
    GcReport as GcReport,
    InputDurability as InputDurability,
    InputState as InputState,
    InputStatePersistenceRecord as InputStatePersistenceRecord,
    InputTransition as InputTransition,
    JournalSnapshot as JournalSnapshot,
    MachineLifecycleBindingFacts as MachineLifecycleBindingFacts,
    MachineLifecycleCommit as MachineLifecycleCommit,
    MachineLifecycleSnapshot as MachineLifecycleSnapshot,
    MachineLifecycleStoreRecord as MachineLifecycleStoreRecord,
    MergeKey as MergeKey,
    MergeKind as MergeKind,
    NodeId as NodeId,
    NoopAttachmentManifest as NoopAttachmentManifest,
    PersistedOpsSnapshot as PersistedOpsSnapshot,
    PersistedSessionRead as PersistedSessionRead,
    PolicyDecision as PolicyDecision,
    QueuedWorkBatch as QueuedWorkBatch,
    QueuedWorkBatchDraft as QueuedWorkBatchDraft,
    QueuedWorkClaim as QueuedWorkClaim,
    QueuedWorkClaimBoundary as QueuedWorkClaimBoundary,
    QueuedWorkCompletion as QueuedWorkCompletion,
    QueuedWorkFailure as QueuedWorkFailure,
    QueuedWorkItem as QueuedWorkItem,
    QueuedWorkKind as QueuedWorkKind,
    QueuedWorkPayload as QueuedWorkPayload,
    ReconstructionSource as ReconstructionSource,
    RuntimeCommit as RuntimeCommit,
    RuntimeCommitResult as RuntimeCommitResult,
    SessionCheckpoint as SessionCheckpoint,
    SessionDelta as SessionDelta,
    SessionGraph as SessionGraph,
    SessionMeta as SessionMeta,
    SessionNodeRecord as SessionNodeRecord,
    SessionReadScope as SessionReadScope,
    SessionRelation as SessionRelation,
    SessionSnapshot as SessionSnapshot,
    SlotPolicy as SlotPolicy,
    StoredEvent as StoredEvent,
    StoredInputState as StoredInputState,
    TenantId as TenantId,
    TokenLedgerEntry as TokenLedgerEntry,
    TokenUsage as TokenUsage,
    TranscriptRewriteCommit as TranscriptRewriteCommit,
    VacuumReport as VacuumReport,
)
from .persistence.engines.postgres.server.options import PostgresOptions as PostgresOptions
from .persistence.engines.sqlite.options import SqliteOptions as SqliteOptions
from .persistence.facets.prunable import Pruned as Pruned
from .persistence.facets.runs.children import Child as Child
from .persistence.facets.schedules.rows import Occurrence as Occurrence
from .persistence.model.conversation.envelope import (
    decode_snapshot as decode_snapshot,
    encode_snapshot as encode_snapshot,
)
from .persistence.model.entries import Repeat as Repeat
from .persistence.model.events.happenings import (
    AcceptEnded as AcceptEnded,
    AcceptOutcome as AcceptOutcome,
    GroupLanded as GroupLanded,
    Happening as Happening,
    InputDead as InputDead,
    OutputLanded as OutputLanded,
    RunEntered as RunEntered,
    RunExited as RunExited,
    RunOutcome as RunOutcome,
    RuntimeHeld as RuntimeHeld,
    StepEntered as StepEntered,
    StepExited as StepExited,
    StepOutcome as StepOutcome,
)
from .persistence.model.lifecycles.retention import Retention as Retention
from .persistence.model.output import (
    OutputEntry as OutputEntry,
    OutputKind as OutputKind,
    Position as Position,
)
from .persistence.model.timetable import Cron as Cron, Every as Every
from .persistence.model.values import (
    AbandonReason as AbandonReason,
    DurabilityClass as DurabilityClass,
    DurabilityTier as DurabilityTier,
    InputId as InputId,
    InputKind as InputKind,
    InputPhase as InputPhase,
    Lane as Lane,
    LogicalRuntimeId as LogicalRuntimeId,
    RunApplyBoundary as RunApplyBoundary,
    RunBoundaryReceipt as RunBoundaryReceipt,
    RunId as RunId,
    RuntimeState as RuntimeState,
    SessionId as SessionId,
)
from .persistence.opening import open_store as open_store
from .persistence.seams.hooks import Carry as Carry, Hook as Hook
from .persistence.seams.limits import Limits as Limits
from .persistence.seams.options import Codec as Codec
from .persistence.seams.seams import Seams as Seams
from .persistence.store import Store as Store
from .persistence.upkeep.inspect import RuntimeLine as RuntimeLine
from .persistence.upkeep.prune import Shrunk as Shrunk
from .persistence.upkeep.record import RunEntry as RunEntry, UnfinishedRun as UnfinishedRun
from .supervisor.accepting.terms import AcceptTerms as AcceptTerms
from .supervisor.accepting.tickets import (
    Outcome as Outcome,
    Ticket as Ticket,
)
from .supervisor.handles.foreign import ForeignRuntime as ForeignRuntime
from .supervisor.handles.runtime import Runtime as Runtime
from .supervisor.handles.schedule_terms import Schedule as Schedule
from .supervisor.handles.schedules import Schedules as Schedules
from .supervisor.handles.selection import Selected as Selected, Selection as Selection
from .supervisor.metrics import Metrics as Metrics
from .supervisor.opening import open_supervisor as open_supervisor
from .supervisor.operators.health import Health as Health, HealthProblem as HealthProblem, HealthReason as HealthReason
from .supervisor.operators.measures import Distribution as Distribution, Family as Family
from .supervisor.operators.own_state import OwnState as OwnState
from .supervisor.operators.reading import Backlog as Backlog, SessionNode as SessionNode
from .supervisor.operators.unowned import UnownedRuntime as UnownedRuntime
from .supervisor.output.reader import OutputReader as OutputReader
from .supervisor.output.saying import emit as emit
from .supervisor.runs.again import Again as Again
from .supervisor.runs.behaviour import Behaviour as Behaviour
from .supervisor.runs.inputs.run_input import RunInput as RunInput
from .supervisor.runs.keeping.following import RecordedStep as RecordedStep
from .supervisor.runs.keeping.session import (
    RunSession as RunSession,
    SessionBranch as SessionBranch,
)
from .supervisor.runs.keeping.state import RunState as RunState
from .supervisor.runs.recording.restart import RestartPolicy as RestartPolicy
from .supervisor.runs.recording.verdicts import (
    DidNotRun as DidNotRun,
    InDoubtHook as InDoubtHook,
    Ran as Ran,
    StepInDoubt as StepInDoubt,
    Verdict as Verdict,
)
from .supervisor.runs.run import Run as Run
from .supervisor.serving.terms import QueuedWork as QueuedWork
from .supervisor.statistics import SupervisorStatistics as SupervisorStatistics
from .supervisor.supervisor import Supervisor as Supervisor

__all__ = [
    "AbandonReason",
    "AcceptEnded",
    "AcceptOutcome",
    "AcceptTerms",
    "ActivePath",
    "Again",
    "AgentFrame",
    "AttachmentIntent",
    "AttachmentManifest",
    "AttachmentManifestEntry",
    "Backlog",
    "Behaviour",
    "Carry",
    "CheckpointPart",
    "Child",
    "Codec",
    "ConsumePoint",
    "Cron",
    "DeliveryPolicy",
    "DidNotRun",
    "Distribution",
    "DurabilityClass",
    "DurabilityTier",
    "Erasure",
    "EventLog",
    "EventTypes",
    "Every",
    "ExecutionId",
    "ExecutionSnapshot",
    "ExecutionState",
    "Fact",
    "FactRef",
    "Family",
    "ForeignRuntime",
    "FullGraph",
    "GcReport",
    "GroupLanded",
    "Happening",
    "Health",
    "HealthProblem",
    "HealthReason",
    "Hook",
    "InDoubtHook",
    "InputDead",
    "InputDurability",
    "InputId",
    "InputKind",
    "InputPhase",
    "InputState",
    "InputStatePersistenceRecord",
    "InputTransition",
    "JournalSnapshot",
    "Lane",
    "Limits",
    "LogicalRuntimeId",
    "MachineLifecycleBindingFacts",
    "MachineLifecycleCommit",
    "MachineLifecycleSnapshot",
    "MachineLifecycleStoreRecord",
    "MergeKey",
    "MergeKind",
    "Metrics",
    "NodeId",
    "NoopAttachmentManifest",
    "Occurrence",
    "OperationRegistry",
    "Outcome",
    "OutputEntry",
    "OutputKind",
    "OutputLanded",
    "OutputReader",
    "OwnState",
    "PersistedOpsSnapshot",
    "PersistedSessionRead",
    "PolicyDecision",
    "Position",
    "PostgresOptions",
    "Pruned",
    "QueueMode",
    "QueuedWork",
    "QueuedWorkBatch",
    "QueuedWorkBatchDraft",
    "QueuedWorkClaim",
    "QueuedWorkClaimBoundary",
    "QueuedWorkCompletion",
    "QueuedWorkFailure",
    "QueuedWorkItem",
    "QueuedWorkKind",
    "QueuedWorkPayload",
    "Ran",
    "ReconstructionSource",
    "RecordedStep",
    "Rehydration",
    "Rekeyed",
    "Repeat",
    "RestartPolicy",
    "Retention",
    "Routing",
    "Run",
    "RunApplyBoundary",
    "RunBoundaryReceipt",
    "RunEntered",
    "RunEntry",
    "RunExited",
    "RunId",
    "RunInput",
    "RunOutcome",
    "RunSession",
    "RunState",
    "Runtime",
    "RuntimeCommit",
    "RuntimeCommitResult",
    "RuntimeHeld",
    "RuntimeLine",
    "RuntimePersistence",
    "RuntimeState",
    "Schedule",
    "Schedules",
    "Seams",
    "Selected",
    "Selection",
    "SessionBranch",
    "SessionCheckpoint",
    "SessionDelta",
    "SessionGraph",
    "SessionId",
    "SessionMeta",
    "SessionNode",
    "SessionNodeRecord",
    "SessionReadScope",
    "SessionRelation",
    "SessionScopedAttachmentStore",
    "SessionSnapshot",
    "Shrunk",
    "SlotPolicy",
    "SqliteOptions",
    "StepEntered",
    "StepExited",
    "StepInDoubt",
    "StepOutcome",
    "Store",
    "StoredEvent",
    "StoredInputState",
    "Strategy",
    "Supervisor",
    "SupervisorStatistics",
    "TenantId",
    "Ticket",
    "TokenLedgerEntry",
    "TokenUsage",
    "TranscriptRewriteCommit",
    "UnfinishedRun",
    "UnownedRuntime",
    "VacuumReport",
    "Verdict",
    "decode_snapshot",
    "emit",
    "encode_snapshot",
    "open_store",
    "open_supervisor",
]
