"""The proof of re-entry: a share of its seeds, and the mistakes that turn one red."""

from __future__ import annotations

import pytest
import trio

from proof.reentry import real_time
from proof.reentry.__main__ import broken_of, broken_on_asyncio, main
from tenure.persistence.model.entries import Repeat
from tenure.supervisor.runs.recording import entering
from tenure.supervisor.runs.recording.branch import Branch
from tenure.supervisor.runs.recording.cutting.kept import Cut
from tenure.supervisor.runs.recording.entering import Entering, Flight
from tenure.supervisor.runs.resting.scopes import OpenScope
from tenure.supervisor.runs.stepping.steps import Steps
from tests.kit.shares import share
from tests.kit.sown import Mistake


@pytest.mark.slow
@pytest.mark.parametrize("seeds", share([range(first, first + 6) for first in range(0, 600, 6)], 100))
def test_what_an_entering_has_seen_the_next_one_sees(seeds: range) -> None:
    assert [(seed, how) for seed in seeds if (how := broken_of(seed)[1]) is not None] == []


@pytest.mark.slow
@pytest.mark.parametrize("seeds", share([range(first, first + 30) for first in range(0, 600, 30)], 20))
def test_and_so_it_is_on_asyncio(seeds: range) -> None:
    assert [(seed, how) for seed in seeds if (how := broken_on_asyncio(seed)[1]) is not None] == []


def test_the_command_says_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--first", "2"]) == 0
    assert "2 seeds, 0 broke a promise" in capsys.readouterr().out


def test_the_same_seed_is_the_same_life() -> None:
    assert broken_of(9) == broken_of(9)


# Sown mistakes: each turns a seed red.


def a_scope_that_was_cut_off_ends_with_its_body(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Entering, "stay_cut", no_wait)


def the_time_of_a_scope_counts_in_a_replay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OpenScope, "wait_for", nothing)


def a_dispatch_is_not_recorded(patch: pytest.MonkeyPatch) -> None:
    async def dispatch(self: Steps, flight: Flight, repeat: Repeat) -> None:
        flight.call_key = flight.call_key or self._store.seams.new_id()  # pyright: ignore[reportPrivateUsage]

    patch.setattr(Steps, "_dispatch", dispatch)


def a_cut_is_not_recorded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(entering, "mark_cut", nothing)


def a_cut_does_not_say_what_was_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Branch, "kept", property(lambda _: []))


def a_cut_does_not_wait_for_what_was_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Cut, "waits_for", 0)


def what_is_asked_for_past_a_cut_is_done(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(entering, "found_past", nothing)


def a_scope_is_counted_by_those_within_others(patch: pytest.MonkeyPatch) -> None:
    begin = OpenScope.__init__

    def count(self: OpenScope, scope: trio.CancelScope, length: float, branch: Branch) -> None:
        begin(self, scope, length, branch)
        branch.opened += "." in self.path

    patch.setattr(OpenScope, "__init__", count)


def nothing(*_: object, **__: object) -> None:
    """In place of what a mistake leaves out."""


async def no_wait(*_: object, **__: object) -> None:
    """In place of a wait that a mistake leaves out."""


@pytest.mark.turns(3)
@pytest.mark.parametrize(
    ("mistake", "seed", "words"),
    [
        (a_scope_that_was_cut_off_ends_with_its_body, 6, "has seen False at scope4, and the one before True"),
        (the_time_of_a_scope_counts_in_a_replay, 9, "did 'a wait' at 'main/4'"),
        (a_dispatch_is_not_recorded, 32, "never repeats, was done 2 times"),
        (a_cut_is_not_recorded, 158, "has seen False at scope4, and the one before True"),
        (a_cut_does_not_say_what_was_kept, 158, "has seen 0 at plain34, and the one before 1"),
        (a_cut_does_not_wait_for_what_was_kept, 158, "has seen 0 at plain34, and the one before 1"),
        (what_is_asked_for_past_a_cut_is_done, 34, "did 'step scope16.step, freely"),
        (a_scope_is_counted_by_those_within_others, 958, "has seen False at scope26, and the one before True"),
    ],
)
def test_a_mistake_in_the_real_code_turns_a_seed_red(
    mistake: Mistake, seed: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    how = broken_of(seed)[1]
    assert how is not None
    assert words in how


def test_a_cut_that_is_not_recorded_turns_a_seed_red_on_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    a_cut_is_not_recorded(monkeypatch)
    monkeypatch.setattr(real_time, "LONGEST_S", 5.0)  # some wait for a place that does not come
    assert any(broken_on_asyncio(seed)[1] is not None for seed in (34, 958, 45, 6, 52, 54))
