"""Timetables over the changes of the clock of twenty zones, against an oracle that walks every minute of the day."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

import tenure
from tenure.errors import InvalidInput
from tenure.persistence.model.numbers import shown
from tenure.persistence.model.timetable import following, local

ZONES = [
    *("Europe/Berlin", "Europe/London", "Europe/Dublin", "Europe/Helsinki", "Europe/Lisbon", "Atlantic/Azores"),
    *("America/New_York", "America/Los_Angeles", "America/Chicago", "America/St_Johns", "America/Havana"),
    *("America/Santiago", "America/Asuncion", "America/Sao_Paulo", "Asia/Beirut", "Asia/Amman", "Africa/Casablanca"),
    *("Australia/Sydney", "Pacific/Auckland", "Asia/Tehran"),
]

YEAR = 2017
"""Of the last years in which the clocks of all these zones change."""


def changes(zone: str) -> list[float]:
    """The moments of the year at which its clocks change: the first second of the new time."""
    found: list[float] = []
    moment, end = (
        dt.datetime(YEAR, 1, 2, tzinfo=dt.UTC).timestamp(),
        dt.datetime(YEAR, 12, 30, tzinfo=dt.UTC).timestamp(),
    )
    while moment < end:
        if offset(zone, moment) != offset(zone, moment + 86_400):
            low, high = moment, moment + 86_400
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == offset(zone, moment) else (low, middle)
            found.append(high)
        moment += 86_400
    return found


def offset(zone: str, moment: float) -> float:
    shift = dt.datetime.fromtimestamp(moment, tz=ZoneInfo(zone)).utcoffset()
    assert shift is not None
    return shift.total_seconds()


CASES = [(zone, number, moment) for zone in ZONES for number, moment in enumerate(changes(zone))]
IDS = [f"{zone}-{number}" for zone, number, _ in CASES]


def instants(when: tenure.Cron | tenure.Every, after: float, until: float) -> list[float]:
    found: list[float] = []
    moment = following(when, after)
    while moment is not None and moment <= until:
        found.append(moment)
        moment = following(when, moment)
    return found


def minutes(zone: str, after: float, until: float) -> Iterator[tuple[float, dt.datetime]]:
    """Every minute by elapsed time, with what the clocks of the zone show."""
    moment = after - after % 60 + 60
    while moment <= until:
        yield moment, dt.datetime.fromtimestamp(moment, tz=ZoneInfo(zone))
        moment += 60


def test_every_zone_of_the_table_changes_its_clocks_twice() -> None:
    assert len(ZONES) == len(set(ZONES)) == 20
    assert {zone: len(changes(zone)) for zone in ZONES if len(changes(zone)) < 2} == {}


@pytest.mark.parametrize(("zone", "number", "change"), CASES, ids=IDS)
def test_what_has_a_wildcard_for_its_hour_goes_by_elapsed_time(zone: str, number: int, change: float) -> None:
    after, until = change - 6 * 3_600, change + 6 * 3_600
    for expression, wanted in (("*/15 * * * *", range(0, 60, 15)), ("5 * * * *", (5,))):
        expected = [moment for moment, shown in minutes(zone, after, until) if shown.minute in wanted]
        assert instants(tenure.Cron(expression, timezone=zone), after, until) == expected, (expression, number)


@pytest.mark.parametrize(("zone", "number", "change"), CASES, ids=IDS)
def test_what_names_its_hour_is_due_once_a_day_and_right_after_a_gap(zone: str, number: int, change: float) -> None:
    after, until = change - 2 * 86_400, change + 3 * 86_400
    lost = offset(zone, change) - offset(zone, change - 1)
    for hour in range(24):
        when = tenure.Cron(f"30 {hour} * * *", timezone=zone)
        found = instants(when, after, until)
        days = [local(when, moment).date() for moment in found]
        assert all(later > earlier for earlier, later in pairwise(found))
        for moment, day in zip(found, days, strict=True):
            wanted = dt.datetime.combine(day, dt.time(hour, 30), tzinfo=ZoneInfo(zone))
            if (local(when, moment).hour, local(when, moment).minute) == (hour, 30):
                assert moment == wanted.replace(fold=0).timestamp(), "the first of two"
            else:
                assert moment == change, "right after the gap"
                assert lost > 0
        assert len(set(days)) >= len(found) - 1  # a gap over midnight moves one to the next day
        assert len(found) in {4, 5, 6}, (hour, number)
        assert {day.toordinal() for day in days} >= set(range(days[0].toordinal() + 1, days[-1].toordinal()))


def test_a_day_that_a_zone_leaves_out_is_made_good_right_after_it() -> None:
    when = tenure.Cron("0 8 * * *", timezone="Pacific/Apia")  # which had no 30 December 2011
    after = dt.datetime(2011, 12, 28, 20, tzinfo=dt.UTC).timestamp()

    shown = [local(when, moment).strftime("%d %H:%M") for moment in instants(when, after, after + 3.5 * 86_400)]

    assert shown == ["29 08:00", "31 00:00", "31 08:00", "01 08:00"]


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("0 0 L * *", ["2027-01-31", "2027-02-28", "2027-03-31"]),
        ("0 0 L 2 *", ["2027-02-28", "2028-02-29", "2029-02-28"]),
        ("0 0 LW * *", ["2027-01-29", "2027-02-26", "2027-03-31"]),
        ("0 0 * * 5L", ["2027-01-29", "2027-02-26", "2027-03-26"]),
        ("0 0 * * MON#1", ["2027-01-04", "2027-02-01", "2027-03-01"]),
        ("0 0 13 * FRI", ["2027-01-01", "2027-01-08", "2027-01-13"]),
        ("0 0 31 * *", ["2027-01-31", "2027-03-31", "2027-05-31"]),
    ],
)
def test_the_forms_of_cron_that_name_days_of_few_months(expression: str, first: list[str]) -> None:
    when = tenure.Cron(expression)
    moment: float | None = dt.datetime(2026, 12, 31, 12, tzinfo=dt.UTC).timestamp()
    found: list[str] = []
    for _ in first:
        assert moment is not None
        moment = following(when, moment)
        assert moment is not None
        found.append(local(when, moment).date().isoformat())
    assert found == first


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 30 2 *",
        "0 0 31 4 *",
        "60 * * * *",
        "* * * * * *",
        "@daily",
        "",
        "1" * 5_000 + " * * * *",
        "L * * * *",
        "0 0 * * 8",
    ],
    ids=["february", "april", "minute", "seconds", "word", "nothing", "digits", "l-minute", "weekday"],
)
def test_an_expression_that_says_no_time_is_invalid(expression: str) -> None:
    said = "a cron expression has five fields|" + re.escape(f"{shown(expression)} says no time")
    with pytest.raises(InvalidInput, match=said):
        tenure.Cron(expression)


@pytest.mark.parametrize("seconds", [1, 1.1, 7, 86_400, 1e9])
def test_every_so_many_seconds_goes_on_from_its_anchor_both_ways(seconds: float) -> None:
    anchor = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    when = tenure.Every(seconds, anchor)
    after = anchor.timestamp() - 2.5 * seconds
    found: list[float] = []
    for _ in range(5):
        moment = following(when, found[-1] if found else after)
        assert moment is not None
        found.append(moment)
    assert found == pytest.approx([anchor.timestamp() + number * seconds for number in range(-2, 3)])


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_at_both_ends_of_the_calendar_there_is_an_instant_or_none(zone: str) -> None:
    last, first = dt.datetime.max.replace(tzinfo=dt.UTC).timestamp(), dt.datetime.min.replace(tzinfo=dt.UTC).timestamp()
    for when in (tenure.Cron("0 0 * * *", timezone=zone), tenure.Cron("0 0 29 2 *", timezone=zone), tenure.Every(60)):
        for after in (last - 3 * 86_400, last, last + 1e9, 1e18, 1e300):
            found = following(when, after)
            assert found is None or after < found < last
            assert found is None or local(when, found).year == 9_999
        for after in (first - 1e9, first, first + 1):
            found = following(when, after)
            assert found is not None
            assert found > after
    assert following(tenure.Cron("0 0 29 2 *", timezone=zone), last - 10 * 366 * 86_400) is not None
    assert following(tenure.Every(1e15), 1.7e9) is None
    with pytest.raises(InvalidInput):
        tenure.Every(3, dt.datetime.max.replace(tzinfo=dt.UTC))
