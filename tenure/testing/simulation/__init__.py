"""Seeded simulation of a whole host: one seed, one trace."""

from __future__ import annotations

from .client import (
    Client as Client,
    Given as Given,
)
from .model import PromiseBroken as PromiseBroken
from .simulation import (
    Simulation as Simulation,
    SimulationFailure as SimulationFailure,
    SimulationReport as SimulationReport,
)
from .world import Hardship as Hardship
