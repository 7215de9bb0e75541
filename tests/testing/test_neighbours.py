"""Other programs beside a store: that they harm nothing, and that the proof would see it if they did."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from proof.power_cuts.neighbours import BesideNeighbours, NeighboursFailure
from tenure.persistence.engines.sqlite.log.copy import LogCopy
from tenure.persistence.engines.sqlite.log.rewrite import LogRewrite
from tenure.testing.drive.disk import Disk
from tenure.testing.drive.mounts import Mounts
from tenure.testing.drive.recording_vfs import RecordingVfs
from tenure.testing.neighbours import Neighbours
from tests.kit.shares import TURN, few

SOWN = 3_000
"""Most images until a sown mistake is seen."""


@pytest.mark.slow
def test_whatever_neighbours_do_at_any_operation_nothing_is_lost_or_damaged() -> None:
    report = BesideNeighbours(images=few(100, 2), seed=TURN).run()

    assert report.opening > few(30, 2)
    assert all(report.acts.values())


# What the proof sees


def rename_the_copy(self: Any) -> None:
    """As it was: another file under the name of the log."""
    fresh = f"{self._log}-fresh"
    self._files.write(fresh, self._files.read_at(self._copy, 0, self._copied()))
    self._files.sync(fresh)
    self._files.rename(fresh, self._log)
    self._files.sync_folder(self._folder)


def drop_it_unread(self: Any, *_: Any, **__: Any) -> None:
    if self._copy.exists:
        self._copy.drop()


@pytest.mark.turns(10)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "step", "wrong", "seed"),
    [
        (LogCopy, "write_back", rename_the_copy, 0),
        (LogRewrite, "settle_copy", drop_it_unread, 8),
    ],
)
def test_a_step_that_is_wrong_or_left_out_is_seen(
    monkeypatch: pytest.MonkeyPatch, owner: type, step: str, wrong: Any, seed: int
) -> None:
    # The seeds are those of the first ten that see it first; any seed sees it in the end.
    monkeypatch.setattr(owner, step, wrong)

    with pytest.raises(NeighboursFailure):
        BesideNeighbours(images=SOWN, seed=seed).run()


# The kit


@contextmanager
def database(memory: Path) -> Generator[tuple[Disk, str, str]]:
    disk, mounts = Disk(), Mounts()
    with RecordingVfs(mounts) as vfs:
        path = f"{mounts.mount(disk, memory)}/a.db"
        yield disk, path, vfs.vfs_name


def test_connections_on_one_disk_share_the_memory_of_the_log(tmp_path: Path) -> None:
    with database(tmp_path) as (disk, path, vfs):
        one = apsw.Connection(path, vfs=vfs)
        assert one.pragma("journal_mode", "wal") == "wal"
        one.execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        two = apsw.Connection(path, vfs=vfs)
        two.execute("BEGIN; SELECT * FROM t").fetchall()
        one.execute("INSERT INTO t VALUES (2)")

        assert (one.execute("SELECT count(*) FROM t").get, two.execute("SELECT count(*) FROM t").get) == (2, 1)
        assert one.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0] == 1  # a reader is in the way
        two.execute("COMMIT")
        one.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        one.close()
        assert disk.exists("a.db-wal")
        two.close()
        assert not disk.exists("a.db-wal")  # the last one moves the log and removes it


def test_nothing_that_an_ended_process_does_reaches_the_disk_and_its_neighbours_go_on(tmp_path: Path) -> None:
    with database(tmp_path) as (disk, path, vfs):
        host = apsw.Connection(path, vfs=vfs)
        host.pragma("journal_mode", "wal")
        host.execute("CREATE TABLE t (x)")
        neighbours = Neighbours(path, vfs, random.Random(1), share=0.0, careful=lambda: False)
        disk.faults = neighbours
        ends: list[int] = []
        neighbours.end_after(2, lambda: ends.append(disk.operation_count))
        with pytest.raises(apsw.IOError):
            host.execute("INSERT INTO t VALUES (1)")
        while not any(act.startswith("checkpoint") for act in neighbours.acts):
            neighbours.act()

        assert neighbours.dead
        assert len(ends) == 1
        host.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        host.close()
        neighbours.vanish()
        disk.faults = None
        assert apsw.Connection(path, vfs=vfs).execute("SELECT count(*) FROM t").get == 0
        assert neighbours.trouble is None
