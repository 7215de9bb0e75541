"""Journals as values: events as they are stored, facts, references, snapshots (design §12)."""

from __future__ import annotations

from typing import Any, Final, NewType, final

import msgspec
from attrs import field, frozen

from tenure.errors import Corrupt, InvalidInput
from tenure.persistence.model.codec import decode, encode
from tenure.persistence.model.digests import seal
from tenure.persistence.model.numbers import is_a, plain_bytes, shown
from tenure.persistence.model.values import check_name

StreamId = NewType("StreamId", str)
"""One journal: text of 1 to 200 characters, chosen by the caller."""

STREAM_ID_LIMIT: Final = 200
"""Most characters of a stream id, and of a fact's hash (bytes, where it is bytes)."""

FactHash = str | bytes
"""The name of a fact. The caller computes it; the store holds that one hash has one value."""

CURSOR_LIMIT: Final = 2**63 - 1


@final
@frozen(kw_only=True, slots=True)
class StoredEvent:
    """One event of a stream.

    Attributes:
        sequence: Its place, from 1, without a hole; the cursor after it.
        event: The event. A part that was stored as a fact is a `FactRef` until it is resolved.
        kind: The name its class is registered under; None for plain JSON.
        version: The version of that class it was written in; 0 for plain JSON.
        recorded_at: When, unix seconds.
    """

    sequence: int
    event: Any
    kind: str | None
    version: int
    recorded_at: float


@final
@frozen(slots=True)
class Fact:
    """A value under its content hash, to be stored with the append that refers to it.

    Attributes:
        hash: Its name.
        value: JSON, or bytes.
    """

    hash: str | bytes
    value: Any = field(repr=False)


@final
@frozen(slots=True)
class FactRef:
    """Stands for a value that is stored as a fact. It is never None, and None never stands for one.

    Attributes:
        hash: The fact's hash.
        size: Bytes of the value, encoded.
    """

    hash: str | bytes
    size: int


@final
@frozen(kw_only=True, slots=True)
class JournalSnapshot:
    """The state of a stream.

    Attributes:
        cursor: The last event it holds.
        snapshot: The caller's bytes.
    """

    cursor: int
    snapshot: bytes = field(repr=False)


@final
@frozen(kw_only=True, slots=True)
class EncodedEvent:
    """An event as it is stored; see `StoredEvent`.

    Attributes:
        kind: See `StoredEvent.kind`.
        version: See `StoredEvent.version`.
        payload: JSON, without the fields that are stored as facts.
        references: By field, the key and the size of the fact that holds its value.
    """

    kind: str | None = None
    version: int = 0
    payload: bytes = field(repr=False)
    references: tuple[tuple[str, str, int], ...] = ()


@final
@frozen(kw_only=True, slots=True)
class EncodedFact:
    """A fact as it is stored.

    Attributes:
        key: Of its hash; see `fact_key`.
        form: ``json`` or ``bytes``.
        value: The value; None where the fact has to be there already.
    """

    key: str
    form: str = ""
    value: bytes | None = field(default=None, repr=False)


def check_stream(value: str) -> StreamId:
    """Return the id of a stream, checked. Raises `InvalidInput`."""
    check_name(value, "a stream id", "stream", STREAM_ID_LIMIT)
    return StreamId(value)


def fact_key(value: object) -> str:
    """The stored form of a hash: text and bytes of the same letters are two facts. Raises `InvalidInput`."""
    if isinstance(value, str):
        check_name(value, "the hash of a fact", "fact", STREAM_ID_LIMIT)
        return f"t:{str.__str__(value)}"
    if not isinstance(value, bytes):
        raise InvalidInput(detail=f"{shown(value)} is not the hash of a fact: text or bytes", field="fact")
    if not 0 < len(value) <= STREAM_ID_LIMIT:
        raise InvalidInput(detail=f"the hash of a fact has 1 to {STREAM_ID_LIMIT} bytes", field="fact")
    return f"b:{bytes.hex(value)}"


def hash_of_key(key: str) -> FactHash:
    """What `fact_key` made the key of. Raises `Corrupt`."""
    try:
        return bytes.fromhex(key[2:]) if key[:2] == "b:" else key[2:]
    except ValueError as exc:
        raise Corrupt(record="fact", key=key, detail="its key is that of no hash") from exc


def encode_value(value: object, name: str) -> tuple[str, bytes]:
    """A value of a fact, or of working memory: its form and its bytes. Raises `InvalidInput`."""
    if is_a(value, bytes):
        return "bytes", plain_bytes(value, name)
    return "json", encode(value, name)


def decode_value(form: str, data: bytes, record: str, key: str) -> Any:
    """What `encode_value` encoded. Raises `Corrupt`."""
    if form == "bytes":
        return data
    if form != "json":
        raise Corrupt(record=record, key=key, detail="its form is unknown")
    return decode(data, record, key)


def event_digest(stream: str, sequence: int, event: EncodedEvent, recorded_at: float) -> bytes:
    """The digest of one event at its place: an event that was moved, or put into another stream, is found out."""
    return seal(
        stream, sequence, event.kind, event.version, references_text(event.references), recorded_at, event.payload
    )


def references_text(references: tuple[tuple[str, str, int], ...]) -> str | None:
    """References as one column holds them; None for none."""
    return msgspec.json.encode(references).decode() if references else None


def references_of(text: str | None, record: str, key: str) -> tuple[tuple[str, str, int], ...]:
    """What `references_text` wrote. Raises `Corrupt`."""
    if text is None:
        return ()
    try:
        return _references.decode(text)
    except msgspec.DecodeError as exc:
        raise Corrupt(record=record, key=key, detail="its references cannot be decoded") from exc


_references: Final = msgspec.json.Decoder(tuple[tuple[str, str, int], ...])
