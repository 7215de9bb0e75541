"""What goes into JSON comes back as it was, or is refused."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import msgspec
import pytest

from tenure.errors import Corrupt, InvalidInput
from tenure.persistence.model.codec import (
    NESTING,
    check_nesting,
    decode,
    decode_brought,
    encode,
    message_of,
)
from tenure.persistence.model.texts import text_of


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


@pytest.mark.parametrize(
    "value", [Decimal("0.1"), UUID(int=1), timedelta(1), date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)]
)
def test_what_would_come_back_as_text_is_refused_unless_a_class_makes_it_again(value: object) -> None:
    for wrapped in (value, [value], {"a": value}):
        with pytest.raises(InvalidInput, match="as text"):
            encode(wrapped, "payload")

    assert decode(encode(Point(value), "payload"), "test", "value") == {"x": msgspec.to_builtins(value)}


def test_what_has_no_form_is_refused_with_what_to_do() -> None:
    async def asked() -> None:
        """What a model answers."""

    unawaited = asked()
    for value, said in ((unawaited, "not awaited"), ({1: 2}, "keys of an object are text"), (object(), "class object")):
        with pytest.raises(InvalidInput, match=said):
            encode([{"a": value}], "payload")
    unawaited.close()


@pytest.mark.parametrize("depth", [NESTING, NESTING + 1, 300])
def test_nesting_is_bounded_well_below_what_a_decoder_bears(depth: int) -> None:
    value = ["[{" * NESTING, nest(depth - 2)]

    if depth <= NESTING:
        assert decode(encode(value, "payload"), "test", "value") == value
    else:
        with pytest.raises(InvalidInput, match=f"nested {depth} deep"):
            encode(value, "payload")


@pytest.mark.parametrize("inside", ["[{", "\\", '"', '\\"', "[\\", '"[', "]}" * 300, "\n[", "\u005b"])
@pytest.mark.parametrize("depth", [NESTING, NESTING + 1])
def test_brackets_in_texts_are_no_nesting(inside: str, depth: int) -> None:
    data = b"[" * (depth - 1) + json.dumps({inside: [inside] * 300} if depth % 2 else [inside] * 300).encode()
    deep = depth - 1 + (2 if depth % 2 else 1)
    assert data.count(b"[") > NESTING - 2
    if deep <= NESTING:
        check_nesting(data)
    else:
        with pytest.raises(ValueError, match=f"nested {deep} deep"):
            check_nesting(data)


@pytest.mark.parametrize(
    "depth", [201, 5_000, 100_000]
)  # by the version of Python the second is too deep for a decoder
@pytest.mark.parametrize("closes", [b"]", b""])
def test_a_message_that_no_one_can_decode_everywhere_is_its_bytes(depth: int, closes: bytes) -> None:
    data = b"[" * depth + closes * depth
    assert message_of(data) == data
    with pytest.raises(InvalidInput, match=f"nested {depth} deep"):
        decode_brought(data, "payload", "the payload")
    if depth == 100_000:
        with pytest.raises(Corrupt):
            decode(data, "test", "value")


@pytest.mark.parametrize("data", [b"{", b"NaN"])
def test_a_message_that_is_no_json_is_its_bytes(data: bytes) -> None:
    assert message_of(data) == data


def test_a_message_that_is_as_deep_as_any_may_be_is_decoded() -> None:
    assert message_of(b"[" * NESTING + b"]" * NESTING) == nest(NESTING - 1)


class Hostile(dict[str, Any]):
    def items(self) -> Any:
        raise LookupError("no items today")

    values = keys = __iter__ = items


class Silent(Exception):
    def __str__(self) -> str:
        raise AttributeError("no text")


def test_what_a_class_of_the_caller_raises_is_the_error_of_its_call() -> None:
    class Raising(dict[str, Any]):
        def __iter__(self) -> Any:
            raise Silent

        items = values = keys = __iter__

    for value in (Hostile(a=1), [Hostile()], Raising(a=1)):
        with pytest.raises(InvalidInput):
            encode(value, "payload")
    assert text_of(Silent()) == "(no text: AttributeError)"


@pytest.mark.parametrize("value", [object(), {1: "a"}, "\udce9", {"\udce9": 1}, nest(100_000)])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        encode(value, "payload")


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(InvalidInput):
        encode(value, "payload")


@pytest.mark.parametrize(
    "value", [b"x" * 5_000_000, bytearray(5_000_000), memoryview(bytes(5_000_000))], ids=["bytes", "bytearray", "view"]
)
def test_bytes_are_refused_before_they_are_encoded(value: object) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match="would come back as something else"):
            encode(value, "payload")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000, "a copy of it was made"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("\ud800", "a text has no lone surrogate"),
        ({"a": ["\udfff"]}, "a text has no lone surrogate"),
        ({1: 2}, "the keys of an object are text"),
        (b"x", "a bytes would come back"),
        (bytearray(), "a bytearray would come back"),
    ],
)
def test_what_has_no_json_form_says_why(value: object, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"^payload is not valid: no JSON form: {said}"):
        encode(value, "payload")
