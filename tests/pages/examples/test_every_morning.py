"""Three weeks of schedules: every instant is done once, or stands as missed, over crashes and changes of the clock."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages.examples.stories import after_folder, tell

pytestmark = pytest.mark.process


@pytest.mark.turns(4)
@pytest.mark.slow
def test_each_morning_of_three_weeks_has_its_report_or_its_reason(tmp_path: Path) -> None:
    told = after_folder(tell("every_morning.py", "--db", tmp_path / "a.db"), tmp_path)

    assert told.count("the host dies") == 4
    reports, _, tidied = told.partition("tidy:")
    done = re.findall(r"2027-0\d-(\d\d)T(\d\d:\d\d):00\+0(\d):00: (\w+)", reports)
    assert [day for day, *_ in done] == [f"{day:02}" for day in (*range(15, 32), *range(1, 5))]
    assert {day: why for day, _, _, why in done if why != "done"} == {"20": "missed", "01": "missed"}
    assert {time for _, time, _, _ in done} == {"08:00"}
    assert [offset for _, _, offset, _ in done] == ["1"] * 13 + ["2"] * 8
    assert "19 times done" in reports
    assert "2027-03-28T03:00:00+02:00: done" in tidied, "the hour that the clocks leave out"
    assert "20 times done" in tidied
