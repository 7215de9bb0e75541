"""What is checked before a SQLite file is touched: each fault has its own error, which says what to do.

Everything here only looks. A database of another program, which may be in use right now, gets no lock beside it, no change of
its journal mode, and above all no new log.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

import apsw

from tenure.errors import CannotOpen, Corrupt, DiskFull, NotADatabase, StoreLocked, UnsafeSqlite
from tenure.persistence.engines.engine import UnknownOutcome
from tenure.persistence.engines.sqlite.errors import (
    NO_ROOM,
    mapped_errors,
)
from tenure.persistence.engines.sqlite.system.files import (
    Files,
    folder_of,
)
from tenure.persistence.seams.executors import opening

APPLICATION_ID: Final = 0x54454E55
"""What stands in the header of every store: "TENU"."""

COPY_SUFFIX: Final = "-wal-copy"
"""Stands after a database's path in the name of the copy of its log, which is there while an open writes the log again."""

CUT_SUFFIX: Final = "-cut"
"""Stands after a database's path in the name of the mark that a damaged log was cut: tokens are to be raised."""

BROKEN_SUFFIX: Final = "-broken"
"""Stands after a database's path in the name of the mark that a host stopped with an unknown outcome."""

ATTACHMENTS_SUFFIX: Final = "-attachments"
"""Stands after a database's path in the name of the folder that has the bytes of its attachments."""

BESIDE: Final = ("-wal", "-shm", "-journal", "-lock", COPY_SUFFIX, CUT_SUFFIX, BROKEN_SUFFIX)
"""How the names end that SQLite or this engine opens beside a database."""

_LONGEST_END: Final = len("-host-00000000-0000-0000-0000-000000000000")
"""How many bytes the longest name beside a database adds to its own."""

_KINDS: Final = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}

HEADER: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100
_FIRST_SAFE: Final = (3, 51, 3)  # 3.7.0 to 3.51.2 can reset the log under a reader and lose commits
_FAILED: Final = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV})


def check_sqlite_version(version: str) -> None:
    """Raises `UnsafeSqlite` for a library with the WAL-reset bug."""
    if tuple(int(part) for part in version.split(".")) < _FIRST_SAFE:
        raise UnsafeSqlite(version=version)


def check_path(path: str, files: Files, vfs: str | None) -> None:
    """Look at what stands under the path; `vfs` as in `Seams`.

    Raises:
        CannotOpen: The folder is missing, or the system does not let us.
        NotADatabase: A folder, or a file of another program.
        Corrupt: The file was cut off, or the database is gone and its log is left.
    """
    if files.is_folder(path):
        raise NotADatabase(path=path, detail="it is a folder")
    if not files.is_folder(folder_of(path)):
        raise CannotOpen(path=path, detail="its folder does not exist")
    if _content(path, files) == 0:
        if _content(f"{path}-wal", files) or _content(path + COPY_SUFFIX, files):
            detail = "the database is missing or empty, and its log is there; put the database back beside it"
            raise Corrupt(record="database", key=path, detail=detail)
    elif not _content(f"{path}-journal", files):  # else SQLite first undoes what a crash at creation left
        _check_header(path, files, vfs, in_log=_content(f"{path}-wal", files) > 0)


def emptied(path: str) -> Corrupt:
    """What an empty file is where a store was: beside it stands a lock with the note of a host."""
    detail = "the file is empty, and its lock says that a store was in it; put a backup there, or remove the file to begin anew"
    return Corrupt(record="database", key=path, detail=detail)


def check_names(path: str) -> None:
    """Look at each name that SQLite or this engine opens beside a database: nothing stands there, or a plain file of one name.

    What was planted there would be written through, waited on, or shared with the program that uses its other name.

    Raises:
        CannotOpen: A name that leaves no room for those beside it; a link, also one that leads nowhere; a file with several
            names, by another one of which it would be opened with another log; a folder, a pipe or a device. And where the
            attachments stand, anything but a folder.
    """
    _check_length(path)
    for name in (path, *(path + end for end in BESIDE)):
        try:
            found = os.lstat(name)  # the path is a plain string, and may be that of a simulation
        except OSError:
            continue  # what cannot be seen is named when it is opened
        kind = stat.S_IFMT(found.st_mode)
        # A database that is a folder has its own error.
        if kind != stat.S_IFREG and not (name == path and kind == stat.S_IFDIR):
            found_kind = _KINDS.get(kind, "a device")
            beside = f"{name} is {found_kind}, where a plain file of the store stands; remove it"
            # What the caller has named himself need not be the store's to remove.
            raise CannotOpen(path=path, detail=beside if name != path else f"it is {found_kind}, and no plain file")
        # The copy has two for a moment, while it is given its own.
        if kind == stat.S_IFREG and found.st_nlink > 1 and name != path + COPY_SUFFIX:
            which = "the file" if name == path else name
            detail = f"{which} has {found.st_nlink} names (hard links), each with another log"
            raise CannotOpen(path=path, detail=detail)
    check_attachments_folder(path + ATTACHMENTS_SUFFIX)


def check_kind(path: str) -> None:
    """Raises `CannotOpen` where a path is that of a link, a pipe or a device; of a folder, who reads it says so."""
    try:
        kind = stat.S_IFMT(os.lstat(path).st_mode)
    except OSError:
        return  # it is named when it is opened
    if kind not in (stat.S_IFREG, stat.S_IFDIR):
        raise CannotOpen(path=path, detail=f"it is {_KINDS.get(kind, 'a device')}, and no plain file")


def check_attachments_folder(folder: str) -> None:
    """Look at what stands where the bytes of attachments go: nothing, or a folder. A link would lead them elsewhere.

    Raises:
        CannotOpen: Anything else.
    """
    try:
        kind = stat.S_IFMT(os.lstat(folder).st_mode)
    except (OSError, ValueError):
        return  # what cannot be seen, or is of a simulation, is named when it is used
    if kind != stat.S_IFDIR:
        what = "a file" if kind == stat.S_IFREG else _KINDS.get(kind, "a device")
        detail = f"{folder} is {what}, where the folder of the attachments stands; mount a folder there, or remove it"
        raise CannotOpen(path=folder, detail=detail)


def _check_length(path: str) -> None:
    folder, name = os.path.split(path)
    try:
        allowed = os.pathconf(folder, "PC_NAME_MAX") - _LONGEST_END
    except OSError:
        return  # a folder that is not there, or of a simulation, is named when the file is opened
    if len(os.fsencode(name)) > allowed:
        detail = f"its name has more than {allowed} bytes, which leaves no room for the names beside it; choose a shorter one"
        raise CannotOpen(path=path, detail=detail)


def _content(path: str, files: Files) -> int:
    """How much is in a file; 0 where it is not there, also since another host that opens has just removed it."""
    with suppress(FileNotFoundError):
        return files.size(path)
    return 0


def read_head(path: str, vfs: str | None, amount: int) -> bytes:
    """The first bytes of a database, through SQLite's own layer of files.

    Never through a descriptor of our own. When any descriptor of a file is closed, the system drops every POSIX lock that the
    process has on the file, also those of its SQLite connections. A close of the file in another process then takes
    itself for the last one and deletes the log under them, and everything that they acknowledge from then on. SQLite knows
    its own descriptors and closes them when it does no harm. https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_
    """
    with mapped_errors("open", path):
        file = apsw.VFSFile(vfs or "", path, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
        try:
            return file.xRead(amount, 0)
        finally:
            file.xClose()


def is_connected(path: str, vfs: str | None, *, unknown: bool = True) -> bool:
    """Whether another connection has the database open, of any program, as SQLite's own locks say.

    Every connection to a database with a log holds a shared lock on the database file for as long as it lives. `unknown` is
    the answer for a file that may only be read, of which it cannot be found out.

    Raises:
        StoreLocked: One has it exclusively just now: it opens or closes.
    """
    with mapped_errors("open", path):
        flags = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE, 0]
        file = apsw.VFSFile(vfs or "", path, flags)
        try:
            if flags[1] & apsw.SQLITE_OPEN_READONLY:
                return unknown  # who may only read the file cannot lock it exclusively, and so not know
            if not _locked(file, apsw.SQLITE_LOCK_SHARED):
                raise StoreLocked(path=path, holder="another program that opens or closes it")
            return not _locked(file, apsw.SQLITE_LOCK_EXCLUSIVE)
        finally:
            file.xUnlock(apsw.SQLITE_LOCK_NONE)
            file.xClose()


def _locked(file: apsw.VFSFile, level: int) -> bool:
    try:
        file.xLock(level)
    except apsw.BusyError:
        return False
    return True


def _check_header(path: str, files: Files, vfs: str | None, *, in_log: bool) -> None:
    head = read_head(path, vfs, _HEADER_BYTES)
    if in_log and head[: len(HEADER)] != HEADER:
        # A power cut in a checkpoint may have torn the first page, which SQLite then reads from the log; if there is none,
        # `claim` says that it is not a database.
        return
    if head[: len(HEADER)] != HEADER[: len(head)]:
        if _content(f"{path}-lock", files) > 0:
            detail = "its first bytes are not those of a database, and its lock says that a store was in it"
            raise Corrupt(record="database", key=path, detail=detail)
        raise NotADatabase(path=path, detail="its first bytes are not those of a SQLite database")
    if len(head) < _HEADER_BYTES:
        raise Corrupt(record="database", key=path, detail=f"the file is cut off after {len(head)} bytes")
    if int.from_bytes(head[68:72], "big") != APPLICATION_ID:
        raise NotADatabase(path=path, detail="it is a SQLite database of another program")
    # While the log has pages the file may be shorter than it will be. The count holds where it was written last.
    if head[24:28] == head[92:96] and not in_log:
        page_bytes = int.from_bytes(head[16:18], "big")
        expected = int.from_bytes(head[28:32], "big") * (65536 if page_bytes == 1 else page_bytes)
        actual = files.size(path)
        # Where it is connected and has no log, that was removed, and a host saves what was in it.
        if actual < expected and not is_connected(path, vfs):
            detail = f"the file is cut off: {actual} of {expected} bytes are there"
            raise Corrupt(record="database", key=path, detail=detail)


@contextmanager
def mapped_os_errors(path: str) -> Generator[None]:
    """Give errors of the system their own classes.

    Raises:
        CannotOpen: Permissions and the like.
        DiskFull: There is no room for the lock, the copy of the log, or a new database.
        NoDescriptor: The process has as many files open as it may.
        UnknownOutcome: An I/O error.
    """
    try:
        with opening(path):
            yield
    except OSError as exc:
        if exc.errno in NO_ROOM:
            raise DiskFull from exc
        if exc.errno in _FAILED:
            raise UnknownOutcome(str(exc)) from exc
        raise CannotOpen(path=path, detail=f"{exc.strerror}: {exc.filename or path}") from exc
    except ValueError as exc:
        raise CannotOpen(path=repr(path), detail=str(exc)) from exc
