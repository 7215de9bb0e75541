"""A SQLite VFS over the model of the disk.

SQLite sees plain files on a drive that promises little; the disk underneath keeps count of what is
synced and what is not. One VFS serves every disk of its `Mounts`. For most of them there is no shared
memory: a database in WAL mode needs ``locking_mode=EXCLUSIVE``, set before the first read, and one
connection. Where the mount has a folder for it, any number of connections may be open: their shared
memory is that of a real file there, which SQLite's own VFS maps and locks; it ends with the last of
them, as it does with a power cut. Its content is therefore no part of an image.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast, final

import apsw

from .disk import Disk
from .disk_file import DiskFile
from .mounts import Mounts
from .operations import folder_of

_JULIAN_MILLISECONDS = 212_589_230_400_000
"""2024-08-01T00:00:00Z as SQLite counts: SQL never sees the real time."""

_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
_TWIN = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_NOT_NEEDED = {
    "xSetSystemCall",
    "xGetSystemCall",
    "xNextSystemCall",
    "xDlOpen",
    "xDlSym",
    "xDlClose",
    "xDlError",
}


@final
class RecordingVfs(apsw.VFS):
    """A VFS whose files live on the disks of a `Mounts`, registered while it is open.

    Attributes:
        vfs_name: The name for `SqliteOptions.vfs` and for ``apsw.Connection(vfs=...)``.
    """

    def __init__(self, mounts: Mounts) -> None:
        """Register under its own name."""
        self.vfs_name = f"tenure-recording-{id(self):x}"
        super().__init__(self.vfs_name, exclude=_NOT_NEEDED)
        self._mounts = mounts
        self._random = random.Random(0)

    def __enter__(self) -> RecordingVfs:
        return self

    def __exit__(self, *_: object) -> None:
        # A connection that a failing scenario left open would call into a VFS that is gone.
        for connection in apsw.connections():
            if connection.open_vfs == self.vfs_name:
                connection.close(force=True)
        self.unregister()

    @contextmanager
    def seeded_randomness(self, seed: int) -> Generator[None]:
        """Make SQLite's own random bytes, such as the salts of its log, follow from a seed.

        For the whole process, until the end.
        """
        self._random = random.Random(seed)
        usual = apsw.vfs_names()[0]
        apsw.set_default_vfs(self.vfs_name)
        try:
            # The generator is seeded by the default VFS at the first use after a reset.
            apsw.randomness(0)
            apsw.randomness(1)
        finally:
            apsw.set_default_vfs(usual)
        try:
            yield
        finally:
            apsw.randomness(0)

    # What SQLite calls; the names are its own. In alphabetical order.

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        """Whether a file is there; an empty one is not, as in SQLite's own VFS."""
        disk, name = self._find(pathname, apsw.SQLITE_IOERR_ACCESS)
        file = disk.find(name)
        if flags == apsw.SQLITE_ACCESS_EXISTS:
            return file is not None and file.size > 0
        return disk.exists(name)

    def xCurrentTime(self) -> float:  # noqa: N802
        """A day in 2024."""
        return _JULIAN_MILLISECONDS / 86_400_000

    def xCurrentTimeInt64(self) -> int:  # noqa: N802
        """A day in 2024."""
        return _JULIAN_MILLISECONDS

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        """Remove a file and, where SQLite asks for it, sync its folder."""
        disk, name = self._find(filename, apsw.SQLITE_IOERR_DELETE_NOENT)
        if disk.find(name) is None:
            raise _sqlite_error(apsw.SQLITE_IOERR_DELETE_NOENT)
        with _as_sqlite(apsw.SQLITE_IOERR_DELETE):
            disk.remove(name)
        if syncdir:
            with _as_sqlite(apsw.SQLITE_IOERR_DIR_FSYNC):
                disk.sync_folder(folder_of(name))

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        """Paths below a mount are full."""
        return name

    def xGetLastError(self) -> tuple[int, str | None]:  # noqa: N802
        """Nothing to add."""
        return 0, None

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        """Open or create a file; one without a name is scratch space and stays off the disk."""
        flags[1] = flags[0]
        if name is None:
            return _as_vfs_file(_Handle(Disk(), DiskFile(0, b""), None, None))
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        disk, inner = self._find(path, apsw.SQLITE_CANTOPEN)
        file = disk.find(inner)
        creates = flags[0] & apsw.SQLITE_OPEN_CREATE
        if file is None:
            if not creates:
                raise _sqlite_error(apsw.SQLITE_CANTOPEN)
            with _as_sqlite(apsw.SQLITE_CANTOPEN):
                file = _create(disk, inner)
        # As SQLite's own VFS: the first sync of a journal or log also syncs its folder.
        folder = folder_of(inner) if creates and flags[0] & _JOURNALS else None
        doomed = inner if flags[0] & apsw.SQLITE_OPEN_DELETEONCLOSE else None
        memory = self._mounts.memory_of(disk)
        if memory is None or not flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _as_vfs_file(_Handle(disk, file, folder, doomed))
        if not disk.exists(f"{inner}-shm"):
            with _as_sqlite(apsw.SQLITE_CANTOPEN):
                _create(disk, f"{inner}-shm")  # the name alone
        return _SharedHandle(disk, file, str(memory / f"{id(disk):x}-{file.number}"))

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        """Bytes that follow from the seed."""
        return self._random.randbytes(numbytes)

    def xSleep(self, microseconds: int) -> int:  # noqa: N802
        """Sleep no time at all."""
        return microseconds

    def _find(self, path: str, code: int) -> tuple[Disk, str]:
        try:
            return self._mounts.find(path)
        except FileNotFoundError:
            # A connection that outlived its machine.
            raise _sqlite_error(code) from None


def examine(path: str, vfs: RecordingVfs) -> list[str]:
    """What SQLite says of a database: its integrity and its tables. May write to the disk."""
    try:
        connection = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE, vfs.vfs_name)
        try:
            connection.pragma("locking_mode", "EXCLUSIVE")
            lines = [f"integrity: {row[0]}" for row in connection.execute("PRAGMA integrity_check")]
            tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
            for (table,) in connection.execute(tables).fetchall():
                quoted = str(table).replace('"', '""')
                count = connection.execute(f'SELECT count(*) FROM "{quoted}"').get  # noqa: S608
                lines.append(f"{table}: {count} rows")
            return lines
        finally:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.close()
    except apsw.Error as exc:
        return [f"{type(exc).__name__}: {exc}"]


class _Handle:
    """One open file. No `apsw.VFSFile`: that is for files that inherit from another VFS."""

    def __init__(
        self,
        disk: Disk,
        file: DiskFile,
        unsynced_folder: str | None,
        doomed: str | None,
    ) -> None:
        self._disk = disk
        self._file = file
        self._unsynced_folder = unsynced_folder
        self._doomed = doomed

    # xRead is by far the most frequent: recovery reads the whole log.
    def xRead(self, amount: int, offset: int) -> bytes | bytearray:  # noqa: N802
        try:
            return self._disk.read(self._file, offset, amount)
        except OSError as exc:
            raise _sqlite_error(apsw.SQLITE_IOERR_READ) from exc

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        try:
            self._disk.write(self._file, offset, bytes(data))
        except OSError as exc:
            raise _mapped(exc, apsw.SQLITE_IOERR_WRITE) from exc

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        with _as_sqlite(apsw.SQLITE_IOERR_TRUNCATE):
            self._disk.truncate(self._file, newsize)

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        try:
            self._disk.sync(self._file)
        except OSError as exc:
            # Never SQLITE_FULL: to SQLite every failed fsync is an I/O error.
            raise _sqlite_error(apsw.SQLITE_IOERR_FSYNC) from exc
        if self._unsynced_folder is not None:
            folder, self._unsynced_folder = self._unsynced_folder, None
            try:
                self._disk.sync_folder(folder)
            except OSError:
                return  # SQLite's own VFS does not look at the result either

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._file.visible)

    def xLock(self, level: int) -> None:  # noqa: N802
        others = max((held for who, held in self._file.locks.items() if who is not self), default=0)
        # What stands against each level: a writer that waits or writes; another that will write;
        # anybody.
        limit = {apsw.SQLITE_LOCK_SHARED: 2, apsw.SQLITE_LOCK_RESERVED: 1}.get(level, 0)
        if others > limit:
            raise _sqlite_error(apsw.SQLITE_BUSY)
        self._file.locks[self] = level

    def xUnlock(self, level: int) -> None:  # noqa: N802
        if level == apsw.SQLITE_LOCK_NONE:
            self._file.locks.pop(self, None)
        else:
            self._file.locks[self] = level

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return any(held > apsw.SQLITE_LOCK_SHARED for held in self._file.locks.values())

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: ARG002, N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return self._disk.drive.sector_bytes

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE if self._disk.drive.powersafe_overwrite else 0

    def xClose(self) -> None:  # noqa: N802
        self._file.locks.pop(self, None)
        if self._doomed is not None and self._disk.find(self._doomed) is self._file:
            with _as_sqlite(apsw.SQLITE_IOERR_DELETE):
                self._disk.remove(self._doomed)


class _SharedHandle(_Handle, apsw.VFSFile):  # type: ignore[misc]  # a bytearray does as well as bytes
    """A database whose bytes and locks are the disk's, and whose shared memory is that of a real, empty file.

    APSW hands what concerns shared memory to the file that this one inherits from, and all else to the methods of the handle.
    """

    def __init__(self, disk: Disk, file: DiskFile, twin: str) -> None:
        _Handle.__init__(self, disk, file, None, None)
        apsw.VFSFile.__init__(self, "unix", twin, [_TWIN, 0])

    def xClose(self) -> None:  # noqa: N802
        apsw.VFSFile.xClose(self)
        _Handle.xClose(self)


def _as_vfs_file(handle: _Handle) -> apsw.VFSFile:
    # APSW calls the methods by name and asks for no class; its type hints cannot say so.
    return cast("apsw.VFSFile", handle)


def _create(disk: Disk, name: str) -> DiskFile:
    try:
        return disk.create(name)
    except FileExistsError:  # a neighbour was first, at this very operation: see `tenure.testing.neighbours`
        file = disk.find(name)
        if file is None:
            raise
        return file


@contextmanager
def _as_sqlite(code: int) -> Generator[None]:
    try:
        yield
    except OSError as exc:
        raise _mapped(exc, code) from exc


def _mapped(exc: OSError, code: int) -> Exception:
    # As SQLite's own VFS: a full disk has its own result, all else is the I/O error of the
    # operation.
    return _sqlite_error(apsw.SQLITE_FULL if exc.errno == errno.ENOSPC else code)


def _sqlite_error(code: int) -> Exception:
    return apsw.exception_for(code)
