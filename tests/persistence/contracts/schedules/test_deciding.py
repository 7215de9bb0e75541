"""What one commit decides about a schedule, whatever was done to it, to its runtime or to the clock meanwhile."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

import tenure
from tenure import Store
from tenure.errors import InvalidInput, PayloadTooLarge, ReadFailed, RuntimeDestroyed
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.schedules.schedules import WriteSchedule
from tenure.persistence.facets.schedules.terms import MOST, ScheduleRecord
from tenure.persistence.model.values import RuntimeState
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import execute

from .scheduling import START, at, create, decided, due, look, verbs

YEAR_S = 365.25 * 86_400


async def story(store: Store, name: str) -> list[tuple[float, str | None]]:
    found = await verbs(store).occurrences(name, limit=1_000)
    return [(each.scheduled_at - START, each.skipped) for each in reversed(found)]


async def decision(store: Store, seconds: float) -> Commit:
    """Of the one schedule that is due, by a host that is about to commit it."""
    (record,) = await due(store, START + seconds)
    assert not isinstance(record, ReadFailed)
    return decided(store, record, START + seconds)


@pytest.mark.parametrize("meanwhile", ["decided", "updated", "paused", "deleted", "made again"])
async def test_a_decision_on_what_was_changed_meanwhile_writes_nothing(store: Store, meanwhile: str) -> None:
    schedules = verbs(store)
    await create(store, "s", "a", overlap="queue")
    late = await decision(store, 150)
    match meanwhile:
        case "decided":
            await look(store, 150)
        case "updated":
            await schedules.update("s", payload="other")
        case "paused":
            await schedules.pause("s")
        case "deleted":
            await schedules.delete("s")
        case _:
            await schedules.delete("s")
            await create(store, "s", "a", when=tenure.Every(1_000, at(500)))
    before = await execute(store, "SELECT * FROM occurrences")

    made = (await store.commit(late)).values[0]

    assert made == ()
    assert await execute(store, "SELECT * FROM occurrences") == before


async def test_an_update_after_the_clock_was_set_back_brings_no_instant_again(store: Store) -> None:
    schedules = verbs(store)
    await create(store, "s", "a", overlap="queue")
    far = 4_000_000_000.0 - START  # which this clock does not show for decades
    await look(store, 0)
    for _ in range(3):
        await look(store, far)
    decided_through = (await story(store, "s"))[-1][0]

    updated = await schedules.update("s", when=tenure.Every(50, at(0)))

    assert updated.next_at is not None
    assert updated.next_at - START > decided_through
    await look(store, far + 200)
    found = [instant for instant, _ in await story(store, "s")]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("catch_up", ["all", "latest", "none"])
@pytest.mark.parametrize(
    "when",
    [
        tenure.Every(1, at(0)),
        tenure.Cron("* * * * *", timezone="Europe/Berlin"),
        tenure.Cron("* 9 * * 1", timezone="Europe/Berlin"),
    ],
    ids=["second", "minute", "mondays"],
)
async def test_ten_years_without_a_host_are_few_rows_and_no_instant_is_left_out(
    store: Store, when: tenure.Cron | tenure.Every, catch_up: str
) -> None:
    await create(store, "s", "a", when=when, starts_at=at(0), overlap="queue", catch_up=catch_up, catch_up_s=120)
    looks = 0
    while await look(store, 10 * YEAR_S):
        looks += 1

    occurrences = (await verbs(store).occurrences("s", limit=2_000))[::-1]

    assert looks < 10
    assert len(occurrences) < 5 * MOST
    (wide,) = [each for each in occurrences if each.through is not None]
    assert wide.skipped == "missed"
    assert wide.scheduled_at < (wide.through or 0) < START + 10 * YEAR_S
    terms = (await due(store, 9e12))[0]
    assert not isinstance(terms, ReadFailed)
    for one, after in pairwise(occurrences):  # each goes on where the one before it ends
        assert terms.terms.first(one.through or one.scheduled_at) == after.scheduled_at
    assert terms.next_at == terms.terms.first(occurrences[-1].through or occurrences[-1].scheduled_at)
    inputs = [each for each in occurrences if each.input_id is not None]
    assert all(START + 10 * YEAR_S - each.scheduled_at <= 120 for each in inputs)
    if when != tenure.Cron("* 9 * * 1", timezone="Europe/Berlin"):  # of which none is as young as that
        assert (
            len(inputs) == {"all": 121, "latest": 61, "none": 61}[catch_up]
            if isinstance(when, tenure.Every)
            else inputs
        )


async def test_payloads_that_are_made_good_are_divided_over_commits(store: Store) -> None:
    size = store.limits.group_bytes // 3
    await create(store, "s", "a", payload="x" * size, overlap="queue")

    assert [len(await look(store, 750)) for _ in range(4)] == [2, 2, 2, 2]


async def test_a_payload_that_no_inbox_takes_is_refused_where_the_schedule_is_made(store: Store) -> None:
    with pytest.raises(PayloadTooLarge):
        await create(store, "s", "a", payload="x" * store.limits.payload_bytes)
    assert await verbs(store).list() == ()


async def _owned(store: Store, name: str, state: RuntimeState) -> None:
    await store.runtimes.persist_runtime_state(name, state)


async def test_a_schedule_of_a_runtime_that_is_destroyed_is_refused_and_paused(store: Store) -> None:
    await create(store, "s", "a")
    await _owned(store, "a", RuntimeState.DESTROYED)
    for number in range(1, 8):
        await look(store, 100 * number)

    assert [skipped for _, skipped in await story(store, "s")] == ["refused"] * 5 + ["paused"] * 3
    assert "destroyed" in (await verbs(store).get("s")).note
    with pytest.raises(RuntimeDestroyed):
        await create(store, "t", "a")
    with pytest.raises(RuntimeDestroyed):
        await verbs(store).update("s", payload="more")


async def test_a_schedule_of_a_retired_runtime_is_refused_until_it_is_recycled(store: Store) -> None:
    await create(store, "s", "a")
    await _owned(store, "a", RuntimeState.RETIRED)
    await look(store, 0)
    await look(store, 100)
    await _owned(store, "a", RuntimeState.IDLE)
    await look(store, 200)

    assert [skipped for _, skipped in await story(store, "s")] == ["refused", "refused", None]
    assert (await verbs(store).get("s")).refusals == 0


async def test_an_input_of_a_schedule_that_is_queued_is_bound_by_the_inbox() -> None:
    async with open_seen_store(":memory:", limits=tenure.Limits(inbox_inputs=2)) as store:
        await create(store, "s", "a", overlap="queue")
        for number in range(3):
            await look(store, 100 * number)

        assert [skipped for _, skipped in await story(store, "s")] == [None, None, "refused"]


async def test_a_zone_that_this_host_does_not_know_leaves_the_schedule_to_others(store: Store) -> None:
    await create(store, "here", "a", when=tenure.Cron("* * * * *", timezone="Europe/Berlin"))
    await create(store, "there", "a", when=tenure.Cron("* * * * *", timezone="Asia/Tokyo"))
    (record,) = [
        each for each in await due(store, 9e12) if not isinstance(each, ReadFailed) and "there" in each.schedule_id
    ]
    await _rename_zone(store, record)

    listed = await verbs(store).list()
    assert [each.schedule_id for each in listed] == ["here", "there"]
    assert isinstance(listed[1].when, tenure.Cron)
    assert listed[1].when.timezone == "Atlantis/Main"
    (found,) = [
        each for each in await due(store, 9e12) if not isinstance(each, ReadFailed) and "there" in each.schedule_id
    ]
    with pytest.raises(InvalidInput):
        decided(store, found, 9e9)
    assert await verbs(store).pause("there")
    assert await verbs(store).delete("there")


async def _rename_zone(store: Store, record: ScheduleRecord) -> None:
    """As a host with newer zones has written it."""
    timetable = record.terms.timetable.replace("Asia/Tokyo", "Atlantis/Main")
    change = WriteSchedule(
        schedule_id=record.schedule_id,
        terms=msgspec.structs.replace(record.terms, timetable=timetable),
        payload=record.payload,
        next_at=record.next_at,
        fires_at=record.fires_at,
        expected=record.revision,
    )
    await store.commit(Commit(changes=(change,)))
