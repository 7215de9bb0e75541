"""What a schedule says, and what is decided about its instants that have come: values and a pure decision (design §21)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, final

import msgspec
from attrs import field, frozen

from tenure.persistence.model.timetable import JUST_BEFORE_S, Every, Timetable, decode_timetable, following, local
from tenure.persistence.model.values import InputId, LogicalRuntimeId

MOST: Final = 100
"""Instants of one schedule that one commit decides."""

ONE_BY_ONE: Final = MOST - 1
"""Instants missed in a row that stand one by one; those after them, that were too late as well, stand as one."""

ON_TIME_S: Final = 60.0
"""Seconds by which an instant may be late and is still on time: no matter of `CatchUp`."""

REFUSALS_IN_A_ROW: Final = 5
"""After so many a schedule is paused."""


@final
class Overlap(StrEnum):
    """What becomes of an instant that comes while the input of the one before is unfinished."""

    SKIP = "skip"
    QUEUE = "queue"


@final
class CatchUp(StrEnum):
    """Which instants are made good that passed while no host looked."""

    ALL = "all"
    LATEST = "latest"
    NONE = "none"


@final
class Skipped(StrEnum):
    """Why an instant became no input."""

    MISSED = "missed"
    OVERLAP = "overlap"
    PAUSED = "paused"
    REFUSED = "refused"


@final
class ScheduleTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a user says of a schedule, but for its payload; stored as one JSON object.

    `fits` is what its host knew of the payload when it was given: the kinds whose class takes it, each with the version of its
    behaviour.
    """

    runtime_id: str
    kind: str | None
    timetable: str
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.ALL
    catch_up_s: float = 3_600.0
    jitter_s: float = 0.0
    starts_at: float | None = None
    ends_at: float | None = None
    fits: tuple[tuple[str, str], ...] = ()

    @property
    def when(self) -> Timetable:
        """The timetable. Raises as `decode_timetable`."""
        return decode_timetable(self.timetable)

    def first(self, after: float) -> float | None:
        """The first instant after a time that is within its bounds."""
        if self.starts_at is not None:
            after = max(after, self.starts_at - JUST_BEFORE_S)
        instant = following(self.when, after)
        return None if instant is None or (self.ends_at is not None and instant > self.ends_at) else instant


def anchored_as(given: ScheduleTerms, stored: ScheduleTerms) -> ScheduleTerms:
    """Terms whose user gave no anchor, with the one that is stored where the seconds are the same: their instants go on."""
    new, old = given.when, stored.when
    is_like = isinstance(new, Every) and isinstance(old, Every) and new.seconds == old.seconds
    return msgspec.structs.replace(given, timetable=stored.timetable) if is_like else given


@final
@frozen(kw_only=True, slots=True)
class ScheduleRecord:
    """A schedule as it is stored.

    Attributes:
        schedule: Its key.
        schedule_id: Its id.
        terms: What its user says of it.
        payload: Encoded, of every input that it makes.
        revision: Counts what was written of it.
        next_at: The first instant that is not decided, unix seconds, or None.
        fires_at: The same with its jitter.
        decided_through: The last instant that is decided; no later look decides one up to here. None before the first.
        refusals: How many in a row were refused.
        paused_at: Since when it is paused, or None.
        note: Why, for people.
        last_input: The input that its last instant became, or None.
        created_at: When it was made.
    """

    schedule: int
    schedule_id: str
    terms: ScheduleTerms
    payload: bytes = field(repr=False)
    revision: int = 1
    next_at: float | None
    fires_at: float | None
    decided_through: float | None = None
    refusals: int = 0
    paused_at: float | None = None
    note: str = ""
    last_input: InputId | None = None
    created_at: float

    @property
    def runtime_id(self) -> LogicalRuntimeId:
        """Whose inbox its inputs come into."""
        return LogicalRuntimeId(self.terms.runtime_id)


@final
@frozen(kw_only=True, slots=True)
class Instant:
    """One instant that has come.

    Attributes:
        at: When it was due, unix seconds.
        local_time: As the clocks of its zone showed it, ISO 8601 with the offset.
        utc_offset_s: Seconds by which these are ahead of UTC.
        missed: Whether it is too late for it.
        through: Until when all others were missed too, for which it stands; None: it stands for itself.
        input_id: Id of the input that it becomes.
    """

    at: float
    local_time: str
    utc_offset_s: int
    missed: bool
    through: float | None = None
    input_id: InputId


@final
@frozen(kw_only=True, slots=True)
class Decided:
    """What has come of a schedule.

    Attributes:
        instants: Those that have come, at most `MOST`.
        next_at: The first that has not, or None.
        fires_at: The same with its jitter.
    """

    instants: tuple[Instant, ...]
    next_at: float | None
    fires_at: float | None


def instant_of(
    when: Timetable, at: float, input_id: InputId, *, missed: bool = False, through: float | None = None
) -> Instant:
    """A time as an instant of a timetable."""
    shown = local(when, at)
    offset = shown.utcoffset()
    return Instant(
        at=at,
        local_time=shown.isoformat(),
        utc_offset_s=0 if offset is None else int(offset.total_seconds()),
        missed=missed,
        through=through,
        input_id=input_id,
    )


def decide(
    record: ScheduleRecord,
    now: float,
    draw: Callable[[], float],
    new_id: Callable[[], str],
    *,
    most_bytes: int,
) -> Decided:
    """What has come by now.

    An instant that is on time is not missed. A late one is made good within `catch_up_s`: each, or the newest alone, or none.
    Where more than `ONE_BY_ONE` were missed in a row, one stands for the rest of these: ten years of every second are some
    rows. One commit makes as many inputs as `most_bytes` of payloads have room for, and at least one. `draw` gives a share of
    the jitter, once for each instant.
    """
    terms, when = record.terms, record.terms.when
    at, fires_at = record.next_at, record.fires_at
    instants: list[Instant] = []
    room = max(most_bytes // max(len(record.payload), 1), 1)
    while at is not None and fires_at is not None and fires_at <= now and len(instants) < MOST and room > 0:
        if len(instants) == ONE_BY_ONE and all(each.missed for each in instants):
            through = _missed_through(terms, now)
            if at < through:
                instants.append(instant_of(when, at, InputId(new_id()), missed=True, through=through))
                at = terms.first(through)
                fires_at = None if at is None else at + draw() * terms.jitter_s
                break
        coming = terms.first(at)
        missed = _missed(terms, now - fires_at, newest=coming is None or coming > now)
        instants.append(instant_of(when, at, InputId(new_id()), missed=missed))
        room -= not missed
        at, fires_at = coming, None if coming is None else coming + draw() * terms.jitter_s
    return Decided(instants=tuple(instants), next_at=at, fires_at=fires_at)


def _missed_through(terms: ScheduleTerms, now: float) -> float:
    """A time up to which every instant is missed, whatever its jitter was or will be."""
    # What is late by just as much as it may be is still made good.
    late = now - ON_TIME_S - terms.jitter_s - JUST_BEFORE_S
    too_late = now - max(ON_TIME_S, terms.catch_up_s) - terms.jitter_s - JUST_BEFORE_S
    match terms.catch_up:
        case CatchUp.NONE:
            through = late
        case CatchUp.LATEST:
            after = terms.first(late)
            through = late if after is not None and after <= now else too_late  # there is a newer one than these
        case CatchUp.ALL:
            through = too_late
    return min(through, terms.ends_at or through)


def _missed(terms: ScheduleTerms, late_s: float, *, newest: bool) -> bool:
    if late_s <= ON_TIME_S:
        return False
    made_good = terms.catch_up is CatchUp.ALL or (terms.catch_up is CatchUp.LATEST and newest)
    return not made_good or late_s > terms.catch_up_s
