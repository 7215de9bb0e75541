"""The rows of schedules and occurrences: read with their digests, and written."""

from __future__ import annotations

from typing import Final, final

import msgspec
from attrs import evolve, frozen

from tenure.errors import Corrupt, InvalidInput
from tenure.persistence.commits.rows import (
    NUMBER,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    Types,
    check_row,
    member,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.timetable import decode_timetable
from tenure.persistence.model.values import InputId

from .terms import ScheduleRecord, ScheduleTerms, Skipped

_encode: Final = msgspec.json.Encoder().encode

_SCHEDULE: Final[Types] = (
    *(int, str, str, str, bytes, int, OPTIONAL_NUMBER, OPTIONAL_NUMBER, OPTIONAL_NUMBER, int, OPTIONAL_NUMBER, str),
    *(OPTIONAL_TEXT, NUMBER, bytes, int),
)

_OCCURRENCE: Final[Types] = (
    *(
        int,
        str,
        NUMBER,
        OPTIONAL_NUMBER,
        str,
        int,
        NUMBER,
        OPTIONAL_TEXT,
        OPTIONAL_TEXT,
        OPTIONAL_TEXT,
        int,
        bytes,
        int,
    ),
)


@final
@frozen(kw_only=True, slots=True)
class Occurrence:
    """What became of one instant of a schedule.

    Attributes:
        number: Its place among all occurrences of the store; later ones have higher numbers.
        schedule_id: Of which schedule.
        scheduled_at: When it was due, unix seconds, without jitter.
        through: It stands for every instant from there to this time, which were skipped in a row; None: for one.
        local_time: The same as the clocks of its zone showed it, ISO 8601 with the offset.
        utc_offset_s: Seconds by which these were ahead of UTC.
        decided_at: When this was decided, unix seconds.
        input_id: The input that it became, or None.
        skipped: Why it became none: ``missed``, ``overlap``, ``paused`` or ``refused``; or None.
        detail: Of a refusal, why.
        triggered: Whether `trigger` made it, beside the timetable.
    """

    number: int
    schedule_id: str
    scheduled_at: float
    through: float | None = None
    local_time: str
    utc_offset_s: int
    decided_at: float
    input_id: InputId | None
    skipped: str | None
    detail: str | None
    triggered: bool


def read_schedule(row: Row) -> ScheduleRecord:
    """A row as it was written. Raises `Corrupt`."""
    check_row(row, _SCHEDULE, "schedule", row[1])
    key, schedule_id, runtime_id, terms, payload, revision, *times, refusals, paused_at, note, last, made = row[:14]
    next_at, fires_at, decided_through = times
    found = ScheduleRecord(
        schedule=key,
        schedule_id=schedule_id,
        terms=_terms(terms, schedule_id),
        payload=payload,
        revision=revision,
        next_at=next_at,
        fires_at=fires_at,
        decided_through=decided_through,
        refusals=refusals,
        paused_at=paused_at,
        note=note,
        last_input=None if last is None else InputId(last),
        created_at=made,
    )
    check_digest(_seal(found, terms), row[14], row[15], "schedule", schedule_id)
    if found.runtime_id != runtime_id:
        raise Corrupt(record="schedule", key=schedule_id, detail="its runtime is another than its terms say")
    return found


def find(statements: Statements, schedule_id: str) -> ScheduleRecord | None:
    """A schedule, or None where there is none of this id. Raises `Corrupt`."""
    row = statements.one("schedules.find", schedule_id=schedule_id)
    return None if row is None else read_schedule(row)


def insert(tx: Transaction, record: ScheduleRecord) -> None:
    """Write a new schedule; its key is drawn here."""
    tx.insert("schedules.insert", **_columns(record), schedule_id=record.schedule_id, created_at=record.created_at)


def save(tx: Transaction, record: ScheduleRecord) -> None:
    """Write a schedule that is there."""
    tx.write("schedules.save", schedule=record.schedule, schedule_id=record.schedule_id, **_columns(record))


def _columns(record: ScheduleRecord) -> dict[str, str | bytes | int | float | None]:
    terms = _encode(record.terms).decode()
    return {
        "runtime_id": record.terms.runtime_id,
        "terms": terms,
        "payload": record.payload,
        "revision": record.revision,
        "next_at": record.next_at,
        "fires_at": record.fires_at,
        "decided_through": record.decided_through,
        "refusals": record.refusals,
        "paused_at": record.paused_at,
        "note": record.note,
        "last_input": record.last_input,
        "digest": _seal(record, terms),
    }


def _seal(record: ScheduleRecord, terms: str) -> bytes:
    return seal(
        record.schedule_id,
        terms,
        record.payload,
        record.revision,
        record.next_at,
        record.fires_at,
        record.decided_through,
        record.refusals,
        record.paused_at,
        record.note,
        record.last_input,
        record.created_at,
    )


def _terms(stored: str, schedule_id: str) -> ScheduleTerms:
    try:
        found = msgspec.json.decode(stored, type=ScheduleTerms)
        decode_timetable(found.timetable)  # so that who asks for it later gets it
    except (msgspec.MsgspecError, UnicodeEncodeError, InvalidInput) as exc:
        raise Corrupt(record="schedule", key=schedule_id, detail="its terms cannot be read") from exc
    return found


def read_occurrence(row: Row) -> Occurrence:
    """A row as it was written. Raises `Corrupt`."""
    if row[1] is None:
        raise Corrupt(record="occurrence", key=str(row[0]), detail="its schedule is not there")
    check_row(row, _OCCURRENCE, "occurrence", row[0])
    number, schedule_id, at, through, local_time, offset, decided_at, input_id, skipped, detail, triggered = row[:11]
    check_digest(
        _seal_occurrence(
            number, schedule_id, at, through, local_time, offset, decided_at, input_id, skipped, detail, triggered
        ),
        *(row[11], row[12], "occurrence", number),
    )
    if skipped is not None:
        member(Skipped, skipped, "occurrence", str(number))
    return Occurrence(
        number=number,
        schedule_id=schedule_id,
        scheduled_at=at,
        through=through,
        local_time=local_time,
        utc_offset_s=offset,
        decided_at=decided_at,
        input_id=input_id,
        skipped=skipped,
        detail=detail,
        triggered=bool(triggered),
    )


def insert_occurrence(tx: Transaction, record: ScheduleRecord, made: Occurrence) -> Occurrence:
    """Write one; its number is drawn here."""
    number = tx.key("occurrences")  # known before its row, whose digest has it
    tx.write(
        "schedules.insert_occurrence",
        occurrence=number,
        schedule=record.schedule,
        scheduled_at=made.scheduled_at,
        through=made.through,
        local_time=made.local_time,
        utc_offset_s=made.utc_offset_s,
        decided_at=made.decided_at,
        input_id=made.input_id,
        skipped=made.skipped,
        detail=made.detail,
        triggered=int(made.triggered),
        digest=_seal_occurrence(
            number,
            record.schedule_id,
            made.scheduled_at,
            made.through,
            made.local_time,
            made.utc_offset_s,
            made.decided_at,
            made.input_id,
            made.skipped,
            made.detail,
            int(made.triggered),
        ),
    )
    return evolve(made, number=number)


def _seal_occurrence(*said: str | float | None) -> bytes:
    return seal(*said)
