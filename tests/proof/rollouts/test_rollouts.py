"""The proof of roll-outs: a share of its seeds, and the mistakes that turn one red."""

from __future__ import annotations

from typing import Any

import pytest

from proof.rollouts.__main__ import main
from proof.rollouts.fleet import play
from proof.seeded.cases import prove
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.sqlite import writer
from tenure.persistence.facets.runs import entries
from tenure.persistence.model.entries import EntryStatus, Repeat
from tenure.persistence.model.values import DurabilityClass
from tenure.supervisor.runs.recording.asked import Asked, Found
from tenure.supervisor.runs.recording.entering import (
    Entering,
    Flight,
)
from tenure.supervisor.runs.stepping.steps import Steps
from tests.kit.sown import Mistake, broken_by_seed

SHARE = (41, 51)
"""Seeds with holds, doubts, deaths and a power cut, of which the suite plays these."""


@pytest.mark.parametrize("seed", SHARE)
def test_deploys_and_roll_backs_do_nothing_twice_and_leave_nothing_stuck(seed: int) -> None:
    assert [how for _, _, how in prove(play, [seed])] == [None]


def test_the_same_seed_is_the_same_life() -> None:
    assert [*prove(play, [9])] == [*prove(play, [9])]


@pytest.mark.slow
def test_the_command_says_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1"]) == 0
    assert "1 seeds, 0 broke a promise" in capsys.readouterr().out


# Sown mistakes: each turns a seed red.


def guard_off(patch: pytest.MonkeyPatch) -> None:
    async def admit(self: Entering, asked: Asked, found: Found) -> None:
        """Wait for nothing."""

    patch.setattr(Entering, "admit", admit)


def dispatch_not_recorded(patch: pytest.MonkeyPatch) -> None:
    async def dispatch(self: Steps, flight: Flight, repeat: Repeat) -> None:
        flight.call_key = flight.call_key or self._store.seams.new_id()  # pyright: ignore[reportPrivateUsage]

    patch.setattr(Steps, "_dispatch", dispatch)


def restart_keeps_results_only(patch: pytest.MonkeyPatch) -> None:
    carry = entries.carry

    def keep_results(tx: Transaction, run: int, into: int) -> int:
        for entry in entries.of_run(tx, run):
            if entry.status is not EntryStatus.SUCCEEDED:
                tx.write("restarting.forget", run=run, place=entry.place)
        return carry(tx, run, into)

    patch.setattr(entries, "carry", keep_results)


def no_fsync(patch: pytest.MonkeyPatch) -> None:
    pragmas: Any = writer.SYNCHRONOUS
    patch.setitem(pragmas, DurabilityClass.DISK, "NORMAL")


@pytest.mark.parametrize(
    ("mistake", "seed", "words"),
    [
        (guard_off, 10, "was done"),
        (dispatch_not_recorded, 3, "was done"),
        (restart_keeps_results_only, 6, "was done under two keys"),
        (no_fsync, 4, "NotFound"),
    ],
)
def test_a_mistake_in_the_real_code_turns_a_seed_red(
    mistake: Mistake, seed: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    assert words in broken_by_seed(play, seed)
