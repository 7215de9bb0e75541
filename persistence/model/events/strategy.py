"""When the events of an open log are written, and what of their values comes back with them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Final, Self, cast, final

import msgspec
from attrs import frozen

from tenure.errors import Corrupt, InvalidInput
from tenure.persistence.model.codec import decode, encode, is_object
from tenure.persistence.model.numbers import (
    INT_LIMIT,
)

from .journal import FactRef, fact_key, hash_of_key


@final
@frozen(slots=True)
class Strategy:
    """When the events of an open log are written. Leaving the log writes what is left under each of them.

    Attributes:
        name: ``every_cycle``, ``every``, ``on_complete``, ``manual``.
        cycles: Appends between two writes; None where no append writes.
    """

    every_cycle: ClassVar[Strategy]
    """Each append writes: what it returns is on disk."""
    on_complete: ClassVar[Strategy]
    """Nothing is written before the log is left, or flushed."""
    manual: ClassVar[Strategy]
    """Nothing is written before `EventLog.flush`, or before the log is left."""

    name: str
    cycles: int | None

    @classmethod
    def every(cls, cycles: int) -> Self:
        """Each n-th append writes. Raises `InvalidInput` for no whole number from 1."""
        if isinstance(cycles, bool) or not 1 <= cycles < INT_LIMIT:
            raise InvalidInput(detail="it is a whole number from 1", field="cycles")
        return cls("every", cycles)

    @classmethod
    def of(cls, word: str) -> Strategy:
        """The strategy of a name. Raises `InvalidInput`."""
        named: Mapping[str, Strategy] = {each.name: each for each in (cls.every_cycle, cls.on_complete, cls.manual)}
        if word not in named:
            raise InvalidInput(detail=f"it is one of {', '.join(named)}, or Strategy.every(n)", field="strategy")
        return named[word]


Strategy.every_cycle = Strategy("every_cycle", 1)
Strategy.on_complete = Strategy("on_complete", None)
Strategy.manual = Strategy("manual", None)


@final
class Rehydration(StrEnum):
    """What becomes of the values that are stored as facts, when a log is opened."""

    FULL = "full"
    """They are put back into their events."""
    HYBRID = "hybrid"
    """References are folded; what the folded state needs at once is loaded."""
    LAZY = "lazy"
    """References are folded; each value is loaded when it is asked for."""


_MARK: Final = "$fact"
"""The key under which the JSON of a state holds a reference. An object that has this key itself is wrapped."""


def encode_state(state: object) -> bytes:
    """A folded state as JSON, with its references. Raises `InvalidInput`."""
    return encode(_marked(state), "state")


def _marked(value: Any) -> Any:
    if isinstance(value, FactRef):
        return {_MARK: [fact_key(value.hash), value.size]}
    if is_object(value):
        parts = {name: _marked(part) for name, part in value.items()}
        return {_MARK: None, "object": parts} if _MARK in parts else parts
    if isinstance(value, list | tuple):
        return [_marked(part) for part in cast("list[Any]", value)]
    return value


def decode_state(data: bytes, stream: str) -> Any:
    """What `encode_state` encoded. Raises `Corrupt`."""
    try:
        return _unmarked(decode(data, "journal snapshot", stream))
    except (msgspec.ValidationError, KeyError) as exc:
        raise Corrupt(record="journal snapshot", key=stream, detail="a reference in it cannot be read") from exc


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(part) for part in cast("list[Any]", value)]  # type: ignore[redundant-cast]  # pyright needs it
    if not is_object(value):
        return value
    if _MARK not in value:
        return {name: _unmarked(part) for name, part in value.items()}
    if value[_MARK] is None:
        return {name: _unmarked(part) for name, part in value["object"].items()}
    key, size = msgspec.convert(value[_MARK], tuple[str, int])
    return FactRef(hash_of_key(key), size)
