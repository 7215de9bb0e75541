"""What may go at a time is said by a value alone."""

from __future__ import annotations

from typing import Any

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


def test_a_kind_that_is_named_goes_by_its_own_numbers_and_every_other_by_those_of_the_store() -> None:
    retention = Retention(runs_s=50.0, output_s=40.0, kinds={"chat": Retention(runs_s=10.0), "audit": Retention()})
    ages = retention.ages(NOW)

    assert NOW - ages.of("chat").before == 10.0
    assert ages.of("audit").before == NEVER, "what a kind does not say is said by the defaults, and not by the store"
    assert ages.of(None) is ages.of("another") is ages
    assert NOW - ages.of("another").before == 50.0
    assert (NOW - ages.widest.before, NOW - ages.widest.output_before) == (10.0, 40.0)
    assert retention.shortest_s == 10.0


def test_what_is_kept_of_kinds_is_copied_where_it_is_given() -> None:
    kinds = {"chat": Retention(runs_s=10.0)}
    retention = Retention(kinds=kinds)
    kinds.clear()

    assert "chat" in retention.kinds


def test_what_is_kept_is_a_value_that_a_set_can_have() -> None:
    kept = [Retention(kinds={"chat": Retention(runs_s=10.0)}) for _ in range(2)]

    assert len({*kept}) == 1


def test_who_names_kinds_asks_for_nothing_of_others() -> None:
    ages = asked_for(NOW, 5.0, dead_letters=True, kinds=["chat"])

    assert ages.of("chat") == asked_for(NOW, 5.0, dead_letters=True)
    assert {ages.before, ages.dead_before, ages.keys_before, ages.output_before} == {NEVER}


@pytest.mark.parametrize(
    "kinds",
    [
        [("chat", Retention())],
        {"": Retention()},
        {"a\0": Retention()},
        {1: Retention()},
        {"chat": 5.0},
        {"chat": Retention(kinds={"chat": Retention()})},
    ],
    ids=["pairs", "no name", "NUL", "a number", "seconds", "kinds of a kind"],
)
def test_what_is_no_retention_of_kinds_is_refused(kinds: Any) -> None:
    with pytest.raises(InvalidInput):
        Retention(kinds=kinds)


@pytest.mark.parametrize(
    "given",
    [{"runs_s": 0.0}, {"keys_s": -1.0}, {"output_entries": 0}, {"dead_letters_s": 5.0}],
    ids=str,
)
def test_what_makes_no_sense_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        Retention(**given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
