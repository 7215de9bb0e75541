"""What who writes or reads conversations meets: of sessions, snapshots and receipts."""

from __future__ import annotations

from typing import final

from .base import ReadFailed, WriteFailed


@final
class SessionKeyMismatch(WriteFailed):
    """The snapshot names another session than the one it was to be stored under.

    The caller's side: it mixed up two conversations. Write the snapshot under its own session.
    `SessionBindingMismatch` is about the handle, this one about the bytes.

    Fields: the session of the key (expected) and that of the snapshot (actual).
    """

    message = "the snapshot belongs to session {actual!r}, not to {expected!r}; store it under its own session"
    expected: str
    actual: str


@final
class SessionBindingMismatch(WriteFailed):
    """A facet or runtime bound to one session was used for another, which belongs elsewhere.

    The caller's side: bind the facet to the session it means. `SessionKeyMismatch` is about a snapshot whose bytes
    name another session.

    Fields: the session that is bound, None where none is, and the one that was to be touched.
    """

    message = "session {attempted!r} belongs elsewhere and the one bound here is {bound!r}; bind another one"
    bound: str | None
    attempted: str


@final
class TranscriptRevisionConflict(WriteFailed):
    """A rewrite started from a transcript revision that is no longer the stored one.

    Another writer came first. Load the snapshot and rewrite that. `HeadRevisionConflict` is the same event for the
    node graph, whose revision is an integer.

    Fields: the revision the rewrite started from and the stored one, None when none is.
    """

    message = "the rewrite starts from revision {expected!r} but the stored one is {actual!r}; load that and rewrite it"
    expected: str
    actual: str | None


@final
class SnapshotSuperseded(WriteFailed):
    """The stored conversation already contains this snapshot and goes on after it.

    The caller's side: it holds an older copy, so writing it would lose what came later. Load and go on from there.
    `ContinuityViolation` is a snapshot of another history.
    """

    message = "the stored conversation of {runtime_id!r} is ahead of this snapshot; load it and go on from there"
    runtime_id: str


@final
class ContinuityViolation(WriteFailed):
    """The snapshot does not continue the stored conversation: it is shorter, or another story.

    The caller's side: append to what is stored, or say replace or rewrite where that is meant. `SnapshotSuperseded`
    is an older copy of the same story.
    """

    message = (
        "it does not continue the conversation of {runtime_id!r}: {detail}; append to what is stored, or replace it"
    )
    runtime_id: str
    detail: str


@final
class InvalidSnapshot(WriteFailed):
    """The given bytes are not a snapshot envelope, or contradict themselves.

    The caller's side: encode it with the envelope. Bytes that were already stored and cannot be decoded are
    `Corrupt`.
    """

    message = "the bytes are not a valid session snapshot: {detail}; encode it as an envelope"
    detail: str


@final
class HeadRevisionConflict(WriteFailed):
    """The commit expected another head revision of the session than the stored one.

    Another writer moved the head. Not retryable as it stands: load the session, build the commit again on its head,
    and send that. `TurnCommitConflict` is about a turn's stamp, not the head.
    """

    message = "session {session_id!r} is at head revision {actual}, not {expected}; load it and build the commit again"
    session_id: str
    expected: int
    actual: int


@final
class TurnCommitConflict(WriteFailed):
    """The turn was committed before, with other content.

    The caller's side: one turn id stands for one content. Use a new turn id for new content. The same content is not an
    error and returns the first result. `IdempotencyConflict` is its twin for inputs.
    """

    message = "turn {turn_id!r} of session {session_id!r} was committed with other content; use a new turn id"
    session_id: str
    turn_id: str


@final
class NodeConflict(WriteFailed):
    """The graph of a session does not allow what was to be done with a node.

    There is a node of this id already, perhaps with a tombstone; or it is on the active path and was to be hidden. The
    caller's side: choose another id, or move the head first. `HeadRevisionConflict` is another writer's doing; `NotFound` a
    node that is not there.
    """

    message = "node {node_id!r} of session {session_id!r}: {detail}; choose another id, or move the head first"
    session_id: str
    node_id: str
    detail: str


@final
class DuplicateReceipt(WriteFailed):
    """A receipt with this runtime, run and sequence is stored already, whatever it says.

    The commit was sent twice, or two writers numbered alike. Load the stored receipt to see whether it is yours.
    `ReceiptConflict` is a receipt that cannot be true.
    """

    message = "run {run_id!r} of {runtime_id!r} already has receipt {sequence}; load that instead of writing it again"
    runtime_id: str
    run_id: str
    sequence: int


@final
class ReceiptConflict(WriteFailed):
    """A receipt brought by the caller contradicts the store: wrong sequence, digest or count.

    The caller's side: derive the receipt from what it commits, with the last sequence plus one. `DuplicateReceipt`
    is one that is there already.
    """

    message = "the receipt for run {run_id!r} of {runtime_id!r} is wrong: {detail}; derive it from what is committed"
    runtime_id: str
    run_id: str
    detail: str


@final
class UnsupportedReadScope(ReadFailed):
    """The store cannot read a session in the scope that was asked for.

    The caller's side: ask for another scope. `Unsupported` is a whole verb that is not there.
    """

    message = "the read scope {scope!r} is not supported; ask for another one"
    scope: str
