"""Checkpoints of sessions: parts by name, whose bytes are stored once by their content for all sessions (design §9).

The digest of a checkpoint covers its turn state and the name, version and content of every part, so that a part that was lost,
moved or changed is found out. A blob that no part refers to any more waits for `gc_unreachable`.
"""

from __future__ import annotations

import hashlib
from typing import Final, final

from attrs import frozen

from tenure.errors import Corrupt, NotFound
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.codec import decode
from tenure.persistence.model.conversation.graph import (
    CheckpointPart,
    SessionCheckpoint,
)
from tenure.persistence.model.conversation.graph_encoding import (
    EncodedCheckpoint,
    EncodedPart,
    checkpoint_ref,
)
from tenure.persistence.model.digests import check_digest, seal

RECORD: Final = "checkpoint"


@final
@frozen(kw_only=True, slots=True)
class CollectBlobs(Change):
    """Delete those of some blobs that no part refers to. Answer: how many."""

    ingress = True  # judged again in the commit, and of no owner

    blobs: tuple[int, ...]


def save(tx: Transaction, session: int, session_id: str, checkpoint: EncodedCheckpoint) -> None:
    """Make this the checkpoint of a session: only what is new of it is written.

    Raises:
        NotFound: A part comes without its bytes, and they are not stored.
    """
    stored = {name: (blob, version) for name, _, version, blob in tx.all("checkpoints.parts", session=session)}
    for part in checkpoint.parts:
        blob = _store(tx, part)
        if part.name not in stored:
            tx.insert("checkpoints.insert_part", session=session, name=part.name, blob=blob, version=part.version)
        elif stored.pop(part.name) != (blob, part.version):
            tx.write("checkpoints.update_part", session=session, name=part.name, blob=blob, version=part.version)
    for name in stored:
        tx.write("checkpoints.delete_part", session=session, name=name)
    digest = seal(session_id, checkpoint.ref)
    tx.write("checkpoints.save", session=session, turn_state=checkpoint.turn_state, digest=digest)


def _store(tx: Transaction, part: EncodedPart) -> int:
    row = tx.one("checkpoints.blob", digest=part.hash)
    if row is not None:
        check_row(row, (int,), "blob", part.hash.hex())
        blob: int = row[0]
        return blob
    if part.body is None:
        raise NotFound(what="checkpoint part", key=part.hash.hex())
    return tx.insert("checkpoints.insert_blob", digest=part.hash, body=part.body)


def find(
    statements: Statements, session: int, session_id: str, *, bodies: bool
) -> tuple[str, SessionCheckpoint] | None:
    """The checkpoint of a session under its ref, or None; with the bytes of its parts only where they are asked for.

    Raises:
        Corrupt: It is not what its digest says, or the bytes of a part are missing or changed.
    """
    row = statements.one("checkpoints.load", session=session)
    if row is None:
        return None
    turn_state, digest, scheme = row
    check_row(row, (bytes, bytes, int), RECORD, session_id)
    parts = statements.all("checkpoints.parts", session=session)
    for part in parts:
        check_row(part, (str, bytes, int, int), RECORD, session_id)
    ref = checkpoint_ref(turn_state, sorted((name, content, version) for name, content, version, _ in parts))
    check_digest(seal(session_id, ref), digest, scheme, RECORD, session_id)
    found = _bodies(statements, session, session_id) if bodies else {}
    if bodies and any(blob not in found for *_, blob in parts):
        raise Corrupt(record=RECORD, key=session_id, detail="the bytes of a part are missing")
    checkpoint = SessionCheckpoint(
        turn_state=decode(turn_state, RECORD, session_id),
        parts={
            name: CheckpointPart(body=found.get(blob), ref=content.hex(), encoding_version=version)
            for name, content, version, blob in parts
        },
    )
    return ref.hex(), checkpoint


def _bodies(statements: Statements, session: int, session_id: str) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for blob, body, digest, scheme in statements.all("checkpoints.bodies", session=session):
        check_row((blob, body), (int, bytes), RECORD, session_id)
        check_digest(hashlib.sha256(body).digest(), digest, scheme, "blob", blob)
        found[blob] = body
    return found


def check_blob(statements: Statements, blob: int) -> None:
    """Read one blob. Raises `Corrupt` where its bytes are not what its digest says."""
    row = statements.one("checkpoints.body", blob=blob)
    if row is not None:
        check_row(row, (bytes, bytes, int), "blob", blob)
        check_digest(hashlib.sha256(row[0]).digest(), row[1], row[2], "blob", blob)


def mark(statements: Statements, after: int, count: int) -> tuple[int | None, int, frozenset[str]]:
    """A page of live checkpoints, read whole but for bytes: where the next page begins, how many, and their parts' refs.

    Raises:
        Corrupt: One cannot be decoded. Nothing may be deleted then.
    """
    rows = statements.all("checkpoints.roots", after=after, count=count)
    refs: set[str] = set()
    for row in rows:
        check_row(row, (int, str), RECORD, row[0])
        found = find(statements, row[0], row[1], bodies=False)
        if found is not None:
            refs.update(str(part.ref) for part in found[1].parts.values())
    return (rows[-1][0] if rows else None), len(rows), frozenset(refs)


def unreachable(statements: Statements, after: int, count: int) -> tuple[int, ...]:
    """A page of blobs that no part refers to."""
    return tuple([row[0] for row in statements.all("checkpoints.unreachable", after=after, count=count)])


def _collect(tx: Transaction, change: CollectBlobs) -> int:
    return sum([tx.run("checkpoints.delete_blob", blob=blob) for blob in change.blobs])


FACET: Final = Facet(name="checkpoints", handlers={CollectBlobs: Handler(apply=_collect)})
