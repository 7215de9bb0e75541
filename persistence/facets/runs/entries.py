"""Entries: the record of a run (design §18).

Everything that a run does through `run` stands here, each entry at its place. The result of a step is on disk before anyone
sees it; a step that must never run twice, or that runs again under its key, is on disk before it runs. A step that failed runs
again when its run enters again, until something stands on its error: from then on it is caught, and fails in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

import msgspec
from attrs import frozen

from tenure.errors import Corrupt, NotFound, PayloadTooLarge
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import (
    NUMBER,
    OPTIONAL_BYTES,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    Types,
    check_row,
    member,
    sound,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records import run_records, runtimes
from tenure.persistence.model.codec import encode
from tenure.persistence.model.digests import check_digest
from tenure.persistence.model.entries import (
    SETTLED,
    EntryKind,
    EntryStatus,
    Repeat,
    add_doubts,
    seal_of,
)
from tenure.persistence.model.values import LogicalRuntimeId, RunId


@final
@frozen(kw_only=True, slots=True)
class RecordEntry(Change):
    """Record that an entry has begun, or how it ended. Answer: None.

    Attributes:
        runtime_id: Whose run.
        run_id: The current run.
        place: Where it stands.
        kind: What it is.
        name: Name of the step or patch; else that of the kind.
        repeat: How a step may be repeated; all else repeats freely.
        arguments_digest: SHA-256 of the encoded arguments.
        call_key: The key of a step that is keyed: drawn once, and given to each of its attempts.
        status: How far it has come.
        attempt: Which attempt of a step, from 1.
        version: Version of the behaviour that recorded it.
        result: Encoded result of what succeeded, at most `Limits.payload_bytes`.
        error: What it raised, for people.
        started_at: Unix seconds.
        ended_at: Unix seconds; None while it is not over.
        next_at: When the next attempt begins, unix seconds.
        drawn: Times that the behaviour was given since what it asked for before, unix seconds.
        asked_after: Of a step with a call id: the place that its branch had reached when it was asked for.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    place: str
    kind: EntryKind
    name: str
    repeat: Repeat = Repeat.FREELY
    arguments_digest: bytes
    call_key: str | None = None
    status: EntryStatus
    attempt: int = 1
    version: str
    result: bytes | None = None
    error: str | None = None
    started_at: float
    ended_at: float | None = None
    next_at: float | None = None
    drawn: tuple[float, ...] = ()
    asked_after: str | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.result or b"")


def _record(tx: Transaction, change: RecordEntry) -> None:
    if change.result is not None:
        _check_size(tx, change.result)
    write(tx, change)


def write(tx: Transaction, change: RecordEntry) -> None:
    """Record an entry inside the commit of another facet."""
    run = run_records.current(tx, change.runtime_id, change.run_id)
    if change.version and run.version != change.version:
        run.version = change.version
        run_records.save(tx, run)
    tx.write(
        "entries.record",
        run=run.run,
        place=change.place,
        kind=change.kind,
        name=change.name,
        repeat=change.repeat,
        arguments_digest=change.arguments_digest,
        call_key=change.call_key,
        status=change.status,
        attempt=change.attempt,
        version=change.version,
        result=change.result,
        result_digest=seal_of(
            change.name,
            change.arguments_digest,
            change.call_key,
            change.result,
            change.error,
            terms=(change.kind, change.repeat, change.status),
        ),
        error=change.error,
        started_at=change.started_at,
        ended_at=change.ended_at,
        next_at=change.next_at,
        drawn=encode(change.drawn, "drawn").decode() if change.drawn else None,
        asked_after=change.asked_after,
    )


@final
@frozen(kw_only=True, slots=True)
class RecordedEntry:
    """An entry as it is stored; fields as in `RecordEntry`.

    Attributes:
        apart: Where its result stands, where that was not read with it.
    """

    place: str
    kind: EntryKind
    name: str
    repeat: Repeat
    arguments_digest: bytes
    call_key: str | None
    status: EntryStatus
    attempt: int
    version: str
    result: bytes | None
    error: str | None
    started_at: float
    ended_at: float | None
    next_at: float | None
    drawn: tuple[float, ...] = ()
    asked_after: str | None = None
    apart: Apart | None = None


LONGEST_BESIDE: Final = 1024
"""Bytes of a step's result up to which it is read with its entry, which takes as much memory itself."""


@final
@frozen(slots=True)
class Apart:
    """Where the result of an entry stands that was not read with it.

    Attributes:
        entry: Key of its row.
        size: Bytes of it.
    """

    entry: int
    size: int


def outline(statements: Statements, run: int) -> list[RecordedEntry]:
    """As `of_run`, with the long results of steps left `apart`: a run that enters again reads them as it reaches them."""
    rows = statements.all("entries.outline", run=run, longest=LONGEST_BESIDE)
    return [_decode(row, None if row[-1] is None else _apart(row)) for row in rows]


def results(statements: Statements, run: int, left: Iterable[RecordedEntry]) -> list[bytes]:
    """The results that were left apart. Raises `Corrupt`."""
    return [_result(statements, run, entry, entry.apart) for entry in left if entry.apart is not None]


def _result(statements: Statements, run: int, entry: RecordedEntry, apart: Apart) -> bytes:
    key = f"{entry.name} at {entry.place}"
    row = statements.one("entries.result", run=run, entry=apart.entry)
    if row is None:
        raise Corrupt(record="entry", key=key, detail="it is gone")
    check_row(row, (bytes, bytes, int), "entry", key)
    result: bytes = row[0]
    _, kept, scheme = row
    terms = (entry.kind, entry.repeat, entry.status)
    whole = seal_of(entry.name, entry.arguments_digest, entry.call_key, result, entry.error, terms=terms)
    check_digest(whole, kept, scheme, "entry", key)
    return result


def of_run(statements: Statements, run: int) -> list[RecordedEntry]:
    """The entries of a run, in the order in which they were first recorded. Raises `Corrupt`."""
    return [_decode(row) for row in statements.all("entries.of_run", run=run)]


_BEGUN: Final[Types] = (str, str, str, str, bytes, OPTIONAL_TEXT, str, int, str)
_ENDED: Final[Types] = (OPTIONAL_BYTES, bytes, OPTIONAL_TEXT, NUMBER, OPTIONAL_NUMBER, OPTIONAL_NUMBER)
_TYPES: Final[Types] = (*_BEGUN, *_ENDED, OPTIONAL_TEXT, OPTIONAL_TEXT, int)


def _decode(row: Row, apart: Apart | None = None) -> RecordedEntry:
    key = f"{row[2]} at {row[0]}"
    check_row(row, _TYPES, "entry", key)
    place, kind, name, repeat, arguments, call_key, status, attempt, version, result, kept, error = row[:12]
    started_at, ended_at, next_at, drawn, asked_after, scheme = row[12:18]
    if apart is None:
        whole = seal_of(name, arguments, call_key, result, error, terms=(kind, repeat, status))
        check_digest(whole, kept, scheme, "entry", key)
    return RecordedEntry(
        place=place,
        kind=member(EntryKind, kind, "entry", key),
        name=name,
        repeat=member(Repeat, repeat, "entry", key),
        arguments_digest=arguments,
        call_key=call_key,
        status=member(EntryStatus, status, "entry", key),
        attempt=attempt,
        version=version,
        result=result,
        error=error,
        started_at=started_at,
        ended_at=ended_at,
        next_at=next_at,
        drawn=() if drawn is None else _drawn(drawn, key),
        asked_after=asked_after,
        apart=apart,
    )


def _apart(row: Row) -> Apart:
    check_row(row[-2:], (int, int), "entry", f"{row[2]} at {row[0]}")
    return Apart(row[-2], row[-1])


def _drawn(stored: str, key: str) -> tuple[float, ...]:
    try:
        return msgspec.json.decode(stored, type=tuple[float, ...])
    except (msgspec.MsgspecError, UnicodeEncodeError) as exc:
        raise Corrupt(record="entry", key=key, detail="its times cannot be read") from exc


@final
@frozen(kw_only=True, slots=True)
class CatchEntry(Change):
    """Say that the current run has caught the error of a step: it stands in the commit of what the run records after it.

    From then on the step does not run again, and raises the same. Answer: None.

    Attributes:
        runtime_id: Whose.
        run_id: The current run.
        place: Where the step stands.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    place: str


def _catch(tx: Transaction, change: CatchEntry) -> None:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    tx.write("entries.catch", run=run.run, place=change.place)


@final
@frozen(kw_only=True, slots=True)
class DoubtEntries(Change):
    """Say that the dispatched steps of the current run that never repeat may have run: whatever its runtime is held for.

    Stands in the commit of that hold, after it, and adds them to its detail. Answer: them, as `add_doubts` takes them.

    Attributes:
        runtime_id: Whose.
        run_id: The current run.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId


def _doubt(tx: Transaction, change: DoubtEntries) -> tuple[tuple[str, str], ...]:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    found = tuple(in_doubt(tx, run.run))
    if found:
        tx.write("entries.doubt", run=run.run)
        record = runtimes.load(tx, change.runtime_id)
        record.held_detail = add_doubts(record.held_detail or "", found)
        runtimes.save(tx, record)
    return found


def in_doubt(statements: Statements, run: int) -> list[tuple[str, str]]:
    """The steps of a run that never repeat and have no end, by place and name: where none executes, they may have run."""
    return [(place, name) for place, name in sound(statements.all("entries.in_doubt", run=run), (str, str))]


@final
@frozen(kw_only=True, slots=True)
class SettleEntry(Change):
    """Say what became of a step in doubt. Answer: None. Refused with `NotFound` where there is none.

    Two may say so. The run that has entered again, before it goes on. And a person, while the runtime is held for whatever:
    otherwise the step may be executed at this moment, and must not be forgotten.

    Attributes:
        runtime_id: Whose.
        run_id: The run that says so itself, which must be the current one; None where a person does.
        place: Where the step stands in its current run.
        ran: Whether it ran; if it did not, it will be dispatched again.
        result: Encoded result, where it ran, at most `Limits.payload_bytes`.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId | None = None
    place: str
    ran: bool
    result: bytes = b"null"

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.result)


def _settle(tx: Transaction, change: SettleEntry) -> None:
    _check_size(tx, change.result)
    record = runtimes.load(tx, change.runtime_id)
    if change.run_id is not None:
        run_records.current(tx, change.runtime_id, change.run_id)
    elif record.held is None:
        raise _not_in_doubt(change.place)
    which = {"run": record.run, "place": change.place}
    row = tx.one("entries.sealed", **which)
    if row is None:
        raise _not_in_doubt(change.place)
    if change.ran:
        said = None if change.run_id is not None else SETTLED
        terms = (row[3], row[4], EntryStatus.SUCCEEDED)
        whole = seal_of(row[0], row[1], row[2], change.result, said, terms=terms)
        settled = tx.run("entries.settle", now=tx.now, result=change.result, error=said, result_digest=whole, **which)
    else:
        settled = tx.run("entries.forget_doubtful", **which)
    if not settled:
        raise _not_in_doubt(change.place)


def doubtful(statements: Statements, run: int) -> list[tuple[str, str]]:
    """The steps of a run, each with place and name, that were dispatched and have no end: they may have run."""
    return [(place, name) for place, name in sound(statements.all("entries.doubtful", run=run), (str, str))]


def carry(tx: Transaction, run: int, into: int) -> int:
    """Give every step of a run that must not be done twice to the run that takes its place; how many there are."""
    return tx.run("entries.carry", run=run, into=into)


def _not_in_doubt(place: str) -> NotFound:
    return NotFound(what="step in doubt", key=place, advice="check the place")


def _check_size(tx: Transaction, result: bytes) -> None:
    if len(result) > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=len(result), limit=tx.limits.payload_bytes)


FACET: Final = Facet(
    name="entries",
    handlers={
        RecordEntry: Handler(apply=_record),
        CatchEntry: Handler(apply=_catch),
        DoubtEntries: Handler(apply=_doubt),
        SettleEntry: Handler(apply=_settle),
    },
)
