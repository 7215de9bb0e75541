"""Payloads, messages and results as stored: JSON, by msgspec, encoded once and outside the writer."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Final, TypeGuard
from uuid import UUID

import attrs
import msgspec

from tenure.errors import Corrupt, InvalidInput

from .arguments import shown
from .texts import text_of

_encoder: Final = msgspec.json.Encoder(order="deterministic")
_decoder: Final = msgspec.json.Decoder()
_PLAIN: Final = frozenset((str, int, bool, NoneType))
_TEXT: Final = frozenset((str,))
_LOST: Final = (bytes, bytearray, memoryview, set, frozenset)
_TEXTS: Final = (Decimal, UUID, timedelta, date, time)
"""What the encoder makes a text of. In an instance of a class the class makes it again; elsewhere it would stay a text."""

NESTING: Final = 200
"""How deep JSON may be nested. Every decoder bears it, on any stack that a program has left."""


def encode(value: object, field: str) -> bytes:
    """Encode a JSON value (also attrs classes, dataclasses and enums); keys of objects are sorted.

    A tuple comes back as a list, an enum as its value. An instance of a class comes back as an object, unless its class is
    registered for the payloads of its kind.

    Raises:
        InvalidInput: The value has no JSON form; `field` names it. So have NaN and infinity, which the encoder would make
            null; bytes, sets, decimals, dates and UUIDs, and keys of an object that are not text: they would come back as
            something else; and what is nested deeper than `NESTING`.
    """
    try:
        data = _encoder.encode(value)
        _refuse_lost(value)
        check_nesting(data)
    except InvalidInput:
        raise
    except Exception as exc:  # a caller's class may raise anything here, in the caller's own task
        raise InvalidInput(detail=f"no JSON form: {text_of(exc)}", field=field) from exc
    return data


def check_nesting(data: bytes) -> None:
    """Raises `ValueError` where JSON is nested deeper than `NESTING`."""
    if data.count(b"[") + data.count(b"{") <= NESTING:
        return
    depth = deepest = 0
    for mark in _MARKS.findall(data):
        if mark in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in b"]}":
            depth -= 1
    if deepest > NESTING:
        raise ValueError(f"it is nested {deepest} deep, and {NESTING} is the limit")


_MARKS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
"""Texts of JSON as a whole, so that a bracket in one does not count; and brackets."""


def _refuse_lost(value: object) -> None:
    """Find what would not come back as what it is, though it was encoded. The encoder has been there: there is no cycle."""
    found: list[Any] = [value]
    for each in found:  # grows while it is walked
        kind: type[Any] = each.__class__
        if kind in _PLAIN:
            continue
        if kind is dict or issubclass(kind, Mapping):
            if not _TEXT.issuperset(map(type, each)):
                _check_keys(each)
            found += each.values()
        elif issubclass(kind, list | tuple):
            found += each
        elif issubclass(kind, _LOST):
            raise TypeError(f"a {kind.__name__} would come back as something else; encode it, or use a payload class")
        elif issubclass(kind, _TEXTS):
            raise TypeError(f"a {kind.__name__} would come back as text; make it text, or use a payload class")
        elif issubclass(kind, float):
            if not math.isfinite(each):
                raise ValueError(f"{each} is not a JSON number")
        else:
            parts = [getattr(each, name, None) for name in _field_names(kind)]
            found += [part for part in parts if not isinstance(part, _TEXTS)]


def _check_keys(value: Mapping[Any, Any]) -> None:
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"the key {shown(key)} of an object is not text")


def _field_names(kind: type[Any]) -> Iterable[str]:
    """What the encoder has written of an instance of an attrs class, a dataclass or a struct; nothing of anything else."""
    if hasattr(kind, "__attrs_attrs__"):
        return [field.name for field in attrs.fields(kind)]
    names: Iterable[str] = getattr(kind, "__dataclass_fields__", ())
    return names or getattr(kind, "__struct_fields__", ())


def decode(data: bytes, record: str, key: str) -> Any:
    """Decode stored JSON. Raises `Corrupt`, naming the record and its key, where it is none."""
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as exc:
        raise Corrupt(record=record, key=key, detail=str(exc)) from exc


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether decoded JSON is an object."""
    return isinstance(value, dict)


def digest(data: bytes) -> bytes:
    """SHA-256 of encoded data."""
    return hashlib.sha256(data).digest()
