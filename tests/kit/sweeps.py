"""Sweeps over faults of a disk that take a share of the operations: others in each turn."""

from __future__ import annotations

from attrs import evolve

from tenure.testing import FaultSweep, FaultSweepReport
from tests.kit.shares import TURN, WHOLE


def run_share(sweep: FaultSweep, kinds: int, turn: int = TURN) -> FaultSweepReport:
    """Run the sweep from an operation whose turn it is, or from the first where there are not so many.

    `kinds` is how many turns the kinds of faults share: of one kind, as many turns as `every` says strike every operation.
    """
    first = 1 if WHOLE else 1 + turn // kinds % sweep.every
    report = evolve(sweep, first=first).run()
    return report if report.faults else sweep.run()
