"""Digests of stored rows, by scheme: the one place that computes them and the one that judges them.

Each row with a digest says in its ``scheme`` how that was computed. Today there is one scheme, SHA-256 without a key: it finds
what a disk, a cable or a hand in the wrong table changed, and not one who computes the digest anew. A keyed scheme gets the
next number, and rows of both may stand in one store. What was erased has no digest any more, and says that instead of a scheme.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from tenure.errors import Corrupt, SchemaMismatch

from .texts import refuse_sealed

SHA_256: Final = 1
"""The scheme that is written now."""

ERASED: Final = 0
"""In place of a scheme: the content was erased, and its digest with it."""

_encode: Final = msgspec.msgpack.Encoder().encode


def seal(*parts: str | bytes | float | None) -> bytes:
    """One digest over several columns of a row, each with its type and its length. Raises `KeyMissing`: one is sealed."""
    try:
        return sha256(_encode(parts)).digest()
    except TypeError:  # of a reader without the key, say
        for part in parts:
            refuse_sealed(part)
        raise


def is_erased(stored: object, scheme: object) -> bool:
    """Whether a row says that its content was erased: there is nothing that a digest could be compared with."""
    return type(scheme) is int and scheme == ERASED and stored == b""


def check_scheme(scheme: object, record: str, key: object) -> None:
    """Refuse a row whose digest is of a scheme that this version does not know. Raises `SchemaMismatch`."""
    if type(scheme) is not int or scheme != SHA_256:
        raise SchemaMismatch(what=f"the digest of {record} {key}", expected=SHA_256, actual=str(scheme))


def check_digest(computed: bytes, stored: object, scheme: object, record: str, key: object) -> None:
    """Refuse a row that is not what its digest says.

    Raises:
        KeyMissing: It is sealed, and the key is not here.
        Corrupt: It was changed. Names the record and its key; never its content.
        SchemaMismatch: The digest is of another scheme.
    """
    if type(scheme) is int and scheme == SHA_256 and computed == stored:
        return  # as nearly all
    if is_erased(stored, scheme):
        return
    check_scheme(scheme, record, key)
    if computed != stored:
        refuse_sealed(stored)
        raise Corrupt(record=record, key=str(key), detail="it is not what its digest says")
