"""The snapshot envelope, for those who bring and read snapshots: bytes from a value, and back."""

from __future__ import annotations

from tenure.persistence.model.envelope import (
    SessionSnapshot,
    decode_snapshot,
    encode_snapshot,
)

__all__ = [
    "SessionSnapshot",
    "decode_snapshot",
    "encode_snapshot",
]
