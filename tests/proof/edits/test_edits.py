"""The proof of edits: a share of its cases, and the mistakes that it must find."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proof.edits import cases
from proof.edits.__main__ import main
from proof.edits.cases import RENAMED, RESTART, Case
from proof.edits.programs import PROGRAMS
from proof.edits.proving import prove
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.runs import entries
from tenure.persistence.model.entries import EntryStatus, Repeat
from tenure.supervisor.runs.recording.asked import Asked, Found
from tenure.supervisor.runs.recording.entering import (
    Entering,
    Flight,
)
from tenure.supervisor.runs.stepping.steps import Steps
from tests.kit.shares import share

SHARE = 1_000
"""One case of so many is in the suite."""


@pytest.mark.slow
@pytest.mark.parametrize("program", share(PROGRAMS, 2))
def test_edits_do_nothing_twice_and_leave_nothing_out(program: str) -> None:
    report = prove(SHARE, 7, (program,))

    assert report.recorded > 3
    assert report.came.total() > 3
    assert not report.broken


@pytest.mark.turns(6)
@pytest.mark.slow
def test_the_command_says_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--every", "2000", "--program", "calls"]) == 0
    assert "nothing was done twice" in capsys.readouterr().out


# Sown mistakes: each turns the proof red.


def found(program: str, wanted: Callable[[Case], bool]) -> str:
    """How the first case of these breaks a promise; empty where none does."""
    report = prove(programs=(program,), only=wanted, most_broken=1)
    return report.broken[0][1] if report.broken else ""


@pytest.mark.slow
@pytest.mark.turns(10)
def test_it_sees_that_the_guard_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def admit(self: Entering, asked: Asked, found: Found) -> None:
        """Wait for nothing."""

    def wanted(case: Case) -> bool:
        return case.edit.name == "call dropped" and case.version == "2" and case.way == cases.PLAIN

    monkeypatch.setattr(Entering, "admit", admit)
    assert "was done" in found("calls", wanted)


@pytest.mark.slow
@pytest.mark.turns(10)
def test_it_sees_keys_that_are_made_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(self: Flight) -> str | None:
        asked = self.asked  # pyright: ignore[reportPrivateUsage]
        return asked.name if asked.repeat is Repeat.KEYED else None

    def keep(self: Flight, value: str | None) -> None:
        """Keep nothing."""

    def wanted(case: Case) -> bool:
        return (
            case.way == RENAMED
            and case.version == "2"
            and case.edit.seat is not None
            and case.edit.seat.place == "main/3"
        )

    monkeypatch.setattr(Flight, "call_key", property(get, keep), raising=False)
    assert "under two keys" in found("in order", wanted)


@pytest.mark.slow
@pytest.mark.turns(10)
def test_it_sees_that_a_dispatch_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dispatch(self: Steps, flight: Flight, repeat: Repeat) -> None:
        flight.call_key = flight.call_key or self._store.seams.new_id()  # pyright: ignore[reportPrivateUsage]

    def wanted(case: Case) -> bool:
        return case.edit.seat is None and case.recorded.world.how == "killed"

    monkeypatch.setattr(Steps, "_dispatch", dispatch)
    assert "never repeats, was done 2 times" in found("in order", wanted)


@pytest.mark.slow
@pytest.mark.turns(10)
def test_it_sees_a_restart_that_keeps_results_only(monkeypatch: pytest.MonkeyPatch) -> None:
    carry = entries.carry

    def keep_results(tx: Transaction, run: int, into: int) -> int:
        for entry in entries.of_run(tx, run):
            if entry.status is not EntryStatus.SUCCEEDED:
                tx.write("restarting.forget", run=run, place=entry.place)
        return carry(tx, run, into)

    def wanted(case: Case) -> bool:
        return case.way == RESTART and case.edit.name == "insert" and case.recorded.world.how == "killed"

    monkeypatch.setattr(entries, "carry", keep_results)
    assert "never repeats, was done 2 times" in found("in order", wanted)
