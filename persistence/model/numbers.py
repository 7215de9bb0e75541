"""Numbers and bytes that users choose, and values as messages show them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from types import FunctionType
from typing import Any, Final, TypeGuard

from attrs import Attribute

from tenure.errors import InvalidInput

from .texts import class_name

Validator = Callable[[Any, "Attribute[Any]", Any], None]

INT_LIMIT: Final = 2**63
"""What a stored whole number stays below; engines store 64 bits, signed."""

BITS: Final = 128
"""Most bits of a number that may be looked for."""

MOST_MS: Final = 2**31 - 1
"""Milliseconds that a driver can be asked to wait: 24 days."""

FIRST_S: Final = datetime(1, 1, 3, tzinfo=UTC).timestamp()
LAST_S: Final = datetime(9999, 12, 30, tzinfo=UTC).timestamp()
"""The calendar, with room for the clocks of every zone: outside of it nothing is due, and no `datetime` can be made."""

_SHOWN: Final = 80
_SHORT: Final = (str, int, float, bool, type(None))


def shown(value: object) -> str:
    """A value for a message, short; of a function its name, and of a class that could override `repr` the name of that."""
    if type(value) is FunctionType:
        return f"the function {value.__qualname__}"
    # By identity: a class may say that it equals any other.
    if type(value) is not str and not any(type(value) is each for each in _SHORT):
        return with_article(class_name(value))
    if type(value) is int and abs(value) >= INT_LIMIT:
        return "a whole number of more than 64 bits"  # its digits may be more than Python writes out
    text = repr(value[:_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def with_article(name: str) -> str:
    """The name of a class as one of its kind: a dict, an object."""
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def is_a(value: object, kind: type[Any]) -> bool:
    """Whether a value is what its annotation says, by its type: what its class says of itself may be untrue, as a mock's is."""
    return issubclass(type(value), kind)


def _is_whole(value: object) -> TypeGuard[int]:
    return is_a(value, int) and not is_a(value, bool)


def not_a(value: object, wanted: str, field: str) -> InvalidInput:
    """The error of a value that is not what its annotation says."""
    return InvalidInput(detail=f"{shown(value)} is not {wanted}", field=field)


def plain_int(value: Any, field: str) -> int:
    """A whole number without what a subclass could have changed in it. Raises `InvalidInput`."""
    if type(value) is int and value.bit_length() <= BITS:
        return value  # as nearly all
    if not is_a(value, int) or value is True or value is False:
        raise not_a(value, "a whole number", field)
    plain: int = value if type(value) is int else int.__add__(value, 0)
    if plain.bit_length() > BITS:
        raise InvalidInput(detail=f"a whole number has at most {BITS} bits", field=field)
    return plain


def plain_float(value: Any, field: str) -> float:
    """A finite number, as `plain_int`. Raises `InvalidInput`."""
    try:
        number = float.__pos__(value) if is_a(value, float) else float(plain_int(value, field))
    except (InvalidInput, OverflowError):
        raise not_a(value, "a number", field) from None
    if not math.isfinite(number):
        raise not_a(value, "a finite number", field)
    return number


def plain_bytes(value: Any, field: str) -> bytes:
    """Bytes, as `plain_int`; also of an array or a view. Raises `InvalidInput`."""
    if type(value) is bytes:
        return value
    if is_a(value, bytes):
        return bytes.__getitem__(value, slice(None))
    if is_a(value, bytearray):
        return bytes(bytearray.__getitem__(value, slice(None)))
    if type(value) is not memoryview:
        raise not_a(value, "bytes", field)
    try:
        return value.tobytes()
    except ValueError as exc:  # it was released
        raise InvalidInput(detail=str(exc), field=field) from exc


def check_seconds(value: object, name: str, *, zero: bool) -> float:
    """Seconds as a plain number.

    Raises `InvalidInput` unless it is a positive number; infinity is allowed, zero only with `zero`.
    """
    number = plain_number(value)
    if number is None or not (number > 0 or (zero and number == 0)):
        raise InvalidInput(
            detail=f"{shown(value)} is not a number of seconds {'from' if zero else 'above'} 0", field=name
        )
    return number


def plain_number(value: object) -> float | None:
    """A number without what a subclass could have changed in it; None for what is not one, or is too large to be one."""
    if isinstance(value, float) and is_a(value, float):
        return float.__pos__(value)
    if not _is_whole(value):
        return None
    try:
        return float(int.__add__(value, 0))
    except OverflowError:
        return None


def milliseconds(seconds_given: float) -> int:
    """Seconds as milliseconds of 32 bits, which drivers take; the most that there are for what is longer."""
    return int(min(seconds_given * 1000, MOST_MS))


def check_time(value: object, name: str) -> float:
    """A time as unix seconds. Raises `InvalidInput` for what is not a time, or has no time zone."""
    if not isinstance(value, datetime):
        raise InvalidInput(detail=f"{shown(value)} is not a datetime", field=name)
    try:
        zone = value.utcoffset()
        seconds_of = datetime.timestamp(value)
    except Exception as exc:  # a tzinfo is a user's own code
        raise InvalidInput(detail="its time zone gives no offset", field=name) from exc
    if zone is None:
        raise InvalidInput(
            detail="a time without a time zone says no moment; give datetime(..., tzinfo=...)", field=name
        )
    return seconds_of


def in_calendar(at: float) -> bool:
    """Whether a time, unix seconds, is one of the years 1 to 9999, but for their first and last days."""
    return FIRST_S <= at <= LAST_S


def check_count(value: object, name: str) -> None:
    """Raises `InvalidInput` for what is not a whole number from 1."""
    if not _is_whole(value) or value < 1:
        raise InvalidInput(detail=f"{shown(value)} is not a whole number from 1", field=name)


def seconds(*, zero: bool = False, none: bool = False) -> Validator:
    """The validator of an attrs field: see `check_seconds`; with `none` it may be None."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value is None and none:
            return
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
        number = plain_number(value)
        if number is None or not 0 <= number <= 1:
            raise InvalidInput(detail=f"{shown(value)} is not a number from 0 to 1", field=attribute.name)

    return check
