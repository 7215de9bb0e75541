"""The snapshot envelope: the active path of a session as bytes (design §9).

Version 1 is a MessagePack map: ``tenure_snapshot`` (the version), ``session_id``, ``revision``, ``messages`` (opaque bytes),
``rewrites`` and ``meta`` (JSON). The revision is the chained digest of the messages in hex, so an envelope that was damaged on
its way contradicts itself. Equal snapshots have equal bytes.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Final, final

import msgspec
from attrs import field, frozen

from tenure.errors import InvalidInput, InvalidSnapshot
from tenure.persistence.model.arguments import check_value
from tenure.persistence.model.codec import (
    check_nesting,
    encode,
)
from tenure.persistence.model.values import SessionId

ENVELOPE_VERSION: Final = 1
"""Version of the envelope; another one is refused."""

EMPTY_DIGEST: Final = bytes(32)
"""Digest of a conversation without messages."""

_REVISION_LENGTH: Final = 64


def extend_digest(digest: bytes, message: bytes) -> bytes:
    """Digest of the conversation with one message more: SHA-256(digest, length as 8 bytes big-endian, message)."""
    return hashlib.sha256(digest + len(message).to_bytes(8, "big") + message).digest()


@final
@frozen(kw_only=True, slots=True)
class TranscriptRewriteCommit:
    """One change of a path other than an append.

    Attributes:
        parent_revision: The revision it started from.
        revision: The revision it led to.
        reason: Why, for people.
        actor: Who did it, for people.
        created_at: Unix seconds, as its author has it.
    """

    parent_revision: str
    revision: str
    reason: str | None = None
    actor: str | None = None
    created_at: float | None = None


@final
@frozen(kw_only=True, slots=True)
class SessionDelta:
    """The whole conversation after a boundary.

    Attributes:
        session_snapshot: An envelope, see `encode_snapshot`.
    """

    session_snapshot: bytes = field(repr=False)


@final
@frozen(kw_only=True)
class SessionSnapshot:
    """The active path of a session.

    Attributes:
        session_id: Which session.
        messages: Opaque bytes, first to last.
        rewrites: Every rewrite that led here, oldest first.
        meta: A JSON object of the caller's.
    """

    session_id: SessionId
    messages: tuple[bytes, ...] = field(default=(), repr=False)
    rewrites: tuple[TranscriptRewriteCommit, ...] = ()
    meta: dict[str, Any] = field(factory=dict[str, Any], repr=False, hash=False)

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """The digest of each beginning of the path: of no message, of the first, of the first two, and so on."""
        digests = [EMPTY_DIGEST]
        for message in self.messages:
            digests.append(extend_digest(digests[-1], message))
        return tuple(digests)

    @property
    def digest(self) -> bytes:
        """Digest of the whole path."""
        return self.digests[-1]

    @property
    def revision(self) -> str:
        """The digest of the whole path, in hex."""
        return self.digest.hex()


@final
@frozen(kw_only=True)
class _Wire:
    """The envelope, in the order of its fields."""

    tenure_snapshot: int
    session_id: str
    revision: str
    messages: tuple[bytes, ...]
    rewrites: tuple[TranscriptRewriteCommit, ...]
    meta: bytes


def encode_meta(meta: dict[str, Any]) -> bytes:
    """A meta object as it is stored. Raises `InvalidSnapshot` where it has no JSON form."""
    try:
        return encode(meta, "meta")
    except InvalidInput as exc:
        raise InvalidSnapshot(detail=f"meta has {exc.detail}") from exc


def encode_snapshot(snapshot: SessionSnapshot) -> bytes:
    """The envelope of a snapshot. Raises `InvalidSnapshot` where it contradicts itself."""
    snapshot = check_snapshot(snapshot)
    return msgspec.msgpack.encode(
        _Wire(
            tenure_snapshot=ENVELOPE_VERSION,
            session_id=snapshot.session_id,
            revision=snapshot.revision,
            messages=snapshot.messages,
            rewrites=snapshot.rewrites,
            meta=encode_meta(snapshot.meta),
        )
    )


def decode_snapshot(data: bytes) -> SessionSnapshot:
    """Read an envelope.

    Raises:
        InvalidSnapshot: The bytes are none, or of another version, or contradict themselves.
    """
    try:
        wire = msgspec.msgpack.decode(check_value(data, bytes, "snapshot"), type=_Wire)
        check_nesting(wire.meta)
        meta = msgspec.json.decode(wire.meta, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError, InvalidInput) as exc:
        raise InvalidSnapshot(detail=f"no envelope: {type(exc).__name__}") from exc
    if wire.tenure_snapshot != ENVELOPE_VERSION:
        raise InvalidSnapshot(detail=f"an envelope of version {wire.tenure_snapshot}, not {ENVELOPE_VERSION}")
    snapshot = SessionSnapshot(
        session_id=SessionId(wire.session_id), messages=wire.messages, rewrites=wire.rewrites, meta=meta
    )
    if snapshot.revision != wire.revision:
        raise InvalidSnapshot(detail="its revision is not the digest of its messages")
    return check_snapshot(snapshot)


def check_snapshot(snapshot: SessionSnapshot) -> SessionSnapshot:
    """Return the snapshot, each part in its plain form; refuse one that contradicts itself.

    The last rewrite must have led to a beginning of the path: after it, messages were only appended.

    Raises:
        InvalidSnapshot: It names no session, or its rewrites do not lead to its messages.
    """
    try:
        snapshot = check_value(snapshot, SessionSnapshot, "snapshot")
    except InvalidInput as exc:
        raise InvalidSnapshot(detail=f"{exc.field}: {exc.detail}") from exc
    if not all(_is_revision(each.parent_revision) and _is_revision(each.revision) for each in snapshot.rewrites):
        raise InvalidSnapshot(detail="a rewrite names a revision that is not a hex digest")
    if snapshot.rewrites and bytes.fromhex(snapshot.rewrites[-1].revision) not in snapshot.digests:
        raise InvalidSnapshot(detail="its last rewrite does not lead to its messages")
    return snapshot


def _is_revision(text: str) -> bool:
    return len(text) == _REVISION_LENGTH and all(letter in "0123456789abcdef" for letter in text)


def identity(
    session_id: str, digest: bytes, rewrites: tuple[TranscriptRewriteCommit, ...], meta: dict[str, Any]
) -> bytes:
    """What compare-and-swap compares: SHA-256 over session id, digest of the path, rewrites and meta."""
    return hashlib.sha256(msgspec.msgpack.encode((session_id, digest, rewrites, encode_meta(meta)))).digest()


def identity_of(snapshot: SessionSnapshot) -> bytes:
    """See `identity`."""
    return identity(snapshot.session_id, snapshot.digest, snapshot.rewrites, snapshot.meta)
