"""An instance is checked by the types of its fields; some combinations are known, and each value is looked at all the same."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, final

import pytest
from attrs import NOTHING, frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.arguments import check_value


@final
class Colour(StrEnum):
    RED = "red"


@final
@frozen(kw_only=True, slots=True)
class Thing:
    name: str
    count: int = 0
    colour: Colour | None = None
    body: bytes = b""
    anything: Any = None
    parts: tuple[str, ...] = ()


@final
@frozen(kw_only=True, slots=True)
class One:
    name: str


@final
@frozen(kw_only=True, slots=True)
class Empty:
    """No field."""


class Text(str):
    """A subclass of a plain type."""

    __slots__ = ()


GOOD = Thing(name="a", count=1, colour=Colour.RED, body=b"x", parts=("p",))


def refused(thing: Any, kind: type[Any] = Thing) -> str | None:
    with pytest.raises(InvalidInput) as caught:
        check_value(thing, kind, "thing")
    return caught.value.field


def test_each_value_of_a_known_combination_of_types_is_looked_at() -> None:
    assert check_value(GOOD, Thing, "thing") is GOOD
    assert check_value(GOOD, Thing, "thing") is GOOD

    assert refused(Thing(name="\0", count=1, colour=Colour.RED, body=b"x", parts=("p",))) == "name"
    assert refused(Thing(name="a", count=2**63, colour=Colour.RED, body=b"x", parts=("p",))) == "count"
    assert refused(Thing(name="a", count=1, colour=Colour.RED, body=b"x", parts=("\ud800",))) == "parts"


def test_another_combination_is_checked_by_its_own_types() -> None:
    assert check_value(GOOD, Thing, "thing") is GOOD

    wrong: Any = 7
    assert refused(Thing(name=wrong, count=1, colour=Colour.RED, body=b"x")) == "name"
    assert refused(Thing(name="a", count=1, colour=wrong, body=b"x")) == "colour"
    assert refused(Thing(name="a", count=1, colour=Colour.RED, body=wrong)) == "body"
    assert refused(Thing(name="a", count=True, body=b"x")) == "count"
    word: Any = "red"
    plain = check_value(Thing(name=Text("a"), colour=word), Thing, "thing")
    assert (type(plain.name), plain.colour) == (str, Colour.RED)


def test_what_is_not_the_default_is_looked_at_where_the_default_is_known() -> None:
    for _ in range(2):
        assert check_value(Thing(name="a"), Thing, "thing") == Thing(name="a")  # all else is its class's own

    assert refused(Thing(name="a", count=2**63)) == "count"
    assert refused(Thing(name="a", parts=("\ud800",))) == "parts"
    nothing: Any = NOTHING
    assert refused(One(name=nothing), One) == "name"


def test_more_combinations_than_are_known_are_checked_too() -> None:
    for number in range(100):
        anything = type(f"Kind{number}", (), {})()
        assert check_value(Thing(name="a", anything=anything), Thing, "thing").anything is anything
        assert refused(Thing(name="\0", anything=anything)) == "name"


def test_an_instance_with_one_field_or_none_is_checked() -> None:
    assert check_value(One(name="a"), One, "one") == One(name="a")
    assert refused(One(name="\0"), One) == "name"
    assert check_value(Empty(), Empty, "empty") == Empty()
    assert refused(One(name="a"), Empty) == "thing"
