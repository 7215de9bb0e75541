"""What the audit of a simulated host takes for an older input that was overtaken."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.testing.simulation.audit import audit_order
from tenure.testing.simulation.model import PromiseBroken


def taken(admission: int, run: int) -> tuple[Any, ...]:
    return ("ada", f"input-{admission}", *[None] * 6, "queue", admission, None, f"run-{run}", run)


def ran(run: int, outcome: str) -> tuple[Any, ...]:
    return ("ada", f"run-{run}", run, 0, outcome)


RUNS = [ran(1, "restarted"), ran(7, "finished"), ran(8, "finished")]


def test_a_restart_goes_on_with_older_inputs_of_the_batch_that_it_restarts_and_no_other_run_takes_them() -> None:
    batch = [taken(13, run=1), taken(14, run=7)]

    audit_order([taken(4, run=7), *batch, taken(19, run=8)], RUNS)  # raises nothing
    with pytest.raises(PromiseBroken, match="run 8 of ada overtook an older input"):
        audit_order([taken(4, run=8), *batch], RUNS)
