"""The changes of attachments: intents, stamps, and what lets go of both (design §11).

A row says that a session means, or has, an attachment; the bytes stand under their digest, once for all sessions. A writer
records its intent first, then puts the bytes, then stamps. Who removes bytes says so first, in a commit that no row of theirs
stands against; a writer who meets that waits until it has ended, or its host has.
"""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.errors import Contended
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import OPTIONAL_INT, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.queue.batches import check_target
from tenure.persistence.model.contracts.attachments import (
    AttachmentIntent,
    AttachmentManifestEntry,
)
from tenure.persistence.model.digests import SHA_256, check_digest, seal

RECORD: Final = "attachment"

_TYPES: Final = (int, str, str, str, int, int, OPTIONAL_INT, bytes, int)


@final
@frozen(kw_only=True, slots=True)
class RecordIntent(Change):
    """Record that an attachment is meant; one that is known is younger again, and stays committed. Answer: whether it is.

    While its bytes are being removed it is refused with `Contended`; or nothing is written, and the answer is False, where it
    comes of one who `waits` and will ask again. Refused with `RuntimeDestroyed` too.
    """

    ingress = True

    intent: AttachmentIntent
    waits: bool = False


@final
@frozen(kw_only=True, slots=True)
class StampAttachments(Change):
    """Commit attachments of a session; the first stamp stays, ids that are not known are passed over. Answer: how many."""

    ingress = True

    session_id: str
    attachment_ids: tuple[str, ...]


@final
@frozen(kw_only=True, slots=True)
class ForgetAttachment(Change):
    """Let go of what a session has of an attachment. Answer: whether there was something."""

    ingress = True

    session_id: str
    attachment_id: str


@final
@frozen(kw_only=True, slots=True)
class ForgetOrphans(Change):
    """Let go of what was only meant before a time, by hosts that have gone. Answer: how many."""

    ingress = True

    before: int
    count: int


@final
@frozen(kw_only=True, slots=True)
class BeginRemoval(Change):
    """Keep writers from bytes that no row names. Answer: whether they may be removed now."""

    ingress = True

    attachment_id: str


@final
@frozen(kw_only=True, slots=True)
class EndRemoval(Change):
    """The bytes are removed, as far as this host has begun that. Answer: None."""

    ingress = True

    attachment_id: str


@final
@frozen(kw_only=True, slots=True)
class StoredAttachment:
    """A row: its key, the host that meant it last, and what it says."""

    attachment: int
    host: int
    entry: AttachmentManifestEntry


def _check_intent(tx: Transaction, change: RecordIntent) -> None:
    check_target(tx, change.intent.session_id)
    if not change.waits and _being_removed(tx, change.intent.attachment_id):
        raise Contended(detail=f"the bytes of attachment {change.intent.attachment_id} are being removed")


def _being_removed(tx: Transaction, attachment_id: str) -> bool:
    """Whether a host that lives is removing these bytes; what a dead one began is ended here."""
    row = tx.one("attachments.removal", attachment_id=attachment_id)
    if row is None:
        return False
    if row[1] == 0:
        tx.write("attachments.end_removal", attachment_id=attachment_id)
        return False
    return True


def _record(tx: Transaction, change: RecordIntent) -> bool:
    intent, now_ms = change.intent, int(tx.now * 1000)
    if change.waits and _being_removed(tx, intent.attachment_id):
        return False
    stored = find(tx, intent.session_id, intent.attachment_id)
    committed_at = None if stored is None else stored.entry.committed_at_epoch_ms
    entry = AttachmentManifestEntry(
        attachment_id=intent.attachment_id,
        session_id=intent.session_id,
        canonical_uri=intent.canonical_uri,
        intent_at_epoch_ms=now_ms,
        committed_at_epoch_ms=committed_at,
    )
    if stored is None:
        tx.insert(
            "attachments.insert",
            session_id=intent.session_id,
            attachment_id=intent.attachment_id,
            uri=intent.canonical_uri,
            host=tx.host,
            intent_at=now_ms,
            digest=_digest(entry, tx.host),
        )
    else:
        _update(tx, stored.attachment, tx.host, entry)
    return True


def _update(tx: Transaction, attachment: int, host: int, entry: AttachmentManifestEntry) -> None:
    tx.write(
        "attachments.update",
        attachment=attachment,
        uri=entry.canonical_uri,
        host=host,
        intent_at=entry.intent_at_epoch_ms,
        committed_at=entry.committed_at_epoch_ms,
        digest=_digest(entry, host),
        scheme=SHA_256,
    )


def _stamp(tx: Transaction, change: StampAttachments) -> int:
    stamped = 0
    for attachment_id in change.attachment_ids:
        stored = find(tx, change.session_id, attachment_id)
        if stored is None or stored.entry.committed_at_epoch_ms is not None:
            continue
        entry = stored.entry
        committed = AttachmentManifestEntry(
            attachment_id=entry.attachment_id,
            session_id=entry.session_id,
            canonical_uri=entry.canonical_uri,
            intent_at_epoch_ms=entry.intent_at_epoch_ms,
            committed_at_epoch_ms=int(tx.now * 1000),
        )
        _update(tx, stored.attachment, stored.host, committed)
        stamped += 1
    return stamped


def _forget(tx: Transaction, change: ForgetAttachment) -> bool:
    stored = find(tx, change.session_id, change.attachment_id)
    if stored is not None:
        tx.write("attachments.delete", attachment=stored.attachment)
    return stored is not None


def _forget_orphans(tx: Transaction, change: ForgetOrphans) -> int:
    rows = tx.all("attachments.orphans", before=change.before, count=change.count)
    for (attachment,) in rows:
        load(tx, attachment)  # of one that is damaged nothing is judged
        tx.write("attachments.delete", attachment=attachment)
    return len(rows)


def _begin_removal(tx: Transaction, change: BeginRemoval) -> bool:
    return begin_removal(tx, change.attachment_id)


def begin_removal(tx: Transaction, attachment_id: str) -> bool:
    """Keep writers from bytes that no row names; whether they may be removed when this commit has landed."""
    if is_named(tx, attachment_id):
        return False
    if _being_removed(tx, attachment_id):
        return False
    tx.insert("attachments.begin_removal", attachment_id=attachment_id, host=tx.host)
    return True


def _end_removal(tx: Transaction, change: EndRemoval) -> None:
    tx.write("attachments.end_own_removal", attachment_id=change.attachment_id, host=tx.host)


# Reads


def find(statements: Statements, session_id: str, attachment_id: str) -> StoredAttachment | None:
    """What a session has of an attachment, or None. Raises `Corrupt`."""
    row = statements.one("attachments.find", session_id=session_id, attachment_id=attachment_id)
    return None if row is None else _decode(row)


def load(statements: Statements, attachment: int) -> StoredAttachment | None:
    """A row by its key, or None. Raises `Corrupt`."""
    row = statements.one("attachments.by_key", attachment=attachment)
    return None if row is None else _decode(row)


def is_stamped(statements: Statements, attachment_id: str) -> bool:
    """Whether any session has committed these bytes, which were on disk before."""
    return statements.one("attachments.stamped", attachment_id=attachment_id) is not None


def is_named(statements: Statements, attachment_id: str) -> bool:
    """Whether any session means these bytes, or has committed them."""
    return statements.one("attachments.named", attachment_id=attachment_id) is not None


def remover(statements: Statements, attachment_id: str) -> int | None:
    """The host that is removing bytes, or None."""
    row = statements.one("attachments.removal", attachment_id=attachment_id)
    if row is None:
        return None
    check_row(row, (int, int), RECORD, attachment_id)
    host: int = row[0]
    return host


def is_removed(statements: Statements, attachment_id: str) -> bool:
    """Whether a host that is not judged lost is removing bytes."""
    row = statements.one("attachments.removal", attachment_id=attachment_id)
    return row is not None and row[1] == 1


def removes(statements: Statements, attachment_id: str, host: int) -> bool:
    """Whether a host is removing bytes, and is not judged lost: asked right before they go, as who wakes late may be."""
    return statements.one("attachments.removal", attachment_id=attachment_id) == (host, 1)


def in_question(statements: Statements, before: int) -> frozenset[int]:
    """The hosts whose death would make an intent an orphan, or end a removal; some of them have gone."""
    return frozenset([row[0] for row in statements.all("attachments.in_question", before=before)])


def uncommitted(statements: Statements, before: int) -> tuple[AttachmentManifestEntry, ...]:
    """What was only meant, and not after a time; the oldest first. Raises `Corrupt`."""
    return tuple([_decode(row).entry for row in statements.all("attachments.uncommitted", before=before)])


def _decode(row: Row) -> StoredAttachment:
    check_row(row, _TYPES, RECORD, row[0])
    attachment, session_id, attachment_id, uri, host, intent_at, committed_at, digest, scheme = row
    entry = AttachmentManifestEntry(
        attachment_id=attachment_id,
        session_id=session_id,
        canonical_uri=uri,
        intent_at_epoch_ms=intent_at,
        committed_at_epoch_ms=committed_at,
    )
    check_digest(_digest(entry, host), digest, scheme, RECORD, attachment_id)
    return StoredAttachment(attachment=attachment, host=host, entry=entry)


def _digest(entry: AttachmentManifestEntry, host: int) -> bytes:
    return seal(
        entry.session_id,
        entry.attachment_id,
        entry.canonical_uri,
        host,
        entry.intent_at_epoch_ms,
        entry.committed_at_epoch_ms,
    )


FACET: Final = Facet(
    name="attachments",
    handlers={
        RecordIntent: Handler(apply=_record, check=_check_intent),
        StampAttachments: Handler(apply=_stamp),
        ForgetAttachment: Handler(apply=_forget),
        ForgetOrphans: Handler(apply=_forget_orphans),
        BeginRemoval: Handler(apply=_begin_removal),
        EndRemoval: Handler(apply=_end_removal),
    },
)
