"""Payloads, messages and results as stored: JSON, by msgspec, encoded once and outside the writer."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, Final

import attrs
import msgspec

from tenure.errors import Corrupt, InvalidInput

_encoder: Final = msgspec.json.Encoder(order="deterministic")
_decoder: Final = msgspec.json.Decoder()
_PLAIN: Final = frozenset((str, int, bool, NoneType))
_LOST: Final = (bytes, bytearray, memoryview, set, frozenset)


def encode(value: object, field: str) -> bytes:
    """Encode a JSON value (also attrs classes, dataclasses, enums and datetimes); keys of objects are sorted.

    Raises:
        InvalidInput: The value has no JSON form; `field` names it. So have NaN and infinity, which the encoder would make
            null, and bytes and sets, which it would make texts and lists: they would come back as something else.
    """
    try:
        data = _encoder.encode(value)
        _refuse_lost(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as exc:
        raise InvalidInput(detail=f"no JSON form: {exc}", field=field) from exc
    return data


def _refuse_lost(value: object) -> None:
    """Find what would not come back as what it is, though it was encoded. The encoder has been there: there is no cycle."""
    found: list[Any] = [value]
    for each in found:  # grows while it is walked
        kind: type[Any] = each.__class__
        if kind in _PLAIN:
            continue
        if kind is dict:
            found += each.values()
        elif kind is list or kind is tuple:
            found += each
        elif kind is float or issubclass(kind, float):
            if not math.isfinite(each):
                raise ValueError(f"{each} is not a JSON number")
        elif issubclass(kind, _LOST):
            raise TypeError(f"{kind.__name__} would come back as something else; encode it, or use a payload class")
        elif issubclass(kind, Mapping):
            found += each.values()
        elif issubclass(kind, list | tuple):
            found += each
        else:
            found += [getattr(each, name, None) for name in _field_names(kind)]


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


def digest(data: bytes) -> bytes:
    """SHA-256 of encoded data."""
    return hashlib.sha256(data).digest()
