"""What stands beside the path of a session: the rewrites that led to it, and its meta; a snapshot names both."""

from __future__ import annotations

from typing import Any

import msgspec

from tenure.errors import Corrupt
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row
from tenure.persistence.model.conversation.envelope import (
    TranscriptRewriteCommit,
    encode_meta,
)
from tenure.persistence.model.digests import check_digest, seal

from .sessions import SessionRecord

Rewrites = tuple[TranscriptRewriteCommit, ...]
"""Oldest first."""


def extras(tx: Transaction, session: SessionRecord) -> tuple[Rewrites, dict[str, Any] | None]:
    """The rewrites that led to the path of a session, and its meta; None where neither was ever stored. Raises `Corrupt`."""
    row = tx.one("snapshots.load", session=session.session)
    return ((), None) if row is None else decode(session.session_id, row)


def decode(session_id: str, row: Row) -> tuple[Rewrites, dict[str, Any]]:
    """Both, as they are stored. Raises `Corrupt`."""
    rewrites, meta, digest, scheme = row
    check_row((rewrites, meta), (bytes, bytes), "session snapshot", session_id)
    check_digest(seal(session_id, rewrites, meta), digest, scheme, "session snapshot", session_id)
    try:
        return msgspec.json.decode(rewrites, type=Rewrites), msgspec.json.decode(meta, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as exc:
        raise Corrupt(record="session snapshot", key=session_id, detail=type(exc).__name__) from exc


def note(tx: Transaction, session: SessionRecord, before: bytes, reason: str | None, *, always: bool) -> None:
    """Note that the path has become another one, which was not by an append: as a rewrite of the snapshot.

    Where it is not `always` noted, it is where a rewrite was noted before: the last one leads to what is stored.
    """
    known, meta = extras(tx, session)
    if always or known:
        rewrite = TranscriptRewriteCommit(
            parent_revision=before.hex(), revision=session.digest.hex(), reason=reason, created_at=tx.now
        )
        save(tx, session, (*known, rewrite), meta or {})


def save(tx: Transaction, session: SessionRecord, rewrites: Rewrites, meta: dict[str, Any]) -> None:
    """Store both."""
    encoded = msgspec.json.encode(rewrites), encode_meta(meta)
    tx.write(
        "snapshots.save",
        session=session.session,
        rewrites=encoded[0],
        meta=encoded[1],
        digest=seal(session.session_id, *encoded),
    )
