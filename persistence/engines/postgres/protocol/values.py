"""Values on the wire: how parameters are written and columns are read. Pure.

Parameters: the server infers their types; numbers go as text, bytes as they are. Columns come in binary form.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tenure.errors import InvalidInput
from tenure.persistence.engines.engine import SqlValue

TEXT: Final = 0
BINARY: Final = 1

INT8, INT4, FLOAT8, BYTEA, TEXT_TYPE, UNKNOWN = 20, 23, 701, 17, 25, 0
"""Numbers of types in every server."""

_double: Final = struct.Struct(">d")
_single: Final = struct.Struct(">f")
_numeric: Final = struct.Struct(">HhHH")
_NEGATIVE: Final = 0x4000
_BASE: Final = 10_000


def encoded(value: SqlValue) -> tuple[bytes | None, int]:
    """A parameter as bytes, and their format. Raises `InvalidInput` for a text that cannot be stored."""
    match value:
        case None:
            return None, TEXT
        case bytes():
            return value, BINARY
        case str():
            return _encoded_text(value), TEXT
        case bool():
            return b"%d" % value, TEXT
        case int():
            return b"%d" % value, TEXT
        case float():
            return repr(float(value)).encode(), TEXT
        case _:
            message = f"a parameter is a {type(value).__name__}"
            raise TypeError(message)


def _encoded_text(value: str) -> bytes:
    # The text format ends at the first NUL, without a word.
    if "\0" in value:
        raise InvalidInput(detail="a text with NUL cannot be stored")
    try:
        return value.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput(detail="a text with a lone surrogate cannot be stored") from exc


def array_of(texts: Sequence[str]) -> str:
    """Texts as one parameter of the type ``text[]``."""
    quoted = (each.replace("\\", "\\\\").replace('"', '\\"') for each in texts)
    return "{" + ",".join(f'"{each}"' for each in quoted) + "}"


def type_of(value: SqlValue) -> int:
    """The number of the type of a parameter that stands where the server could not infer it."""
    match value:
        case bool() | int():
            return INT8
        case float():
            return FLOAT8
        case bytes():
            return BYTEA
        case _:
            return UNKNOWN


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _decimal(data: bytes) -> int | float:
    count, weight, sign, _ = _numeric.unpack_from(data)
    digits = struct.unpack_from(f">{count}H", data, _numeric.size)
    whole: int | float = sum(digit * _BASE ** (weight - at) for at, digit in enumerate(digits))
    return -whole if sign == _NEGATIVE else whole


def _text(data: bytes) -> str:
    return str(data, "utf-8")


_READ: Final[Mapping[int, Callable[[bytes], Any]]] = {
    16: _integer,  # bool: 0 or 1, as SQLite has it
    17: bytes,
    20: _integer,
    21: _integer,
    23: _integer,
    26: _integer,
    700: lambda data: _single.unpack(data)[0],
    701: lambda data: _double.unpack(data)[0],
    1700: _decimal,
    5069: _integer,  # xid8
}

Reader = Callable[[bytes], Any]


def reader_of(type_number: int) -> Reader:
    """What reads a column of a type in binary form; text for those that are not numbers, bytes or texts."""
    return _READ.get(type_number, _text)


_READ_TEXT: Final[Mapping[int, Reader]] = {
    16: lambda data: int(data == b"t"),
    17: lambda data: bytes.fromhex(data[2:].decode()),
    20: int,
    21: int,
    23: int,
    26: int,
    700: float,
    701: float,
    1700: lambda data: int(data) if data.lstrip(b"-").isdigit() else float(data),  # NaN and Infinity, too
}


def text_reader_of(type_number: int) -> Reader:
    """What reads a column of a type in text form, which every type has."""
    return _READ_TEXT.get(type_number, _text)
