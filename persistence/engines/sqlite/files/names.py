"""Which files the names of a SQLite store lead to, and whose they are.

Theory of operation. Lock, log and shm of a database are found by name, but a host that runs holds on to the files it opened.
Where a name leads elsewhere meanwhile, a newcomer and the host would each write another log into one database. So a host
writes device and inode of each into its row, and into its lock a note that can be read before anything connects; who joins
compares; and who would be alone by its lock is so only where SQLite's own locks on the database, which no removed name takes
away, show no other connection, or where every living host locks the very same file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Self, final

import apsw
from attrs import frozen

from tenure.errors import CannotOpen, Corrupt, StoreLocked
from tenure.persistence.engines.sqlite.errors import close_quietly
from tenure.persistence.engines.sqlite.opening.preflight import read_head
from tenure.persistence.engines.sqlite.system.files import Files
from tenure.persistence.model.numbers import milliseconds

WAL_VERSION: Final = 2
"""What stands twice in the header of a database that has a log."""

_NOTE_BYTES: Final = 256  # always as long: a note is written over another one, which needs no room on a full disk
# As bytes: a text that was damaged need not be one.
_LIVING: Final = "SELECT host, CAST(files AS BLOB) FROM hosts WHERE closed_at IS NULL AND lost_at IS NULL"


@final
@frozen(kw_only=True, slots=True)
class Names:
    """Device and inode of the files of a store; empty where there is none.

    Attributes:
        database: The database.
        lock: What every process locks.
        log: The write-ahead log.
        shm: The index of the log.
    """

    database: str
    lock: str
    log: str
    shm: str

    @classmethod
    def seen(cls, path: str, lock: str, files: Files) -> Self:
        """What the names lead to now; `lock` is the file that is locked, whatever its name leads to."""
        return cls(
            database=_identity(path, files),
            lock=lock,
            log=_identity(f"{path}-wal", files),
            shm=_identity(f"{path}-shm", files),
        )

    @classmethod
    def read(cls, text: str) -> Self | None:
        """What `text` says; None for what does not say it all."""
        found = dict(part.split("=", 1) for part in text.split() if "=" in part)
        try:
            return cls(database=found["database"], lock=found["lock"], log=found["log"], shm=found["shm"])
        except KeyError:
            return None

    @classmethod
    def noted(cls, note: bytes) -> Self | None:
        """What the note in a lock says; None in a lock where no host was alone yet."""
        return cls.read(note.decode("ascii", "replace"))

    @property
    def text(self) -> str:
        """For a host's row."""
        return f"database={self.database} lock={self.lock} log={self.log} shm={self.shm}"

    @property
    def note(self) -> bytes:
        """For a lock."""
        return self.text.encode("ascii").ljust(_NOTE_BYTES)

    def differs_from(self, other: Names) -> str | None:
        """Which file is another one; None where all are the same."""
        for name in ("database", "lock", "log", "shm"):
            if getattr(self, name) != getattr(other, name):
                return name
        return None


def check_joins(path: str, here: Names, living: Iterable[Names | None]) -> None:
    """Raises `CannotOpen` where a living host has other files open than these names lead to."""
    for theirs in living:
        other = "files" if theirs is None else here.differs_from(theirs)
        if other is not None:
            raise elsewhere(path, other)


def check_alone(path: str, lock: str, living: Iterable[Names | None]) -> None:
    """Raises `CannotOpen` where a living host may hold another lock than this one, which is held exclusively."""
    for theirs in living:
        if theirs is None or theirs.lock != lock:
            raise elsewhere(path, "lock")


def elsewhere(path: str, name: str) -> CannotOpen:
    """The error of who finds other files than those that hosts have open."""
    detail = f"its {name} was removed or replaced while another process has it open; stop that one, and open again"
    return CannotOpen(path=path, detail=detail)


def has_log(path: str, vfs: str | None) -> bool:
    """Whether the header says that connections to this database have a log."""
    return read_head(path, vfs, 20)[18:20] == bytes((WAL_VERSION, WAL_VERSION))


def living_hosts(connection: apsw.Connection) -> list[Names | None]:
    """What the rows of the living hosts say of their files. Raises `apsw.Error`, and `Corrupt` for a row that was damaged."""
    return [_named(host, files) for host, files in connection.execute(_LIVING).fetchall()]


def _named(host: object, files: object) -> Names | None:
    named = Names.noted(files) if isinstance(files, bytes) else None
    if named is None and files is not None:
        raise Corrupt(record="host", key=str(host), detail="its row does not say which files it has open")
    return named


def read_living_hosts(path: str, vfs: str | None, busy_s: float) -> list[Names | None]:
    """The same, on another connection, which changes nothing.

    Raises:
        Corrupt: A row of a living host was damaged.
        CannotOpen: They cannot be read: what a connection finds under these names is not what others have open.
    """
    try:
        connection = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE, vfs)
        try:
            connection.set_busy_timeout(milliseconds(busy_s))
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.pragma("query_only", True)
            return living_hosts(connection)
        finally:
            close_quietly(connection)
    except apsw.SQLError:
        return []  # it has no hosts yet, or tables of another version, which has its own error
    except apsw.BusyError as exc:
        raise StoreLocked(path=path, holder=str(exc)) from exc
    except apsw.Error as exc:
        detail = f"another process has it open, and which hosts live cannot be read: {exc}"
        raise CannotOpen(path=path, detail=detail) from exc


def _identity(path: str, files: Files) -> str:
    return files.identity(path) if files.exists(path) else ""
