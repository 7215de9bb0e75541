"""Shares: as many turns as a share is small take every case, and a turn says how it is repeated."""

from __future__ import annotations

import pytest

from tests.kit import shares
from tests.kit.shares import share, whose_turn


@pytest.mark.parametrize(("cases", "one_in"), [(100, 7), (7, 7), (3, 7), (1, 7), (8, 1)])
def test_so_many_turns_in_a_row_take_every_case_and_each_takes_one(cases: int, one_in: int) -> None:
    taken = [share(range(cases), one_in, turn) for turn in range(40, 40 + one_in)]

    assert all(taken)
    assert {case for each in taken for case in each} == set(range(cases))
    assert sum(map(len, taken)) <= max(cases, one_in)


def test_of_nothing_nothing_is_taken() -> None:
    assert share([], 3) == []


def test_of_tests_that_turns_share_each_turn_takes_some_and_so_many_take_all() -> None:
    marks = [None, 3, 3, None, 2, 3, 3, 2]

    taken = [whose_turn(marks, turn) for turn in range(42, 48)]

    assert all(each[0] and each[3] for each in taken)
    assert all(sum(each) in range(4, 6) for each in taken)
    assert all(any(column) for column in zip(*taken[:3], strict=True))


def test_a_test_that_turns_share_meets_every_share_inside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "WHOLE", False)
    met = {tuple(share(range(8), 8, turn)) for turn in range(200) if whose_turn([None, 2, 4], turn)[2]}

    assert len(met) == 8


def test_the_whole_is_every_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "WHOLE", True)

    assert share(range(5), 3) == [0, 1, 2, 3, 4]
