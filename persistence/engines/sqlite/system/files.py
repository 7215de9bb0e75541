"""File operations outside SQLite.

What the store does to files by itself (creating the database, copying a write-ahead log at reopen, syncing folders) goes
through this seam, so that the power-cut kit sees it and can make it fail.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Final, Protocol, final

OWNER_ONLY = 0o600
"""Mode of every file that tenure creates."""

_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_COARSE_NS: Final = 3_000_000_000
"""So old is a stamp before it counts: some file systems count in steps of two seconds."""

_TICK_NS: Final = 10_000_000
"""The longest tick of a system's clock; a stamp between two of them is of a file system that counts in ticks."""

_FINE_NS: Final = 10 * _TICK_NS
"""So old is a stamp before it counts where the file system counts in ticks. Until then four names are looked at, twice a group:
a host that commits alone spent a tenth of its time on that for its first three seconds."""


class Files(Protocol):
    """Blocking file operations. Each raises `OSError` as the system does."""

    def exists(self, path: str) -> bool:
        """Whether a file or folder stands there."""
        ...

    def is_folder(self, path: str) -> bool:
        """Whether a folder stands there."""
        ...

    def size(self, path: str) -> int:
        """Length in bytes."""
        ...

    def identity(self, path: str) -> str:
        """What distinguishes the file that has this name from every other one that exists."""
        ...

    def names_stamp(self, folder: str, known: object | None = None) -> object | None:
        """What changes whenever a name in the folder comes, goes or leads elsewhere; None while it cannot be relied on.

        It is `known` itself, which an earlier call has returned, where nothing has changed since.
        """
        ...

    def written_stamp(self, path: str) -> object | None:
        """What nearly every write into the file changes, for a cheap look; None where no such file is, or no such look."""
        ...

    def read(self, path: str, limit: int | None = None) -> bytes:
        """The content, or its first `limit` bytes. Never of a database: see `read_head` in the SQLite engine."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Create or replace the content; on disk only after `sync`, its name only after `sync_folder`."""
        ...

    def create(self, path: str) -> None:
        """Create an empty file of the owner's alone; refused where anything has that name, also a link that leads nowhere."""
        ...

    def read_at(self, path: str, offset: int, amount: int) -> bytes:
        """The bytes there; fewer where the file ends before. Never of a database: see `read`."""
        ...

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        """Write into a file that exists, in place; on disk only after `sync`. Never into a database: see `read`."""
        ...

    def truncate(self, path: str, size: int) -> None:
        """Cut a file off at this length; on disk only after `sync`."""
        ...

    def copy(self, source: str, target: str) -> None:
        """Create or replace `target` with content and mode of `source`; on disk only after `sync`."""
        ...

    def sync(self, path: str) -> None:
        """Put the content on disk (fsync; F_FULLFSYNC where there is one)."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Give `source` the name `target`, replacing what has it; on disk only after `sync_folder`."""
        ...

    def place(self, made: str, name: str) -> None:
        """Give a file that was made under another name its own; on disk only after `sync_folder`.

        Raises `FileExistsError` where anything has that name, also a link that leads nowhere.
        """
        ...

    def remove(self, path: str) -> None:
        """Remove the file; on disk only after `sync_folder`."""
        ...

    def sync_folder(self, path: str) -> None:
        """Put the names in this folder on disk."""
        ...

    def make_folder(self, path: str) -> None:
        """Create the folder if it is not there; its parent must be."""
        ...

    def list_folder(self, path: str) -> list[str]:
        """The names in the folder, sorted."""
        ...


def identity_of(found: os.stat_result) -> str:
    """Device and inode, as `Files.identity` says them."""
    return f"{found.st_dev}:{found.st_ino}"


def let_owner_in(descriptor: int) -> None:
    """Give the owner the rights that a umask took from a new file: it is opened again, by SQLite and by other hosts.

    What a file had before stays: an administrator may have let a group in.
    """
    found = os.fstat(descriptor)
    if found.st_mode & OWNER_ONLY != OWNER_ONLY and found.st_uid == os.geteuid() and found.st_size == 0:
        os.fchmod(descriptor, found.st_mode & 0o777 | OWNER_ONLY)


def is_settled(changed_ns: int, now_ns: int) -> bool:
    """Whether a file system that stamped a change with this time stamps every change from now on with a later one."""
    return now_ns - changed_ns > (_FINE_NS if changed_ns % _TICK_NS else _COARSE_NS)


def folder_of(path: str) -> str:
    """The folder in which a file stands, as `Files` takes it."""
    return str(Path(path).parent)


@final
class OsFiles:
    """The files of the operating system."""

    def exists(self, path: str) -> bool:
        """See `Files.exists`."""
        return Path(path).exists()

    def is_folder(self, path: str) -> bool:
        """See `Files.is_folder`."""
        return Path(path).is_dir()

    def size(self, path: str) -> int:
        """See `Files.size`."""
        return Path(path).stat().st_size

    def identity(self, path: str) -> str:
        """See `Files.identity`."""
        return identity_of(os.stat(path))  # noqa: PTH116 - asked often: a third of the time of Path.stat

    def names_stamp(self, folder: str, known: object | None = None) -> object | None:
        """See `Files.names_stamp`. The system's clock of names is coarse: a stamp counts when it is old enough."""
        found = os.stat(folder)  # noqa: PTH116 - asked twice for every group
        changed = found.st_ctime_ns  # mtime can be set back, by rsync and tar; this one cannot
        stamp = found.st_dev, found.st_ino, changed
        if stamp == known:
            return known  # it was old enough then
        return stamp if is_settled(changed, time.time_ns()) else None

    def written_stamp(self, path: str) -> object | None:
        """See `Files.written_stamp`. Two writes in one tick of the system's clock may have one stamp."""
        try:
            found = os.stat(path)  # noqa: PTH116 - asked often; it opens nothing, so no lock of SQLite's is dropped
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def read(self, path: str, limit: int | None = None) -> bytes:
        """See `Files.read`."""
        with Path(path).open("rb") as file:
            return file.read() if limit is None else file.read(limit)

    def write(self, path: str, data: bytes) -> None:
        """See `Files.write`."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "wb") as file:
            let_owner_in(file.fileno())
            file.write(data)

    def create(self, path: str) -> None:
        """See `Files.create`."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, OWNER_ONLY)
        try:
            let_owner_in(descriptor)
        finally:
            os.close(descriptor)

    def read_at(self, path: str, offset: int, amount: int) -> bytes:
        """See `Files.read_at`."""
        with Path(path).open("rb") as file:
            file.seek(offset)
            return file.read(amount)

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        """See `Files.write_at`."""
        with Path(path).open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def truncate(self, path: str, size: int) -> None:
        """See `Files.truncate`."""
        os.truncate(path, size)

    def copy(self, source: str, target: str) -> None:
        """See `Files.copy`."""
        with Path(source).open("rb") as reader:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
            with os.fdopen(descriptor, "wb") as writer:
                # A user who could read the one can read the other: an administrator may have let a group in.
                os.fchmod(descriptor, os.fstat(reader.fileno()).st_mode & 0o777)
                shutil.copyfileobj(reader, writer, 1 << 20)

    def sync(self, path: str) -> None:
        """See `Files.sync`."""
        _sync(path, os.O_RDWR)

    def rename(self, source: str, target: str) -> None:
        """See `Files.rename`."""
        Path(source).replace(target)

    def place(self, made: str, name: str) -> None:
        """See `Files.place`. By a link, which refuses what is there; where there are no links, by holding the name first."""
        try:
            os.link(made, name, follow_symlinks=False)
        except FileExistsError as exc:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from exc
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            self.create(name)
            self.rename(made, name)
        else:
            self.remove(made)

    def remove(self, path: str) -> None:
        """See `Files.remove`."""
        Path(path).unlink()

    def sync_folder(self, path: str) -> None:
        """See `Files.sync_folder`."""
        _sync(path, os.O_RDONLY)

    def make_folder(self, path: str) -> None:
        """See `Files.make_folder`."""
        try:
            Path(path).mkdir(mode=0o700)
        except FileExistsError:
            if not Path(path).is_dir():
                raise
        else:
            Path(path).chmod(0o700)  # as `let_owner_in` says

    def list_folder(self, path: str) -> list[str]:
        """See `Files.list_folder`."""
        return sorted(entry.name for entry in Path(path).iterdir())


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        full_sync = _full_sync()
        if full_sync is None:
            os.fsync(descriptor)
        else:
            full_sync(descriptor)
    finally:
        os.close(descriptor)


def _full_sync() -> _FullSync | None:
    # macOS: fsync hands the data to the drive and does not wait for the drive's own cache.
    import fcntl  # noqa: PLC0415 - only here, and only where there is one

    command = getattr(fcntl, "F_FULLFSYNC", None)
    if command is None:
        return None
    return lambda descriptor: fcntl.fcntl(descriptor, command)


class _FullSync(Protocol):
    def __call__(self, descriptor: int, /) -> object: ...
