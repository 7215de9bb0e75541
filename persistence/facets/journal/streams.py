"""The row of a stream: its cursor, and the runtime it is bound to.

One row is written by every append, so it is cached as runtimes are. Its digest covers what a reader trusts: a cursor that
was turned back would hide events, one turned forward would promise some that are not there.
"""

from __future__ import annotations

from typing import Final, final

from attrs import define

from tenure.errors import Corrupt, CounterOverflow, InvalidInput, RuntimeDestroyed
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.commits.rows import NUMBER, OPTIONAL_INT, OPTIONAL_TEXT, Types, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records import fences, runtimes
from tenure.persistence.model.digests import SHA_256, check_digest, seal
from tenure.persistence.model.events.journal import CURSOR_LIMIT, StreamId
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState

RECORD: Final = "stream"

_TYPES: Final[Types] = (int, str, OPTIONAL_INT, int, int, bytes, int, NUMBER, OPTIONAL_TEXT)


@final
@define(slots=True)
class StreamRecord:
    """One row of ``streams``, in the order of ``journal.load``.

    Attributes:
        stream: Its integer.
        stream_id: Its id.
        runtime: The runtime it is bound to, or None.
        streamed: 1 once something was appended; 0 where only a log, a snapshot or a binding was written.
        cursor: The last sequence; 0 for none.
        digest: Of the row.
        scheme: Of the digest.
        created_at: When the row was made. A stream of the same id that was deleted and made anew has another one.
        runtime_id: Of the runtime it is bound to.
    """

    stream: int
    stream_id: StreamId
    runtime: int | None
    streamed: int
    cursor: int
    digest: bytes
    scheme: int
    created_at: float
    runtime_id: str | None


def find(statements: Statements, stream_id: str) -> StreamRecord | None:
    """The row as it is stored, or None. Raises `Corrupt`: one bad row blocks its own stream and no other."""
    row = statements.one("journal.load", stream_id=stream_id)
    return None if row is None else _record(row)


def _record(row: Row) -> StreamRecord:
    check_row(row, _TYPES, "stream", row[1])
    record = StreamRecord(*row)
    check_digest(_digest(record), record.digest, record.scheme, "stream", record.stream_id)
    if record.runtime is not None and record.runtime_id is None:
        raise Corrupt(record="stream", key=record.stream_id, detail="it is bound to a runtime that has no row")
    return record


def _digest(record: StreamRecord) -> bytes:
    return seal(record.stream_id, record.runtime, record.streamed, record.cursor)


def load(tx: Transaction, stream_id: StreamId) -> StreamRecord | None:
    """The record that this commit has cached, or None."""
    return tx.record(RECORD, stream_id, find)


def load_or_create(tx: Transaction, stream_id: StreamId) -> StreamRecord:
    """The record, made where this is the first that is written of the stream."""
    record = load(tx, stream_id)
    if record is not None:
        return record
    record = StreamRecord(0, stream_id, None, 0, 0, b"", SHA_256, tx.now, None)
    record.digest = _digest(record)
    record.stream = tx.insert("journal.create", stream_id=stream_id, digest=record.digest, now=tx.now)
    made = record
    return tx.record(RECORD, stream_id, lambda _, __: made)


def save(tx: Transaction, record: StreamRecord) -> None:
    """Write the record at the end of this commit."""
    record.digest, record.scheme = _digest(record), SHA_256
    tx.write_later(RECORD, record.stream_id, lambda: _update(tx, record))


def advance(record: StreamRecord, count: int) -> None:
    """Move the cursor. Raises `CounterOverflow`."""
    if record.cursor > CURSOR_LIMIT - count:
        raise CounterOverflow(counter="cursor")
    record.cursor += count
    record.streamed = 1


def _update(tx: Transaction, record: StreamRecord) -> None:
    tx.write(
        "journal.update",
        stream=record.stream,
        runtime=record.runtime,
        streamed=record.streamed,
        cursor=record.cursor,
        digest=record.digest,
        scheme=record.scheme,
        now=tx.now,
    )


def check_bound(tx: Transaction, what: str, runtime_id: str | None, fence: int | None) -> None:
    """Refuse a writer who may not write what is bound to a runtime (design §4).

    Raises:
        InvalidInput: A token was given, and it is bound to none: who believes that a token guards it shall know.
        StaleFence: Another token than the runtime's, or none where one is needed.
        RuntimeDestroyed: The runtime has been destroyed.
    """
    if runtime_id is None:
        if fence is not None:
            raise InvalidInput(detail=f"the {what} is bound to no runtime, so no token guards it", field="fence")
        return
    bound = LogicalRuntimeId(runtime_id)
    fences.check_fence(tx, Commit(runtime_id=bound, fence_token=fence, changes=(Change(),)))
    if runtimes.load(tx, bound).state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=bound)


def check_fence(tx: Transaction, stream_id: StreamId, fence: int | None) -> None:
    """`check_bound` for a stream, which need not be there."""
    record = load(tx, stream_id)
    check_bound(tx, "stream", None if record is None else record.runtime_id, fence)
