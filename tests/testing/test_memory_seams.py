"""The seams in memory do what those of the operating system do."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from tenure.persistence.engines.sqlite.system.files import (
    Files,
    OsFiles,
)
from tenure.persistence.engines.sqlite.system.locks import (
    Locks,
    OsLocks,
)
from tenure.testing.drive.disk import Disk
from tenure.testing.drive.images import (
    Cut,
    crash,
)
from tenure.testing.drive.memory_seams import (
    MemoryFiles,
    MemoryLocks,
)
from tenure.testing.drive.mounts import Mounts


class Place:
    """Somewhere to keep files, and the two seams for it."""

    def __init__(self, root: str, files: Files, locks: Locks) -> None:
        self.root = root
        self.files = files
        self.locks = locks

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"


@pytest.fixture(params=["os", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if cast("str", request.param) == "os":
        return Place(str(tmp_path), OsFiles(), OsLocks())
    mounts = Mounts()
    return Place(mounts.mount(Disk()), MemoryFiles(mounts), MemoryLocks())


def test_what_is_written_is_read(place: Place) -> None:
    path = place.path("a")
    place.files.write(path, b"first and long")
    place.files.write(path, b"second")

    assert place.files.exists(path)
    assert not place.files.is_folder(path)
    assert place.files.size(path) == 6
    assert place.files.read(path) == b"second"
    assert place.files.read(path, 3) == b"sec"


def test_a_copy_replaces_its_target(place: Place) -> None:
    source, target = place.path("a"), place.path("b")
    place.files.write(source, b"new")
    place.files.write(target, b"old and long")

    place.files.copy(source, target)
    place.files.sync(target)

    assert place.files.read(target) == b"new"
    assert place.files.read(source) == b"new"


def test_a_rename_replaces_its_target(place: Place) -> None:
    source, target = place.path("a"), place.path("b")
    place.files.write(source, b"new")
    place.files.write(target, b"old")

    place.files.rename(source, target)

    assert place.files.read(target) == b"new"
    assert not place.files.exists(source)
    assert place.files.list_folder(place.root) == ["b"]


def test_a_removed_file_is_gone(place: Place) -> None:
    place.files.write(place.path("a"), b"1")

    place.files.remove(place.path("a"))
    place.files.sync_folder(place.root)

    assert not place.files.exists(place.path("a"))


def test_folders_hold_files(place: Place) -> None:
    folder = place.path("f")
    place.files.make_folder(folder)
    place.files.make_folder(folder)
    place.files.write(f"{folder}/b", b"2")
    place.files.write(f"{folder}/a", b"1")

    assert place.files.is_folder(folder)
    assert place.files.is_folder(place.root)
    assert place.files.list_folder(folder) == ["a", "b"]
    assert place.files.list_folder(place.root) == ["f"]


@pytest.mark.parametrize("verb", ["size", "read", "sync", "remove", "list_folder", "sync_folder"])
def test_what_is_missing_is_not_found(place: Place, verb: str) -> None:
    with pytest.raises(FileNotFoundError):
        getattr(place.files, verb)(place.path("missing"))


def test_nothing_goes_into_a_missing_folder(place: Place) -> None:
    for attempt in (
        lambda: place.files.write(place.path("f/a"), b""),
        lambda: place.files.make_folder(place.path("f/g")),
        lambda: place.files.rename(place.path("a"), place.path("b")),
    ):
        with pytest.raises(FileNotFoundError):
            attempt()


def test_a_file_is_no_folder_and_a_folder_no_file(place: Place) -> None:
    place.files.write(place.path("a"), b"")
    place.files.make_folder(place.path("f"))

    with pytest.raises(FileExistsError):
        place.files.make_folder(place.path("a"))
    with pytest.raises(IsADirectoryError):
        place.files.write(place.path("f"), b"")


def test_an_exclusive_lock_shuts_everybody_out(place: Place) -> None:
    lock = place.locks.acquire(place.path("l"), exclusive=True)
    assert lock is not None

    assert place.locks.acquire(place.path("l"), exclusive=True) is None
    assert place.locks.acquire(place.path("l"), exclusive=False) is None
    assert place.locks.acquire(place.path("other"), exclusive=True) is not None
    lock.release()
    lock.release()
    assert place.locks.acquire(place.path("l"), exclusive=True) is not None


def test_shared_locks_stand_together_and_one_alone_can_become_exclusive(place: Place) -> None:
    path = place.path("l")
    first = place.locks.acquire(path, exclusive=False)
    second = place.locks.acquire(path, exclusive=False)
    assert first is not None
    assert second is not None

    assert place.locks.acquire(path, exclusive=True) is None
    assert not first.upgrade()
    second.release()
    assert first.upgrade()
    assert place.locks.acquire(path, exclusive=False) is None
    first.downgrade()
    assert place.locks.acquire(path, exclusive=False) is not None


def test_a_released_lock_cannot_change(place: Place) -> None:
    lock = place.locks.acquire(place.path("l"), exclusive=False)
    assert lock is not None
    lock.release()

    with pytest.raises(ValueError, match="released"):
        lock.upgrade()
    with pytest.raises(ValueError, match="released"):
        lock.downgrade()


def test_a_copy_that_was_not_synced_is_lost_in_a_power_cut() -> None:
    import random

    disk, mounts = Disk(), Mounts()
    files, root = MemoryFiles(mounts), mounts.mount(disk)
    files.write(f"{root}/a", b"1")
    files.sync(f"{root}/a")
    files.sync_folder(root)
    files.copy(f"{root}/a", f"{root}/b")
    files.rename(f"{root}/b", f"{root}/a")
    files.sync_folder(root)

    after = mounts.mount(crash(disk, Cut.NOTHING, random.Random(0)))

    assert files.read(f"{root}/a") == b"1"
    assert files.read(f"{after}/a") == b""


def test_a_path_on_no_disk_is_not_found() -> None:
    with pytest.raises(FileNotFoundError):
        Mounts().find("/machine-1/agents.db")
