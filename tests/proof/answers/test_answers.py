"""The proof of answers: a share of its cases, and the mistakes that turn one red."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from proof.answers.__main__ import main
from proof.answers.hosts import Death
from proof.answers.play import LAYOUTS, Case
from proof.answers.proving import broken_by, drawn_case, every_case
from proof.answers.world import ANSWERS
from tenure.persistence.facets.runs.asking import asks, responses
from tests.kit.shares import TURN, share

EVERY = 60
"""Of the cases of one child and one layout, the suite plays one of so many."""

PAIRS = 27
"""So many turns share the children with their layouts."""


@pytest.mark.slow
@pytest.mark.parametrize(("how", "layout"), share([(how, layout) for how in ANSWERS for layout in LAYOUTS], PAIRS))
def test_who_asks_hears_what_came_of_it_whichever_host_dies(how: str, layout: str) -> None:
    cases = share(every_case([how], [layout]), EVERY, TURN // PAIRS)
    assert [found for case in cases if (found := broken_by(case))] == []


@pytest.mark.parametrize("seed", share(range(200), 100))
def test_hosts_that_die_one_after_another_change_nothing_of_it(seed: int) -> None:
    assert broken_by(drawn_case(seed)) is None


def test_two_hosts_that_ask_one_another_at_once_close_no_circle() -> None:
    assert broken_by(Case(how="asks at once", layout="apart", deaths=((Death(60),), (Death(30, late=True),)))) is None


@pytest.mark.slow
def test_the_command_says_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1"]) == 0
    assert "1 cases, 0 broke a promise" in capsys.readouterr().out


# Sown mistakes: each turns a case red.


def nothing_is_recorded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(asks, "entries", SimpleNamespace(write=nothing))


def no_answer_wakes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(responses.asides, "wake", nothing)


def no_circle_is_looked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(asks, "_circle", nothing)


def nothing(*_: object, **__: object) -> None:
    """In place of what a mistake leaves out."""


@pytest.mark.turns(3)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "how", "death", "words"),
    [
        (nothing_is_recorded, "answers", Death(32, late=True), "the parent waits, and why says nothing"),
        (no_answer_wakes, "sleeps", Death(), "stuck: its run is put aside"),
        (no_circle_is_looked_for, "closes a circle", Death(), "stuck: its run"),
    ],
)
def test_a_mistake_in_the_real_code_turns_a_case_red(
    mistake: Callable[[pytest.MonkeyPatch], None], how: str, death: Death, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    found = broken_by(Case(how=how, layout="one host", deaths=((death,),)))
    assert found is not None
    assert words in found
