"""A host whose behaviour uses the whole of its record, under power cuts; and that the proof sees what would be done twice."""

from __future__ import annotations

import pytest

from proof.power_cuts.whole_record import WholeRecord, WholeRecordCheck
from tenure.persistence.model.entries import Repeat
from tenure.supervisor.runs.recording.flight import Flight
from tenure.supervisor.runs.stepping.steps import Steps
from tenure.testing import PowerCut, PowerCutFailure
from tenure.testing.power_cut_fixture import PowerCutFixture


@pytest.mark.slow
def test_nothing_of_a_record_is_lost_or_done_twice_by_a_power_cut(power_cut: PowerCutFixture) -> None:
    report = power_cut(WholeRecord(), WholeRecordCheck(), images=20)

    assert report is None or report.images > 1  # each of them was checked; None: one saved image alone


@pytest.mark.slow
@pytest.mark.turns(3)
def test_it_sees_that_a_dispatch_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dispatch(self: Steps, flight: Flight, repeat: Repeat) -> None:
        flight.call_key = flight.call_key or self._store.seams.new_id()  # pyright: ignore[reportPrivateUsage]

    monkeypatch.setattr(Steps, "_dispatch", dispatch)

    with pytest.raises(PowerCutFailure, match=r"done twice|two keys"):
        PowerCut(scenario=WholeRecord(), check=WholeRecordCheck(), budget=200).run()


@pytest.mark.slow
@pytest.mark.turns(3)
def test_it_sees_that_time_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(*_: object) -> tuple[float, ...]:
        return ()

    monkeypatch.setattr("tenure.supervisor.runs.recording.matching.Record.drawn_before_next", drawn)

    with pytest.raises(PowerCutFailure, match="held: "):
        PowerCut(scenario=WholeRecord(), check=WholeRecordCheck(), budget=200).run()
