"""Looking into a store: by which name it is reached, and what a disk says that cannot do what an open needs."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
import trio

import tenure
from tenure.errors import CannotOpen, DiskFull, Error, InvalidInput, NotADatabase, StoreBroken, StoreLocked
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.engines.sqlite.system.files import (
    Files,
    OsFiles,
)
from tenure.persistence.engines.sqlite.system.locks import OsLocks
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.verify_store import FILE, verify_part


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    async with tenure.open_store(tmp_path / "agents.db"):
        pass
    return tmp_path / "agents.db"


class FailingFiles:
    """Files of a disk that cannot take the copy of a log."""

    def __init__(self, code: int) -> None:
        self._code = code

    def __getattr__(self, name: str) -> Any:
        return getattr(OsFiles(), name)

    def create(self, path: str) -> None:
        raise OSError(self._code, os.strerror(self._code), path)


async def look(path: Path | str, seams: tenure.Seams | None = None) -> None:
    async with look_into(path, seams=seams):
        pass


@pytest.mark.sqlite("the files of a store")
@pytest.mark.parametrize(
    ("code", "error"), [(errno.ENOSPC, DiskFull), (errno.EIO, StoreBroken), (errno.EACCES, CannotOpen)]
)
async def test_a_disk_that_cannot_take_the_log_is_told_by_a_typed_error(
    path: Path, code: int, error: type[Error]
) -> None:
    log = path.with_name("agents.db-wal")
    async with tenure.open_store(path):
        left = log.read_bytes()
    log.write_bytes(left)  # as if the host had been killed

    with pytest.raises(error):
        await look(path, tenure.Seams(engine=SqliteOptions(files=cast("Files", FailingFiles(code)))))


@pytest.mark.sqlite("the files of a store")
async def test_by_whatever_name_it_is_reached_the_store_is_locked_under_its_own(path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)

    for name in (link, f"sqlite:///{link}", path):
        async with look_into(name):
            assert OsLocks().acquire(f"{path}-lock", exclusive=True) is None
            assert OsLocks().acquire(f"{path}-lock", exclusive=False) is not None

    assert not link.with_name("link.db-lock").exists()


@pytest.mark.sqlite("the files of a store")
async def test_what_is_no_store_is_told_as_what_it_is(path: Path) -> None:
    empty = path.with_name("empty.db")
    empty.touch()
    twin = path.with_name("twin.db")

    with pytest.raises(NotADatabase, match="empty"):
        await look(empty)
    with pytest.raises(CannotOpen, match="no such file"):
        await look(path.with_name("nobody.db"))
    with pytest.raises(CannotOpen, match="no such file"):
        await look(":memory:")
    with pytest.raises(InvalidInput):
        await look("")
    twin.hardlink_to(path)
    with pytest.raises(CannotOpen, match="2 names"):
        await look(path)
    assert not path.with_name("empty.db-lock").exists()


@pytest.mark.sqlite("the lock of a file")
async def test_a_look_waits_for_who_has_the_store_for_moments(path: Path) -> None:
    lock = OsLocks().acquire(f"{path}-lock", exclusive=True)
    assert lock is not None
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def release() -> None:
            await trio.sleep(0.2)
            lock.release()

        async with look_into(path) as look:
            assert look.alone


@pytest.mark.sqlite("the lock of a file")
async def test_a_look_does_not_wait_for_long_for_a_host_that_keeps_the_store_for_itself(path: Path) -> None:
    lock = OsLocks().acquire(f"{path}-lock", exclusive=True)
    assert lock is not None
    try:
        with pytest.raises(StoreLocked):
            async with look_into(path, limits=tenure.Limits(busy_s=0.05)):
                pass
    finally:
        lock.release()


@pytest.mark.sqlite("a page of its file")
@pytest.mark.parametrize("byte", [b"\x02", b"\xff"], ids=["said", "raised"])
async def test_a_page_that_no_row_was_read_from_is_verified_too(path: Path, byte: bytes) -> None:
    async with look_into(path) as looked:
        assert (await verify_part(looked, FILE)).is_sound
    with closing(sqlite3.connect(path)) as connection:  # no host has it open
        ((size,),) = connection.execute("PRAGMA page_size")
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'oauth_flow'")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(byte * size)

    async with look_into(path) as looked:
        found = await verify_part(looked, FILE)

    assert {each.record for each in found.problems} == {"database"}
