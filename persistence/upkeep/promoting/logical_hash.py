"""The logical hash of a store: one number over all that it holds, the same on every engine.

It is the SHA-256 of this, tables in the order of their names, rows in the order of their keys:

- of each table its name and the names of its columns; of each value its type and its bytes (NULL, an integer of 8 bytes, a
  double of 8 bytes, a text as UTF-8 with its length, bytes with their length); then how many rows there were;
- of each attachment, in the order of their names: name, size, and the SHA-256 of its bytes as they are stored.

Left out is what says something of one database alone: the table `promotion`, which differs at the two ends of a move; the
lock files of hosts, which are names on one machine; and the counter of fence tokens, which a promotion raises. The rows of
hosts are in it: receipts and verdicts name them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from typing import Any, Final, final

from attrs import frozen

from tenure.errors import Corrupt
from tenure.persistence.engines.engine import Row
from tenure.persistence.engines.tables import Table

NOT_HASHED: Final = frozenset({("store", "last_fence_token")})
"""Columns that are carried, and changed on the way."""

_KINDS: Final[Mapping[str, type]] = {"INTEGER": int, "REAL": float, "TEXT": str, "BLOB": bytes}
_number: Final = struct.Struct(">q")
_double: Final = struct.Struct(">d")


@final
@frozen(kw_only=True, slots=True)
class Found:
    """What a store was seen to hold.

    Attributes:
        rows: Rows by table.
        attachments: How many attachments.
        attachment_bytes: How large they are together, as they are stored.
        logical_hash: See above, in hex.
    """

    rows: Mapping[str, int]
    attachments: int
    attachment_bytes: int
    logical_hash: str


@final
class LogicalHash:
    """Takes a store in, in the order above."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._hash = hashlib.sha256()
        self._rows: dict[str, int] = {}
        self._attachments = 0
        self._bytes = 0

    def begin(self, table: Table) -> None:
        """Its rows come next."""
        self._rows[table.name] = 0
        self._text(b"T", table.name)
        for column in _hashed(table):
            self._text(b"C", column)

    def row(self, table: Table, row: Row) -> None:
        """A row, with its columns as they are carried. Raises `Corrupt` where a value is of another type than its column."""
        self._rows[table.name] += 1
        for column, value in zip(table.carried, row, strict=True):
            kind = _KINDS[table.columns[column]]
            if value is not None and type(value) is not kind:
                detail = f"its {column} is of another type than its column"
                raise Corrupt(record=table.name, key=_key_of(table, row), detail=detail)
            if (table.name, column) not in NOT_HASHED:
                self._value(value)

    def end(self, table: Table) -> None:
        """No more rows of it."""
        self._hash.update(b"E" + _number.pack(self._rows[table.name]))

    def attachment(self, name: str, size: int, digest: bytes) -> None:
        """An attachment; after all rows."""
        self._attachments += 1
        self._bytes += size
        self._text(b"A", name)
        self._hash.update(_number.pack(size) + digest)

    def found(self) -> Found:
        """All that was taken in."""
        return Found(
            rows=dict(self._rows),
            attachments=self._attachments,
            attachment_bytes=self._bytes,
            logical_hash=self._hash.hexdigest(),
        )

    def _value(self, value: Any) -> None:
        match value:
            case None:
                self._hash.update(b"N")
            case int():
                self._hash.update(b"I" + _number.pack(value))
            case float():
                self._hash.update(b"F" + _double.pack(value + 0.0))  # no engine keeps the sign of a zero for sure
            case str():
                self._text(b"S", value)
            case _:
                self._hash.update(b"B" + _number.pack(len(value)))
                self._hash.update(value)

    def _text(self, kind: bytes, text: str) -> None:
        data = text.encode()
        self._hash.update(kind + _number.pack(len(data)) + data)


def _hashed(table: Table) -> list[str]:
    return [each for each in table.carried if (table.name, each) not in NOT_HASHED]


def _key_of(table: Table, row: Row) -> str:
    return ", ".join([str(row[table.carried.index(each)]) for each in table.key])
