"""Asks, children, waits, runs put aside, holds, erasing, schedules and output under power cuts and faults."""

from __future__ import annotations

import pytest

from proof.household.scenario import Household, HouseholdCheck
from tenure.errors import CannotOpen, DiskFull, StoreBroken
from tenure.supervisor.runs.behaviour import Behaviours
from tenure.testing import FaultKind, FaultSweep, PowerCut, PowerCutFailure
from tenure.testing.power_cut_fixture import PowerCutFixture
from tests.kit.shares import few, share, sparse
from tests.kit.sweeps import run_share


@pytest.mark.slow
def test_a_household_that_lost_its_power_hears_does_and_says_what_it_had_to(power_cut: PowerCutFixture) -> None:
    report = power_cut(Household(), HouseholdCheck(), images=few(20, 4))

    assert report is None or report.images > 1  # each of them was checked; None: one saved image alone


@pytest.mark.slow
@pytest.mark.parametrize("kind", share([FaultKind.READ_ERROR, FaultKind.WRITE_ERROR, FaultKind.SYNC_TORN], 3))
def test_a_household_whose_disk_failed_hears_does_and_says_it_afterwards(kind: FaultKind) -> None:
    sweep = FaultSweep(
        scenario=Household(),
        check=HouseholdCheck(),
        errors=(StoreBroken, DiskFull, CannotOpen),
        kinds=(kind,),
        every=sparse(499, 4),
    )

    assert run_share(sweep, 3).faults[kind] >= 1


@pytest.mark.slow
@pytest.mark.turns(3)
def test_it_sees_that_nothing_follows_what_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Behaviours, "followed", {})

    with pytest.raises(PowerCutFailure, match="the ledger has"):
        PowerCut(scenario=Household(), check=HouseholdCheck(), budget=10).run()


@pytest.mark.slow
@pytest.mark.turns(3)
def test_it_sees_that_a_batch_is_abandoned_and_not_followed_in_that_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(*_: object) -> None:
        return

    monkeypatch.setattr("tenure.persistence.facets.runs.following.follow_ups._begin", begin)

    with pytest.raises(PowerCutFailure, match=r"followed: \[\], abandoned: "):
        PowerCut(scenario=Household(), check=HouseholdCheck(), budget=10).run()
