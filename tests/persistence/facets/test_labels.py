"""Labels of runtimes: their rows, and lists by them, which cost what they return however many runtimes there are."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest

from tenure import LogicalRuntimeId, Store
from tenure.errors import Corrupt, Error, Internal, LimitReached, RuntimeDestroyed, SchemaMismatch, StoreBroken
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import Row, SqlValue, Statements
from tenure.persistence.facets.inbox.newcomers import Newcomer
from tenure.persistence.facets.ownership.lifecycle import WriteLifecycle
from tenure.persistence.facets.ownership.ownership import TakeOwnership
from tenure.persistence.facets.records import labels
from tenure.persistence.facets.records.labels import Labelled, Relabel
from tenure.persistence.model.labels import MAX_LABELS, Labels
from tenure.persistence.model.values import AbandonReason, RuntimeState, SessionId
from tenure.persistence.upkeep.inspect import Wanted, list_runtimes
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import SCHEMA, damage, execute, outcome, restore, save, spoilt
from tests.persistence.contracts.owners.owned import KIND, Owner

GOLD = ("tier", "gold")
ACME = ("tenant", "acme")


async def make(store: Store, name: str, given: Labels) -> None:
    await store.commit(Commit(changes=(_take(name, given),)))


def _take(name: str, given: Labels) -> TakeOwnership:
    return TakeOwnership(
        runtime_id=LogicalRuntimeId(name), kind=KIND, epoch="e", session_id=SessionId(f"talk-{name}"), labels=given
    )


async def listed(store: Store, *wanted: tuple[str, str], after: str = "", count: int = 500) -> list[str]:
    found = await store.read(lambda each: list_runtimes(each, after, count, Wanted(labels=wanted)))
    return [line.runtime_id for line in found]


async def labels_of(store: Store, owner: Owner) -> dict[str, str]:
    (row,) = await execute(store, "SELECT runtime FROM runtimes WHERE runtime_id = ?", owner.runtime_id)
    return await store.read(lambda each: labels.of_runtime(each, row[0], owner.runtime_id))


def relabel(owner: Owner, *changed: tuple[str, str | None]) -> Relabel:
    return Relabel(runtime_id=owner.runtime_id, changed=changed)


async def test_labels_are_set_and_removed_and_what_changes_nothing_writes_nothing() -> None:
    async with open_seen_store(":memory:") as store:
        alice = Owner(store, "alice")
        await alice.own()
        before = {"of": "all", "tier": "gold", "trial": ""}
        assert await labels_of(store, alice) == before

        (answer,) = await alice.write(relabel(alice, ("tier", "iron"), ("trial", None), ("zone", "eu")))

        right = (("of", "all"), ("tier", "iron"), ("zone", "eu"))
        assert answer == Labelled(revision=2, labels=right)
        assert await labels_of(store, alice) == dict(right)
        saved = await save(store)
        assert await alice.write(relabel(alice, ("no such", None), ("tier", "iron"))) == (answer,)
        after = await save(store)
        assert {table: after[table] for table in ("labels", "label_sets")} == {
            table: saved[table] for table in ("labels", "label_sets")
        }


async def test_a_runtime_has_so_many_labels_and_a_destroyed_one_gets_none() -> None:
    async with open_seen_store(":memory:") as store:
        alice = Owner(store, "alice")
        await alice.own()
        many = tuple((f"n{number:02}", "") for number in range(MAX_LABELS - 3))
        await alice.write(relabel(alice, *many))
        with pytest.raises(LimitReached, match="32 labels"):
            await alice.write(relabel(alice, ("one", "more")))
        await alice.write(relabel(alice, ("of", None), ("one", "more")))  # in place of another
        assert len(await labels_of(store, alice)) == MAX_LABELS

        destroyed = RuntimeState.DESTROYED
        await alice.write(
            WriteLifecycle(runtime_id=alice.runtime_id, state=destroyed, abandon=AbandonReason.DESTROYED, end_run=True)
        )
        with pytest.raises(RuntimeDestroyed):
            await alice.write(relabel(alice, ("one", None)))
        assert await listed(store, ("one", "more")) == ["alice"]


async def test_only_a_new_runtime_takes_the_labels_of_a_newcomer() -> None:
    async with open_seen_store(":memory:") as store:
        await make(store, "alice", (ACME,))
        for name in ("alice", "bob"):
            newcomer = Newcomer(kind=KIND, session_id=SessionId(f"of {name}"), labels=(GOLD,))
            await Owner(store, name).accept("hello", newcomer=newcomer)

        assert await listed(store, ACME) == ["alice"]
        assert await listed(store, GOLD) == ["bob"]


async def test_lists_by_labels_are_those_of_a_walk_over_all_runtimes() -> None:
    source = random.Random(7)
    async with open_seen_store(":memory:", durability="memory") as store:
        every: dict[str, dict[str, str]] = {}
        for number in source.sample(range(1000), 150):
            given = {name: source.choice("12") for name in "abc" if source.random() < source.choice((0.2, 0.9))}
            every[f"r{number}"] = given
            await make(store, f"r{number}", tuple(sorted(given.items())))
        for _ in range(60):
            wanted = tuple((name, source.choice("123")) for name in source.sample("abc", source.randint(1, 3)))
            right = sorted(name for name, given in every.items() if set(wanted) <= set(given.items()))
            assert await listed(store, *wanted) == right, wanted
            pages: list[str] = []
            while page := await listed(store, *wanted, after=pages[-1] if pages else "", count=3):
                assert len(page) <= 3
                pages += page
            assert pages == right


class Counting:
    """Statements that count the rows which they give, by the room of the statement."""

    def __init__(self, statements: Statements) -> None:
        self.statements = statements
        self.rows = 0

    def one(self, name: str, /, **parameters: SqlValue) -> Row | None:
        found = self.statements.one(name, **parameters)
        self.rows += found is not None
        return found

    def all(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        found = self.statements.all(name, **parameters)
        self.rows += len(found)
        return found

    def readable(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        found = self.statements.readable(name, **parameters)
        self.rows += len(found)
        return found


async def rows_read(store: Store, after: str, *wanted: tuple[str, str]) -> int:
    def count(statements: Statements) -> int:
        counting: Any = Counting(statements)
        assert len(list_runtimes(counting, after, 10, Wanted(labels=wanted))) == 10
        return int(counting.rows)

    return await store.read(count)


@pytest.mark.slow
async def test_a_page_by_two_labels_reads_as_many_rows_among_many_runtimes_as_among_few() -> None:
    counted: dict[int, list[int]] = {}
    for size in (100, 2_000):
        async with open_seen_store(":memory:", durability="memory") as store:
            for number in range(size):
                given = (ACME if number % 2 else ("tenant", "beta"), GOLD if number % 3 == 0 else ("tier", "iron"))
                await make(store, f"r{number:05}", given)
            last = f"r{size - 70:05}"
            counted[size] = [await rows_read(store, after, ACME, GOLD) for after in ("", last)]
    # Ten that are found, of two labels each, and those of one label that are passed by; read ahead by 16.
    assert max(counted[2_000]) <= max(counted[100]) <= 10 * 5 + 4 * labels.AHEAD, counted


@pytest.mark.sqlite("looks at the plan of SQLite")
async def test_the_walk_along_a_label_is_one_of_its_index_alone() -> None:
    async with open_seen_store(":memory:") as store:
        for above in (">", ">="):
            plan = await execute(
                store,
                "EXPLAIN QUERY PLAN SELECT runtime_id FROM labels WHERE name = 'a' AND value = 'b' AND runtime_id"
                f" {above} 'c' ORDER BY runtime_id LIMIT 16",
            )
            steps = [row[-1] for row in plan]
            assert len(steps) == 1, steps
            assert steps[0].startswith("SEARCH labels USING COVERING INDEX labels_by_value (name=? AND value=? AND"), (
                steps
            )
        plan = await execute(
            store, "EXPLAIN QUERY PLAN SELECT name, value, runtime_id FROM labels WHERE runtime = 1 ORDER BY name"
        )
        assert [row[-1] for row in plan] == ["SEARCH labels USING COVERING INDEX labels_of_runtime (runtime=?)"]


async def test_a_row_of_the_index_that_is_of_another_runtime_lists_nobody_wrongly() -> None:
    async with open_seen_store(":memory:") as store:
        await make(store, "alice", (ACME,))
        await make(store, "bob", (ACME, GOLD))
        await execute(store, "UPDATE labels SET runtime_id = 'alice' WHERE name = 'tier'")

        assert await listed(store, GOLD) == []
        (found,) = (await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId("bob")))).problems
        assert found.record == "labels"


@pytest.mark.parametrize("table", ["labels", "label_sets"])
async def test_a_damaged_label_is_a_typed_error_and_hides_no_other(table: str) -> None:
    source = random.Random(table)
    async with open_seen_store(":memory:") as store:
        alice, bob = Owner(store, "alice"), Owner(store, "bob")
        for owner in (alice, bob):
            await owner.own()
        saved = await save(store)
        for column, expression, value in spoilt(table, source, 2):
            what = f"{table}.{column} = {expression} {value!r}"
            await damage(store, table, column, f"runtime = {1}", expression, value)
            answer = await outcome(partial(alice.write, relabel(alice, ("tier", "iron"))))
            assert not isinstance(answer, Internal | StoreBroken), what
            if isinstance(answer, Error):
                assert isinstance(answer, Corrupt | SchemaMismatch), (what, answer)
            found = await outcome(partial(listed, store, GOLD))
            assert "bob" in found, (what, found)
            assert (
                await store.read(partial(verify_runtime, runtime_id=bob.runtime_id))
            ).is_sound or column == "runtime"
            await verify_parts(store)
            await restore(store, saved)
    assert SCHEMA[table]
