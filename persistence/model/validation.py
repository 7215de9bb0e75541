"""Checks of what users choose: a number that makes no sense is told where it is given, and not where it does harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import Attribute

from tenure.errors import InvalidInput

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def is_a(value: object, kind: type[Any]) -> bool:
    """Whether a value is what its annotation says; for values that come from programs that nobody has checked."""
    return isinstance(value, kind)


def check_seconds(value: object, name: str, *, zero: bool) -> None:
    """Raises `InvalidInput` for what is no length of time; infinity is one, zero only where it is said."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not (value > 0 or (zero and value == 0)):
        raise InvalidInput(detail=f"{value!r} is not a number of seconds {'from' if zero else 'above'} 0", field=name)


def check_count(value: object, name: str) -> None:
    """Raises `InvalidInput` for what is not a whole number from 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInput(detail=f"{value!r} is not a whole number from 1", field=name)


def seconds(*, zero: bool = False) -> Validator:
    """The validator of an attrs field: see `check_seconds`."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        check_seconds(value, attribute.name, zero=zero)

    return check


def count() -> Validator:
    """The validator of an attrs field: see `check_count`."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        check_count(value, attribute.name)

    return check


def share() -> Validator:
    """The validator of an attrs field: a number from 0 to 1."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise InvalidInput(detail=f"{value!r} is not a number from 0 to 1", field=attribute.name)

    return check
