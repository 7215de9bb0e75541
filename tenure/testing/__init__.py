"""The testing kit: power cuts and I/O faults for tenure and for what is built on it."""

from __future__ import annotations

from .drive.faults import (
    Fault as Fault,
    FaultKind as FaultKind,
)
from .drive.images import (
    Cut as Cut,
    ImageId as ImageId,
)
from .drive.operations import Drive as Drive
from .fault_sweep import (
    FaultFailure as FaultFailure,
    FaultSweep as FaultSweep,
    FaultSweepReport as FaultSweepReport,
)
from .history import (
    History as History,
    Witness as Witness,
)
from .invariants import (
    AnswerChanged as AnswerChanged,
    Invariant as Invariant,
    Reopening as Reopening,
)
from .machine import Machine as Machine
from .power_cut import (
    PowerCut as PowerCut,
    PowerCutFailure as PowerCutFailure,
    PowerCutReport as PowerCutReport,
)
from .scenario import (
    Check as Check,
    Scenario as Scenario,
)
from .simulation import (
    Client as Client,
    Given as Given,
    Hardship as Hardship,
    PromiseBroken as PromiseBroken,
    Simulation as Simulation,
    SimulationFailure as SimulationFailure,
    SimulationReport as SimulationReport,
)

__all__ = [
    "AnswerChanged",
    "Check",
    "Client",
    "Cut",
    "Drive",
    "Fault",
    "FaultFailure",
    "FaultKind",
    "FaultSweep",
    "FaultSweepReport",
    "Given",
    "Hardship",
    "History",
    "ImageId",
    "Invariant",
    "Machine",
    "PowerCut",
    "PowerCutFailure",
    "PowerCutReport",
    "PromiseBroken",
    "Reopening",
    "Scenario",
    "Simulation",
    "SimulationFailure",
    "SimulationReport",
    "Witness",
]
