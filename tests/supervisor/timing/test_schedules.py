"""Schedules: each instant becomes one input or is skipped with its reason, whatever happens (design §21)."""

from __future__ import annotations

import datetime as dt
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, NotFound
from tests.kit import hosting
from tests.kit.hosting import EPOCH, cut_off, forever, nothing, peek

BEHAVIOURS = {"kind": nothing}
host = partial(hosting.host, limits=tenure.Limits(poll_s=2))
"""Few looks at other hosts: virtual hours cost little then."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


async def story(schedules: tenure.Schedules, schedule_id: str = "s") -> list[tuple[float, str | None]]:
    """When each instant was due, from the first test second on, and why it was skipped."""
    found = await schedules.occurrences(schedule_id)
    return [(each.scheduled_at - EPOCH, each.skipped) for each in reversed(found)]


async def test_every_instant_becomes_one_input_and_stands_with_it(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, BEHAVIOURS) as one:
        made = await one.schedules.create("s", "a", tenure.Every(100), {"go": 1}, "kind")
        again = await one.schedules.create("s", "a", tenure.Every(100), {"go": 1}, "kind")
        assert made == again
        await trio.sleep(350)
        occurrences = await one.schedules.occurrences("s")
        assert [each.scheduled_at - made.created_at for each in occurrences] == [300, 200, 100]
        for each in occurrences:
            assert each.input_id is not None
            assert (await (await one.ticket("a", input_id=each.input_id)).wait_outcome()).phase == "consumed"
        with pytest.raises(InvalidInput):
            await one.schedules.create("s", "a", tenure.Every(200), {"go": 1}, "kind")


async def test_instants_that_are_near_one_another_are_each_decided_in_their_time(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, BEHAVIOURS) as one:
        await one.schedules.create("s", "a", tenure.Every(1, _at(0)), None, "kind", jitter_s=0.5)
        await one.schedules.create("r", "b", tenure.Every(3, _at(0)), None, "kind")
        await trio.sleep(20.9)
        found = [*await one.schedules.occurrences("s"), *await one.schedules.occurrences("r")]
        assert sorted(each.scheduled_at - EPOCH for each in found) == sorted([*range(1, 21), *range(3, 21, 3)])
        assert not [each for each in found if each.skipped is not None or each.decided_at - each.scheduled_at >= 1]


@pytest.mark.parametrize("hosts", [2, 3])
async def test_several_hosts_fire_each_instant_once(database: Path, autojump_clock: MockClock, hosts: int) -> None:
    async with host(database, BEHAVIOURS) as one, trio.open_nursery() as nursery:  # owned by this test

        async def another() -> None:
            async with host(database, BEHAVIOURS):
                await trio.sleep(330)

        for _ in range(hosts - 1):
            nursery.start_soon(another)
        await one.schedules.create("s", "a", tenure.Every(60, _at(0)), None, "kind")
        await trio.sleep(320)
        assert await story(one.schedules) == [(each, None) for each in (60, 120, 180, 240, 300)]
        assert peek(database, "SELECT count(*) FROM inputs") == [[5]]


async def test_an_idle_host_fires_what_another_one_has_made_and_left(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, BEHAVIOURS) as one:
        await trio.sleep(20)  # nothing is stored for a time: it does not look
        async with host(database, {}) as another:
            await another.schedules.create("s", "a", tenure.Every(1_000, _at(0)), None, "kind")
        await trio.sleep(1_000)
        assert await story(one.schedules) == [(1_000, None)]


async def test_an_idle_host_fires_what_another_one_has_made_that_it_never_saw(
    database: Path, autojump_clock: MockClock
) -> None:
    limits = tenure.Limits(lease_s=3_000, renew_s=1_000, poll_s=2)
    async with hosting.host(database, BEHAVIOURS, limits=limits) as one:
        await trio.sleep(21)
        async with hosting.host(database, {}, limits=limits) as another:  # it comes and goes between two looks
            await another.schedules.create("s", "a", tenure.Every(60, _at(0)), None, "kind")
        await trio.sleep(200)
        assert await story(one.schedules) == [(60, None), (120, None), (180, None)]


def _at(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(EPOCH + seconds, tz=dt.UTC)


@pytest.mark.parametrize(
    ("catch_up", "told"),
    [
        ("all", ["missed", "missed", None, None, None]),
        ("latest", ["missed", "missed", "missed", "missed", None]),
        ("none", ["missed"] * 5),
    ],
)
async def test_what_passed_while_no_host_looked_is_made_good_or_missed(
    database: Path, autojump_clock: MockClock, catch_up: str, told: list[str | None]
) -> None:
    async def create(one: tenure.Supervisor) -> None:
        when = tenure.Every(1_000, _at(0))
        await one.schedules.create("s", "a", when, None, "kind", overlap="queue", catch_up=catch_up, catch_up_s=2_600)

    await cut_off(database, BEHAVIOURS, create)
    await trio.sleep(5_500)
    async with host(database, BEHAVIOURS) as one:
        await trio.sleep(1)
        assert await story(one.schedules) == list(zip([1_000, 2_000, 3_000, 4_000, 5_000], told, strict=True))


async def test_a_clock_that_is_set_back_fires_nothing_twice(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = 0.0
    monkeypatch.setattr(hosting, "wall_clock", lambda: EPOCH + trio.current_time() + shift)
    async with host(database, BEHAVIOURS) as one:
        await one.schedules.create("s", "a", tenure.Every(100, _at(0)), None, "kind", catch_up="none")
        await trio.sleep(250)
        shift = -200.0
        await trio.sleep(200)  # the clock shows 50 to 250 again
        assert await story(one.schedules) == [(100, None), (200, None)]
        shift = 1_000.0
        await trio.sleep(40)  # from 250 to 1,450
        assert await story(one.schedules) == [
            (100, None),
            (200, None),
            *((float(each), "missed") for each in range(300, 1_400, 100)),
            (1_400, None),
        ]


async def test_an_instant_that_meets_the_one_before_is_skipped_or_queued(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": forever}) as one:
        for overlap in ("skip", "queue"):
            await one.schedules.create(overlap, overlap, tenure.Every(100, _at(0)), None, "kind", overlap=overlap)
        await trio.sleep(250)
        assert await story(one.schedules, "skip") == [(100, None), (200, "overlap")]
        assert await story(one.schedules, "queue") == [(100, None), (200, None)]


async def test_a_paused_schedule_says_so_of_each_instant_and_can_be_triggered(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, BEHAVIOURS) as one:
        await one.schedules.create("s", "a", tenure.Every(100, _at(0)), None, "kind")
        assert await one.schedules.pause("s", "holidays")
        assert not await one.schedules.pause("s")
        await trio.sleep(150)
        assert (await one.schedules.get("s")).note == "holidays"
        made = await one.schedules.trigger("s")
        assert made.triggered
        assert made.input_id is not None
        assert await one.schedules.resume("s")
        await trio.sleep(100)
        assert [skipped for _, skipped in await story(one.schedules)] == ["paused", None, None]


async def test_five_refusals_in_a_row_pause_a_schedule_with_a_note(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, BEHAVIOURS) as one:
        await one.schedules.create("s", "not there", tenure.Every(100, _at(0)), None)
        await trio.sleep(650)
        assert [skipped for _, skipped in await story(one.schedules)] == ["refused"] * 5 + ["paused"]
        found = await one.schedules.get("s")
        assert found.paused_at is not None
        assert "5 inputs in a row were refused" in found.note


async def test_jitter_is_drawn_once_and_stays_within_its_bound(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, BEHAVIOURS) as one:
        await one.schedules.create("s", "a", tenure.Every(100, _at(0)), None, "kind", jitter_s=30)
        await trio.sleep(1_000)
        late = [each.decided_at - each.scheduled_at for each in await one.schedules.occurrences("s")]
    assert len(late) == 9
    assert all(0 <= each < 31 for each in late)
    assert len({round(each, 3) for each in late}) == 9


@pytest.mark.slow
async def test_a_schedule_is_updated_from_its_next_instant_on_and_deleted(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, BEHAVIOURS) as one:
        await one.schedules.create("s", "a", tenure.Every(100, _at(0)), 1, "kind", ends_at=_at(1_000))
        await trio.sleep(150)
        updated = await one.schedules.update("s", when=tenure.Every(1_000, _at(70)), payload=2, ends_at=None)
        assert (updated.next_at, updated.payload, updated.ends_at) == (EPOCH + 1_070, 2, None)
        unknown: Any = {"whenever": 1}
        with pytest.raises(InvalidInput) as refused:
            await one.schedules.update("s", **unknown)
        assert refused.value.field == "whenever"
        assert "ends_at, payload" in refused.value.detail
        assert [each.schedule_id for each in await one.schedules.list()] == ["s"]
        assert await one.schedules.delete("s")
        assert not await one.schedules.delete("s")
        with pytest.raises(NotFound):
            await one.schedules.get("s")
        await trio.sleep(2_000)
        assert peek(database, "SELECT count(*) FROM inputs") == [[1]]


async def test_a_schedule_that_ends_before_it_starts_is_refused(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, BEHAVIOURS) as one:
        with pytest.raises(InvalidInput):
            await one.schedules.create("s", "a", tenure.Every(60), None, "kind", starts_at=_at(100), ends_at=_at(99))
        made = await one.schedules.create("s", "a", tenure.Every(60), None, "kind", ends_at=_at(1_000))
        with pytest.raises(InvalidInput):
            await one.schedules.update("s", starts_at=_at(1_001))
        assert await one.schedules.get("s") == made
        far = await one.schedules.create(
            "far", "a", tenure.Every(60), None, "kind", starts_at=dt.datetime.max.replace(tzinfo=dt.UTC)
        )
        assert far.next_at is None


async def test_a_start_that_is_an_instant_is_the_first_one(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, BEHAVIOURS) as one:
        made = await one.schedules.create(
            "s", "a", tenure.Every(100, _at(0)), None, "kind", starts_at=_at(300), ends_at=_at(400)
        )
        assert made.next_at == EPOCH + 300
        await trio.sleep(1_000)
        assert await story(one.schedules) == [(300, None), (400, None)]
        assert (await one.schedules.get("s")).next_at is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: tenure.Cron("0 8 * *"),
        lambda: tenure.Cron("0 8 * * *", timezone="Atlantis/Main"),
        lambda: tenure.Cron("0 8 * * *", timezone="../etc/passwd"),
        lambda: tenure.Cron("0 0 31 2 *"),
        lambda: tenure.Every(0.5),
        lambda: tenure.Every(float("inf")),
        lambda: tenure.Every(60, dt.datetime(2030, 1, 1)),  # noqa: DTZ001 - that is what is refused
    ],
    ids=["fields", "zone", "path", "never", "short", "endless", "naive"],
)
def test_a_timetable_that_says_no_time_is_refused_where_it_is_made(make: Any) -> None:
    with pytest.raises(InvalidInput):
        make()
