"""What goes into JSON comes back as it was, or is refused."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple

import attrs
import msgspec
import pytest

from tenure.errors import InvalidInput
from tenure.persistence.model.codec import (
    decode,
    encode,
)


class Colour(Enum):
    RED = "red"


@attrs.frozen
class Point:
    x: Any


@dataclass
class Line:
    begin: Any


class Area(msgspec.Struct):
    edges: Any


class Pair(NamedTuple):
    first: Any
    second: Any


def nest(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63) - 1, 2**64 - 1, 2**70, 0.1, -0.0, 1e308, "", "caf\u00e9", [], {}, {"b": [1, {"a": None}]}],
)
def test_a_json_value_comes_back_equal(value: object) -> None:
    assert decode(encode(value, "payload"), "test", "value") == value


@pytest.mark.parametrize(
    ("value", "comes_back"),
    [
        ((1, (2,)), [1, [2]]),
        (Pair(1, "b"), [1, "b"]),
        (OrderedDict[str, int](b=1, a=2), {"a": 2, "b": 1}),
        (Point(Line(Area([1]))), {"x": {"begin": {"edges": [1]}}}),
        (Colour.RED, "red"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
    ],
)
def test_what_has_a_json_form_of_its_own_comes_back_as_that(value: object, comes_back: object) -> None:
    assert decode(encode(value, "payload"), "test", "value") == comes_back


@pytest.mark.parametrize(
    "lost", [math.nan, math.inf, -math.inf, b"x", bytearray(b"x"), memoryview(b"x"), {1}, frozenset({1})]
)
def test_what_would_come_back_as_something_else_is_refused(lost: object) -> None:
    wrapped: list[object] = [
        lost,
        [0, (1, lost)],
        {"a": {"b": lost}},
        OrderedDict(a=lost),
        Pair(lost, 1),
        Point(lost),
        Line(lost),
        [Area({"a": lost})],
    ]
    for value in wrapped:
        with pytest.raises(InvalidInput) as caught:
            encode(value, "payload")

        assert caught.value.field == "payload"


@pytest.mark.parametrize("value", [object(), {1: "a"}, "\udce9", {"\udce9": 1}, nest(100_000)])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        encode(value, "payload")


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(InvalidInput):
        encode(value, "payload")
