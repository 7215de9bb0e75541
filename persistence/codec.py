"""Payloads, messages and results as stored: JSON, by msgspec, encoded once and outside the writer."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from tenure.errors import Corrupt, InvalidInput

_encoder: Final = msgspec.json.Encoder(order="deterministic")
_decoder: Final = msgspec.json.Decoder()


def encode(value: object, field: str) -> bytes:
    """Encode a JSON value (also attrs classes, dataclasses and datetimes); keys of objects are sorted.

    Raises:
        InvalidInput: The value has no JSON form; `field` names it.
    """
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError, UnicodeEncodeError) as exc:
        raise InvalidInput(detail=f"no JSON form: {exc}", field=field) from exc


def decode(data: bytes, record: str, key: str) -> Any:
    """Decode stored JSON. Raises `Corrupt`, naming the record and its key, where it is none."""
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as exc:
        raise Corrupt(record=record, key=key, detail=str(exc)) from exc


def digest(data: bytes) -> bytes:
    """SHA-256 of encoded data."""
    return hashlib.sha256(data).digest()
