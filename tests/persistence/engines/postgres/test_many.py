"""Statements of many strands as one: their form, their values, and what is sent for a group."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, cast

import psycopg
import pytest
import trio

import tenure
from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import CommitResult
from tenure.persistence.engines.engine import FailedLate, WriteConnection
from tenure.persistence.engines.postgres.protocol.many import Many, array_of_all, many_of
from tenure.persistence.engines.postgres.protocol.translation import Statement, translated
from tenure.persistence.engines.postgres.protocol.values import BYTEA, FLOAT8, INT4, INT8, TEXT_TYPE
from tenure.persistence.engines.postgres.protocol.wire import Command, Wire
from tenure.persistence.engines.postgres.strands import alike
from tenure.persistence.engines.postgres.strands.alike import Asked, Sent, gathered
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.seams.seams import Seams
from tenure.persistence.writing.strands.own_rows import OWN_ROWS
from tenure.testing.observing import inside_of, seen
from tests.kit.ground import submit
from tests.kit.seen import open_seen_store
from tests.kit.stores import message, own, settle_all
from tests.persistence.engines.postgres.test_round_trips import MANY, echo, say
from tests.persistence.engines.postgres.test_strands import side_by_side, writer_of

SINGLE: Final = {"inputs.stage_steered", "runs.insert", "runtimes.load"}
"""What is chosen by another question, what is selected in order to be inserted, and what locks as it reads."""

HOT: Final = frozenset(
    f"{facet}.{verb}"
    for facet, verbs in {
        "inputs": ("count_unfinished_to", "insert", "insert_payload", "stage_accepted", "stage_oldest", "consume"),
        "runs": ("what_waits", "begin", "end"),
        "runtimes": ("progress",),
        "sessions": ("insert_node", "update"),
        "receipts": ("insert",),
    }.items()
    for verb in verbs
)
"""Statements of every input."""

TYPES: Final = """
SELECT CAST(CAST(t AS oid) AS bigint) FROM pg_prepared_statements, unnest(parameter_types) WITH ORDINALITY AS u(t, n)
WHERE name = 'one' ORDER BY n
"""

# Texts


def form(sql: str, *types: int) -> Many | None:
    return many_of(translated(sql), types)


def given(*types: str) -> str:
    """The table of what is given, of these types."""
    arrays = ", ".join([f"CAST(${at} AS {each}[])" for at, each in enumerate(types, 1)])
    columns = ", ".join([f"g{at}" for at in range(1, len(types) + 1)])
    limit = f"LIMIT cardinality(CAST($1 AS {types[0]}[]))"
    return f"(SELECT * FROM unnest({arrays}) WITH ORDINALITY AS each({columns}, g0) {limit}) AS given"


@pytest.mark.parametrize(
    ("sql", "types", "many"),
    [
        (
            "SELECT a FROM t WHERE b = :b LIMIT :count",
            {INT8: "bigint"},
            "SELECT given.g0, one.* FROM GIVEN CROSS JOIN LATERAL (SELECT a FROM t WHERE b = given.g1 LIMIT given.g2) AS one",
        ),
        (
            "INSERT INTO t (a, b) VALUES (:a, (SELECT max(c) FROM u WHERE d = ':a'))\nON CONFLICT (a) DO UPDATE SET b = 1",
            {TEXT_TYPE: "text"},
            (
                "INSERT INTO t (a, b) SELECT given.g1, (SELECT max(c) FROM u WHERE d = ':a') FROM GIVEN\n"
                "ON CONFLICT (a) DO UPDATE SET b = 1"
            ),
        ),
        (
            "UPDATE t SET a = :a WHERE b = :b AND c IS NULL RETURNING d",
            {BYTEA: "bytea"},
            "UPDATE t SET a = given.g1 FROM GIVEN WHERE b = given.g2 AND c IS NULL RETURNING given.g0, d",
        ),
        (
            "UPDATE t SET a = 1\nFROM (SELECT b FROM t WHERE c = :c) AS x WHERE t.b = x.b",
            {FLOAT8: "double precision"},
            "UPDATE t SET a = 1 FROM GIVEN CROSS JOIN LATERAL (SELECT b FROM t WHERE c = given.g1) AS x WHERE t.b = x.b",
        ),
        ("DELETE FROM t WHERE a = :a", {INT4: "integer"}, "DELETE FROM t USING GIVEN WHERE a = given.g1"),
    ],
)
def test_parameters_become_columns_of_what_is_given(sql: str, types: dict[int, str], many: str) -> None:
    ((kind, word),) = types.items()
    count = len(translated(sql).names)
    found = form(sql, *[kind] * count)

    assert found is not None
    assert found.statement.sql == many.replace("GIVEN", given(*[word] * count))
    assert found.answers is (sql.startswith("SELECT") or "RETURNING" in sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM t WHERE b = :b FOR UPDATE",
        "INSERT INTO t (a) SELECT b FROM u WHERE c = :c",
        "INSERT INTO t (a) VALUES (:a), (:b)",
        "INSERT INTO t (a) VALUES (:a) ON CONFLICT (a) DO UPDATE SET b = :b",
        "INSERT INTO t (a) VALUES (:a) RETURNING a",
        "UPDATE t SET a = :a",
        "UPDATE t SET a = :a FROM u WHERE u.b = t.b",
        "UPDATE t SET a = :a WHERE b IN (SELECT b FROM t WHERE c = :c)",
        "WITH x AS (SELECT :a) SELECT * FROM x",
    ],
)
def test_what_has_no_such_form_goes_by_itself(sql: str) -> None:
    statement = translated(sql)

    assert many_of(statement, (INT8,) * len(statement.names)) is None


def test_a_type_that_is_not_known_has_no_form() -> None:
    assert form("SELECT a FROM t WHERE b = :b", 1700) is None


def test_an_update_of_one_row_says_by_which_parameter() -> None:
    key = [
        found and found.key
        for found in (
            form("UPDATE t SET a = :a WHERE b = :b", INT8, INT8),
            form("UPDATE t SET a = :a WHERE b = :b AND c = 1", INT8, INT8),
        )
    ]

    assert key == ["b", None]


@pytest.mark.parametrize(
    ("kind", "value"), [(INT8, "1"), (INT8, 2**63), (INT4, 2**31), (FLOAT8, "1"), (BYTEA, "x"), (TEXT_TYPE, "a\0b")]
)
def test_what_is_not_of_its_type_is_refused(kind: int, value: Any) -> None:
    sent: list[list[Sent]] = [
        [Asked("s", translated("DELETE FROM t WHERE a = :a"), {"a": each})] for each in (None, value)
    ]

    with pytest.raises(FailedLate):
        list(gathered(sent, 0, {"s": (kind,)}))


# What is sent


ONE: Final = translated("SELECT a FROM t WHERE b = :b")
OTHER: Final = translated("UPDATE t SET a = 1 WHERE b = :b")


def named(name: str, statement: Statement = ONE, value: Any = 1) -> Asked:
    return Asked(name, statement, {"b": value})


def sent_for(lanes: list[list[Sent]], asking: int, **types: tuple[int, ...]) -> list[tuple[str, list[int]]]:
    return [(each.command.name, list(each.asking)) for each in gathered(lanes, asking, types)]


def test_the_same_statement_of_all_lanes_is_one_and_each_lane_keeps_its_order() -> None:
    lanes: list[list[Sent]] = [[named("a"), named("b")] for _ in range(3)]
    lanes.append([named("b"), named("a"), named("b")])

    assert sent_for(lanes, 4, a=(INT8,), b=(INT8,)) == [
        ("a of many", []),
        ("b of many", [0, 1, 2]),
        ("b", []),
        ("a", []),
        ("b", [3]),
    ]


def test_only_what_answers_is_asked_for_many() -> None:
    lanes: list[list[Sent]] = [[named("w", OTHER, n)] for n in range(3)]

    assert sent_for(lanes, 0, w=(INT8,)) == [("w of many", [])]
    assert sent_for(lanes, 3, w=(INT8,)) == [("w", [0]), ("w", [1]), ("w", [2])]


def test_two_updates_of_one_row_follow_one_another() -> None:
    lanes: list[list[Sent]] = [[named("w", OTHER, n)] for n in (1, 2, 1)]

    assert sent_for(lanes, 0, w=(INT8,)) == [("w", [])] * 3


def test_what_has_no_parameters_is_asked_once() -> None:
    lanes: list[list[Sent]] = [[Asked("n", translated("SELECT a FROM t"), {})] for _ in range(3)]

    assert sent_for(lanes, 3, n=()) == [("n", [0, 1, 2])]


def test_what_is_large_goes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "MOST_BYTES", 100)
    lanes: list[list[Sent]] = [[named("a", value=b"x" * 40)] for _ in range(5)]
    found = list(gathered(lanes, 5, {"a": (BYTEA,)}))

    assert [list(each.asking) for each in found] == [[0], [1], [2], [3], [4]]
    assert [each.command.name for each in found] == ["a of many"] * 5


# On a server


def scans(plan: Any) -> Counter[tuple[str, str]]:
    """What a plan reads: each table and index, with how."""
    found: Counter[tuple[str, str]] = Counter()
    if isinstance(plan, list):
        for each in cast("list[Any]", plan):
            found += scans(each)
    if isinstance(plan, dict):
        node = cast("dict[str, Any]", plan)
        read: str = node.get("Index Name") or node.get("Relation Name") or ""
        if read and "Scan" in node["Node Type"]:
            found[node["Node Type"], read] += 1
        for each in node.values():
            found += scans(each)
    return found


async def test_every_statement_of_a_strand_has_a_form_for_many_that_goes_by_an_index(url: str) -> None:
    async with open_seen_store(url) as store:
        statements = cast("Mapping[str, Statement]", vars(writer_of(store))["_statements"])

        def plan_of(connection: WriteConnection, sql: str, count: int) -> Counter[tuple[str, str]]:
            connection.raw(f"PREPARE planned AS {sql}")
            values = f"({', '.join(['NULL'] * count)})" if count else ""
            ((plan,),) = connection.raw(f"EXPLAIN (FORMAT JSON) EXECUTE planned{values}")
            connection.raw("DEALLOCATE planned")
            return scans(json.loads(plan))

        def look(connection: WriteConnection) -> set[str]:
            single: set[str] = set()
            connection.begin_unnumbered()
            for each in sorted(OWN_ROWS):
                connection.raw(f"PREPARE one AS {statements[each].sql}")
                types = tuple([number for (number,) in connection.raw(TYPES)])
                connection.raw("DEALLOCATE one")
                many = many_of(statements[each], types)
                if many is None:
                    single.add(each)
                elif not many.same:
                    found = plan_of(connection, many.statement.sql, len(types))
                    assert "Seq Scan" not in [how for how, _ in found], each
                    assert each not in HOT or found == plan_of(connection, statements[each].sql, len(types)), each
            connection.rollback()
            return single

        assert await inside_of(store).run(look) == SINGLE


async def test_the_inputs_of_a_run_are_found_by_it_and_not_among_all_that_is_unfinished(url: str) -> None:
    async with open_seen_store(url) as store:
        consume = cast("Mapping[str, Statement]", vars(writer_of(store))["_statements"])["inputs.consume"]
        many = many_of(consume, (INT8, FLOAT8, TEXT_TYPE, INT8))
        assert many is not None
        await own(store, "a")
        for each in range(300):
            await store.commit(message(store, str(each), "a"))

        def look(connection: WriteConnection) -> list[Any]:
            connection.begin_unnumbered()
            connection.raw("UPDATE inputs SET finished_at = 1, phase = 'consumed', run = input")
            connection.raw("ANALYZE inputs")
            connection.raw(f"PREPARE planned AS {many.statement.sql}")
            found = connection.raw("EXPLAIN EXECUTE planned (NULL, NULL, NULL, NULL)")
            connection.raw("DEALLOCATE planned")
            connection.rollback()
            return found

        plan = str(await inside_of(store).run(look))
        assert "inputs_of_run" in plan
        assert "inputs_by_landing" not in plan


async def test_no_statement_of_a_strand_goes_by_what_has_landed_in_a_new_store(url: str) -> None:
    # Of an empty table all partial indexes cost the same: by that one each accept would read every open input of the store.
    async with open_seen_store(url) as store:
        statements = cast("Mapping[str, Statement]", vars(writer_of(store))["_statements"])

        def look(connection: WriteConnection) -> list[str]:
            found: list[str] = []
            connection.begin_unnumbered()
            for each in sorted(OWN_ROWS):
                connection.raw(f"PREPARE one AS {statements[each].sql}")
                given = ["NULL" for _ in connection.raw(TYPES)]
                plan = connection.raw(
                    f"EXPLAIN EXECUTE one {'(' if given else ''}{', '.join(given)}{')' if given else ''}"
                )
                connection.raw("DEALLOCATE one")
                if "inputs_by_landing" in str(plan):
                    found.append(each)
            connection.rollback()
            return found

        assert await inside_of(store).run(look) == []


async def test_a_look_for_what_has_landed_in_a_new_store_goes_by_that(url: str) -> None:
    """By any other index of an empty table each look would read every open input of the store, until the server looks at it."""
    statement = translated(load_statements("postgres/statements.sql")["arrivals.since"])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = tenure")
        connection.execute("SET plan_cache_mode = 'force_generic_plan'")  # as readers have it
        connection.execute(f"PREPARE one AS {statement.sql}".encode())
        plan = str(connection.execute("EXPLAIN EXECUTE one (NULL, NULL)").fetchall())
    assert "inputs_by_landing" in plan
    assert "inputs_open" not in plan


VALUES: Final[Mapping[str, tuple[int, list[Any]]]] = {
    "bigint": (INT8, [0, -1, 2**63 - 1, -(2**63), True, None]),
    "integer": (INT4, [0, -1, 2**31 - 1, None]),
    "double precision": (FLOAT8, [0.1, -1e300, 7, None]),
    "text": (TEXT_TYPE, ["", "ö{},\\\"'", "NULL", None, 7]),
    "bytea": (BYTEA, [b"", b"\0\xff", None]),
}


@pytest.mark.parametrize("name", VALUES)
async def test_values_of_many_arrive_as_those_of_one(url: str, name: str) -> None:
    kind, values = VALUES[name]
    one = translated(f"SELECT CAST(:value AS {name})")
    many = many_of(one, (kind,))
    assert many is not None

    async with open_seen_store(url) as store:

        def ask(_: WriteConnection) -> list[Any]:
            wire = cast("Wire", vars(writer_of(store))["_wire"])
            sent = Command(name="", statement=many.statement, values=[array_of_all(kind, values)], formats=[1])
            (answer,) = wire.exchange([sent])
            assert answer.error is None, answer.error
            return answer.rows()

        found = await inside_of(store).run(ask)

    assert found == [
        (place, str(each) if name == "text" and each == 7 else each) for place, each in enumerate(values, 1)
    ]


async def test_each_strand_has_its_own_rows_of_what_was_asked_for_all(url: str) -> None:
    async with open_seen_store(url) as store:
        writer, heard = writer_of(store), dict[tuple[int, int], Any]()
        for each in "ab":
            await own(store, each)
        keys = dict(await rows_of(url, "SELECT runtime_id, runtime FROM runtimes"))
        for each in ("first", "second"):
            await store.commit(message(store, each, "a"))

        def ask(runtime: int) -> None:
            for count in (5, 1):
                ((waiting,),) = writer.all("inputs.count_unfinished_to", runtime=runtime, count=count)
                heard[runtime, count] = waiting

        def ask_all(connection: WriteConnection) -> None:
            for _ in range(2):  # the first time the server says what the types are
                heard.clear()
                connection.begin_unnumbered()
                side_by_side(connection, *(partial(ask, each) for each in (keys["a"], keys["b"], -1)))
                connection.rollback()

        await inside_of(store).run(ask_all)

        assert heard == {
            (keys["a"], 5): 2,
            (keys["a"], 1): 1,
            (keys["b"], 5): 0,
            (keys["b"], 1): 0,
            (-1, 5): 0,
            (-1, 1): 0,
        }


async def rows_of(url: str, sql: str) -> list[Any]:
    async with tenure.open_store(url) as store, store.read_connection() as connection:
        return list(await connection.query(sql))


async def test_a_commit_whose_row_is_refused_takes_none_of_those_along_whose_rows_went_with_it(url: str) -> None:
    async with open_seen_store(url) as store:
        tokens = {each: await own(store, each) for each in "abc"}

        async def say_all(text: Callable[[str], str]) -> list[bool]:
            commits = [message(store, text(each), each) for each in "abc"]
            return [
                isinstance(each, CommitResult) for each in await settle_all([submit(store, each) for each in commits])
            ]

        for n in range(2):
            assert await say_all(lambda each, n=n: f"{each} {n}") == [True] * 3
        found = await settle_all(
            [
                submit(store, message(store, "b\0" if each == "b" else each, each))  # no server stores that
                for each in "abc"
            ]
        )
        assert [type(each) for each in found] == [CommitResult, InvalidInput, CommitResult]
        assert await settle_all([submit(store, say(each, tokens[each])) for each in "abc"])
        async with store.read_connection() as connection:
            assert await connection.query("SELECT count(*) FROM inputs") == [(8,)]


async def test_a_hundred_inputs_at_once_are_a_few_statements(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: Counter[str] = Counter()
    post = Wire.post

    def counted(wire: Wire, commands: Any) -> None:
        sent.update([each.name for each in commands])
        post(wire, commands)

    async with tenure.open_supervisor(url, behaviours={"echo": echo}, seams=seen(Seams())) as supervisor:
        runtimes = [await supervisor.spawn(f"r-{n}", "echo") for n in range(MANY)]

        async def consume_all() -> int:
            sent.clear()
            async with trio.open_nursery() as nursery:
                for runtime in runtimes:
                    nursery.start_soon(consume, runtime)
            return sum(sent.values())

        async def consume(runtime: tenure.Runtime) -> None:
            await (await runtime.accept("hi")).wait_outcome()

        monkeypatch.setattr(Wire, "post", counted)
        await consume_all()

        # How many there are in a group is not theirs alone to say: the best of a few. One by one they are 1,300.
        assert min([await consume_all() for _ in range(5)]) <= 2 * MANY
