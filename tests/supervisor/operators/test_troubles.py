"""Troubles of a host in its log: a line where one begins, and one where it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import trio

import tenure
from tenure.persistence.seams.executors import InlineExecutor
from tenure.supervisor.operators.health import HealthProblem, HealthReason
from tenure.supervisor.operators.log import HostLog
from tenure.supervisor.timing.troubles import AGAIN_S, Troubles
from tests.kit.hosting import Gate, nothing

PATIENCE_S = 60.0
FULL = HealthProblem(reason=HealthReason.DISK_NEARLY_FULL, detail="0 bytes are free")
HELD = HealthProblem(reason=HealthReason.LOG_HELD, detail="a reader holds the log")
BLOCKED = HealthProblem(reason=HealthReason.LOOP_BLOCKED, detail="it stands in a.py")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="tenure")
    return caplog


def said(lines: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(each.levelname, getattr(each, "reason", "")) for each in lines.records if each.name == "tenure.hosts"]


def test_each_trouble_is_said_once_where_it_begins_and_once_where_it_is_over(lines: pytest.LogCaptureFixture) -> None:
    troubles = Troubles(HostLog())

    for now, problems in enumerate([(), (FULL,), (FULL, BLOCKED), (FULL, HELD), (HELD,), ()]):
        troubles.hear(problems, float(now))

    assert said(lines) == [
        ("WARNING", "disk nearly full"),
        ("WARNING", "log held"),
        ("INFO", "disk nearly full"),
        ("INFO", "log held"),
    ]


def test_a_trouble_that_comes_and_goes_is_said_once_a_minute(lines: pytest.LogCaptureFixture) -> None:
    troubles = Troubles(HostLog())

    for now in range(int(AGAIN_S)):
        troubles.hear((FULL,) if now % 2 else (), float(now))
    assert said(lines) == [("WARNING", "disk nearly full"), ("INFO", "disk nearly full")]
    troubles.hear((), AGAIN_S)
    troubles.hear((FULL,), AGAIN_S + 1)

    assert said(lines)[2:] == [("WARNING", "disk nearly full")]


async def test_a_host_writes_that_its_disk_does_not_answer_though_no_caller_waits(
    tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    seams = attrs.evolve(tenure.Seams(), writer_executor=lambda: gate, reader_executor=InlineExecutor)
    limits = tenure.Limits(renew_s=0.05, lease_s=30.0)
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}, seams=seams, limits=limits):
        gate.shut()
        try:
            with trio.fail_after(PATIENCE_S):
                await until(lambda: ("WARNING", "writer stuck") in said(lines))
        finally:
            gate.open()
        with trio.fail_after(PATIENCE_S):
            await until(lambda: ("INFO", "writer stuck") in said(lines))


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - a line of the log is waited for
        await trio.sleep(0.01)
