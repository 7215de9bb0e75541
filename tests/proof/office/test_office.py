"""The proof of an office: a share of its seeds, and the mistakes that turn one red."""

from __future__ import annotations

from typing import Any

import pytest

from proof.office.__main__ import main
from proof.office.fleet import play
from proof.seeded.cases import prove
from tenure.persistence.engines.sqlite import writer
from tenure.persistence.facets.erasing import erasing
from tenure.persistence.facets.ownership import ending
from tenure.persistence.facets.runs import runs
from tenure.persistence.facets.runs.asking import asks, responses
from tenure.persistence.model.values import DurabilityClass
from tests.kit.shares import share
from tests.kit.sown import Mistake, broken_by_seed


@pytest.mark.slow
@pytest.mark.parametrize("seed", share(range(60), 30))
def test_whoever_asks_waits_is_held_or_erased_comes_to_the_end_that_it_should(seed: int) -> None:
    assert [how for _, _, how in prove(play, [seed])] == [None]


@pytest.mark.turns(3)
@pytest.mark.slow
def test_the_same_seed_is_the_same_life() -> None:
    assert [*prove(play, [8])] == [*prove(play, [8])]


@pytest.mark.turns(3)
@pytest.mark.slow
def test_the_command_says_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1"]) == 0
    assert "1 seeds, 0 broke a promise" in capsys.readouterr().out


# Sown mistakes: each turns a seed red.


def nothing(*_: object, **__: object) -> None:
    """In place of what a mistake leaves out."""


def no_answer_wakes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(responses.asides, "wake", nothing)


def no_circle_is_looked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(asks, "_circle", nothing)


def a_hold_keeps_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs.holds, "keeps", nothing)


def no_child_ends(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ending, "_end", nothing)


def own_values_are_not_erased(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(vars(erasing)["_ERASE"], erasing.Sort.OWN_VALUES, nothing)


def no_fsync(patch: pytest.MonkeyPatch) -> None:
    pragmas: Any = writer.SYNCHRONOUS
    patch.setitem(pragmas, DurabilityClass.DISK, "NORMAL")


@pytest.mark.slow
@pytest.mark.turns(4)
@pytest.mark.parametrize(
    ("mistake", "seed", "words"),
    [
        (no_answer_wakes, 0, "stuck: "),
        (no_circle_is_looked_for, 0, "stuck: "),
        (a_hold_keeps_nothing, 1, "and is on hold since"),
        (no_child_ends, 0, "stuck: "),
        (own_values_are_not_erased, 0, "were erased, and agents.db has what they knew"),
        (no_fsync, 3, "NotFound"),
    ],
)
def test_a_mistake_in_the_real_code_turns_a_seed_red(
    mistake: Mistake, seed: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    assert words in broken_by_seed(play, seed)
