"""Sessions: the conversation of a runtime, as nodes with one parent each (design §9).

One message is one node; its bytes are opaque. The head is the last node of the active path. The digest of a conversation
is chained, ``d(0) = 32 zero bytes, d(n) = SHA-256(d(n-1), length of the message as 8 bytes big-endian, message)``, so that an
append hashes one message, however long the conversation is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from attrs import define, field, frozen

from tenure.errors import Corrupt, HeadRevisionConflict, NotFound, PayloadTooLarge, SessionBindingMismatch
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    NUMBER,
    OPTIONAL_BYTES,
    OPTIONAL_INT,
    OPTIONAL_TEXT,
    Types,
    check_row,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.records import (
    run_records,
    runtimes,
)
from tenure.persistence.model.conversation.envelope import (
    EMPTY_DIGEST,
    extend_digest,
)
from tenure.persistence.model.conversation.graph import OWN_NODES
from tenure.persistence.model.digests import check_digest
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RunId,
    SessionId,
)

RECORD: Final = runtimes.SESSION


@final
@define(slots=True)
class SessionRecord:
    """One row of ``sessions``, in the order of ``sessions.load``, and what else a commit has seen of the session.

    Two records of one row are equal, whatever each commit has seen beside it.

    Attributes:
        named: Key and id of a node that is the head, or was. A key is not given twice and an id does not change, so where that
            node is the head its id is known; where its row was deleted meanwhile it is the head no more.
        no_checkpoint: Whether it is known to have none. Only a commit of the session gives it one.
    """

    session: int
    session_id: SessionId
    runtime: int | None
    revision: int
    head: int | None
    message_count: int
    digest: bytes
    named: tuple[int, str] | None = field(default=None, eq=False)
    no_checkpoint: bool = field(default=False, eq=False)


OWNER: Final = "owner of a session"
"""The kind of the records that say whose a session is, also of one that is not there; the key is its id."""


def create(tx: Transaction, session_id: SessionId, runtime: int | None) -> int:
    """A new, empty session; its key. Raises `SessionBindingMismatch` where there is one of this id."""
    session = tx.key("sessions")
    create_as(tx, session, session_id, runtime)
    return session


def create_as(tx: Transaction, session: int, session_id: SessionId, runtime: int | None) -> None:
    """A new, empty session under a key that the engine gave. Raises `SessionBindingMismatch` as `create` does."""
    if tx.one("sessions.by_id", session_id=session_id) is not None:
        raise SessionBindingMismatch(bound="another runtime's", attempted=session_id)
    tx.write("sessions.create", session=session, session_id=session_id, runtime=runtime, digest=EMPTY_DIGEST)
    tx.drop(OWNER, session_id)


def of_runtime(tx: Transaction, runtime_id: LogicalRuntimeId) -> SessionRecord:
    """The session that a runtime works on, as this commit has it cached."""
    session = own(tx, runtimes.load(tx, runtime_id))
    if session is None:
        raise Corrupt(record="runtime", key=runtime_id, detail="it has no session")
    return session


def own(tx: Transaction, record: runtimes.RuntimeRecord) -> SessionRecord | None:
    """The session that a runtime works on, or None. Raises `Corrupt` where the runtime names that of another one."""
    if record.session is None:
        return None
    session = tx.record(RECORD, record.session, find)
    if session.runtime != record.runtime:
        check_owner(session.runtime, record.runtime, record.runtime_id)
    return session


def check_owner(runtime: object, own: object, runtime_id: LogicalRuntimeId) -> None:
    """Refuse a conversation that is not the runtime's own: its row names another session, or was changed."""
    if runtime != own:
        raise Corrupt(record="runtime", key=runtime_id, detail="it names a conversation that is not its own")


def load(tx: Transaction, session: int) -> SessionRecord:
    """A session by its key, as this commit has it cached."""
    return tx.record(RECORD, session, find)


def find(statements: Statements, session: int) -> SessionRecord:
    """The record as it is stored. Raises `Corrupt`."""
    row = statements.one("sessions.load", session=session)
    if row is None:
        raise Corrupt(record=RECORD, key=str(session), detail="a runtime names it and it has no row")
    check_row(row, _TYPES, RECORD, session)
    record = SessionRecord(*row)
    if record.message_count < 0:
        raise Corrupt(record=RECORD, key=record.session_id, detail="it has less than no message")
    return record


_TYPES: Final[Types] = (int, str, OPTIONAL_INT, int, OPTIONAL_INT, int, bytes)


@final
@frozen(kw_only=True, slots=True)
class AppendMessages(Change):
    """Append messages after the head of a runtime's session. Answer: how many messages the active path has then.

    Attributes:
        runtime_id: Whose session.
        messages: Opaque bytes, in order.
        run_id: The run that appends them, for the replay of the run; None outside a run.
        expected_revision: Refuse with `HeadRevisionConflict` unless the head's revision is this; None does not ask.
    """

    runtime_id: LogicalRuntimeId
    messages: tuple[bytes, ...]
    run_id: RunId | None = None
    expected_revision: int | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return sum(map(len, self.messages))


def _check(tx: Transaction, change: AppendMessages) -> None:
    for message in change.messages:
        if len(message) > tx.limits.payload_bytes:
            raise PayloadTooLarge(size=len(message), limit=tx.limits.payload_bytes)
    if change.expected_revision is not None:
        record = of_runtime(tx, change.runtime_id)
        if record.revision != change.expected_revision:
            raise HeadRevisionConflict(
                session_id=record.session_id, expected=change.expected_revision, actual=record.revision
            )


def _append(tx: Transaction, change: AppendMessages) -> int:
    record = of_runtime(tx, change.runtime_id)
    run = boundary = None
    if change.run_id is not None:
        current = run_records.current(tx, change.runtime_id, change.run_id)
        run, boundary = current.run, current.boundaries + 1
    append_nodes(tx, record, change.messages, run, boundary)
    return record.message_count


def append_nodes(
    tx: Transaction,
    record: SessionRecord,
    messages: Sequence[bytes],
    run: int | None = None,
    boundary: int | None = None,
) -> None:
    """Append messages after the head and save the record; the head's revision rises by one."""
    for message in messages:
        record.digest = extend_digest(record.digest, message)
        record.message_count += 1
        record.head = tx.insert(
            "sessions.insert_node",
            session=record.session,
            parent=record.head,
            position=record.message_count,
            digest=record.digest,
            run=run,
            boundary=boundary,
            payload=message,
            now=tx.now,
        )
    record.revision += 1
    save(tx, record)


def save(tx: Transaction, record: SessionRecord) -> None:
    """Write the record at the end of this commit."""
    tx.write_later(RECORD, record.session, lambda: _update(tx, record))


def _update(tx: Transaction, record: SessionRecord) -> None:
    tx.write(
        "sessions.update",
        session=record.session,
        revision=record.revision,
        head=record.head,
        message_count=record.message_count,
        digest=record.digest,
    )


def path_to(statements: Statements, head: int | None, count: int) -> list[bytes]:
    """The messages on the path that ends at a node, first to last; each is checked against its chained digest.

    Raises:
        Corrupt: They are not as many as `count`, or one is not what its digest says.
    """
    path: list[bytes] = []
    digest = EMPTY_DIGEST
    for payload, stored, scheme in [] if head is None else statements.all("sessions.path", head=head):
        digest = _check_message(digest, payload, stored, scheme, f"{len(path) + 1} on the path to {head}")
        path.append(payload)
    if len(path) != count:
        raise Corrupt(record="session", key=f"node {head}", detail=f"{len(path)} messages are there, and not {count}")
    return path


def _check_message(before: bytes, payload: object, stored: object, scheme: object, key: str) -> bytes:
    if not isinstance(payload, bytes):
        raise Corrupt(record="message", key=key, detail="it is not bytes")
    digest = extend_digest(before, payload)
    check_digest(digest, stored, scheme, "message", key)
    return digest


def id_of_runtime(statements: Statements, runtime_id: LogicalRuntimeId) -> SessionId:
    """The id of a runtime's session. Raises `NotFound`, `Corrupt`."""
    row = statements.one("sessions.id_of_runtime", runtime_id=runtime_id)
    if row is None:
        raise NotFound(what="session of runtime", key=runtime_id)
    check_row(row[:1], (str,), "session", runtime_id)
    check_owner(row[1], row[2], runtime_id)
    return SessionId(row[0])


def path_of_runtime(statements: Statements, runtime_id: LogicalRuntimeId) -> list[bytes] | None:
    """The active path of a runtime's session, or None where there is no such runtime or it has no session.

    Raises:
        Corrupt: A message is not bytes, or one is missing.
    """
    found = _end_of_path(statements, runtime_id)
    return None if found is None else path_to(statements, *found)


def _end_of_path(statements: Statements, runtime_id: LogicalRuntimeId) -> tuple[int | None, int] | None:
    """The last node of a runtime's active path, if any, and how many there are; None as in `path_of_runtime`."""
    row = statements.one("sessions.of_runtime", runtime_id=runtime_id)
    if row is None:
        return None
    _, head, count, runtime, own = row
    check_row((head, count), (OPTIONAL_INT, int), "session", runtime_id)
    check_owner(runtime, own, runtime_id)
    return head, count


@final
@frozen(kw_only=True, slots=True)
class PathNode:
    """One node of the active path of a runtime's session.

    Attributes:
        number: Its place on the path, from 1.
        node_id: Its id, for the verbs of `Store.sessions`.
        payload: The message, as it is stored.
        created_at: When it was stored, unix seconds.
        run_id: The run that appended it; None where none did, or that run was pruned.
    """

    number: int
    node_id: str
    payload: bytes
    created_at: float
    run_id: RunId | None


_PATH_NODE: Final[Types] = (int, int, bytes, int, OPTIONAL_TEXT, NUMBER, OPTIONAL_TEXT, OPTIONAL_BYTES)


def page_of_runtime(
    statements: Statements, runtime_id: LogicalRuntimeId, after: int, limit: int | None
) -> list[PathNode] | None:
    """The nodes of the active path after a number; None where there is no such runtime or it has no session.

    Raises:
        Corrupt: A message is not bytes, or not what its digest says, or one is missing.
    """
    end = _end_of_path(statements, runtime_id)
    if end is None:
        return None
    head, count = end
    until = count if limit is None else min(after + limit, count)
    if until <= after:
        return []
    rows = statements.all("sessions.path_page", head=head, after=after, until=until)
    found: list[PathNode] = []
    digest = EMPTY_DIGEST
    for at, row in enumerate(rows, 1 if after == 0 else after):
        check_row(row, _PATH_NODE, "message", f"{runtime_id}/{at}")
        node, number, stored, scheme, node_id, created_at, run_id, payload = row
        if number != at:
            raise Corrupt(record="session", key=runtime_id, detail=f"message {at} is missing")
        if number > after:
            _check_message(digest, payload, stored, scheme, f"{runtime_id}/{number}")
            name = f"{OWN_NODES}{node}" if node_id is None else node_id
            found.append(PathNode(number=number, node_id=name, payload=payload, created_at=created_at, run_id=run_id))
        digest = stored
    if len(found) != until - after:
        raise Corrupt(
            record="session", key=runtime_id, detail=f"{len(found)} messages are there, and not {until - after}"
        )
    return found


def appended_by_run(statements: Statements, run: int) -> list[tuple[int, bytes]]:
    """What a run has appended: the sequence of the boundary it landed with, and the message, in order. Raises `Corrupt`."""
    rows = statements.all("sessions.appended_by_run", run=run)
    for boundary, payload, digest, scheme, parent, before in rows:
        check_row((boundary, payload), (int, bytes), "message", f"of run {run}")
        if parent is None or isinstance(before, bytes):
            _check_message(before or EMPTY_DIGEST, payload, digest, scheme, f"of run {run}")
    return [(row[0], row[1]) for row in rows]


FACET: Final = Facet(name="sessions", handlers={AppendMessages: Handler(apply=_append, check=_check)})
