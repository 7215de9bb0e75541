"""Every column of schedules and occurrences, damaged: verbs and `verify` say so, and other schedules go on."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest

from tenure import Store
from tenure.errors import ReadFailed
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit.shares import TURN, share
from tests.persistence.contracts.damage import (
    SCHEMA,
    answers_of,
    check_answers,
    damage,
    every_junk,
    execute,
    restore,
    save,
    texts,
)

from .scheduling import TABLES, due, fill_schedules, look, verbs

NAMES = {
    ("schedules", "schedule_id"),
    ("schedules", "schedule"),
    ("occurrences", "schedule"),
}
"""What is found by another name, or by none, is not there; and which rows are due is asked of this alone."""

COLUMNS = [(table, column) for table in TABLES for column in SCHEMA[table]]

LATER_S = 8_200.0


async def answers(store: Store, name: str) -> dict[str, Any]:
    """What the verbs that change nothing say of the schedules of one runtime; an error in place of an answer."""
    schedules = verbs(store)
    named = [
        (each, verb) for each in (f"{name} seconds", f"{name} lost") for verb in (schedules.get, schedules.occurrences)
    ]
    return await answers_of({f"{verb.__name__} {each}": partial(verb, each) for each, verb in named})


async def listed(store: Store, name: str) -> list[str]:
    return [each.schedule_id for each in await verbs(store).list() if each.runtime_id.endswith(name)]


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(each) for each in COLUMNS])
async def test_a_damaged_value_is_said_and_hides_no_neighbour(store_of_turn: Store, table: str, column: str) -> None:
    store = store_of_turn
    await fill_schedules(store)
    whole, other = await answers(store, "a"), await answers(store, "b")
    saved = await save(store, TABLES)
    for expression, value in share(every_junk(random.Random(f"{table}.{column}")), 4, TURN // 2):
        await damage(
            store,
            table,
            column,
            f"{SCHEMA[table][0]} = (SELECT min({SCHEMA[table][0]}) FROM {table})",
            expression,
            value,
        )

        found = await answers(store, "a")
        sound = (await verify_part(store, "schedules")).is_sound

        assert texts(await answers(store, "b")) == texts(other)
        assert await listed(store, "b") == ["b lost", "b seconds"]
        check_answers(whole, found, value, may_be_silent=(table, column) in NAMES, seen=not sound)
        await restore(store, saved)

    assert texts(await answers(store, "a")) == texts(whole)


@pytest.mark.parametrize("column", SCHEMA["schedules"])
async def test_a_look_passes_over_a_damaged_schedule_and_it_can_be_deleted(store_of_turn: Store, column: str) -> None:
    store = store_of_turn
    await fill_schedules(store)
    for expression, value in share(every_junk(random.Random(column)), 4, TURN // 2):
        await damage(store, "schedules", column, "schedule_id = 'a seconds'", expression, value)
        damaged = [each for each in await due(store, 9e12) if isinstance(each, ReadFailed)]
        assert len(damaged) <= 1
    went_on = {each.schedule_id for each in await look(store, LATER_S) if each.schedule_id.startswith("b")}
    assert went_on == {"b seconds", "b lost"}
    if column not in {"schedule_id", "schedule"}:
        assert await verbs(store).delete("a seconds")
    assert "b seconds" in await listed(store, "b")


@pytest.mark.parametrize("key", [0, -5])
async def test_an_occurrence_whose_key_is_below_all_that_are_given_is_seen(store: Store, key: int) -> None:
    await fill_schedules(store)
    assert (await verify_part(store, "schedules")).is_sound
    await execute(
        store, "UPDATE occurrences SET occurrence = ? WHERE occurrence = (SELECT min(occurrence) FROM occurrences)", key
    )

    found = await verify_part(store, "schedules")

    assert [(each.record, each.key) for each in found.problems] == [("occurrence", str(key))]


async def test_occurrences_without_their_schedule_are_missed(store: Store) -> None:
    await fill_schedules(store)
    await execute(store, "DELETE FROM schedules WHERE schedule_id = 'a seconds'")

    assert not (await verify_part(store, "schedules")).is_sound
