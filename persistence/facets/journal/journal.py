"""Journals: appends, and what is read back (design §12).

An append is one change: the fence of a bound stream, the expected cursor, then facts, events and the cursor, all or nothing. A
sequence is the stream's own count, kept in its row, which every append of the stream writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from attrs import field, frozen

from tenure.errors import Corrupt, CursorConflict, InvalidInput, NotFound
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import NUMBER, OPTIONAL_TEXT, Types, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.records import runtimes
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.events.journal import (
    EncodedEvent,
    EncodedFact,
    JournalSnapshot,
    StreamId,
    event_digest,
    references_of,
    references_text,
)
from tenure.persistence.model.values import LogicalRuntimeId

from . import facts, streams

PAGE_EVENTS: Final = 500
"""Most events that one read gives."""

PAGE_BYTES: Final = 4 * 1024 * 1024
"""Bytes of events that one read gives; one event at least."""

_EVENT: Final[Types] = (int, OPTIONAL_TEXT, int, bytes, OPTIONAL_TEXT, bytes, int, NUMBER)


@final
@frozen(kw_only=True, slots=True)
class AppendEvents(Change):
    """Append events to a stream, which is made where it is not there. Answer: the new cursor.

    Attributes:
        stream: Which stream.
        events: In order; one at least.
        expected_cursor: Where the stream has to end; None for wherever it ends.
        facts: What the events refer to.
        fence: The token of the runtime that the stream is bound to.
    """

    stream: StreamId
    events: tuple[EncodedEvent, ...]
    expected_cursor: int | None = None
    facts: tuple[EncodedFact, ...] = ()
    fence: int | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return sum([len(each.payload) for each in self.events]) + sum([len(each.value or b"") for each in self.facts])


@final
@frozen(kw_only=True, slots=True)
class SaveStreamSnapshot(Change):
    """Keep a snapshot of a stream, unless a newer one is kept. Answer: whether it was kept.

    One beyond the end of the stream is replaced by any that is not: recovery discards it.
    """

    stream: StreamId
    snapshot: JournalSnapshot
    facts: tuple[EncodedFact, ...] = ()
    fence: int | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.snapshot.snapshot) + sum([len(each.value or b"") for each in self.facts])


@final
@frozen(kw_only=True, slots=True)
class SaveLog(Change):
    """Keep a whole log under an id, in place of the one before; the stream of that id is another thing. Answer: None."""

    stream: StreamId
    log: bytes = field(repr=False)
    fence: int | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.log)


@final
@frozen(kw_only=True, slots=True)
class BindStream(Change):
    """Bind a stream to a runtime, whose fence guards it from then on. Answer: None."""

    stream: StreamId
    runtime_id: LogicalRuntimeId


@final
@frozen(kw_only=True, slots=True)
class DeleteStream(Change):
    """Forget everything under an id but its facts. Answer: the integer of its row, or None where there was nothing.

    No read finds it from then on; its events go by `ClearStream`.
    """

    stream: StreamId
    fence: int | None = None


@final
@frozen(kw_only=True, slots=True)
class ClearStream(Change):
    """Delete a slice of a deleted stream's rows, and in the end its own. Answer: `Cleared`."""

    ingress = True  # no read finds it any more, and it has no owner

    stream: int
    count: int


@final
@frozen(kw_only=True, slots=True)
class Cleared:
    """What came of a `ClearStream`.

    Attributes:
        events: Events that were deleted.
        gone: Whether nothing of the stream is left.
    """

    events: int
    gone: bool


def _check_append(tx: Transaction, change: AppendEvents) -> None:
    streams.check_fence(tx, change.stream, change.fence)
    if change.expected_cursor is not None:
        record = streams.load(tx, change.stream)
        cursor = 0 if record is None else record.cursor
        if cursor != change.expected_cursor:
            raise CursorConflict(stream=change.stream, expected=change.expected_cursor, actual=cursor)


def _append(tx: Transaction, change: AppendEvents) -> int:
    record = streams.load_or_create(tx, change.stream)
    sequence = record.cursor
    streams.advance(record, len(change.events))
    streams.save(tx, record)
    for event in change.events:
        sequence += 1
        tx.insert(
            "journal.insert",
            stream=record.stream,
            sequence=sequence,
            kind=event.kind,
            version=event.version,
            payload=event.payload,
            facts=references_text(event.references),
            digest=event_digest(change.stream, sequence, event, tx.now),
            now=tx.now,
        )
    facts.declare(tx, record.stream, facts.EVENTS, change.facts)
    return sequence


def _check_snapshot(tx: Transaction, change: SaveStreamSnapshot) -> None:
    streams.check_fence(tx, change.stream, change.fence)


def _save_snapshot(tx: Transaction, change: SaveStreamSnapshot) -> bool:
    record = streams.load_or_create(tx, change.stream)
    cursor = change.snapshot.cursor
    row = tx.one("journal.snapshot_cursor", stream=record.stream)
    if row is not None and isinstance(row[0], int) and row[0] > cursor and not row[0] > record.cursor >= cursor:
        return False
    tx.write(
        "journal.save_snapshot",
        stream=record.stream,
        cursor=cursor,
        snapshot=change.snapshot.snapshot,
        digest=seal(change.stream, cursor, change.snapshot.snapshot),
        now=tx.now,
    )
    tx.write("facts.release", stream=record.stream, source=facts.SNAPSHOT)
    facts.declare(tx, record.stream, facts.SNAPSHOT, change.facts)
    return True


def _check_log(tx: Transaction, change: SaveLog) -> None:
    streams.check_fence(tx, change.stream, change.fence)


def _save_log(tx: Transaction, change: SaveLog) -> None:
    record = streams.load_or_create(tx, change.stream)
    digest = seal(change.stream, change.log)
    tx.write("journal.save_log", stream=record.stream, log=change.log, digest=digest, now=tx.now)


def _bind(tx: Transaction, change: BindStream) -> None:
    record = streams.load_or_create(tx, change.stream)
    runtime = runtimes.load(tx, change.runtime_id)
    # Its row is asked and not its record: another host may bind it at this moment.
    if not tx.run("journal.bind", stream=record.stream, runtime=runtime.runtime):
        raise InvalidInput(detail="the stream is bound to another runtime", field="stream")
    record.runtime, record.runtime_id = runtime.runtime, change.runtime_id
    streams.save(tx, record)


def _check_delete(tx: Transaction, change: DeleteStream) -> None:
    streams.check_fence(tx, change.stream, change.fence)


def _delete(tx: Transaction, change: DeleteStream) -> int | None:
    record = streams.load(tx, change.stream)
    if record is None:
        return None
    tx.write("journal.forget", stream=record.stream)
    tx.write("journal.delete_snapshot", stream=record.stream)
    tx.write("journal.delete_log", stream=record.stream)
    tx.drop(streams.RECORD, change.stream)
    return record.stream


def _clear(tx: Transaction, change: ClearStream) -> Cleared:
    if tx.one("journal.forgotten", stream=change.stream) is None:
        return Cleared(events=0, gone=True)
    events = tx.run("journal.clear", stream=change.stream, count=change.count)
    if events == change.count:
        return Cleared(events=events, gone=False)
    tx.write("facts.release_all", stream=change.stream)
    tx.write("journal.delete", stream=change.stream)
    return Cleared(events=events, gone=True)


# Reads


@final
@frozen(kw_only=True, slots=True)
class EventPage:
    """Some events of a stream, in order.

    Attributes:
        head: The cursor of the stream.
        life: Distinguishes a stream from one of the same id that was made after it was deleted.
        events: Sequence, event and time of each.
    """

    head: int
    life: tuple[int, float]
    events: Sequence[tuple[int, EncodedEvent, float]]


def page(statements: Statements, stream_id: StreamId, after: int) -> EventPage:
    """The events after a cursor, as many as a page holds.

    Raises:
        NotFound: There is no such stream.
        Corrupt: An event is missing, or is not what its digest says.
    """
    record = streams.find(statements, stream_id)
    if record is None or not record.streamed:
        raise NotFound(what="stream", key=stream_id)
    last = _last_of_page(statements, record, after)
    rows = statements.all("journal.page", stream=record.stream, after=min(after, record.cursor), last=last)
    found: list[tuple[int, EncodedEvent, float]] = []
    due = after
    for row in rows:
        due += 1
        key = f"{stream_id}:{due}"
        check_row(row, _EVENT, "event", key)
        sequence, kind, version, payload, references, digest, scheme, recorded_at = row
        event = EncodedEvent(
            kind=kind, version=version, payload=payload, references=references_of(references, "event", key)
        )
        if sequence != due:
            raise Corrupt(record="event", key=key, detail="it is missing")
        check_digest(event_digest(stream_id, sequence, event, recorded_at), digest, scheme, "event", key)
        found.append((sequence, event, recorded_at))
    if due < min(last, record.cursor):
        raise Corrupt(record="event", key=f"{stream_id}:{due + 1}", detail="it is missing")
    return EventPage(head=record.cursor, life=(record.stream, record.created_at), events=found)


def _last_of_page(statements: Statements, record: streams.StreamRecord, after: int) -> int:
    """The last sequence of a page: its sizes are asked for first, so that large events come one by one."""
    if after >= record.cursor:
        return after
    last = min(after + PAGE_EVENTS, record.cursor)
    total = 0
    for sequence, size in statements.all("journal.sizes", stream=record.stream, after=after, last=last):
        total += size if isinstance(size, int) else 0
        if total > PAGE_BYTES and isinstance(sequence, int) and sequence > after + 1:
            return sequence - 1
    return last


def head(statements: Statements, stream_id: StreamId) -> int | None:
    """The cursor of a stream; None where there is none."""
    record = streams.find(statements, stream_id)
    return None if record is None or not record.streamed else record.cursor


def ids(statements: Statements, after: str, count: int) -> list[str]:
    """A page of the ids under which anything is stored, sorted. Raises `Corrupt`."""
    rows = statements.all("journal.list", after=after, count=count)
    for row in rows:
        check_row(row, (str,), "stream", row[0])
    return [row[0] for row in rows]


def find_snapshot(statements: Statements, stream_id: StreamId) -> JournalSnapshot | None:
    """The snapshot that is kept, or None. Raises `Corrupt`."""
    row = statements.one("journal.snapshot", stream_id=stream_id)
    if row is None:
        return None
    check_row(row, (int, bytes, bytes, int), "journal snapshot", stream_id)
    check_digest(seal(stream_id, row[0], row[1]), row[2], row[3], "journal snapshot", stream_id)
    return JournalSnapshot(cursor=row[0], snapshot=row[1])


def find_log(statements: Statements, stream_id: StreamId) -> bytes | None:
    """The log that was saved whole, or None. Raises `Corrupt`."""
    row = statements.one("journal.log", stream_id=stream_id)
    if row is None:
        return None
    check_row(row, (bytes, bytes, int), "journal log", stream_id)
    log: bytes = row[0]
    check_digest(seal(stream_id, log), row[1], row[2], "journal log", stream_id)
    return log


FACET: Final = Facet(
    name="journal",
    handlers={
        AppendEvents: Handler(apply=_append, check=_check_append),
        SaveStreamSnapshot: Handler(apply=_save_snapshot, check=_check_snapshot),
        SaveLog: Handler(apply=_save_log, check=_check_log),
        BindStream: Handler(apply=_bind),
        DeleteStream: Handler(apply=_delete, check=_check_delete),
        ClearStream: Handler(apply=_clear),
    },
)
