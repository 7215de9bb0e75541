"""Timetables: when a schedule is due, as a user writes it (design §21). There is no clock here.

A cron expression is read by the package cronsim, whose ways at a change of the clock hold: what names its hour is due once,
right after the gap where that hour is left out, and what has a wildcard for it goes by elapsed time.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final, final
from zoneinfo import ZoneInfo

import msgspec
from attrs import field, frozen
from cronsim import CronSim

from tenure.errors import InvalidInput
from tenure.persistence.model.arguments import check_value
from tenure.persistence.model.numbers import FIRST_S, LAST_S, check_time, in_calendar, shown

LEAST_S: Final = 1.0
"""Fewest seconds between two instants."""

LONGEST: Final = 500
"""Most characters of an expression."""

FIELDS: Final = 5
"""Of an expression: with a sixth, of seconds, cronsim has no ways at a change of the clock."""

_LOOKS_S: Final = 51 * 366 * 86_400.0
"""How far cronsim looks."""

JUST_BEFORE_S: Final = 0.001
"""What is taken off a time so that an instant which is that time comes after it."""


def _expression(given: str) -> str:
    plain: str = check_value(given, str, "expression")
    if len(plain) > LONGEST or len(plain.split()) != FIELDS:
        fields = "minute, hour, day, month and weekday"
        detail = f"a cron expression has five fields, of at most {LONGEST} characters together: {fields}"
        raise InvalidInput(detail=detail, field="expression")
    return plain


def _timezone(given: str) -> str:
    plain: str = check_value(given, str, "timezone")
    return plain


def _seconds(given: float) -> float:
    plain: float = check_value(given, float, "seconds")
    if not LEAST_S <= plain < math.inf:
        raise InvalidInput(detail=f"{plain:g} is not a number of seconds from {LEAST_S:g}", field="seconds")
    return float(plain)


@final
@frozen(slots=True)
class Cron:
    """A cron expression in a time zone. Raises `InvalidInput` for one that says no time, and for an unknown zone.

    Attributes:
        expression: Minute, hour, day, month and weekday, as cronsim reads them: ``0 8 * * 1-5``. No seconds.
        timezone: A name of the IANA database: ``Europe/Berlin``.
    """

    expression: str = field(converter=_expression)
    timezone: str = field(default="UTC", kw_only=True, converter=_timezone)

    def __attrs_post_init__(self) -> None:
        """Refuse what is never due."""
        zone = _zone(self.timezone)
        try:
            next(CronSim(self.expression, datetime(2000, 1, 1, tzinfo=zone)))
        except (
            Exception
        ) as exc:  # it reads a user's text: besides its own errors, a number of 5,000 digits is a ValueError
            raise InvalidInput(detail=f"{shown(self.expression)} says no time: {exc}", field="expression") from exc


@final
@frozen(slots=True)
class Every:
    """Every so many seconds, from an anchor on and before it. Raises `InvalidInput` for less than one second.

    Attributes:
        seconds: Between two instants, by elapsed time.
        anchor: One of the instants, a time with a time zone; None: when the schedule is made.
    """

    seconds: float = field(converter=_seconds)
    anchor: datetime | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse an anchor without a time zone, or at an end of the calendar."""
        if self.anchor is not None and not in_calendar(check_time(self.anchor, "anchor")):
            raise InvalidInput(
                detail="it is a time of the years 1 to 9999, not their first or last days", field="anchor"
            )


Timetable = Cron | Every


def spelled(when: Timetable) -> str:
    """A timetable as people read it."""
    return f"{when.expression} {when.timezone}" if isinstance(when, Cron) else f"every {when.seconds:g} s"


class _Stored(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    cron: str | None = None
    timezone: str | None = None
    every: float | None = None
    anchor: float | None = None


def encode_timetable(when: Timetable, now: float) -> str:
    """As it is stored; `now` is the anchor of one that has none."""
    if isinstance(when, Cron):
        return msgspec.json.encode(_Stored(cron=when.expression, timezone=when.timezone)).decode()
    anchor = now if when.anchor is None else check_time(when.anchor, "anchor")
    return msgspec.json.encode(_Stored(every=float(when.seconds), anchor=anchor)).decode()


def decode_timetable(stored: str) -> Timetable:
    """As it was stored, also of a zone that this host does not know: that is found where it is asked for an instant.

    Raises:
        msgspec.MsgspecError, InvalidInput: It is not what was stored.
    """
    found = msgspec.json.decode(stored, type=_Stored)
    if found.cron is not None:
        return _known(found.cron, found.timezone or "UTC")
    if found.anchor is not None and not in_calendar(found.anchor):
        raise InvalidInput(detail=f"{found.anchor:g} is not a time of the years 1 to 9999", field="anchor")
    anchor = None if found.anchor is None else datetime.fromtimestamp(found.anchor, tz=UTC)
    return Every(found.every or 0.0, anchor)


def _known(expression: str, timezone: str) -> Cron:
    """One that was looked at when it was made."""
    made = Cron.__new__(Cron)
    object.__setattr__(made, "expression", expression)
    object.__setattr__(made, "timezone", timezone)
    return made


def following(when: Timetable, after: float) -> float | None:
    """The first instant after a time, unix seconds; None where there is none in the next fifty years, or in the calendar.

    Raises:
        InvalidInput: The zone is not known here.
    """
    if after >= LAST_S:
        return None
    found = _of_every(when, after) if isinstance(when, Every) else _of_cron(when, max(after, FIRST_S))
    return None if found is None or found > LAST_S else found


def _of_every(when: Every, after: float) -> float:
    anchor = 0.0 if when.anchor is None else when.anchor.timestamp()
    number = math.floor((after - anchor) / when.seconds) + 1
    while anchor + number * when.seconds <= after:  # floats round
        number += 1
    return anchor + number * when.seconds


def _of_cron(when: Cron, after: float) -> float | None:
    start = datetime.fromtimestamp(after, tz=_zone(when.timezone))
    try:
        for found in CronSim(when.expression, start):
            instant = found.timestamp()
            if instant > after:
                return instant
    except (OverflowError, ValueError):
        if after < LAST_S - _LOOKS_S:
            raise
        # it has counted past the last day of the calendar
    return None


def local(when: Timetable, instant: float) -> datetime:
    """An instant as the clocks of its zone show it."""
    return datetime.fromtimestamp(instant, tz=_zone(when.timezone) if isinstance(when, Cron) else UTC)


@lru_cache(maxsize=1_000)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:  # also one that names no file of the database
        raise InvalidInput(detail=f"{shown(name)} is not a time zone that is known here", field="timezone") from exc
