"""OS locks on files beside the database.

A lock belongs to an open file description and dies with its process: a lock that can be taken proves that its holder is
gone (design §4). `flock` is used because POSIX record locks are dropped when any descriptor of the file is closed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from contextlib import suppress
from typing import Final, Protocol, final

from .files import (
    OWNER_ONLY,
    identity_of,
    let_owner_in,
)

_NOTE_BYTES: Final = 4096

# Marks are record locks of the open file description, which Linux has: they belong to this descriptor as the lock does, they do
# not stand against it, and who asks for them is not shown its own. Without them no mark is ever seen.
_SET: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
_GET: Final[int | None] = getattr(fcntl, "F_OFD_GETLK", None)
_RECORD: Final = struct.Struct("hhqqi0q")


class Lock(Protocol):
    """A held lock."""

    @property
    def identity(self) -> str:
        """What distinguishes the locked file from every other one, as `Files.identity` says it of a name."""
        ...

    @property
    def note(self) -> bytes:
        """What a holder wrote into the file; empty in a new one. Never synced: it is for those who live at one time."""
        ...

    def write_note(self, note: bytes) -> None:
        """Replace the note. Only for the holder of an exclusive lock."""
        ...

    def upgrade(self) -> bool:
        """Make a shared lock exclusive if no other process holds it; never waits. On False the shared lock is still held."""
        ...

    def downgrade(self) -> None:
        """Make an exclusive lock shared."""
        ...

    def mark(self, place: int, *, marked: bool) -> None:
        """Set a mark of this holder beside the lock, or take it away; it goes with the lock. A system without does nothing."""
        ...

    def is_marked(self, place: int | None) -> bool:
        """Whether another holder has a mark at this place; for None: anywhere."""
        ...

    def release(self) -> None:
        """Give the lock up, with its marks. Doing so twice is allowed."""
        ...


class Locks(Protocol):
    """Takes locks on files. Each verb raises `OSError` for a name that is a link or a folder, or one of several of a file."""

    def acquire(self, path: str, *, exclusive: bool) -> Lock | None:
        """Take the lock, or return None where another holder stands against it. Never waits; makes a file that is missing."""
        ...

    def make(self, path: str) -> Lock:
        """Make a new file and take its lock, exclusive. Raises `FileExistsError`."""
        ...

    def find(self, path: str) -> Lock | None:
        """Take the lock of a file that is there, exclusive, or return None. Raises `FileNotFoundError`; makes nothing."""
        ...


@final
class OsLocks:
    """Locks of the operating system, by `flock`."""

    def acquire(self, path: str, *, exclusive: bool) -> Lock | None:
        """See `Locks.acquire`."""
        return _lock(path, os.O_CREAT, exclusive=exclusive)

    def make(self, path: str) -> Lock:
        """See `Locks.make`."""
        lock = _lock(path, os.O_CREAT | os.O_EXCL, exclusive=True)
        if lock is None:  # another one probed it in the moment between
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        return lock

    def find(self, path: str) -> Lock | None:
        """See `Locks.find`."""
        return _lock(path, 0, exclusive=True)


@final
class _OsLock:
    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @property
    def identity(self) -> str:
        return identity_of(os.fstat(self._held()))

    @property
    def note(self) -> bytes:
        return os.pread(self._held(), _NOTE_BYTES, 0)

    def write_note(self, note: bytes) -> None:
        os.ftruncate(self._held(), 0)
        os.pwrite(self._held(), note, 0)

    def upgrade(self) -> bool:
        # flock converts by dropping the old lock first. Two that upgrade at once can both fail and both be without their
        # shared lock for a moment, so the shared lock is taken back, waiting: only holders of shared locks are in the way.
        descriptor = self._held()
        if _try(descriptor, fcntl.LOCK_EX):
            return True
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return False

    def downgrade(self) -> None:
        fcntl.flock(self._held(), fcntl.LOCK_SH)

    def mark(self, place: int, *, marked: bool) -> None:
        if _SET is not None and self._descriptor is not None:
            with suppress(OSError):  # no room for one more in the system, or a file system without: others hear later
                fcntl.fcntl(self._descriptor, _SET, _record(fcntl.F_RDLCK if marked else fcntl.F_UNLCK, place, 1))

    def is_marked(self, place: int | None) -> bool:
        if _GET is None or self._descriptor is None:
            return False
        wanted = _record(fcntl.F_WRLCK, 0, 0) if place is None else _record(fcntl.F_WRLCK, place, 1)
        try:
            found = fcntl.fcntl(self._descriptor, _GET, wanted)
        except OSError:
            return False
        return int(_RECORD.unpack(found)[0]) != fcntl.F_UNLCK

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _held(self) -> int:
        if self._descriptor is None:
            message = "the lock was released"
            raise ValueError(message)
        return self._descriptor


def _record(kind: int, start: int, length: int) -> bytes:
    return _RECORD.pack(kind, os.SEEK_SET, start, length, 0)


def _lock(path: str, flags: int, *, exclusive: bool) -> _OsLock | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | flags, OWNER_ONLY)
    try:
        _check_plain(path, os.fstat(descriptor))
        if flags & os.O_CREAT:
            let_owner_in(descriptor)
        # The file may have lost its name since it was opened: then others lock another one.
        if _try(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) and _is_named(path, descriptor):
            return _OsLock(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _check_plain(path: str, found: os.stat_result) -> None:
    # A planted link or pipe: a note would be written into a foreign file.
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise OSError(errno.ELOOP, "a lock stands in its own file, with one name", path)


def _is_named(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _try(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
