"""A program that says at each start what its schedules are: what is the same stays, what differs gets the new terms."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import tenure
from tenure import Store
from tenure.errors import Corrupt, InvalidInput, RuntimeDestroyed
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.schedules.schedules import WriteSchedule
from tenure.persistence.model.values import RuntimeState
from tests.kit.clocks import Clock
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import execute

from .scheduling import START, at, create, due, look, verbs

HOUR_S = 3_600.0
OTHERS: dict[str, Any] = {
    "runtime_id": "b",
    "when": tenure.Every(50, at(0)),
    "payload": "other",
    "kind": None,
    "overlap": "queue",
    "catch_up": "latest",
    "catch_up_s": 7.0,
    "jitter_s": 3.0,
    "starts_at": at(1),
    "ends_at": at(900),
}


async def revision(store: Store) -> int:
    ((found,),) = await execute(store, "SELECT revision FROM schedules")
    return int(found)


async def say(store: Store, **terms: Any) -> tenure.Schedule:
    runtime = terms.pop("runtime_id", "a")
    return await create(store, "s", runtime, **terms)


@pytest.mark.parametrize("term", OTHERS)
async def test_a_schedule_gets_a_term_that_is_another_where_it_may_be_replaced(store: Store, term: str) -> None:
    made = await say(store)
    with pytest.raises(InvalidInput) as refused:
        await say(store, **{term: OTHERS[term]})
    assert f"({term})" in refused.value.detail
    assert await verbs(store).get("s") == made

    replaced = await say(store, **{term: OTHERS[term]}, replace_existing=True)

    given = OTHERS[term].timestamp() if term in {"starts_at", "ends_at"} else OTHERS[term]
    assert getattr(replaced, term) == given
    assert replaced == await verbs(store).get("s")
    assert replaced == await verbs(store).update("s", **{term: OTHERS[term]}), "as an update says it"
    assert (replaced.created_at, replaced.paused_at) == (made.created_at, None)


async def test_what_says_the_same_writes_nothing(store: Store) -> None:
    made = await say(store)

    assert [await say(store, replace_existing=True) for _ in range(3)] == [made] * 3
    assert await revision(store) == 1


async def test_one_that_is_not_there_is_made_and_a_term_that_is_left_out_is_the_default_again(store: Store) -> None:
    await say(store, replace_existing=True, jitter_s=9.0, overlap="queue", ends_at=at(500))
    replaced = await say(store, replace_existing=True)

    assert (replaced.jitter_s, replaced.overlap, replaced.ends_at) == (0.0, "skip", None)


async def test_what_was_decided_and_that_it_is_paused_stays(store: Store) -> None:
    await say(store)
    await look(store, 150)
    await verbs(store).pause("s", "holidays")
    before = await verbs(store).occurrences("s")

    replaced = await say(store, payload="other", replace_existing=True)

    assert (replaced.note, replaced.paused_at is not None) == ("holidays", True)
    assert await verbs(store).occurrences("s") == before
    made = await look(store, 250)
    assert [(each.scheduled_at - START, each.skipped) for each in made] == [(200, "paused")]


async def test_the_instants_of_a_timetable_without_an_anchor_go_on_over_starts() -> None:
    clock = Clock(START)
    async with open_seen_store(":memory:", seams=tenure.Seams(wall_clock=clock)) as store:
        first = await say(store, when=tenure.Every(HOUR_S), starts_at=None)
        for start in range(1, 5):
            clock.now = START + start * 1_000  # more often than it is due
            replaced = await say(store, when=tenure.Every(HOUR_S), payload=start, starts_at=None, replace_existing=True)
            assert (replaced.when, replaced.next_at) == (first.when, max(START + HOUR_S, first.next_at or 0))
        slower = await say(store, when=tenure.Every(2 * HOUR_S), starts_at=None, replace_existing=True)
        assert slower.next_at == clock.now + 2 * HOUR_S


async def test_an_anchor_that_is_said_is_a_term(store: Store) -> None:
    await say(store, when=tenure.Every(100, at(0)))
    await say(store, when=tenure.Every(100))  # says none
    with pytest.raises(InvalidInput, match="other terms"):
        await say(store, when=tenure.Every(100, at(30)))

    replaced = await say(store, when=tenure.Every(100, at(30)), replace_existing=True)

    assert replaced.next_at == START + 30


async def test_an_instant_that_was_decided_comes_no_more_under_the_new_timetable() -> None:
    clock = Clock(START - 1)
    async with open_seen_store(":memory:", seams=tenure.Seams(wall_clock=clock)) as store:
        await say(store)
        await look(store, 450)
        clock.now = START + 110  # set back

        replaced = await say(store, when=tenure.Every(50, at(0)), replace_existing=True)

        assert replaced.next_at == START + 450


@pytest.mark.parametrize("meanwhile", ["updated", "decided", "deleted", "made so"])
async def test_a_replacement_of_what_was_changed_meanwhile_looks_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    await say(store)
    schedules, commit, still = verbs(store), store.commit, True

    async def between(given: Commit) -> Any:
        nonlocal still
        (change,) = given.changes
        if still and isinstance(change, WriteSchedule) and change.expected is not None:
            still = False
            match meanwhile:
                case "updated":
                    await schedules.update("s", payload="meanwhile", jitter_s=5.0)
                case "decided":
                    await look(store, 150)
                case "deleted":
                    await schedules.delete("s")
                case _:
                    await schedules.update("s", payload="new")
        return await commit(given)

    monkeypatch.setattr(store, "commit", between)

    replaced = await say(store, payload="new", replace_existing=True)

    assert (replaced.payload, replaced.jitter_s) == ("new", 0.0)
    assert await verbs(store).get("s") == replaced
    assert meanwhile != "decided" or await look(store, 150) == [], "what is decided comes no more"


async def test_of_programs_that_say_different_things_at_once_each_is_answered_and_one_wins(store: Store) -> None:
    answers: list[tenure.Schedule] = []

    async def program(number: int) -> None:
        answers.append(await say(store, payload=number, replace_existing=True))

    async with trio.open_nursery() as nursery:  # owned by this test
        for number in range(6):
            nursery.start_soon(program, number)

    assert sorted(each.payload for each in answers) == list(range(6))
    assert (await verbs(store).get("s")).payload in range(6)
    assert len(await verbs(store).list()) == 1


async def test_a_replacement_that_is_refused_leaves_what_is_there(store: Store) -> None:
    made = await say(store)
    await store.runtimes.persist_runtime_state("gone", RuntimeState.DESTROYED)

    with pytest.raises(RuntimeDestroyed):
        await say(store, runtime_id="gone", replace_existing=True)

    assert await verbs(store).get("s") == made


async def test_a_damaged_schedule_is_not_replaced(store: Store) -> None:
    await say(store)
    await execute(store, "UPDATE schedules SET note = 'damaged'")

    with pytest.raises(Corrupt):
        await say(store, payload="new", replace_existing=True)

    assert [each for each in await due(store, START + 1) if not isinstance(each, Corrupt)] == []
