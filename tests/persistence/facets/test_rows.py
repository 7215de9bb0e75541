"""Rows as they were read: a value of another type than its column's is damage."""

from __future__ import annotations

import pytest

from tenure.errors import Corrupt
from tenure.persistence.commits.rows import OPTIONAL_TEXT, check_row


def test_a_value_of_another_type_is_corrupt_and_its_place_named() -> None:
    check_row((1, None), (int, OPTIONAL_TEXT), "entry", "a key")
    with pytest.raises(Corrupt, match=r"columns \[1\] are of another type") as caught:
        check_row((1, b"x"), (int, OPTIONAL_TEXT), "entry", "a key")
    assert (caught.value.record, caught.value.key) == ("entry", "a key")


def test_columns_after_those_that_have_types_are_left_to_others() -> None:
    check_row((1, "a", object()), (int, OPTIONAL_TEXT), "entry", "a key")
    with pytest.raises(Corrupt, match=r"columns \[0\]"):
        check_row(("1", "a", object()), (int, OPTIONAL_TEXT), "entry", "a key")
