"""Reads: one consistent view each, which ends with the call and writes nothing."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
import trio

from tenure.errors import Internal, InvalidInput, NotFound
from tenure.persistence.engines.engine import Statements
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.opening import open_store
from tenure.persistence.seams.executors import InlineExecutor
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tests.kit.stores import (
    OpenMode,
    landed,
    message,
    own,
)


async def test_a_read_sees_what_was_acknowledged_before_it_began(store: Store) -> None:
    await own(store)
    for n in range(20):
        await store.commit(message(store, f"m-{n}"))
        assert await landed(store, f"m-{n}") == [f"m-{n}"]


async def test_a_view_that_outlives_its_call_is_refused(store: Store) -> None:
    view = await store.read(lambda statements: statements)

    with pytest.raises(RuntimeError, match="the read has ended"):
        view.one("ownership.group_of", incarnation="x")


@pytest.mark.parametrize("given", [{"count": 2**63}, {"count": 2**100}, {"runtime": -(2**63) - 1}, {"runtime": 2**64}])
async def test_a_number_that_no_engine_has_is_the_callers_and_no_counter_of_the_store(
    store: Store, given: dict[str, int]
) -> None:
    def look(statements: Statements) -> object:
        return statements.all("verification.newest_receipts", **{"runtime": 1, "count": 1, **given})

    with pytest.raises(InvalidInput, match="64 bits"):
        await store.read(look)
    await own(store)


async def test_a_text_that_no_engine_has_is_the_callers(store: Store) -> None:
    with pytest.raises(InvalidInput, match="lone surrogate"):
        await store.read(lambda statements: statements.one("ownership.host_of", incarnation="\ud800"))
    await own(store)


async def test_a_read_writes_nothing(store: Store) -> None:
    def mint(statements: Statements) -> object:
        return statements.one("ownership.mint", least=0, most=9)

    with pytest.raises(Internal):
        await store.read(mint)
    assert (
        await store.read(lambda view: [verb for verb in ("run", "write", "insert", "key") if hasattr(view, verb)]) == []
    )

    assert await own(store) == 1


async def test_what_a_read_raises_leaves_as_it_is_and_the_connection_works_on(store: Store) -> None:
    await own(store)

    def fail(statements: Statements) -> None:
        statements.one("runtimes.load", runtime_id="a")
        raise ZeroDivisionError

    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            await store.read(fail)

    await store.commit(message(store, "m-1"))
    assert await landed(store, "m-1") == ["m-1"]


@pytest.mark.sqlite("looks at the log")
async def test_no_read_transaction_outlives_its_call_so_that_the_log_is_recycled(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path, seams=Seams(engine=SqliteOptions(wal_pages=20))) as store:
        await own(store)
        for n in range(80):
            await store.commit(message(store, f"m-{n}"))
            await landed(store, "m-0")

        assert path.with_name("agents.db-wal").stat().st_size < 60 * 4096


async def test_a_read_in_the_middle_of_commits_sees_one_state(tmp_path: Path) -> None:
    async with open_store(tmp_path / "agents.db") as store:
        await own(store)

        def twice(statements: Statements) -> tuple[object, object]:
            first = statements.one("runtimes.load", runtime_id="late")
            for _ in range(200):
                statements.one("runtimes.load", runtime_id="a")
            return first, statements.one("runtimes.load", runtime_id="late")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(own, store, "late")
            first, second = await store.read(twice)

        assert first == second


async def test_more_readers_than_connections_wait_for_their_turn(store: Store) -> None:
    await own(store)
    found: list[list[str]] = []

    async def read() -> None:
        found.append(await landed(store, "m-1"))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(read)

    assert found == [[]] * 50


@pytest.mark.sqlite("another reader of the file")
async def test_a_reader_of_another_process_that_stays_open_does_not_hinder_a_reopen(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as store:
        await own(store)
        reader = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM inputs").fetchone() == (0,)
        await store.commit(message(store, "m-1"))

    async with open_store(path) as store:
        assert await landed(store, "m-1") == ["m-1"]
        await store.commit(message(store, "m-2"))
    assert reader.execute("SELECT count(*) FROM inputs").fetchone() == (0,)
    reader.close()
    async with open_store(path) as store:
        assert await landed(store, "m-1", "m-2") == ["m-1", "m-2"]


async def test_a_verdict_of_an_unknown_incarnation_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.verdict("nobody", 1)


async def test_a_store_in_memory_is_whole_under_virtual_threads(open_mode: OpenMode) -> None:
    async with open_mode(seams=Seams(writer_executor=InlineExecutor, reader_executor=InlineExecutor)) as store:
        await own(store)
        await store.commit(message(store, "m-1"))
        assert await landed(store, "m-1") == ["m-1"]
