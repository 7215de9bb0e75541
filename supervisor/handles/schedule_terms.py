"""What users say of a schedule, checked, and a schedule as they read it."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, TypedDict, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.facets.schedules.terms import CatchUp, Overlap, ScheduleRecord, ScheduleTerms
from tenure.persistence.model.arguments import check_key, check_value
from tenure.persistence.model.codec import decode
from tenure.persistence.model.numbers import check_seconds, check_time
from tenure.persistence.model.timetable import Cron, Every, Timetable, encode_timetable
from tenure.persistence.model.values import LogicalRuntimeId, check_runtime_id


@final
class NewTerms(TypedDict, total=False):
    """What `Schedules.update` changes; what is not named stays."""

    runtime_id: str
    when: Cron | Every
    payload: object
    kind: str | None
    overlap: Overlap | str
    catch_up: CatchUp | str
    catch_up_s: float
    jitter_s: float
    starts_at: datetime | None
    ends_at: datetime | None


@final
@frozen(kw_only=True, slots=True)
class Schedule:
    """A schedule as it is stored.

    Attributes:
        schedule_id: Its id.
        runtime_id: Whose inbox its inputs come into.
        kind: What the runtime is made as where it is not there; None: then its inputs are refused.
        when: Its timetable.
        payload: Of every input, as a JSON value.
        overlap: ``skip`` or ``queue``.
        catch_up: ``all``, ``latest`` or ``none``.
        catch_up_s: How late an instant may be made good.
        jitter_s: Most seconds that an input is late by chance.
        starts_at: No instant before it, unix seconds, or None.
        ends_at: No instant after it, unix seconds, or None.
        next_at: The first instant that is not decided, unix seconds; None where none is left.
        paused_at: Since when it is paused, unix seconds, or None.
        note: Why, for people.
        refusals: How many of its inputs in a row were refused; the fifth pauses it.
        created_at: When it was made, unix seconds.
    """

    schedule_id: str
    runtime_id: LogicalRuntimeId
    kind: str | None
    when: Timetable
    payload: Any
    overlap: str
    catch_up: str
    catch_up_s: float
    jitter_s: float
    starts_at: float | None
    ends_at: float | None
    next_at: float | None
    paused_at: float | None
    note: str
    refusals: int
    created_at: float


def as_schedule(record: ScheduleRecord) -> Schedule:
    """A schedule as users read it. Raises `Corrupt`."""
    terms = record.terms
    return Schedule(
        schedule_id=record.schedule_id,
        runtime_id=record.runtime_id,
        kind=terms.kind,
        when=terms.when,
        payload=decode(record.payload, "schedule", record.schedule_id),
        overlap=terms.overlap,
        catch_up=terms.catch_up,
        catch_up_s=terms.catch_up_s,
        jitter_s=terms.jitter_s,
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        next_at=record.next_at,
        paused_at=record.paused_at,
        note=record.note,
        refusals=record.refusals,
        created_at=record.created_at,
    )


def terms_of(  # noqa: PLR0913 - one for each term
    now: float,
    *,
    runtime_id: str,
    when: Timetable,
    kind: str | None,
    overlap: Overlap | str,
    catch_up: CatchUp | str,
    catch_up_s: float,
    jitter_s: float,
    starts_at: datetime | float | None,
    ends_at: datetime | float | None,
) -> ScheduleTerms:
    """The terms as they are stored; `now` is the anchor of a timetable that has none. Raises `InvalidInput`."""
    given: Any = when
    if not isinstance(given, Cron | Every):
        raise InvalidInput(detail="it is a tenure.Cron or a tenure.Every", field="when")
    late, jitter = check_value(catch_up_s, float, "catch_up_s"), check_value(jitter_s, float, "jitter_s")
    for value, name in ((late, "catch_up_s"), (jitter, "jitter_s")):
        check_seconds(value, name, zero=True)
        if value == math.inf:
            raise InvalidInput(detail="it is a finite number of seconds", field=name)
    first, last = _bound(starts_at, "starts_at"), _bound(ends_at, "ends_at")
    if first is not None and last is not None and last < first:
        raise InvalidInput(detail="it is before starts_at: no instant is between them", field="ends_at")
    return ScheduleTerms(
        runtime_id=check_runtime_id(check_value(runtime_id, str, "runtime_id")),
        kind=check_key(kind, "kind"),
        timetable=encode_timetable(when, now),
        overlap=check_value(overlap, Overlap, "overlap"),
        catch_up=check_value(catch_up, CatchUp, "catch_up"),
        catch_up_s=late,
        jitter_s=jitter,
        starts_at=first,
        ends_at=last,
    )


def _bound(given: datetime | float | None, name: str) -> float | None:
    return given if given is None or isinstance(given, float) else check_time(given, name)
