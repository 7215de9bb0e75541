"""What may go at a time is said by a value alone."""

from __future__ import annotations

import pytest

from tenure import Retention
from tenure.errors import InvalidInput
from tenure.persistence.model.lifecycles.retention import NEVER, asked_for

NOW = 1_000_000_000.0


def test_by_default_output_and_keys_go_and_nothing_else() -> None:
    ages = Retention().ages(NOW)

    assert (ages.before, ages.dead_before, ages.latest) == (NEVER, NEVER, NEVER)
    assert (NOW - ages.output_before, NOW - ages.keys_before) == (604_800.0, 2_592_000.0)
    assert not ages.reached(1.0, dead=False)
    assert not ages.reached(1.0, dead=True)


@pytest.mark.parametrize(
    ("ended", "dead", "goes"), [(11, False, True), (9, False, False), (21, True, True), (19, True, False)]
)
def test_dead_letters_and_the_rest_go_each_by_their_own_age(ended: float, dead: bool, goes: bool) -> None:  # noqa: FBT001
    ages = Retention(runs_s=10.0, dead_letters_s=20.0).ages(NOW)

    assert ages.reached(NOW - ended, dead=dead) is goes
    assert ages.latest == ages.before


def test_what_is_kept_for_ever_never_goes() -> None:
    for_ever = float("inf")
    ages = Retention(runs_s=for_ever, dead_letters_s=for_ever, keys_s=for_ever, output_s=for_ever).ages(NOW)

    assert {ages.before, ages.dead_before, ages.keys_before, ages.output_before} == {NEVER}


def test_who_asks_says_whether_dead_letters_go_too() -> None:
    assert asked_for(NOW, 5.0, dead_letters=True).limit(dead=True) == NOW - 5.0
    assert asked_for(NOW, 5.0, dead_letters=False).limit(dead=True) == NEVER


@pytest.mark.parametrize(
    "given",
    [{"runs_s": 0.0}, {"keys_s": -1.0}, {"output_entries": 0}, {"dead_letters_s": 5.0}],
    ids=str,
)
def test_what_makes_no_sense_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        Retention(**given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
