"""The laws of the model of the disk."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tenure.testing.drive.disk import (
    Disk,
    Survivors,
)
from tenure.testing.drive.disk_file import DiskFile
from tenure.testing.drive.faults import (
    Fault,
    FaultInjector,
    FaultKind,
)
from tenure.testing.drive.images import (
    Cut,
    crash,
)
from tenure.testing.drive.operations import (
    ALL_SECTORS,
    NO_SECTORS,
    Drive,
    Truncate,
    Write,
    apply_sectors,
    sector_count,
)

SECTOR = 512


def content(disk: Disk, name: str) -> bytes | None:
    file = disk.find(name)
    return None if file is None else bytes(file.visible)


def written(disk: Disk, name: str = "a", data: bytes = b"old") -> DiskFile:
    """A file that is on disk with its name."""
    file = disk.create(name)
    disk.write(file, 0, data)
    disk.sync(file)
    disk.sync_folder("")
    return file


def cut(disk: Disk, kind: Cut) -> Disk:
    import random

    return crash(disk, kind, random.Random(0))


def test_a_write_is_lost_in_a_power_cut_until_it_is_synced() -> None:
    disk = Disk()
    file = written(disk)
    disk.write(file, 0, b"new")

    assert content(disk, "a") == b"new"
    assert content(cut(disk, Cut.NOTHING), "a") == b"old"
    disk.sync(file)
    assert content(cut(disk, Cut.NOTHING), "a") == b"new"


def test_a_killed_process_leaves_its_writes_visible_and_unsynced() -> None:
    disk = Disk()
    disk.write(written(disk), 0, b"new")

    killed = cut(disk, Cut.KILL)

    assert content(killed, "a") == b"new"
    assert content(cut(killed, Cut.NOTHING), "a") == b"old"
    assert content(cut(killed, Cut.EVERYTHING), "a") == b"new"


def test_a_later_process_can_sync_what_a_killed_one_wrote() -> None:
    disk = Disk()
    disk.write(written(disk), 0, b"new")
    killed = cut(disk, Cut.KILL)
    file = killed.find("a")
    assert file is not None

    killed.sync(file)

    assert content(cut(killed, Cut.NOTHING), "a") == b"new"
    assert content(cut(disk, Cut.NOTHING), "a") == b"old"


def test_after_a_failed_sync_reads_lie_and_only_writing_again_saves() -> None:
    disk = Disk()
    file = written(disk, data=b"old old")
    disk.write(file, 0, b"new new")
    disk.faults = FaultInjector(Fault(kind=FaultKind.SYNC_LOST, nth=1))

    with pytest.raises(OSError, match="Input/output"):
        disk.sync(file)

    disk.sync(file)  # succeeds, and saves nothing
    assert content(disk, "a") == b"new new"
    assert content(cut(disk, Cut.EVERYTHING), "a") == b"old old"
    assert content(cut(cut(disk, Cut.KILL), Cut.EVERYTHING), "a") == b"old old"
    disk.write(file, 0, b"new")
    disk.sync(file)
    assert content(cut(disk, Cut.NOTHING), "a") == b"new old"


def test_what_landed_before_a_sync_failed_stays() -> None:
    disk = Disk()
    file = written(disk)
    disk.write(file, 0, b"new")
    disk.faults = FaultInjector(Fault(kind=FaultKind.SYNC_LANDED, nth=1))

    with pytest.raises(OSError, match="Input/output"):
        disk.sync(file)

    assert content(cut(disk, Cut.NOTHING), "a") == b"new"


def test_a_file_is_gone_in_a_power_cut_until_its_folder_is_synced() -> None:
    disk = Disk()
    file = disk.create("a")
    disk.write(file, 0, b"1")
    disk.sync(file)

    assert content(cut(disk, Cut.NOTHING), "a") is None
    assert content(cut(disk, Cut.ENTRIES), "a") == b"1"
    disk.sync_folder("")
    assert content(cut(disk, Cut.NOTHING), "a") == b"1"


def test_a_synced_name_without_synced_data_leads_to_an_empty_file() -> None:
    disk = Disk()
    disk.write(disk.create("a"), 0, b"1")
    disk.sync_folder("")

    assert content(cut(disk, Cut.NOTHING), "a") == b""


def test_a_rename_leaves_the_old_or_the_new_file() -> None:
    disk = Disk()
    written(disk, "a", b"old")
    fresh = disk.create("b")
    disk.write(fresh, 0, b"new")
    disk.sync(fresh)
    disk.rename("b", "a")

    assert content(disk, "a") == b"new"
    assert not disk.exists("b")
    assert content(cut(disk, Cut.NOTHING), "a") == b"old"
    assert content(cut(disk, Cut.EVERYTHING), "a") == b"new"
    # The name that the fresh file had first may be lost and the rename kept.
    kept = Survivors(sectors=(), wrecked=(), entries=(False, True))
    assert content(disk.after_power_cut(kept), "a") == b"new"


def test_a_removed_file_comes_back_until_its_folder_is_synced() -> None:
    disk = Disk()
    written(disk)
    disk.remove("a")

    assert content(cut(disk, Cut.NOTHING), "a") == b"old"
    disk.sync_folder("")
    assert content(cut(disk, Cut.NOTHING), "a") is None


def test_an_open_file_outlives_its_name() -> None:
    disk = Disk()
    file = written(disk)
    disk.remove("a")

    disk.write(file, 0, b"new")
    disk.sync(file)

    assert bytes(file.visible) == b"new"
    assert disk.unsynced_changes() == []


def test_a_folder_that_is_gone_takes_its_files_along() -> None:
    disk = Disk()
    disk.make_folder("f")
    file = disk.create("f/a")
    disk.write(file, 0, b"1")
    disk.sync(file)
    disk.sync_folder("f")

    assert cut(disk, Cut.NOTHING).entries() == {}
    disk.sync_folder("")
    assert content(cut(disk, Cut.NOTHING), "f/a") == b"1"
    assert disk.names("f") == ["f/a"]


def test_a_file_needs_a_folder_that_is_there() -> None:
    with pytest.raises(FileNotFoundError):
        Disk().create("f/a")


def test_a_torn_write_lands_in_whole_sectors() -> None:
    drive = Drive(sector_bytes=SECTOR)
    change = Write(1, 100, b"x" * 1500)
    old = b"o" * 2000

    after = bytearray(old)
    apply_sectors(after, change, 0b1010, NO_SECTORS, drive)

    assert sector_count(change, drive) == 4
    assert bytes(after) == old[:512] + b"x" * 512 + old[1024:1536] + b"x" * 64 + old[1600:]


@pytest.mark.parametrize("safe", [True, False])
def test_a_wrecked_sector_spoils_its_neighbours_only_without_powersafe_overwrite(*, safe: bool) -> None:
    change = Write(1, 600, b"x" * 100)
    after = bytearray(b"o" * 2000)

    apply_sectors(after, change, NO_SECTORS, 1, Drive(powersafe_overwrite=safe))

    low, high = (600, 700) if safe else (512, 1024)
    spoiled = [at for at, byte in enumerate(after) if byte != ord("o")]
    assert spoiled == list(range(low, high))


def test_a_dropped_write_may_still_have_grown_its_file_with_zeros() -> None:
    disk = Disk()
    disk.write(written(disk), 3, b"new")
    grown = Survivors(sectors=(NO_SECTORS,), wrecked=(NO_SECTORS,), entries=(), grown=True)

    assert content(disk.after_power_cut(grown), "a") == b"old\0\0\0"


NAMES = st.sampled_from(["a", "b"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, st.integers(0, 1500), st.integers(1, 1500)),
        st.tuples(st.just("truncate"), NAMES, st.integers(0, 1500), st.just(0)),
        st.tuples(st.just("sync"), NAMES, st.just(0), st.just(0)),
        st.tuples(st.just("sync_folder"), NAMES, st.just(0), st.just(0)),
        st.tuples(st.just("rename"), NAMES, st.just(0), st.just(0)),
        st.tuples(st.just("remove"), NAMES, st.just(0), st.just(0)),
        st.tuples(st.just("kill"), NAMES, st.just(0), st.just(0)),
    ),
    max_size=30,
)


class CopyingModel:
    """The same disk without any sharing: everything is copied, always."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.synced: list[bytes] = []
        self.names: dict[str, int] = {}
        self.synced_names: dict[str, int] = {}

    def file(self, name: str) -> int:
        if name not in self.names:
            self.names[name] = len(self.files)
            self.files.append(b"")
            self.synced.append(b"")
        return self.names[name]

    def do(self, verb: str, name: str, first: int, second: int) -> None:
        if verb == "write":
            number = self.file(name)
            old = self.files[number].ljust(first, b"\0")
            data = bytes([second % 251]) * second
            self.files[number] = old[:first] + data + old[first + second :]
        elif verb == "truncate":
            number = self.file(name)
            self.files[number] = self.files[number][:first].ljust(first, b"\0")
        elif verb == "sync":
            number = self.file(name)
            self.synced[number] = self.files[number]
        elif verb == "sync_folder":
            self.synced_names = dict(self.names)
        elif verb == "rename" and name in self.names:
            self.names["c"] = self.names.pop(name)
        elif verb == "remove":
            self.names.pop(name, None)

    def visible(self) -> dict[str, bytes]:
        return {name: self.files[number] for name, number in self.names.items()}

    def durable(self) -> dict[str, bytes]:
        return {name: self.synced[number] for name, number in self.synced_names.items()}


def do(disk: Disk, verb: str, name: str, first: int, second: int) -> Disk:
    file = disk.find(name)
    if verb in ("write", "truncate", "sync") and file is None:
        file = disk.create(name)
    if verb == "write" and file is not None:
        disk.write(file, first, bytes([second % 251]) * second)
    elif verb == "truncate" and file is not None:
        disk.truncate(file, first)
    elif verb == "sync" and file is not None:
        disk.sync(file)
    elif verb == "sync_folder":
        disk.sync_folder("")
    elif verb == "rename" and file is not None:
        disk.rename(name, "c")
    elif verb == "remove" and file is not None:
        disk.remove(name)
    elif verb == "kill":
        return disk.after_kill(recording=True)
    return disk


def contents(disk: Disk) -> dict[str, bytes]:
    return {name: bytes(file.visible) for name in disk.entries() if (file := disk.find(name))}


@given(steps=STEPS)
def test_sharing_contents_changes_nothing(steps: list[tuple[str, str, int, int]]) -> None:
    disk, model = Disk(recording=True), CopyingModel()
    for step in steps:
        disk = do(disk, *step)
        model.do(*step)

        assert contents(disk) == model.visible()
        assert contents(cut(disk, Cut.NOTHING)) == model.durable()
        assert contents(cut(disk, Cut.KILL)) == model.visible()
        assert contents(cut(disk, Cut.EVERYTHING)) == model.visible()


@given(steps=STEPS)
def test_a_replay_gives_the_same_disk(steps: list[tuple[str, str, int, int]]) -> None:
    disk = Disk(recording=True)
    for step in steps:
        if step[0] != "kill":
            do(disk, *step)

    again = Disk()
    for operation in disk.log or ():
        again.replay(operation)

    assert contents(again) == contents(disk)
    for kind in Cut:
        assert contents(cut(again, kind)) == contents(cut(disk, kind))


@given(
    kept=st.integers(0, 7),
    wrecked=st.integers(0, 7),
    offset=st.integers(0, 600),
    size=st.integers(1, 1000),
    safe=st.booleans(),
)
def test_a_torn_write_touches_nothing_outside_its_sectors(
    *, kept: int, wrecked: int, offset: int, size: int, safe: bool
) -> None:
    drive = Drive(powersafe_overwrite=safe)
    old = b"o" * 1800
    after = bytearray(old)

    apply_sectors(after, Write(1, offset, b"x" * size), kept, wrecked, drive)

    low = offset if safe else offset // SECTOR * SECTOR
    high = offset + size if safe else -(-(offset + size) // SECTOR) * SECTOR
    assert bytes(after[:low]) == old[:low]
    assert bytes(after[high:]) == old[high:]
    assert len(after) == len(old)


@pytest.mark.parametrize(("kept", "size"), [(ALL_SECTORS, 1), (1, 1), (NO_SECTORS, 3)])
def test_a_truncation_is_made_or_not(kept: int, size: int) -> None:
    after = bytearray(b"old")

    apply_sectors(after, Truncate(1, 1), kept, NO_SECTORS, Drive())

    assert len(after) == size
