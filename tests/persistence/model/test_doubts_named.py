"""What a hold says of the steps in doubt: each once, whatever else its text names."""

from __future__ import annotations

import pytest

from tenure.persistence.model.entries import add_doubts


@pytest.mark.parametrize(
    "detail",
    [
        "step pay at main/12 was dispatched and may have run",
        "step prepay at main/1 was dispatched and may have run",
        "step pay at main/1.2/1 was dispatched and may have run",
    ],
)
def test_a_step_whose_name_and_place_begin_or_end_those_of_another_is_named(detail: str) -> None:
    assert add_doubts(detail, [("main/1", "pay")]) == f"{detail}; in doubt: pay at main/1"


def test_a_step_that_is_named_already_is_not_named_again() -> None:
    detail = "step pay at main/1 was dispatched and may have run"

    assert add_doubts(detail, [("main/1", "pay")]) == detail
    assert (
        add_doubts(f"{detail}; in doubt: book at main/2", [("main/2", "book")]) == f"{detail}; in doubt: book at main/2"
    )


def test_of_many_some_are_named_and_the_others_counted() -> None:
    found = add_doubts("held", [(f"main/{number}", "pay") for number in range(1, 13)])

    assert found.endswith("pay at main/10 and 2 more")
