"""Snapshots: the active path of a runtime's session, written and read as a whole (design §9).

There is one representation. A snapshot that extends the stored path appends nodes; one that replaces it keeps the nodes of
the common beginning, branches there, moves the head, and leaves the rest with tombstones, in the same commit.
"""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.errors import (
    ContinuityViolation,
    Corrupt,
    InvalidSnapshot,
    PayloadTooLarge,
    SessionBindingMismatch,
    SessionKeyMismatch,
    SnapshotSuperseded,
    TranscriptRevisionConflict,
)
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    OPTIONAL_INT,
    check_row,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.records import (
    chain,
    runtimes,
)
from tenure.persistence.facets.records.runtimes import RuntimeRecord
from tenure.persistence.model.conversation.continuity import (
    Continuity,
    StoredPath,
    judge,
)
from tenure.persistence.model.conversation.envelope import (
    EMPTY_DIGEST,
    SessionSnapshot,
    TranscriptRewriteCommit,
    identity,
)
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    SessionId,
)

from . import rewrites, sessions
from .sessions import SessionRecord


@final
@frozen(kw_only=True, slots=True)
class WriteSnapshot(Change):
    """Make a snapshot the active path, if it continues the stored one. Lifts a quarantine. Answer: None.

    Attributes:
        runtime_id: Whose session.
        snapshot: The path.
        rewrite: The rewrite that leads from the stored path to it; None where it continues the stored path.
    """

    may_create = True

    runtime_id: LogicalRuntimeId
    snapshot: SessionSnapshot
    rewrite: TranscriptRewriteCommit | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return sum([len(message) for message in self.snapshot.messages])


@final
@frozen(kw_only=True, slots=True)
class ReplaceSnapshot(Change):
    """Replace or clear the stored snapshot if it is the expected one. Answer: whether it was.

    Attributes:
        runtime_id: Whose session.
        expected: Identity of the snapshot that must be stored, see `tenure.persistence.model.conversation.envelope.identity`.
        snapshot: The new path, of whatever history; None clears the path and puts the runtime under quarantine.
    """

    may_create = True

    runtime_id: LogicalRuntimeId
    expected: bytes
    snapshot: SessionSnapshot | None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return 0 if self.snapshot is None else sum([len(message) for message in self.snapshot.messages])


@final
@frozen(kw_only=True, slots=True)
class ClearSnapshot(Change):
    """Empty the head of a runtime's session; its nodes get tombstones. Answer: whether there was anything to clear."""

    may_create = True

    runtime_id: LogicalRuntimeId


# Before any write


def _check_write(tx: Transaction, change: WriteSnapshot) -> None:
    _check_sizes(tx, change.snapshot)
    record = runtimes.load_or_create(tx, change.runtime_id)
    session = _target(tx, record, change.snapshot.session_id)
    if change.rewrite is not None:
        _check_rewrite(tx, session, change.snapshot, change.rewrite)
    elif session is not None:
        _check_continuity(tx, change.runtime_id, session, change.snapshot)


def _check_sizes(tx: Transaction, snapshot: SessionSnapshot) -> None:
    longest = max((len(message) for message in snapshot.messages), default=0)
    if longest > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=longest, limit=tx.limits.payload_bytes)


def _check_rewrite(
    tx: Transaction, session: SessionRecord | None, snapshot: SessionSnapshot, rewrite: TranscriptRewriteCommit
) -> None:
    if session is None:
        raise TranscriptRevisionConflict(expected=rewrite.parent_revision, actual=None)
    if session.session_id != snapshot.session_id:
        raise SessionKeyMismatch(expected=session.session_id, actual=snapshot.session_id)
    if session.digest.hex() != rewrite.parent_revision:
        raise TranscriptRevisionConflict(expected=rewrite.parent_revision, actual=session.digest.hex())
    if snapshot.revision != rewrite.revision:
        raise InvalidSnapshot(
            detail=f"its revision is {snapshot.revision}, and the rewrite leads to {rewrite.revision}"
        )
    known, _ = rewrites.extras(tx, session)
    if snapshot.rewrites not in (known, (*known, rewrite)):
        raise InvalidSnapshot(detail="its rewrites are not those that are stored, with or without this one")


def _check_continuity(
    tx: Transaction, runtime_id: LogicalRuntimeId, session: SessionRecord, snapshot: SessionSnapshot
) -> None:
    known, _ = rewrites.extras(tx, session)
    stored = StoredPath(
        session_id=session.session_id, message_count=session.message_count, digest=session.digest, rewrites=known
    )
    match judge(stored, snapshot):
        case Continuity.EXTENDS | Continuity.REWRITES:
            return
        case Continuity.BEGINS if _is_beginning(tx, session, snapshot):
            raise SnapshotSuperseded(runtime_id=runtime_id)
        case Continuity.BEGINS:
            detail = Continuity.PARTS.value
        case verdict:
            detail = verdict.value
    raise ContinuityViolation(runtime_id=runtime_id, detail=detail)


def _is_beginning(tx: Transaction, session: SessionRecord, snapshot: SessionSnapshot) -> bool:
    count = len(snapshot.messages)
    if count == 0:
        return True
    rows = _path_back(tx, session, count)
    return bool(rows) and rows[-1][1:] == (count, snapshot.digest)


def _path_back(tx: Transaction, session: SessionRecord, count: int) -> list[tuple[int, int, bytes]]:
    """The active path from its head down to the node after `count` messages: node, position, digest. Raises `Corrupt`."""
    rows = tx.all("snapshots.path_back", head=session.head, count=count)
    for row in rows:
        check_row(row, (int, int, bytes), "node", row[0])
    places = range(session.message_count, max(count, 1) - 1, -1)
    if len(rows) != len(places) or any(row[1] != place for row, place in zip(rows, places, strict=True)):
        raise Corrupt(
            record="session", key=session.session_id, detail="its path does not lead from its head to its root"
        )
    return [(node, position, digest) for node, position, digest in rows]


def _target(tx: Transaction, record: RuntimeRecord, session_id: SessionId) -> SessionRecord | None:
    """The session that a snapshot goes to: the runtime's own once that holds anything; else the one that is named."""
    own = sessions.own(tx, record)
    if own is not None and (own.session_id == session_id or _holds_anything(tx, own)):
        return own
    return _by_id(tx, record, session_id)


def _by_id(tx: Transaction, record: RuntimeRecord, session_id: SessionId) -> SessionRecord | None:
    row = tx.one("snapshots.session_by_id", session_id=session_id)
    if row is None:
        return None
    if row[2] not in {None, record.runtime}:
        own = sessions.own(tx, record)
        raise SessionBindingMismatch(bound=None if own is None else own.session_id, attempted=session_id)
    return sessions.load(tx, row[0])


def _holds_anything(tx: Transaction, session: SessionRecord) -> bool:
    return session.message_count > 0 or bool(rewrites.extras(tx, session)[0])


def _compare(tx: Transaction, change: ReplaceSnapshot) -> bool | None:
    # At the place of idempotent replay, because no is an answer and nothing is written for it.
    record = runtimes.find_cached(tx, change.runtime_id)
    session = None if record is None else sessions.own(tx, record)
    if session is None:
        return False
    known, meta = rewrites.extras(tx, session)
    if meta is None and session.head is None:
        return False
    return None if identity(session.session_id, session.digest, known, meta or {}) == change.expected else False


def _check_replacement(tx: Transaction, change: ReplaceSnapshot) -> None:
    if change.snapshot is not None:
        _check_sizes(tx, change.snapshot)


# Writes


def _write(tx: Transaction, change: WriteSnapshot) -> None:
    record = runtimes.load_or_create(tx, change.runtime_id)
    session = _target(tx, record, change.snapshot.session_id) or _create(tx, record, change.snapshot.session_id)
    _bind(tx, record, session)
    known = change.snapshot.rewrites
    if change.rewrite is not None and known == rewrites.extras(tx, session)[0]:
        known = (*known, change.rewrite)  # the same edit a second time is another rewrite
    branched = _move(tx, session, change.snapshot)
    if branched or change.rewrite is not None:
        chain.add(tx, record, chain.LinkEvent.REWRITE, session.digest.hex())
    rewrites.save(tx, session, known, change.snapshot.meta)
    tx.write("snapshots.lift_quarantine", runtime=record.runtime)


def _replace(tx: Transaction, change: ReplaceSnapshot) -> bool:
    record = runtimes.load_or_create(tx, change.runtime_id)
    if change.snapshot is None:
        _empty(tx, record)
        tx.write("snapshots.quarantine", runtime=record.runtime, now=tx.now)
        return True
    own = sessions.own(tx, record)
    if own is None or own.session_id != change.snapshot.session_id:
        target = _by_id(tx, record, change.snapshot.session_id) or _create(tx, record, change.snapshot.session_id)
        if own is not None:
            _leave(tx, own)
        own = target
    _bind(tx, record, own)
    _move(tx, own, change.snapshot)
    chain.add(tx, record, chain.LinkEvent.REWRITE, own.digest.hex())
    rewrites.save(tx, own, change.snapshot.rewrites, change.snapshot.meta)
    tx.write("snapshots.lift_quarantine", runtime=record.runtime)
    return True


def _clear(tx: Transaction, change: ClearSnapshot) -> bool:
    if runtimes.find_cached(tx, change.runtime_id) is None:
        return False
    return _empty(tx, runtimes.load_or_create(tx, change.runtime_id))


def _empty(tx: Transaction, record: RuntimeRecord) -> bool:
    session = sessions.own(tx, record)
    if session is None or (session.head is None and rewrites.extras(tx, session)[1] is None):
        return False
    _leave(tx, session)
    chain.add(tx, record, chain.LinkEvent.CLEAR)
    return True


def clear(tx: Transaction, record: RuntimeRecord) -> None:
    """Clear the conversation inside another facet's commit (a reset that is asked to)."""
    _empty(tx, record)


def _create(tx: Transaction, record: RuntimeRecord, session_id: SessionId) -> SessionRecord:
    return sessions.load(tx, sessions.create(tx, session_id, record.runtime))


def _bind(tx: Transaction, record: RuntimeRecord, session: SessionRecord) -> None:
    if session.runtime != record.runtime:
        session.runtime = record.runtime
        tx.write("snapshots.bind_session", session=session.session, runtime=record.runtime)
        tx.drop(sessions.OWNER, session.session_id)
    if record.session != session.session:
        record.session = session.session
        runtimes.save(tx, record)


def _leave(tx: Transaction, session: SessionRecord) -> None:
    """Empty a session's head. Its revision rises: it never goes back, not even here."""
    if session.head is not None:
        tx.write("snapshots.tombstone", session=session.session, head=session.head, count=0, now=tx.now)
    session.head, session.message_count, session.digest = None, 0, EMPTY_DIGEST
    session.revision += 1
    sessions.save(tx, session)
    tx.write("snapshots.drop", session=session.session)


def _move(tx: Transaction, session: SessionRecord, snapshot: SessionSnapshot) -> bool:
    """Bring the active path to the snapshot's; whether it left any node."""
    count = session.message_count
    if len(snapshot.messages) >= count and snapshot.digests[count] == session.digest:
        if len(snapshot.messages) > count:
            sessions.append_nodes(tx, session, snapshot.messages[count:])
        return False
    head, common = None, 0
    for node, position, digest in _path_back(tx, session, 0):
        if position < len(snapshot.digests) and digest == snapshot.digests[position]:
            head, common = node, position
            break
    tx.write("snapshots.tombstone", session=session.session, head=session.head, count=common, now=tx.now)
    session.head, session.message_count, session.digest = head, common, snapshot.digests[common]
    sessions.append_nodes(tx, session, snapshot.messages[common:])
    return True


# Reads


def find(statements: Statements, runtime_id: LogicalRuntimeId) -> SessionSnapshot | None:
    """The active path of a runtime's session as a snapshot, or None where there is none.

    Raises:
        Corrupt: What is stored contradicts itself.
    """
    row = statements.one("snapshots.of_runtime", runtime_id=runtime_id)
    if row is None:
        return None
    check_row(row[:6], (int, str, OPTIONAL_INT, int, bytes, OPTIONAL_INT), "session", runtime_id)
    _, session_id, head, count, digest, has_extras, *extras, runtime, own = row
    sessions.check_owner(runtime, own, runtime_id)
    if head is None and has_extras is None:
        return None
    known, about = ((), {}) if has_extras is None else rewrites.decode(session_id, tuple(extras))
    messages = tuple(sessions.path_to(statements, head, count))
    snapshot = SessionSnapshot(session_id=session_id, messages=messages, rewrites=known, meta=about)
    if (len(messages), snapshot.digest) != (count, digest):
        raise Corrupt(record="session", key=session_id, detail="its digest is not that of its messages")
    return snapshot


def is_quarantined(statements: Statements, runtime_id: LogicalRuntimeId) -> bool:
    """Whether the snapshot of a runtime was taken away and nothing was written since."""
    return statements.one("snapshots.is_quarantined", runtime_id=runtime_id) is not None


FACET: Final = Facet(
    name="snapshots",
    handlers={
        WriteSnapshot: Handler(apply=_write, check=_check_write),
        ReplaceSnapshot: Handler(apply=_replace, replay=_compare, check=_check_replacement),
        ClearSnapshot: Handler(apply=_clear),
    },
)
