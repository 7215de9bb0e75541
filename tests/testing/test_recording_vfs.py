"""SQLite on the model of the disk."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import pytest

from tenure.testing.drive.disk import Disk
from tenure.testing.drive.faults import (
    Fault,
    FaultInjector,
    FaultKind,
)
from tenure.testing.drive.mounts import Mounts
from tenure.testing.drive.operations import (
    Create,
    Drive,
    SyncFolder,
    Write,
)
from tenure.testing.drive.recording_vfs import (
    RecordingVfs,
    examine,
)


@pytest.fixture
def mounts() -> Mounts:
    return Mounts()


@pytest.fixture
def vfs(mounts: Mounts) -> Iterator[RecordingVfs]:
    with RecordingVfs(mounts) as vfs:
        yield vfs


def connect(path: str, vfs: RecordingVfs, *, wal: bool = True) -> apsw.Connection:
    db = apsw.Connection(path, vfs=vfs.vfs_name)
    if wal:
        db.pragma("locking_mode", "EXCLUSIVE")
        assert db.pragma("journal_mode", "WAL") == "wal"
    return db


@pytest.mark.parametrize("wal", [True, False])
def test_a_database_lives_on_the_disk_alone(mounts: Mounts, vfs: RecordingVfs, *, wal: bool) -> None:
    disk = Disk()
    path = f"{mounts.mount(disk)}/agents.db"
    with connect(path, vfs, wal=wal) as db:
        db.execute("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000)), (2)")
        assert db.pragma("integrity_check") == "ok"
    names = set(disk.entries())
    db.close()
    again = connect(path, vfs, wal=wal)

    assert again.execute("SELECT count(*) FROM t").get == 2
    assert names == {"agents.db", "agents.db-wal"} if wal else {"agents.db"}
    again.close()


def test_many_disks_share_one_vfs(mounts: Mounts, vfs: RecordingVfs) -> None:
    paths = [f"{mounts.mount(Disk())}/agents.db" for _ in range(3)]
    connections = [connect(path, vfs) for path in paths]
    for number, db in enumerate(connections):
        db.execute(f"CREATE TABLE t AS SELECT {number} AS x")

    assert [db.execute("SELECT x FROM t").get for db in connections] == [0, 1, 2]
    for db in connections:
        db.close()


def test_two_connections_lock_each_other_out_as_on_a_real_disk(mounts: Mounts, vfs: RecordingVfs) -> None:
    path = f"{mounts.mount(Disk())}/agents.db"
    first, second = connect(path, vfs, wal=False), connect(path, vfs, wal=False)
    first.execute("CREATE TABLE t (x)")

    first.execute("BEGIN IMMEDIATE")
    assert second.execute("SELECT count(*) FROM t").get == 0
    with pytest.raises(apsw.BusyError):
        second.execute("BEGIN IMMEDIATE")
    first.execute("COMMIT; BEGIN EXCLUSIVE")
    with pytest.raises(apsw.BusyError):
        second.execute("SELECT count(*) FROM t")
    first.execute("COMMIT")
    second.execute("INSERT INTO t VALUES (1)")

    first.close()
    second.close()


def test_a_connection_in_exclusive_mode_keeps_all_others_out(mounts: Mounts, vfs: RecordingVfs) -> None:
    path = f"{mounts.mount(Disk())}/agents.db"
    first = connect(path, vfs)
    first.execute("CREATE TABLE t (x)")
    second = apsw.Connection(path, vfs=vfs.vfs_name)

    with pytest.raises(apsw.BusyError):
        second.execute("SELECT count(*) FROM t")

    second.close()
    first.close()


def test_the_first_sync_of_a_log_syncs_its_folder(mounts: Mounts, vfs: RecordingVfs) -> None:
    disk = Disk(recording=True)
    db = connect(f"{mounts.mount(disk)}/agents.db", vfs)
    db.execute("CREATE TABLE t (x)")

    log = disk.log or []
    made = [each for each in log if isinstance(each, Create) and each.name == "agents.db-wal"]
    assert SyncFolder("") in log[log.index(made[0]) :]
    db.close()


def test_every_write_of_a_transaction_is_recorded_with_its_bytes(mounts: Mounts, vfs: RecordingVfs) -> None:
    disk = Disk(recording=True)
    db = connect(f"{mounts.mount(disk)}/agents.db", vfs)
    db.execute("CREATE TABLE t (x); INSERT INTO t VALUES ('needle in the log')")

    assert any(b"needle in the log" in each.data for each in disk.log or () if isinstance(each, Write))
    db.close()


@pytest.mark.parametrize(
    ("kind", "error", "extended"),
    [
        (FaultKind.WRITE_ERROR, apsw.IOError, apsw.SQLITE_IOERR_WRITE),
        (FaultKind.SYNC_LOST, apsw.IOError, apsw.SQLITE_IOERR_FSYNC),
        (FaultKind.DISK_FULL, apsw.FullError, apsw.SQLITE_FULL),
        (FaultKind.SHORT_WRITE, apsw.FullError, apsw.SQLITE_FULL),
    ],
)
def test_a_fault_reaches_sql_as_the_error_that_sqlite_would_raise(
    mounts: Mounts, vfs: RecordingVfs, kind: FaultKind, error: type[apsw.Error], extended: int
) -> None:
    disk = Disk()
    db = connect(f"{mounts.mount(disk)}/agents.db", vfs)
    db.execute("CREATE TABLE t (x)")
    disk.faults = FaultInjector(Fault(kind=kind, nth=1))

    with pytest.raises(error) as caught:
        db.execute("INSERT INTO t VALUES (1)")

    assert getattr(caught.value, "extendedresult") == extended  # noqa: B009 - the driver's hints do not know it
    db.close()


@pytest.mark.parametrize("safe", [True, False])
def test_sqlite_is_told_what_the_drive_promises(mounts: Mounts, vfs: RecordingVfs, *, safe: bool) -> None:
    # Without powersafe overwrite each commit is padded to a full sector, so the log grows faster.
    disk = Disk(Drive(powersafe_overwrite=safe))
    db = connect(f"{mounts.mount(disk)}/agents.db", vfs)
    db.execute("CREATE TABLE t (x)")
    log = disk.find("agents.db-wal")
    assert log is not None
    before = log.size
    db.execute("INSERT INTO t VALUES (1)")

    frame = 24 + 4096
    assert log.size - before == frame if safe else log.size - before > frame
    db.close()


def test_sql_never_sees_the_real_time(mounts: Mounts, vfs: RecordingVfs) -> None:
    db = connect(f"{mounts.mount(Disk())}/agents.db", vfs)

    assert db.execute("SELECT datetime('now')").get == "2024-08-01 00:00:00"
    db.close()


def test_random_bytes_follow_from_the_seed_and_only_meanwhile(vfs: RecordingVfs) -> None:
    drawn: list[bytes] = []
    for seed in (1, 1, 2):
        with vfs.seeded_randomness(seed):
            drawn.append(apsw.randomness(16))

    assert drawn[0] == drawn[1] != drawn[2]
    assert apsw.randomness(16) != apsw.randomness(16)
    assert apsw.vfs_names()[0] != vfs.vfs_name


def test_a_large_transaction_spills_outside_the_disk(mounts: Mounts, vfs: RecordingVfs) -> None:
    disk = Disk()
    db = connect(f"{mounts.mount(disk)}/agents.db", vfs)
    db.pragma("temp_store", "FILE")
    db.execute("CREATE TEMP TABLE spilled (x)")
    with db:
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)"
            "INSERT INTO spilled SELECT zeroblob(4000) FROM n"
        )

    assert db.execute("SELECT count(*) FROM spilled").get == 2000
    assert set(disk.entries()) <= {"agents.db", "agents.db-wal"}
    db.close()


def test_the_vfs_is_gone_after_its_use(mounts: Mounts) -> None:
    with RecordingVfs(mounts) as vfs:
        name = vfs.vfs_name
        assert name in apsw.vfs_names()
        left_open = connect(f"{mounts.mount(Disk())}/agents.db", vfs)

    assert name not in apsw.vfs_names()
    with pytest.raises(apsw.ConnectionClosedError):
        left_open.execute("SELECT 1")


def test_examine_tells_integrity_and_rows(mounts: Mounts, vfs: RecordingVfs) -> None:
    disk = Disk()
    path = f"{mounts.mount(disk)}/agents.db"
    with connect(path, vfs) as db:
        db.execute('CREATE TABLE "a ""quoted"" one" AS SELECT 1 AS x')
    db.close()
    broken = Disk()
    broken.write(broken.create("agents.db"), 0, b"SQLite format 3\0" + b"?" * 2000)

    assert examine(path, vfs) == ["integrity: ok", 'a "quoted" one: 1 rows']
    assert examine(f"{mounts.mount(broken)}/agents.db", vfs)[0].startswith("NotADBError")
