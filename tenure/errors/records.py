"""What who keeps other records meets: queued work, streams, values, facts, operations, output."""

from __future__ import annotations

from typing import final

from .base import ReadFailed, WriteFailed


@final
class QueuedWorkClaimExpired(WriteFailed):
    """Another claim took over this batch of queued work, or the claim was given back.

    The work may be running elsewhere: stop, and claim again. The clock alone never does this; only a later claim
    does. `StaleFence` is about the runtime, this one about one claim.
    """

    message = "claim {claim_id!r} on work of session {session_id!r} no longer holds; stop this work and claim again"
    session_id: str
    claim_id: str


@final
class CursorConflict(WriteFailed):
    """An append expected the stream to end elsewhere.

    Another writer appended first. Read the tail, then append at the new cursor. `HeadRevisionConflict` is the same
    event for a session.
    """

    message = "stream {stream!r} is at cursor {actual}, not {expected}; read what was added and append after it"
    stream: str
    expected: int
    actual: int


@final
class StateConflict(WriteFailed):
    """A write of a runtime's own state expected another revision of it.

    Another writer came first: a run, or another caller. Read the state with `Supervisor.execution_state`, decide again, and
    write under its revision. `CursorConflict` is the same event for a stream.
    """

    message = "the state of runtime {runtime_id!r} is at revision {actual}, not {expected}; read it and write again"
    runtime_id: str
    expected: int
    actual: int


@final
class ValueConflict(WriteFailed):
    """A write of `store.state` expected another value under a key, or none.

    Another writer came first, or the value has expired. Read the values that were expected, decide again, and write.
    `StateConflict` is the same event for a runtime's own state.
    """

    message = "the value of {key!r} is another one than was expected; read it and write again"
    key: str


@final
class FactConflict(WriteFailed):
    """The hash of a fact is that of another value already.

    The caller's side: one hash names one value for ever. Compute hashes over the content. `IdempotencyConflict` is the same
    for the key of an input.

    Fields: the hash; bytes in hex.
    """

    message = "the hash {hash!r} is that of another fact; compute hashes over the content"
    hash: str


@final
class CounterOverflow(WriteFailed):
    """A stored counter is at its last value and would wrap.

    Not to be waited out. Where it is the store's, a wrapped token or sequence would let old writers in again: no caller's
    mistake, and the store refuses for good. A count of usage is what its callers have added, and no other has anything of
    it. `LimitReached` is a limit that may be raised.

    Fields: which counter; what to do.
    """

    message = "the counter {counter!r} is exhausted and never wraps; {advice}"
    counter: str
    advice: str = "move to a new store"


@final
class OperationRejected(WriteFailed):
    """The registry of operations refused this action on this operation.

    The caller's side: the operation is registered already, has ended, or is in a phase without such an arrow.
    `NotFound` is an operation that is not there.
    """

    message = "operation {operation_id!r} refused the action: {detail}; look at its status first"
    operation_id: str
    detail: str


@final
class FeedGap(ReadFailed):
    """The completion feed no longer holds the entries after the requested cursor.

    The reader was slower than the feed. Read the operations themselves, then follow the feed from its oldest
    entry. `NotFound` is a feed that is not there.
    """

    message = "the feed after {requested} is gone and starts at {oldest}; read the operations and follow on from there"
    requested: int
    oldest: int


@final
class PositionGone(ReadFailed):
    """Entries after a position of an output are gone by now: they were too old, or too many, or pruned.

    The reader was away for too long. Go on after `oldest`, and say that something is missing. `NotFound` is a runtime that
    is not there, `FeedGap` the same of the operations.

    Fields: the position that was given, and the one after which everything is still there.
    """

    message = "entries after position {position} are gone; follow(after={oldest!r}) gives what is still there"
    position: str
    oldest: str
