"""SQL of users: it reads everything and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast, final

import pytest
import trio

from tenure.errors import Closed, InvalidInput, LimitReached, StoreBroken
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.opening import open_store
from tenure.persistence.reading.user_connection import QueryConnection
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tests.kit.faulty_vfs import (
    SYNC_ERROR,
    FaultyVfs,
)
from tests.kit.ground import submit
from tests.kit.stores import (
    OpenMode,
    message,
    own,
    settle,
)

T = TypeVar("T")

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def test_a_query_sees_what_was_acknowledged(store: Store) -> None:
    await own(store)
    async with store.read_connection() as connection:
        for n in range(5):
            await store.commit(message(store, f"m-{n}"))
            rows = await connection.query("SELECT idempotency_key FROM inputs ORDER BY input")
            assert rows == [(f"m-{k}",) for k in range(n + 1)]
        by_name = await connection.query("SELECT runtime_id FROM runtimes WHERE runtime_id = :id", {"id": "a"})
        assert by_name == await connection.query("SELECT runtime_id FROM runtimes WHERE runtime_id = ?", ["a"])


@pytest.mark.sqlite("its pragmas")
async def test_a_query_may_describe_a_table(store: Store) -> None:
    async with store.read_connection() as connection:
        first, *_ = await connection.query("PRAGMA table_info(store)")
        assert first[1] == "singleton"


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM inputs",
        "UPDATE store SET last_fence_token = 7",
        "UPDATE store SET last_fence_token = last_fence_token + 1 WHERE singleton = 1 RETURNING last_fence_token",
        "INSERT INTO payloads VALUES (1, 'x')",
        "CREATE TABLE mine (x)",
        "CREATE TEMP TABLE mine (x)",
        "DROP TABLE inputs",
        "ATTACH 'other.db' AS other",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "REINDEX",
        "ANALYZE",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA writable_schema = 1",
        "PRAGMA user_version = 9",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM inputs",
        "SELECT 1; SELECT 2",
    ],
)
async def test_more_than_a_read_is_refused(store: Store, sql: str) -> None:
    await own(store)
    await store.commit(message(store, "m-1"))
    async with store.read_connection() as connection:
        with pytest.raises(InvalidInput):
            await connection.query(sql)

        assert await connection.query("SELECT count(*) FROM inputs") == [(1,)]
    assert await own(store) == 2


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELEC 1", ()),
        ("SELECT 1; SELECT 2", ()),
        ("SELECT nothing FROM nowhere", ()),
        ("SELECT ?", ()),
        ("SELECT ?", [object()]),
    ],
)
async def test_what_is_no_query_says_why(store: Store, sql: str, parameters: list[int]) -> None:
    async with store.read_connection() as connection:
        with pytest.raises(InvalidInput):
            await connection.query(sql, parameters)
        assert await connection.query("SELECT 1") == [(1,)]


@pytest.mark.parametrize("sql", ["SELECT 1;", "-- why\nSELECT 1", "SELECT 1; -- the end", "SELECT 1; /* the end */ "])
async def test_what_stands_around_the_one_statement_of_a_query_is_none(store: Store, sql: str) -> None:
    async with store.read_connection() as connection:
        assert await connection.query(sql) == [(1,)]


async def test_a_query_has_a_limit_of_rows(open_mode: OpenMode) -> None:
    async with open_mode(limits=Limits(query_rows=10)) as store, store.read_connection() as connection:
        ten = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n"
        assert len(await connection.query(ten.format(10))) == 10
        with pytest.raises(LimitReached):
            await connection.query(ten.format(11))


async def test_a_cancelled_query_is_stopped_and_the_connection_works_on(store: Store) -> None:
    await own(store)
    async with store.read_connection() as connection:
        with trio.fail_after(30), trio.move_on_after(0.05) as scope:
            await connection.query(ENDLESS)
        assert scope.cancelled_caught
        assert await connection.query("SELECT 1") == [(1,)]
    await store.commit(message(store, "m-1"))


@pytest.mark.sqlite("looks at the log")
async def test_a_half_read_query_leaves_no_read_transaction_behind(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path, limits=Limits(query_rows=1), seams=Seams(engine=SqliteOptions(wal_pages=20))) as store:
        await own(store)
        async with store.read_connection() as connection:
            for n in range(80):
                await store.commit(message(store, f"m-{n}"))
                if n:
                    with pytest.raises(LimitReached):
                        await connection.query("SELECT * FROM inputs")
        assert path.with_name("agents.db-wal").stat().st_size < 60 * 4096


async def test_a_connection_ends_with_its_block(store: Store) -> None:
    async with store.read_connection() as connection:
        pass

    with pytest.raises(RuntimeError, match="inside its block"):
        await connection.query("SELECT 1")


async def test_more_connections_than_allowed_wait(open_mode: OpenMode) -> None:
    async with open_mode(limits=Limits(query_connections=1)) as store:
        async with store.read_connection():
            with trio.move_on_after(0.05) as scope:
                async with store.read_connection():
                    pytest.fail("one too many")
            assert scope.cancelled_caught
        async with store.read_connection() as connection:
            await connection.query("SELECT 1")


async def test_a_query_that_runs_when_the_store_closes_is_stopped(open_mode: OpenMode) -> None:
    answers: list[object] = []

    async def ask(store: Store) -> None:
        async with store.read_connection() as connection:
            with pytest.raises(Closed) as caught:
                await connection.query(ENDLESS)
            answers.append(caught.value)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery, open_mode() as store:
            nursery.start_soon(ask, store)
            await trio.sleep(0.05)

    assert len(answers) == 1


@final
class Ending:
    """An executor whose thread ends between a query that hangs and what comes after it."""

    def __init__(self) -> None:
        self.asked = 0

    async def run(self, function: Callable[[], T], heard: object = None, /) -> T:
        self.asked += 1
        if self.asked == 1:
            await trio.sleep_forever()
        raise trio.ClosedResourceError

    def close(self) -> None:
        pass


async def test_a_query_that_is_cancelled_while_its_store_closes_is_cancelled() -> None:
    executor = Ending()
    connection = QueryConnection(cast("Any", object()), executor, 10, cast("Any", None), lambda: None)

    with trio.move_on_after(0.05) as scope:
        await connection.query("SELECT 1")

    assert scope.cancelled_caught
    assert executor.asked == 2


async def test_queries_of_a_broken_store_say_so(open_file: OpenMode, vfs: FaultyVfs) -> None:
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)
        async with store.read_connection() as connection:
            vfs.fail("xSync", "-wal", SYNC_ERROR)
            await settle(submit(store, message(store, "m-1")))
            vfs.heal()
            with trio.fail_after(30), pytest.raises(StoreBroken):  # noqa: PT012
                while True:
                    await connection.query("SELECT 1")
        with pytest.raises(StoreBroken):
            async with store.read_connection():
                pass
