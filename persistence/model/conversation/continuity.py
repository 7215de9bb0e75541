"""Whether a snapshot continues what is stored: the decision, without I/O (design §9).

The cases, in this order:

- nothing is stored, or only an empty path: whatever comes is taken;
- another session, or rewrites that the stored path has and the snapshot has not: refused;
- the same path: only meta and rewrites are written;
- the stored path is a beginning of the snapshot: the rest is appended;
- new rewrites lead from the stored path, one from the other, to the snapshot: branched where the two part;
- the snapshot is a beginning of the stored path: superseded, an older copy;
- all else is another history.
"""

from __future__ import annotations

from enum import Enum
from typing import final

from attrs import frozen

from .envelope import (
    SessionSnapshot,
    TranscriptRewriteCommit,
)


@final
class Continuity(Enum):
    """How a snapshot stands to the stored path."""

    EXTENDS = "the stored path is a beginning of it, or all of it"
    REWRITES = "audited rewrites lead to it"
    BEGINS = "it may be a beginning of the stored path: its last digest must be looked up there"
    OTHER_SESSION = "it names another session than the stored one"
    ERASES = "it has forgotten rewrites of the stored conversation"
    PARTS = "its history differs from the stored conversation"


@final
@frozen(kw_only=True, slots=True)
class StoredPath:
    """What is known of the stored path without reading its messages.

    Attributes:
        session_id: Which session.
        message_count: Messages on it.
        digest: Digest of it.
        rewrites: Rewrites that led to it.
    """

    session_id: str
    message_count: int
    digest: bytes
    rewrites: tuple[TranscriptRewriteCommit, ...]


def judge(stored: StoredPath, snapshot: SessionSnapshot) -> Continuity:
    """Return how a snapshot stands to the stored path."""
    if stored.message_count == 0 and not stored.rewrites:
        return Continuity.EXTENDS
    if snapshot.session_id != stored.session_id:
        return Continuity.OTHER_SESSION
    known = len(stored.rewrites)
    if snapshot.rewrites[:known] != stored.rewrites:
        # An older copy lacks only rewrites at the end; whether it is one, the caller finds in the stored path.
        older = stored.rewrites[: len(snapshot.rewrites)] == snapshot.rewrites
        return Continuity.BEGINS if older and len(snapshot.messages) < stored.message_count else Continuity.ERASES
    count = stored.message_count
    if len(snapshot.messages) >= count and snapshot.digests[count] == stored.digest:
        return Continuity.EXTENDS
    if _leads(stored.digest.hex(), snapshot.rewrites[known:]):
        return Continuity.REWRITES
    return Continuity.BEGINS if len(snapshot.messages) < count else Continuity.PARTS


def _leads(revision: str, rewrites: tuple[TranscriptRewriteCommit, ...]) -> bool:
    # The last one leads to a beginning of the snapshot: an envelope where it does not is refused when it is read.
    for each in rewrites:
        if each.parent_revision != revision:
            return False
        revision = each.revision
    return bool(rewrites)
