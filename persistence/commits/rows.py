"""Rows as they were read: SQLite keeps a value of any type in any column, and a damaged one must be found out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, Final, TypeVar

from tenure.errors import Corrupt
from tenure.persistence.engines.engine import Row

E = TypeVar("E", bound=StrEnum)

Types = Sequence[type | tuple[type, ...]]

OPTIONAL_INT: Final = (int, NoneType)
OPTIONAL_TEXT: Final = (str, NoneType)
NUMBER: Final = (float, int)
OPTIONAL_BYTES: Final = (bytes, NoneType)
OPTIONAL_NUMBER: Final = (float, int, NoneType)

PAGE: Final = 500
"""Rows that a look reads at a time: no view of the store lasts long. What writes takes `upkept.PAGE`."""


def check_row(row: Row, types: Types, record: str, key: object) -> None:
    """Refuse a row with a value of another type than its column has. Columns after those that have types are left to others.

    Raises:
        Corrupt: Names the record and its key; never its content.
    """
    if not all(map(isinstance, row, types)):
        wrong = [
            place for place, (value, kind) in enumerate(zip(row, types, strict=False)) if not isinstance(value, kind)
        ]
        raise Corrupt(record=record, key=str(key), detail=f"columns {wrong} are of another type")


def sound(rows: Sequence[Row], types: Types) -> list[Row]:
    """The rows whose values are of the types of their columns: for looks over many runtimes, as `Statements.readable`."""
    return [row for row in rows if all(map(isinstance, row, types))]


def member(kind: type[E], value: object, record: str, key: object) -> E:
    """The member of an enum that a column names.

    Raises:
        Corrupt: It names none.
    """
    found: E | None = _members(kind).get(value)
    if found is None:
        raise Corrupt(record=record, key=str(key), detail=f"it names no {kind.__name__}")
    return found


@cache
def _members(kind: type[StrEnum]) -> dict[object, Any]:
    return {each.value: each for each in kind}
