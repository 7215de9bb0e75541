"""Every instant becomes one input or stands as skipped: over zones, changes of clocks, hosts, and a wall clock that is set."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

import tenure
from tenure import Store
from tenure.errors import ReadFailed
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.schedules.rows import Occurrence
from tenure.persistence.facets.schedules.terms import ON_TIME_S
from tests.kit.clocks import Clock
from tests.kit.seen import open_seen_store
from tests.kit.shares import share
from tests.persistence.contracts.damage import execute
from tests.persistence.model.test_timetable import CASES, IDS, instants

from .scheduling import decided, due, verbs

HOUR_S = 3_600.0
CATCH_UP_S = 2 * HOUR_S

EXPRESSIONS = ("30 0 * * *", "30 1 * * *", "30 2 * * *", "0 3 * * *", "*/20 * * * *")

SCENARIOS = ("up", "down", "back", "forward", "to and fro", "killed")


def looks(scenario: str, change: float) -> Iterator[float]:
    """What the wall clock shows at each look, from six hours before the change of the clock to six hours after it."""
    first, last = change - 6 * HOUR_S, change + 6 * HOUR_S
    now = first
    while now <= last:
        away = scenario == "down" and abs(now - change) < 3 * HOUR_S
        if not away:
            yield now
        now += 600
        if scenario == "back" and abs(now - change) < 300:
            yield from (now - 2 * HOUR_S + step for step in range(0, 7_200, 600))
        if scenario == "forward" and abs(now - change) < 300:
            now += 3 * HOUR_S
        if scenario == "to and fro" and abs(now - change) < 300:
            yield from (now + 4 * HOUR_S, now - 86_400, now + HOUR_S, now)


async def look_of_hosts(store: Store, now: float, hosts: int, source: random.Random, *, mortal: bool) -> None:
    """All hosts read and decide before the first of them commits; a mortal one dies anywhere between, and commits no more."""
    commits: list[Commit] = []
    for _ in range(hosts):
        records = [each for each in await due(store, now) if not isinstance(each, ReadFailed)]
        lives = source.randrange(len(records) + 1) if mortal else len(records)
        commits += [decided(store, record, now, source.random()) for record in records[:lives]]
    source.shuffle(commits)
    for commit in commits:
        await store.commit(commit)


def stands(occurrence: Occurrence, every: list[float]) -> list[float]:
    """The instants for which it stands."""
    through = occurrence.scheduled_at if occurrence.through is None else occurrence.through
    return [instant for instant in every if occurrence.scheduled_at <= instant <= through]


@pytest.mark.parametrize(("zone", "number", "change"), share(CASES, 8), ids=share(IDS, 8))
async def test_each_instant_of_each_schedule_ran_once_or_stands_as_skipped(
    zone: str, number: int, change: float
) -> None:
    source = random.Random(f"{zone} {number}")
    for scenario in SCENARIOS:
        hosts = source.choice((1, 2, 3))
        clock = Clock(change - 6 * HOUR_S - 1)
        async with open_seen_store(":memory:", seams=tenure.Seams(wall_clock=clock)) as store:
            schedules = verbs(store)
            for place, expression in enumerate(EXPRESSIONS):
                await schedules.create(
                    expression,
                    f"agent {place}",
                    tenure.Cron(expression, timezone=zone),
                    None,
                    "kind",
                    overlap="queue",
                    catch_up=source.choice(("all", "latest", "none")),
                    catch_up_s=CATCH_UP_S,
                    jitter_s=source.choice((0, 30)),
                )
            for now in looks(scenario, change):
                clock.now = now
                mortal = scenario == "killed" and now < change + 5 * HOUR_S
                await look_of_hosts(store, now + 30, hosts, source, mortal=mortal)  # after every jitter
            for expression in EXPRESSIONS:
                case = (zone, number, scenario, hosts, expression)
                schedule = await schedules.get(expression)
                occurrences = await schedules.occurrences(expression, limit=1_000)
                assert schedule.next_at is not None
                every = instants(schedule.when, change - 6 * HOUR_S - 1, schedule.next_at - 1)
                stood = Counter(instant for each in occurrences for instant in stands(each, every))
                assert stood == Counter(every), case
                assert schedule.next_at > change + 6 * HOUR_S, (case, "none is left out at the end")
                inputs = {each.input_id for each in occurrences if each.input_id is not None}
                assert len(inputs) == sum(each.input_id is not None for each in occurrences), case
                there = await execute(store, "SELECT input_id FROM inputs WHERE source LIKE ?", f'%"{expression}"%')
                assert {input_id for (input_id,) in there} == inputs, case
                for each in occurrences:
                    assert (each.input_id is None) == (each.skipped is not None), case
                    assert each.skipped in {None, "missed"}, case
                    late = each.decided_at + 30 - each.scheduled_at
                    assert each.skipped is None or late > ON_TIME_S, (case, late)
                    assert each.input_id is None or late <= CATCH_UP_S + 30, (case, late)
