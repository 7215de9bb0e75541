"""Schedules: inputs that come by a timetable, each instant once (design §21).

A schedule knows the first instant that is not decided. What has come is decided by one commit: a row for each instant, with the
input that it became or why it became none, the inputs themselves, and the next instant. It lands only where the schedule
is at the revision that was decided on, so of several hosts one decides; an instant that is decided never comes again,
whatever the clock is set to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import msgspec
from attrs import evolve, field, frozen

from tenure.errors import InboxFull, InvalidInput, NotFound, PayloadTooLarge, RuntimeDestroyed
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.inbox import inputs, newcomers
from tenure.persistence.facets.records import runtimes
from tenure.persistence.facets.runs.addressed import REFUSALS
from tenure.persistence.model.codec import digest
from tenure.persistence.model.values import InputId, LogicalRuntimeId, RuntimeState, SessionId

from . import rows
from .rows import Occurrence
from .terms import (
    REFUSALS_IN_A_ROW,
    Instant,
    Overlap,
    ScheduleRecord,
    ScheduleTerms,
    Skipped,
    anchored_as,
    decide,
)

_encode: Final = msgspec.json.Encoder().encode

_REFUSED: Final = (*REFUSALS, InboxFull)


@final
@frozen(kw_only=True, slots=True)
class WriteSchedule(Change):
    """Make a schedule, or write one that is there at a revision. Answer: `ScheduleRecord`.

    Where it is made, the same again changes nothing, and an id that is taken with other terms is `InvalidInput`. Else the
    answer is None where it was written meanwhile, and it is `NotFound` where it is gone. Where it `replaces`, the answer is
    None in place of these two errors. For a runtime that is destroyed it is `RuntimeDestroyed`: no input of it could ever land.

    Attributes:
        schedule_id: Its id.
        terms: What its user says of it.
        payload: Encoded, of every input.
        next_at: The first instant, or None.
        fires_at: The same with its jitter.
        expected: The revision that it is written on; None makes it.
        is_anchored: Whether the anchor of its timetable is its user's; else that of one with as many seconds is as good.
        replaces: Whether one that is there is to get these terms: who asks for that looks again, and writes on what is found.
    """

    ingress = True

    schedule_id: str
    terms: ScheduleTerms
    payload: bytes = field(repr=False)
    next_at: float | None
    fires_at: float | None
    expected: int | None = None
    is_anchored: bool = True
    replaces: bool = False

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.payload)


def _write(tx: Transaction, change: WriteSchedule) -> ScheduleRecord | None:
    if len(change.payload) > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=len(change.payload), limit=tx.limits.payload_bytes)
    target = runtimes.find(tx, LogicalRuntimeId(change.terms.runtime_id))
    if target is not None and target.state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=target.runtime_id)
    known = rows.find(tx, change.schedule_id)
    if change.expected is not None:
        return _write_on(tx, known, change, change.expected)
    if known is not None:
        other = other_terms(known, change)
        if not other:
            return known
        if change.replaces:
            return None
        said = f"there is a schedule of this id with other terms ({', '.join(other)})"
        raise InvalidInput(detail=f"{said}; update it, or say replace_existing=True", field="schedule_id")
    record = ScheduleRecord(
        schedule=0,
        schedule_id=change.schedule_id,
        terms=change.terms,
        payload=change.payload,
        next_at=change.next_at,
        fires_at=change.fires_at,
        created_at=tx.now,
    )
    rows.insert(tx, record)
    return record


def _write_on(
    tx: Transaction, known: ScheduleRecord | None, change: WriteSchedule, revision: int
) -> ScheduleRecord | None:
    if known is None and not change.replaces:
        raise NotFound(what="schedule", key=change.schedule_id)
    if known is None or known.revision != revision:
        return None
    written = evolve(
        known, terms=change.terms, payload=change.payload, next_at=change.next_at, fires_at=change.fires_at
    )
    return _save(tx, written)


def other_terms(known: ScheduleRecord, change: WriteSchedule) -> list[str]:
    """The names, as users know them, of what a change says otherwise than a schedule that is there."""
    stored, given = known.terms, change.terms
    if not change.is_anchored:
        given = anchored_as(given, stored)
    # What a host knows of the payload is not said by its user.
    fields = [each for each in ScheduleTerms.__struct_fields__ if each != "fits"]
    other = [each for each in fields if getattr(given, each) != getattr(stored, each)]
    other += [] if change.payload == known.payload else ["payload"]
    return ["when" if each == "timetable" else each for each in other]


def _load(tx: Transaction, schedule_id: str) -> ScheduleRecord:
    record = rows.find(tx, schedule_id)
    if record is None:
        raise NotFound(what="schedule", key=schedule_id)
    return record


def _save(tx: Transaction, record: ScheduleRecord) -> ScheduleRecord:
    written = evolve(record, revision=record.revision + 1)
    rows.save(tx, written)
    return written


@final
@frozen(kw_only=True, slots=True)
class PauseSchedule(Change):
    """Pause a schedule, or let it go on. Answer: whether that changes anything.

    Attributes:
        schedule_id: Which.
        paused: Whether its instants become no inputs from now on.
        note: Why, for people.
    """

    ingress = True

    schedule_id: str
    paused: bool
    note: str = ""


def _pause(tx: Transaction, change: PauseSchedule) -> bool:
    record = _load(tx, change.schedule_id)
    if change.paused == (record.paused_at is not None):
        return False
    _save(tx, evolve(record, paused_at=tx.now if change.paused else None, note=change.note, refusals=0))
    return True


@final
@frozen(kw_only=True, slots=True)
class DeleteSchedule(Change):
    """Delete a schedule with its occurrences, also a damaged one. Its inputs stay. Answer: whether it was there."""

    ingress = True

    schedule_id: str


def _delete(tx: Transaction, change: DeleteSchedule) -> bool:
    row = tx.one("schedules.key", schedule_id=change.schedule_id)
    if row is None:
        return False
    tx.write("schedules.delete_occurrences", schedule=row[0])
    tx.write("schedules.delete", schedule=row[0])
    return True


@final
@frozen(kw_only=True, slots=True)
class FireSchedule(Change):
    """Decide instants of a schedule that have come. Answer: their occurrences; none where it is at another revision.

    Attributes:
        schedule_id: Which.
        created_at: When it was made: one that was made anew under the same id is another one.
        expected: The revision that it was decided on.
        instants: In their order.
        next_at: The first that has not come, or None.
        fires_at: The same with its jitter.
        session_id: Session of a runtime that is made with its first input.
        payload_bytes: Of all inputs that it may make.
    """

    ingress = True

    schedule_id: str
    created_at: float
    expected: int
    instants: tuple[Instant, ...]
    next_at: float | None
    fires_at: float | None
    session_id: SessionId
    payload_bytes: int = 0

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return self.payload_bytes


def fire(
    record: ScheduleRecord, now: float, *, draw: Callable[[], float], new_id: Callable[[], str], most_bytes: int
) -> FireSchedule:
    """What has come of a schedule by now, decided on what is stored of it; see `decide`.

    Raises:
        InvalidInput: Its zone is not known here.
    """
    decided = decide(record, now, draw, new_id, most_bytes=most_bytes)
    return FireSchedule(
        schedule_id=record.schedule_id,
        created_at=record.created_at,
        expected=record.revision,
        instants=decided.instants,
        next_at=decided.next_at,
        fires_at=decided.fires_at,
        session_id=SessionId(new_id()),
        payload_bytes=len(record.payload) * sum([not each.missed for each in decided.instants]),
    )


def _fire(tx: Transaction, change: FireSchedule) -> tuple[Occurrence, ...]:
    record = rows.find(tx, change.schedule_id)
    if record is None or (record.created_at, record.revision) != (change.created_at, change.expected):
        return ()
    made: list[Occurrence] = []
    for instant in change.instants:
        record, occurrence = _decide(tx, record, instant, change.session_id)
        made.append(occurrence)
        record = evolve(record, decided_through=instant.at if instant.through is None else instant.through)
    _save(tx, evolve(record, next_at=change.next_at, fires_at=change.fires_at))
    return tuple(made)


@final
@frozen(kw_only=True, slots=True)
class TriggerSchedule(Change):
    """Make one input beside the timetable, also of a schedule that is paused. Answer: its occurrence.

    Attributes:
        schedule_id: Which.
        instant: Now.
        session_id: See `FireSchedule`.
    """

    ingress = True

    schedule_id: str
    instant: Instant
    session_id: SessionId


def _trigger(tx: Transaction, change: TriggerSchedule) -> Occurrence:
    record, occurrence = _decide(tx, _load(tx, change.schedule_id), change.instant, change.session_id, triggered=True)
    _save(tx, record)
    return occurrence


def _decide(
    tx: Transaction, record: ScheduleRecord, instant: Instant, session_id: SessionId, *, triggered: bool = False
) -> tuple[ScheduleRecord, Occurrence]:
    skipped = None if triggered else _why_skipped(tx, record, instant)
    detail: str | None = None
    if skipped is None:
        try:
            _admit(tx, record, instant, session_id)
        except _REFUSED as exc:
            skipped, detail = Skipped.REFUSED, str(exc)
    input_id: InputId | None = None
    if skipped is None:
        input_id = instant.input_id
        record = evolve(record, last_input=input_id, refusals=0)
    elif skipped is Skipped.REFUSED and not triggered:
        record = _refused(tx, record, detail or "")
    made = Occurrence(
        number=0,
        schedule_id=record.schedule_id,
        scheduled_at=instant.at,
        through=instant.through,
        local_time=instant.local_time,
        utc_offset_s=instant.utc_offset_s,
        decided_at=tx.now,
        input_id=input_id,
        skipped=skipped,
        detail=detail,
        triggered=triggered,
    )
    return record, rows.insert_occurrence(tx, record, made)


def _why_skipped(tx: Transaction, record: ScheduleRecord, instant: Instant) -> Skipped | None:
    if record.paused_at is not None:
        return Skipped.PAUSED
    if instant.missed:
        return Skipped.MISSED
    if record.terms.overlap is Overlap.SKIP and record.last_input is not None:
        last = tx.one("schedules.unfinished", runtime_id=record.runtime_id, input_id=record.last_input)
        return None if last is None else Skipped.OVERLAP
    return None


def _admit(tx: Transaction, record: ScheduleRecord, instant: Instant, session_id: SessionId) -> None:
    kind, target = record.terms.kind, runtimes.find(tx, record.runtime_id)
    of_kind = kind if target is None else target.kind
    source = {"type": "schedule", "schedule_id": record.schedule_id, "scheduled_at": instant.at}
    inputs.admit(
        tx,
        inputs.AcceptInput(
            runtime_id=LogicalRuntimeId(record.terms.runtime_id),
            input_id=instant.input_id,
            source=_encode(source).decode(),
            payload=record.payload,
            payload_digest=digest(record.payload),
            fitted=None if of_kind is None else dict(record.terms.fits).get(of_kind),
            newcomer=None if kind is None else newcomers.Newcomer(kind=kind, session_id=session_id),
        ),
    )


def _refused(tx: Transaction, record: ScheduleRecord, detail: str) -> ScheduleRecord:
    refusals = record.refusals + 1
    if refusals < REFUSALS_IN_A_ROW:
        return evolve(record, refusals=refusals)
    note = f"{refusals} inputs in a row were refused: {detail}"
    return evolve(record, refusals=refusals, paused_at=tx.now, note=note)


FACET: Final = Facet(
    name="schedules",
    handlers={
        WriteSchedule: Handler(apply=_write),
        PauseSchedule: Handler(apply=_pause),
        DeleteSchedule: Handler(apply=_delete),
        FireSchedule: Handler(apply=_fire),
        TriggerSchedule: Handler(apply=_trigger),
    },
)
