"""tenure: durable runtimes for agent hosts, inside the host's own process."""

from __future__ import annotations

from .persistence.facets.steps import Repeat as Repeat
from .persistence.limits import Limits as Limits
from .persistence.seams import Seams as Seams
from .persistence.store import Store as Store, open_store as open_store
from .persistence.values import (
    AbandonReason as AbandonReason,
    DurabilityClass as DurabilityClass,
    InputId as InputId,
    InputKind as InputKind,
    InputPhase as InputPhase,
    LogicalRuntimeId as LogicalRuntimeId,
    RunApplyBoundary as RunApplyBoundary,
    RunBoundaryReceipt as RunBoundaryReceipt,
    RunId as RunId,
    RuntimeState as RuntimeState,
    SessionId as SessionId,
)
from .supervisor.behaviour import Behaviour as Behaviour
from .supervisor.opening import open_supervisor as open_supervisor
from .supervisor.restart import RestartPolicy as RestartPolicy
from .supervisor.run import Run as Run, RunInput as RunInput, RunSession as RunSession
from .supervisor.runtime import Runtime as Runtime
from .supervisor.supervisor import Supervisor as Supervisor
from .supervisor.tickets import Outcome as Outcome, Ticket as Ticket
