"""Times that are stored are the server's, however wrong the clock of a host's machine is."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import cast

import pytest
from hypothesis import given, strategies as st

import tenure
from proof.fleet.history import server_time, wrong_times
from tenure.persistence.engines.postgres.server.clock import ASK_AFTER_S, SLACK_S, ServerClock
from tenure.persistence.engines.postgres.writer import Writer
from tenure.persistence.store import Store
from tenure.testing.observing import inside_of
from tests.kit.clocks import Clock
from tests.kit.seen import open_seen_store
from tests.kit.stores import landed, message, own

HOUR_S = 3_600.0


def clock_of(store: Store) -> ServerClock:
    return cast("Writer", vars(inside_of(store))["_connection"])._clock  # pyright: ignore[reportPrivateUsage]


def set_wrong(clock: ServerClock, seconds: float) -> None:
    """As a machine's that has slept, or whose first guess was wrong."""
    clock._offset_s += seconds  # pyright: ignore[reportPrivateUsage]


@given(
    questions=st.lists(
        st.tuples(
            st.floats(0.0, 20.0),  # the way there
            st.floats(0.0, 20.0),  # the way back
            st.floats(-1e6, 1e6) | st.floats(-0.2, 0.2),  # by how much the server was set since
        ),
        min_size=1,
        max_size=20,
    )
)
def test_it_is_wrong_by_no_more_than_the_slack_and_the_way(questions: list[tuple[float, float, float]]) -> None:
    boot = Clock(50.0)
    clock, server = ServerClock(boot), 1_000_000.0
    for there, back, step in questions:
        server += step
        asked_at = clock.asking()
        boot.now += there
        shown = round((server + boot.now) * 1e6)
        boot.now += back
        clock.answered(asked_at, shown)

        assert abs(clock() - (server + boot.now)) <= SLACK_S + there + back + 1e-5
        assert not clock.is_due
        boot.now += 2 * ASK_AFTER_S
        assert clock.is_due


def test_clocks_that_agree_are_left_alone() -> None:
    boot = Clock()
    clock = ServerClock(boot)
    before = clock()
    clock.answered(clock.asking(), round((before - SLACK_S * 0.9) * 1e6))

    assert clock() == before


@pytest.mark.slow
@pytest.mark.process
def test_a_host_on_a_machine_whose_clock_jumps_stores_the_servers_times(url: str) -> None:
    since = server_time(url)
    command = ["proof.fleet.wrong_clock", "1e6", "tests.kit.clock_host", url]
    ended = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, timeout=100, check=False)

    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    for each in ("run", "store", "look"):
        assert since - 1 <= seen[each] <= server_time(url) + 1, each
    assert max(seen["slept_s"], seen["delayed_s"]) < HOUR_S
    assert wrong_times(url, since) == []
    assert wrong_times(url, since + HOUR_S), "the check sees a time that is too early"


async def test_a_group_asks_again_once_a_minute_has_passed(url: str) -> None:
    async with open_seen_store(url) as store:
        clock = clock_of(store)
        await own(store)
        assert await landed(store) == []  # the connection that reads has been made, and asked
        set_wrong(clock, HOUR_S)
        clock._asked_at -= ASK_AFTER_S  # pyright: ignore[reportPrivateUsage]
        await store.commit(message(store, "k"))

        assert abs(clock() - server_time(url)) < HOUR_S / 2
        assert not clock.is_due


async def test_a_clock_that_was_given_decides(url: str) -> None:
    given_clock = Clock(5_000.0)
    async with open_seen_store(url, seams=tenure.Seams(wall_clock=given_clock)) as store:
        assert store.seams.wall_clock() == 5_000.0
        assert abs(clock_of(store)() - server_time(url)) < HOUR_S
