"""Output as rows: chunks of entries, each written with a commit, and what goes when there are too many (design §22).

A chunk is what one commit has of one run. Its key is drawn from one counter for the store, and names the place of its entries;
the newest chunk of the store is never deleted, so that no key is given twice. Each execution of a run says one **speech**: it
counts its entries, and sends them again until it has heard that they are on disk. What is there already is left out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from attrs import define
from msgspec.structs import replace

from tenure.persistence.commits.rows import NUMBER, Types, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.codec import encode
from tenure.persistence.model.digests import seal
from tenure.persistence.model.lifecycles.retention import Retention
from tenure.persistence.model.output import OutputKind, Place, Said, encode_chunk

RECORD: Final = "output"

TRIMMED: Final = 8
"""Most old chunks that an append deletes: more than it adds, so that in the end nothing is left that is too old."""

_LAST: Final[Types] = (str, str, int, int, int)
_OLDEST: Final[Types] = (int, int, int, NUMBER)


@final
@define(slots=True)
class Head:
    """The end of the output of a runtime, and its beginning.

    `number`: entries of the last speech; `total`: entries of the runtime; `gone`: those of them that were deleted;
    `oldest_at`: when the oldest that is left was written.
    """

    speech: str = ""
    run_id: str = ""
    attempt: int = 1
    number: int = 0
    total: int = 0
    gone: int = 0
    oldest_at: float = 0.0


def append(
    tx: Transaction,
    runtime: int,
    run: int,
    run_id: str,
    said: int | None,
    *,
    speech: str,
    attempt: int,
    start: int,
    entries: Sequence[Said],
) -> int | None:
    """Write what is new of a speech; `start` is the number of its first entry here.

    Returns the first chunk of the run: `said`, where it has one, else that of now.
    """
    head = tx.record(RECORD, runtime, find)
    number = head.number if head.speech == speech else 0
    new = list(entries[max(number - start, 0) :])
    if not new:
        return said
    chunk, first = tx.key("output_chunks"), said
    if said is None:
        first = chunk
        new.insert(0, Said(OutputKind.BEGUN))
        tx.write("spoken.begin", run=run, chunk=chunk)
    number = max(number, start)
    before = len(new) - (len(entries) - (number - start))  # the entry that says that the run has begun
    for index, each in enumerate(new):
        if type(each.drop) is int:
            found = (chunk, before + each.drop - number) if each.drop >= number else None
            new[index] = replace(each, drop=found or _holding(tx, runtime, first or 0, speech, each.drop))
    number = start + len(entries)
    _insert(tx, runtime, head, new, chunk=chunk, run_id=run_id, speech=speech, attempt=attempt, number=number)
    return first


def end(tx: Transaction, run: int, outcome: str) -> None:
    """A run that has said something has ended: say so."""
    row = tx.one("spoken.of_run", run=run)
    if row is None:
        return
    check_row(row, (int, str), "run", run)
    runtime, run_id = row
    head = tx.record(RECORD, runtime, find)
    attempt = head.attempt if head.run_id == run_id else 1
    said = Said(OutputKind.ENDED, value=encode(outcome, "outcome"))
    chunk = tx.key("output_chunks")
    _insert(tx, runtime, head, [said], chunk=chunk, run_id=run_id, speech="", attempt=attempt, number=0)


def note(tx: Transaction, runtime: int, entries: Sequence[Said]) -> None:
    """Write what no run has said: events. Whatever speech goes on is counted on as before."""
    head = tx.record(RECORD, runtime, find)
    _insert(
        tx,
        runtime,
        head,
        entries,
        chunk=tx.key("output_chunks"),
        run_id=head.run_id,
        speech=head.speech,
        attempt=head.attempt,
        number=head.number,
    )


def forget_head(tx: Transaction, runtime: int) -> None:
    """Chunks of a runtime were deleted past what is kept in memory of them."""
    tx.drop(RECORD, runtime)


def save_floor(tx: Transaction, runtime: int, place: Place) -> None:
    """Everything up to this place is gone."""
    digest = seal(runtime, place[0], place[1])
    tx.write("spoken.floor", runtime=runtime, chunk=place[0], entries=place[1], digest=digest)


def seal_of(*columns: str | float | bytes) -> bytes:
    """What the digest of a chunk is of: runtime, run, speech, attempt, number, entries, total, time and body."""
    return seal(*columns)


def _insert(
    tx: Transaction,
    runtime: int,
    head: Head,
    entries: Sequence[Said],
    *,
    chunk: int,
    run_id: str,
    speech: str,
    attempt: int,
    number: int,
) -> None:
    if head.total == head.gone:
        head.oldest_at = tx.now
    head.speech, head.run_id, head.attempt, head.number = speech, run_id, attempt, number
    head.total += len(entries)
    body = encode_chunk(entries)
    tx.write(
        "spoken.insert",
        chunk=chunk,
        runtime=runtime,
        run_id=run_id,
        speech=speech,
        attempt=attempt,
        number=number,
        entries=len(entries),
        total=head.total,
        digest=seal_of(runtime, run_id, speech, attempt, number, len(entries), head.total, tx.now, body),
        now=tx.now,
        body=body,
    )
    kept = tx.retention if not tx.retention.kinds else _kept_of(tx, runtime)
    if head.total - head.gone > kept.output_entries or head.oldest_at < tx.now - kept.output_s:
        _trim(tx, runtime, head, kept)


def _kept_of(tx: Transaction, runtime: int) -> Retention:
    row = tx.one("spoken.kind", runtime=runtime)
    kind = None if row is None else row[0]
    return tx.retention.kinds.get(kind, tx.retention) if isinstance(kind, str) else tx.retention


def _trim(tx: Transaction, runtime: int, head: Head, kept: Retention) -> None:
    gone: Place | None = None
    rows = tx.all("spoken.oldest", runtime=runtime, count=TRIMMED + 1)
    for row in rows:
        check_row(row, _OLDEST, "output", row[0])
        chunk, entries, total, said_at = row
        head.gone, head.oldest_at = total - entries, said_at
        too_many = head.total - total >= kept.output_entries
        if row is rows[-1] or not (too_many or said_at < tx.now - kept.output_s):
            break
        tx.write("spoken.delete", chunk=chunk, runtime=runtime)
        gone = chunk, entries
    if gone is not None:
        save_floor(tx, runtime, gone)


def _holding(tx: Transaction, runtime: int, since: int, speech: str, entry: int) -> Place:
    """The place before an entry of a speech, which is on disk; that is its chunk's beginning where it is gone already."""
    row = tx.one("spoken.holding", runtime=runtime, since=since, speech=speech, entry=entry)
    if row is None:
        return since, 0
    check_row(row, (int, int, int), "output", since)
    chunk, entries, number = row
    return chunk, max(entries - (number - entry), 0)


def find(statements: Statements, runtime: int) -> Head:
    """The end of the output of a runtime, as it is stored. Raises `Corrupt`."""
    row = statements.one("spoken.last", runtime=runtime)
    if row is None:
        return Head()
    check_row(row, _LAST, "output", f"of runtime {runtime}")
    head = Head(*row)
    oldest = statements.one("spoken.oldest", runtime=runtime, count=1)
    if oldest is not None:
        check_row(oldest, _OLDEST, "output", oldest[0])
        head.gone, head.oldest_at = oldest[2] - oldest[1], oldest[3]
    return head
