"""What an adapter is given and cannot take is said in words, and not as an annotation prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import pytest

from tenure.adapters.checking import check_value
from tenure.errors import InvalidInput


class Item(TypedDict):
    """As the items of a framework are."""

    text: str


class Store:
    """As a class of a framework."""


@pytest.mark.parametrize(
    ("value", "annotation", "said"),
    [
        (5, str, "an int is not a text"),
        ("\ud800", str | None, "a text has no lone surrogate"),
        (None, Store, "None is not a Store"),
        ("1", int | None, "a str is not a whole number or None"),
        (True, float, "a bool is not a number"),
        ("x", list[Item], "a str is not a list of which each is a dict"),
        ([("\ud800", 1)], list[tuple[str, int]], "a text has no lone surrogate"),
        ([object()], list[Item], "something in it does not fit: it is a list of which each is a dict"),
        ({"a": 1}, Mapping[str, str], "something in it does not fit: it is a mapping of which each is a text"),
        ((1, 2), tuple[str, int], "something in it does not fit: it is a tuple of (a text, a whole number)"),
        (7, Sequence[str] | None, "an int is not a sequence of which each is a text or None"),
        (7, Mapping[str, Any], "an int is not a mapping"),
        (7, Callable[..., Any], "an int is not a function"),
        ("c", Literal["a", "b"], "a str is not one of 'a', 'b'"),
    ],
)
def test_what_does_not_fit_is_said_in_words(value: object, annotation: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_value(value, annotation, "given")

    assert (refused.value.field, refused.value.detail) == ("given", said)
