"""Every column of the rows of journals and of execution state, damaged: its own verbs say so, `verify` does, others go on."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tenure import ExecutionSnapshot, ExecutionState, Fact, Store
from tenure.errors import Error, ReadFailed
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit.shares import TURN, share
from tests.persistence.contracts.damage import (
    SCHEMA,
    Calls,
    answers_of,
    check_answers,
    damage,
    every_junk,
    execute,
    restore,
    save,
    texts,
)

TABLES = {
    "streams": ("stream_id", "a"),
    "events": ("stream", 1),
    "stream_snapshots": ("stream", 1),
    "stream_logs": ("stream", 1),
    "facts": ("fact_key", "t:a"),
    "fact_references": ("stream", 1),
    "execution_snapshots": ("execution_id", "a"),
    "state_values": ("value_key", "a:k"),
    "execution_bindings": ("execution_id", "bound"),
    "state_clock": ("singleton", 1),
}
NAMES = {
    ("streams", "stream_id"),
    ("streams", "stream"),
    ("events", "stream"),
    ("stream_snapshots", "stream"),
    ("stream_logs", "stream"),
    ("facts", "fact_key"),
    ("execution_snapshots", "execution_id"),
    ("state_values", "value_key"),
}
"""What is found by another name, or by none, is not there; every other change of an answer is an error of reading."""

COLUMNS = [(table, column) for table in TABLES for column in SCHEMA[table]]


async def fill(store: Store) -> None:
    for name in ("a", "b"):
        await store.journal.append(name, [{"n": 1}, name], facts=[Fact(name, f"fact of {name}")])
        await store.journal.save_snapshot(name, 2, name.encode(), facts=[name])
        await store.journal.save(name, [name])
        await store.state.save_snapshot(ExecutionSnapshot.new(name, "acme", ExecutionState.RUNNING, 2))
        await store.state.set(f"{name}:k", name.encode(), 3600)
    await store.runtimes.persist_runtime_state("ada", "idle")
    await store.state.bind("bound", "ada")


async def answers(store: Store, name: str) -> dict[str, Any]:
    """What every verb says of one name; an error in place of an answer."""

    async def events() -> list[Any]:
        return [each.event async for each in store.journal.stream(name)]

    calls: Calls = {
        "stream": events,
        "load": lambda: store.journal.load(name),
        "load_snapshot": lambda: store.journal.load_snapshot(name),
        "load_fact": lambda: store.journal.load_fact(name),
        "append": lambda: store.journal.append(name, []),
        "execution": lambda: store.state.load_snapshot(name),
        "stale": lambda: store.state.stale(name),
        "get": lambda: store.state.get(f"{name}:k"),
        "exists": lambda: store.state.exists(f"{name}:k"),
        "get_all": lambda: store.state.get_all([f"{name}:k", f"{name}:none"]),
        "items": lambda: store.state.items(f"{name}:"),
    }
    return await answers_of(calls)


@pytest.mark.turns(2)
@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(each) for each in COLUMNS])
async def test_a_damaged_value_is_said_and_hides_no_neighbour(store_of_turn: Store, table: str, column: str) -> None:
    await fill(store_of_turn)
    whole, other = await answers(store_of_turn, "a"), await answers(store_of_turn, "b")
    where, key = TABLES[table]
    key_sql = f"{where} = {key!r}"
    saved = await save(store_of_turn, [table])
    for expression, value in share(every_junk(random.Random(f"{table}.{column}")), 4, TURN // 2):
        await damage(store_of_turn, table, column, key_sql, expression, value)

        found = await answers(store_of_turn, "a")
        verified = [await verify_part(store_of_turn, "journal"), await verify_part(store_of_turn, "state")]
        neighbour = await answers(store_of_turn, "b")

        if table != "state_clock":  # it is everybody's
            assert texts(neighbour) == texts(other)
        named, seen = (table, column) in NAMES, not all(each.is_sound for each in verified)
        check_answers(whole, found, value, may_be_silent=named, seen=seen, sees_silent=False)
        await restore(store_of_turn, saved)

    assert texts(await answers(store_of_turn, "a")) == texts(whole)


@pytest.mark.parametrize("removed", [1, 2], ids=["in the middle", "at the end"])
async def test_an_event_that_is_gone_is_missed(store: Store, removed: int) -> None:
    await fill(store)
    await execute(store, "DELETE FROM events WHERE sequence = ? AND stream = 1", removed)

    found = await answers(store, "a")
    problems = (await verify_part(store, "journal")).problems

    assert isinstance(found["stream"], ReadFailed)
    assert [each.key for each in problems] == [f"a:{removed}"]
    assert not isinstance((await answers(store, "b"))["stream"], Error)


async def test_verify_names_every_event_that_is_wrong(store: Store) -> None:
    await store.journal.append("a", list(range(1_200)))
    await execute(store, "UPDATE events SET payload = x'37' WHERE sequence IN (3, 700, 1200)")

    found = await verify_part(store, "journal")

    assert [each.key for each in found.problems] == ["a:3", "a:700", "a:1200"]
    assert found.streams == 1


async def test_verify_names_a_reference_without_its_fact(store: Store) -> None:
    await fill(store)
    await execute(store, "DELETE FROM facts WHERE fact_key = 't:a'")

    problems = (await verify_part(store, "journal")).problems

    assert {each.record for each in problems} == {"reference"}


async def test_a_reference_that_stands_for_another_fact_than_that_of_its_event_is_found(store: Store) -> None:
    # `prune` takes a fact that no stream refers to: the event would have lost its value.
    def fold(state: Any, _: Any) -> Any:
        return state

    async with store.journal.open("flow", fold, {}, facts_above=100) as log:
        await log.append([{"value": "x" * 200}])
    await store.journal.append("other", [1], facts=[Fact("b", "fact of b")])
    assert (await verify_part(store, "journal")).is_sound
    (other,) = await execute(store, "SELECT fact FROM facts WHERE fact_key = 't:b'")

    await execute(store, "UPDATE fact_references SET fact = ? WHERE fact <> ?", other[0], other[0])

    problems = (await verify_part(store, "journal")).problems
    assert [(each.record, "does not refer to it" in each.detail) for each in problems] == [("reference", True)]
