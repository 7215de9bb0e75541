"""Backups of stores in use, and stores made of them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import cast

import apsw
import pytest
import trio

from tenure.errors import CannotOpen, Corrupt, DiskFull, Error, InvalidInput, NotADatabase, SchemaMismatch, StoreLocked
from tenure.persistence.engines.sqlite.copies import copying as sqlite_copying
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.opening import open_store
from tenure.persistence.seams.seams import Seams
from tenure.persistence.upkeep.backup import (
    back_up,
    restore,
)
from tests.kit.stores import (
    OpenMode,
    landed,
    message,
    own,
)

pytestmark = pytest.mark.sqlite("copies of the file")

KEYS = [f"m-{n}" for n in range(50)]


async def fill(path: Path) -> None:
    async with open_store(path) as store:
        await own(store)
        for key in KEYS:
            await store.commit(message(store, key))


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def test_a_backup_of_a_store_in_use_is_one_moment_of_it(tmp_path: Path) -> None:
    path, copy, restored = tmp_path / "a.db", tmp_path / "copy.db", tmp_path / "b.db"
    async with open_store(path) as store:
        await own(store)
        for key in KEYS:
            await store.commit(message(store, key))
        report = await back_up(path, copy)
        await store.commit(message(store, "later"))
        assert await landed(store, "later") == ["later"]

    assert report.rows["inputs"] == len(KEYS)
    assert report.last_fence_token == 1
    assert report.path == str(copy)
    assert report.size == copy.stat().st_size
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    await restore(copy, restored)
    async with open_store(restored) as store:
        assert await landed(store, *KEYS, "later") == KEYS


async def test_a_backup_while_commits_go_on_is_consistent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_copying, "_STEP_PAGES", 1)
    path = tmp_path / "a.db"
    await fill(path)
    async with open_store(path, seams=Seams(engine=SqliteOptions(wal_pages=1))) as store:
        await store.commit(message(store, "big", payload=b'"' + b"x" * 6_000_000 + b'"'))

        async def go_on(task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            for n in range(10_000):
                await store.commit(message(store, f"late-{n}"))

        async with trio.open_nursery() as nursery:
            await nursery.start(go_on)
            report = await back_up(path, tmp_path / "copy.db")
            nursery.cancel_scope.cancel()

    assert report.rows["inputs"] == report.rows["payloads"]
    await restore(tmp_path / "copy.db", tmp_path / "b.db")
    async with open_store(tmp_path / "b.db") as store:
        assert await landed(store, *KEYS) == KEYS


async def test_tokens_of_a_restored_store_are_above_all_that_could_have_been_minted(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await fill(path)
    await back_up(path, tmp_path / "copy.db")
    async with open_store(path) as store:
        after_backup = await own(store)

    report = await restore(tmp_path / "copy.db", tmp_path / "b.db")

    assert report.last_fence_token == 1 + 2**32
    async with open_store(tmp_path / "b.db") as store:
        assert await own(store) > after_backup + 2**31


async def test_nothing_is_written_over(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    await fill(path)
    await back_up(path, copy)
    before = copy.read_bytes()

    for attempt in (back_up(path, copy), restore(copy, path), restore(copy, copy), back_up(path, path)):
        with pytest.raises(CannotOpen):
            await attempt
    assert copy.read_bytes() == before


async def test_a_log_that_is_left_is_not_taken_for_that_of_a_restored_store(tmp_path: Path) -> None:
    await fill(tmp_path / "a.db")
    await back_up(tmp_path / "a.db", tmp_path / "copy.db")
    (tmp_path / "b.db-wal").write_bytes(b"left")

    with pytest.raises(CannotOpen):
        await restore(tmp_path / "copy.db", tmp_path / "b.db")


async def refusal(path: Path, target: Path) -> Error:
    with pytest.raises(Error) as caught:
        await restore(path, target)
    return caught.value


def swap_indexes(path: Path) -> None:
    """Damage that no count sees: two indexes with each other's pages."""
    connection = apsw.Connection(str(path))
    connection.pragma("writable_schema", 1)
    roots: dict[str, int] = {
        str(name): cast("int", page)
        for name, page in connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE tbl_name = 'inputs'")
    }
    for name, other in (("inputs_by_id", "inputs_by_key"), ("inputs_by_key", "inputs_by_id")):
        connection.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = ?", (roots[other], name))
    connection.close()


async def test_what_is_no_backup_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    target = tmp_path / "new" / "b.db"
    target.parent.mkdir()
    await fill(tmp_path / "a.db")
    await back_up(tmp_path / "a.db", tmp_path / "copy.db")
    whole = (tmp_path / "copy.db").read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[:-4096])
    (tmp_path / "text.db").write_text("hello")
    damaged = bytearray(whole)
    damaged[5 * 4096 : 6 * 4096] = b"\xff" * 4096
    (tmp_path / "damaged.db").write_bytes(damaged)
    (tmp_path / "swapped.db").write_bytes(whole)
    swap_indexes(tmp_path / "swapped.db")
    (tmp_path / "newer.db").write_bytes(whole)
    other = apsw.Connection(str(tmp_path / "newer.db"))
    other.pragma("user_version", 99)
    other.close()

    assert isinstance(await refusal(tmp_path / "none.db", target), CannotOpen)
    assert isinstance(await refusal(tmp_path / "a.db", target), InvalidInput)
    assert isinstance(await refusal(tmp_path / "cut.db", target), Corrupt)
    assert isinstance(await refusal(tmp_path / "text.db", target), NotADatabase)
    assert isinstance(await refusal(tmp_path / "damaged.db", target), Corrupt)
    assert isinstance(await refusal(tmp_path / "swapped.db", target), Corrupt)
    assert isinstance(await refusal(tmp_path / "newer.db", target), SchemaMismatch)
    assert isinstance(await refusal(tmp_path / "copy.db", tmp_path / "none" / "b.db"), CannotOpen)
    assert names(target.parent) <= {"b.db-lock"}


async def test_what_is_no_plain_file_is_said_to_be_none_and_is_not_to_be_removed(tmp_path: Path) -> None:
    target, pipe, empty = tmp_path / "b.db", tmp_path / "pipe", tmp_path / "empty"
    await fill(tmp_path / "a.db")
    os.mkfifo(pipe)
    empty.touch()

    for named in (pipe, Path(os.devnull)):
        with pytest.raises(CannotOpen) as written:
            await back_up(tmp_path / "a.db", named)
        for error in (written.value, await refusal(named, target)):
            assert "no plain file" in str(error)
            assert "remove it" not in str(error)
    assert isinstance(await refusal(empty, target), NotADatabase)


async def test_a_cancelled_backup_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_copying, "_STEP_PAGES", 1)
    path = tmp_path / "a.db"
    await fill(path)
    before = names(tmp_path)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(back_up, path, tmp_path / "copy.db")
        while not any(name.startswith("copy.db") for name in names(tmp_path)):  # in part, or whole before it was seen
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()

    assert names(tmp_path) - before in (set(), {"copy.db"})


async def test_a_backup_without_room_leaves_nothing(tmp_path: Path, small_disk: Path) -> None:
    path = tmp_path / "a.db"
    async with open_store(path) as store:
        await own(store)
        await store.commit(message(store, "big", payload=b'"' + b"x" * 600_000 + b'"'))

    with pytest.raises(DiskFull):
        await back_up(path, small_disk / "copy.db")

    assert names(small_disk) == set()


async def test_a_store_that_one_host_has_for_itself_cannot_be_backed_up_beside_it(tmp_path: Path) -> None:
    open_mode = OpenMode("one connection", tmp_path / "a.db")
    async with open_mode() as store:
        await own(store)
        with pytest.raises(StoreLocked):
            await back_up(tmp_path / "a.db", tmp_path / "copy.db")
    await back_up(tmp_path / "a.db", tmp_path / "copy.db")
