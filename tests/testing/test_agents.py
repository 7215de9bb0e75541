"""A whole host under power cuts."""

from __future__ import annotations

from typing import Any

import pytest

from proof.power_cuts.agents import (
    Agents,
    AgentsCheck,
)
from tenure.errors import CannotOpen, DiskFull, StoreBroken
from tenure.supervisor.runs.run import Run
from tenure.testing import FaultKind, FaultSweep, PowerCut, PowerCutFailure
from tenure.testing.power_cut_fixture import PowerCutFixture
from tests.kit.shares import few, share, sparse
from tests.kit.sweeps import run_share


@pytest.mark.slow
def test_a_host_that_lost_its_power_brings_every_task_to_the_end_it_would_have_had(power_cut: PowerCutFixture) -> None:
    report = power_cut(Agents(), AgentsCheck(), images=few(50, 2))

    assert report is None or report.images > 1  # each of them was checked; None: one saved image alone


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", share([FaultKind.READ_ERROR, FaultKind.WRITE_ERROR, FaultKind.SHORT_WRITE, FaultKind.SYNC_TORN], 3)
)
def test_a_host_whose_disk_failed_brings_every_task_to_its_end_afterwards(kind: FaultKind) -> None:
    sweep = FaultSweep(
        scenario=Agents(),
        check=AgentsCheck(),
        errors=(StoreBroken, DiskFull, CannotOpen),
        kinds=(kind,),
        every=sparse(149, 4),
    )

    assert run_share(sweep, 3).faults[kind] >= 1


@pytest.mark.turns(10)
@pytest.mark.slow
def test_a_payment_that_is_repeated_freely_is_seen_to_be_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Run.step

    async def freely(self: Run, name: str, function: Any, *arguments: object, repeat: str) -> Any:
        return await step(self, name, function, *arguments, repeat="freely")

    monkeypatch.setattr(Run, "step", freely)

    with pytest.raises(PowerCutFailure, match="paid for"):
        PowerCut(scenario=Agents(), check=AgentsCheck(), budget=400).run()
