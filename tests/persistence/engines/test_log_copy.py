"""A copy of the log that an earlier open left: when it is written back, and when it is only removed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import trio

import tenure
from tenure.errors import CannotOpen, Corrupt, DiskFull, StoreBroken, StoreLocked
from tenure.persistence.engines.sqlite.log.copy import Finding, LogCopy
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.engines.sqlite.system.files import Files, OsFiles
from tenure.persistence.opening import open_store
from tests.kit.stores import landed, message
from tests.persistence.engines.test_log_damage import FRAME, Killed, killed, offset_of, opens
from tests.persistence.engines.test_neighbours import READER, child, run_host, tell

GARBAGE = b"\xa5" * 512
IMPATIENT = tenure.Limits(busy_s=0.05)


@pytest.fixture
async def left(tmp_path: Path) -> Killed:
    """What a host left that was killed, and beside it a whole copy of its log."""
    left = await killed(tmp_path)
    LogCopy(str(left.path), OsFiles()).make()
    return left


def copy_of(left: Killed) -> Path:
    return left.path.with_name("agents.db-wal-copy")


def tear(left: Killed, offset: int) -> None:
    with left.log.open("r+b") as log:
        log.seek(offset)
        log.write(GARBAGE)


@pytest.mark.parametrize("offset", [0, 512, offset_of(3, 100), offset_of(10, 0)])
async def test_a_torn_log_is_written_back_from_its_copy_before_it_is_believed(left: Killed, offset: int) -> None:
    whole = left.log.read_bytes()
    tear(left, offset)

    assert await opens(left) == left.keys
    assert not copy_of(left).exists()
    assert left.log.read_bytes()[: len(whole)] in (whole, b"")  # a close in order moves it


async def test_a_log_that_has_gone_on_is_not_set_back(left: Killed) -> None:
    kept = copy_of(left).read_bytes()
    copy_of(left).unlink()
    async with open_store(left.path) as store:
        await store.commit(message(store, "later"))
        gone_on = left.copy(left.folder.parent / "gone on")
    copy_of(gone_on).write_bytes(kept)

    async with open_store(gone_on.path) as store:
        assert await landed(store, "later") == ["later"]
    assert not copy_of(gone_on).exists()


async def test_a_log_that_was_begun_anew_is_not_set_back(left: Killed) -> None:
    kept = copy_of(left).read_bytes()
    copy_of(left).unlink()
    async with open_store(left.path):
        pass
    async with open_store(left.path) as store:
        await store.commit(message(store, "later"))
        begun = left.copy(left.folder.parent / "begun")
    copy_of(begun).write_bytes(kept)

    async with open_store(begun.path) as store:
        assert await landed(store, "later") == ["later"]


@pytest.mark.parametrize("size", [0, 10, FRAME, -1])
async def test_a_copy_that_was_not_written_whole_is_only_removed(left: Killed, size: int) -> None:
    kept = copy_of(left).read_bytes()
    copy_of(left).write_bytes(kept[:size])

    assert LogCopy(str(left.path), OsFiles()).compare() is Finding.OBSOLETE
    assert await opens(left) == left.keys
    assert not copy_of(left).exists()


@pytest.mark.process
async def test_beside_a_program_that_read_the_torn_log_nothing_is_written_back_and_the_copy_stays(left: Killed) -> None:
    tear(left, offset_of(3, 100))
    with child(READER, str(left.path)) as reader:
        assert tell(reader, "SELECT count(*) FROM sqlite_schema").startswith("[")
        torn = left.log.read_bytes()
        with pytest.raises(StoreLocked, match="read the log before it was recovered"):
            async with open_store(left.path, limits=IMPATIENT):
                pass
        assert left.log.read_bytes() == torn
        assert copy_of(left).exists()

    assert await opens(left) == left.keys


@pytest.mark.slow
@pytest.mark.process
async def test_beside_a_program_that_read_the_whole_log_an_open_that_was_killed_is_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    keys = await trio.to_thread.run_sync(lambda: run_host(path, "first", 20, kill=True))
    LogCopy(str(path), OsFiles()).make()
    with child(READER, str(path)) as reader:
        assert tell(reader, "SELECT count(*) FROM sqlite_schema").startswith("[")

        async with open_store(path) as store:
            assert await landed(store, *keys, runtime_id="first") == keys
    assert not path.with_name("agents.db-wal-copy").exists()


class FailingFiles:
    """The system's files; from one call on they fail."""

    def __init__(self, works: int, code: int) -> None:
        self._works: Iterator[int] = iter(range(works))
        self._code = code

    def __getattr__(self, name: str) -> Any:
        verb = getattr(OsFiles(), name)
        if name not in {"create", "write_at", "sync", "sync_folder", "truncate", "remove"}:
            return verb

        def call(*arguments: Any) -> Any:
            if next(self._works, None) is None:
                raise OSError(self._code, os.strerror(self._code))
            return verb(*arguments)

        return call


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
async def test_wherever_writing_the_log_again_fails_the_next_open_has_everything(tmp_path: Path, code: int) -> None:
    left = await killed(tmp_path)
    failed = 0
    for works in range(14):
        one = left.copy(tmp_path / f"one {works}")
        seams = tenure.Seams(engine=SqliteOptions(files=cast("Files", FailingFiles(works, code))))
        try:
            async with open_store(one.path, seams=seams):
                pass
        except (StoreBroken, DiskFull):
            failed += 1
        assert await opens(one) == left.keys
        assert not copy_of(one).exists()
    assert failed > 10


async def test_a_copy_without_its_database_is_no_new_store(left: Killed) -> None:
    left.path.unlink()
    left.log.unlink()

    with pytest.raises(Corrupt, match="its log is there"):
        await opens(left)


async def test_whatever_stands_under_the_name_of_the_copy_is_not_written_through(tmp_path: Path) -> None:
    left = await killed(tmp_path)
    target = tmp_path / "of somebody else"
    copy_of(left).symlink_to(target)

    with pytest.raises(CannotOpen):
        await opens(left)
    assert not target.exists()
