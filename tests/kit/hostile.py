"""Values that a caller can pass by mistake or on purpose, and calls of every verb to pass them in."""

from __future__ import annotations

import datetime as dt
import decimal
import inspect
import math
import sys
import typing
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import StrEnum
from typing import Any, Never

import attrs

from tenure.errors import Error


class Trap(Exception):
    """Raised by the methods of hostile values; its own text raises too."""

    def __str__(self) -> str:
        raise AttributeError("no text")


def _trap(*_: object, **__: object) -> Never:
    raise Trap


def _seven(_: object) -> int:
    return 7


_TRAPPED = (
    *("__str__", "__repr__", "__eq__", "__len__", "__iter__", "__format__", "__getitem__"),
    *("__int__", "__float__", "__bool__", "items", "keys", "values", "encode", "hex"),
)
_METHODS: dict[str, Callable[..., Any]] = {**dict.fromkeys(_TRAPPED, _trap), "__hash__": _seven}


def subclass_of(kind: type[Any]) -> type[Any]:
    """A subclass whose methods raise."""
    return type(f"Hostile{kind.__name__}", (kind,), dict(_METHODS))


def said_to_be(kind: type[Any]) -> Any:
    """An object that says it is of this class, as a mock does."""
    return type(f"Mock{kind.__name__}", (), {"__class__": kind})()


class _EqualToAll(type):
    def __eq__(cls, other: object) -> bool:
        return True

    def __hash__(cls) -> int:
        return type.__hash__(cls)


def released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def hostile_values() -> dict[str, Any]:
    """Each under a name that says what it is."""
    return {
        "None": None,
        "True": True,
        "zero": 0,
        "minus one": -1,
        "2**63": 2**63,
        "-2**63-1": -(2**63) - 1,
        "a number of 10,000 digits": 10**10_000,
        "2**100": 2**100,
        "half": 0.5,
        "a long age": 1e20,
        "the largest number": sys.float_info.max,
        "the smallest number": 5e-324,
        "minus zero": -0.0,
        "NaN": math.nan,
        "infinity": math.inf,
        "minus infinity": -math.inf,
        "empty text": "",
        "a word": "bogus",
        "a lone surrogate": "\ud83d",
        "NUL": "a\0b",
        "a megabyte": "x" * 2**20,
        "text that turns round": "\u202e\ufeff\U0010ffff",
        "bytes": b"\xff\x00",
        "no bytes": b"",
        "bytearray": bytearray(b"ab"),
        "a list": [1, "a"],
        "an empty list": [],
        "a tuple of text": ("a", "a"),
        "a dict": {"a": 1},
        "a dict of numbers": {1: 2},
        "a set": {1},
        "deep": nested(300),
        "a generator": (each for each in (1, 2)),
        "Decimal": decimal.Decimal("0.1"),
        "UUID": uuid.UUID(int=1),
        "timedelta": dt.timedelta(1),
        "datetime": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        "the last moment": dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-23))),
        "the first moment": dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=23))),
        "object": object(),
        "a class": int,
        "a function": len,
        "hostile str": subclass_of(str)("alice"),
        "hostile bytes": subclass_of(bytes)(b"alice"),
        "hostile int": subclass_of(int)(1),
        "hostile float": subclass_of(float)(1.0),
        "hostile list": subclass_of(list)([1]),
        "hostile dict": subclass_of(dict)(a=1),
        "hostile object": subclass_of(object)(),
        **{f"a mock of {kind.__name__}": said_to_be(kind) for kind in (str, bytes, int, float, StrEnum)},
        "of a class that equals any": _EqualToAll("EqualToAll", (), {})(),
        "a part of a view": memoryview(b"abc")[::2],
        "a view that was released": released(),
    }


def verbs_of(thing: object) -> dict[str, Callable[..., Any]]:
    """The public methods of an object, by name."""
    return {
        name: getattr(thing, name)
        for name, found in inspect.getmembers(type(thing))
        if not name.startswith("_") and inspect.isfunction(inspect.unwrap(found) if callable(found) else found)
    }


def variations(arguments: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A good call with one thing in it changed: each argument, and each field of each value in it, by each hostile value."""
    for name, good in arguments.items():
        for said, value in hostile_values().items():
            yield f"{name}={said}", {**arguments, name: value}
        for where, changed in _fields(good):
            yield f"{name}{where}", {**arguments, name: changed}


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list | tuple):
        items = typing.cast("list[Any] | tuple[Any, ...]", value)
        for place, each in enumerate(items):
            for said, bad in hostile_values().items():
                yield f"[{place}]={said}", type(items)([*items[:place], bad, *items[place + 1 :]])
            for where, changed in _fields(each):
                yield f"[{place}]{where}", type(items)([*items[:place], changed, *items[place + 1 :]])
    elif attrs.has(kind := typing.cast("type[Any]", type(value))):
        for field in attrs.fields(kind):
            for said, bad in hostile_values().items():
                with suppress(Error):  # where its class refuses it, there is nothing to pass in
                    yield f".{field.name}={said}", attrs.evolve(value, **{field.name: bad})
            for where, changed in _fields(getattr(value, field.name)):
                with suppress(Error):
                    yield f".{field.name}{where}", attrs.evolve(value, **{field.name: changed})
