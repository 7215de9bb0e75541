"""The file and lock seams over the model of the disk."""

from __future__ import annotations

import errno
import os
from typing import final

from .disk import Disk
from .disk_file import DiskFile
from .mounts import Mounts


@final
class MemoryFiles:
    """The file operations of the store (`tenure.persistence.engines.sqlite.system.files.Files`), in memory."""

    def __init__(self, mounts: Mounts) -> None:
        """Reach every disk that is mounted there."""
        self._mounts = mounts

    def exists(self, path: str) -> bool:
        """See `Files.exists`."""
        disk, name = self._mounts.find(path)
        return disk.exists(name)

    def is_folder(self, path: str) -> bool:
        """See `Files.is_folder`."""
        disk, name = self._mounts.find(path)
        return disk.is_folder(name)

    def size(self, path: str) -> int:
        """See `Files.size`."""
        return self._file(path)[1].size

    def identity(self, path: str) -> str:
        """See `Files.identity`."""
        return str(self._file(path)[1].number)

    def names_stamp(self, folder: str, known: object | None = None) -> None:  # noqa: ARG002 - as `Files` has it
        """See `Files.names_stamp`."""
        return

    def written_stamp(self, path: str) -> None:  # noqa: ARG002 - as `Files` has it
        """See `Files.written_stamp`."""
        return

    def read(self, path: str, limit: int | None = None) -> bytes:
        """See `Files.read`."""
        disk, file = self._file(path)
        return bytes(disk.read(file, 0, file.size if limit is None else limit))

    def write(self, path: str, data: bytes) -> None:
        """See `Files.write`. Created or emptied first, then written: a crash may come between."""
        disk, name = self._mounts.find(path)
        file = disk.find(name)
        if file is None:
            if disk.is_folder(name):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            file = disk.create(name)
        elif file.size:
            disk.truncate(file, 0)
        if data:
            disk.write(file, 0, data)

    def create(self, path: str) -> None:
        """See `Files.create`."""
        disk, name = self._mounts.find(path)
        if disk.exists(name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        disk.create(name)

    def read_at(self, path: str, offset: int, amount: int) -> bytes:
        """See `Files.read_at`."""
        disk, file = self._file(path)
        return bytes(disk.read(file, offset, amount))

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        """See `Files.write_at`."""
        disk, file = self._file(path)
        disk.write(file, offset, data)

    def truncate(self, path: str, size: int) -> None:
        """See `Files.truncate`."""
        disk, file = self._file(path)
        disk.truncate(file, size)

    def copy(self, source: str, target: str) -> None:
        """See `Files.copy`."""
        self.write(target, self.read(source))

    def sync(self, path: str) -> None:
        """See `Files.sync`."""
        disk, file = self._file(path)
        disk.sync(file)

    def rename(self, source: str, target: str) -> None:
        """See `Files.rename`."""
        disk, name = self._mounts.find(source)
        other, new_name = self._mounts.find(target)
        if other is not disk:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), target)
        disk.rename(name, new_name)

    def place(self, made: str, name: str) -> None:
        """See `Files.place`."""
        if self.exists(name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        self.rename(made, name)

    def remove(self, path: str) -> None:
        """See `Files.remove`."""
        disk, name = self._mounts.find(path)
        disk.remove(name)

    def sync_folder(self, path: str) -> None:
        """See `Files.sync_folder`."""
        disk, name = self._mounts.find(path)
        disk.sync_folder(name)

    def make_folder(self, path: str) -> None:
        """See `Files.make_folder`."""
        disk, name = self._mounts.find(path)
        if disk.find(name) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        if not disk.is_folder(name):
            disk.make_folder(name)

    def list_folder(self, path: str) -> list[str]:
        """See `Files.list_folder`."""
        disk, name = self._mounts.find(path)
        if not disk.is_folder(name):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return [each.rpartition("/")[2] for each in disk.names(name)]

    def _file(self, path: str) -> tuple[Disk, DiskFile]:
        disk, name = self._mounts.find(path)
        file = disk.find(name)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return disk, file


@final
class MemoryLocks:
    """The locks of one machine (`tenure.persistence.engines.sqlite.system.locks.Locks`); a crash frees them all."""

    def __init__(self) -> None:
        """Nothing is held."""
        self._held: dict[str, set[MemoryLock]] = {}
        self._notes: dict[str, bytes] = {}

    def acquire(self, path: str, *, exclusive: bool) -> MemoryLock | None:
        """See `Locks.acquire`."""
        held = self._held.setdefault(path, set())
        if any(lock.exclusive or exclusive for lock in held):
            return None
        return MemoryLock(path, held, self._notes, exclusive=exclusive)

    def make(self, path: str) -> MemoryLock:
        """See `Locks.make`."""
        lock = None if path in self._held else self.acquire(path, exclusive=True)
        if lock is None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        return lock

    def find(self, path: str) -> MemoryLock | None:
        """See `Locks.find`."""
        if path not in self._held:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.acquire(path, exclusive=True)


@final
class MemoryLock:
    """A lock that is held in memory."""

    def __init__(self, path: str, held: set[MemoryLock], notes: dict[str, bytes], *, exclusive: bool) -> None:
        """Join those who hold it."""
        self.identity = ""  # no file of the disk stands for it
        self._path = path
        self.exclusive = exclusive
        self._held = held
        self._notes = notes
        self.marks: set[int] = set()
        held.add(self)

    @property
    def note(self) -> bytes:
        """See `Lock.note`."""
        return self._notes.get(self._path, b"")

    def write_note(self, note: bytes) -> None:
        """See `Lock.write_note`."""
        self._notes[self._path] = note

    def upgrade(self) -> bool:
        """See `Lock.upgrade`."""
        self._expect_held()
        self.exclusive = self.exclusive or self._held == {self}
        return self.exclusive

    def downgrade(self) -> None:
        """See `Lock.downgrade`."""
        self._expect_held()
        self.exclusive = False

    def mark(self, place: int, *, marked: bool) -> None:
        """See `Lock.mark`."""
        (self.marks.add if marked else self.marks.discard)(place)

    def is_marked(self, place: int | None) -> bool:
        """See `Lock.is_marked`."""
        others = [each.marks for each in self._held if each is not self]
        return any(marks if place is None else place in marks for marks in others)

    def release(self) -> None:
        """See `Lock.release`."""
        self._held.discard(self)

    def _expect_held(self) -> None:
        if self not in self._held:
            raise ValueError("the lock was released")
