"""Rows as they were read: SQLite keeps a value of any type in any column, and a damaged one must be found out."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Final

from tenure.errors import Corrupt

from .engines.engine import Row

Types = Sequence[type | tuple[type, ...]]

OPTIONAL_INT: Final = (int, NoneType)
OPTIONAL_TEXT: Final = (str, NoneType)
NUMBER: Final = (float, int)
OPTIONAL_NUMBER: Final = (float, int, NoneType)


def check_row(row: Row, types: Types, record: str, key: object) -> None:
    """Refuse a row with a value of another type than its column has.

    Raises:
        Corrupt: Names the record and its key; never its content.
    """
    if not all(map(isinstance, row, types)):
        wrong = [
            place for place, (value, kind) in enumerate(zip(row, types, strict=True)) if not isinstance(value, kind)
        ]
        raise Corrupt(record=record, key=str(key), detail=f"columns {wrong} are of another type")
