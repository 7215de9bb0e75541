"""The files of a SQLite store before and around any connection: lock, log, creation."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, final

import apsw

from tenure.errors import CannotOpen, StoreLocked
from tenure.persistence.engines.engine import UnknownOutcome
from tenure.persistence.engines.sqlite.log.rewrite import LogRewrite
from tenure.persistence.engines.sqlite.opening.preflight import (
    BROKEN_SUFFIX,
    CUT_SUFFIX,
    check_path,
    emptied,
    is_connected,
)
from tenure.persistence.engines.sqlite.system.files import (
    Files,
    folder_of,
)
from tenure.persistence.engines.sqlite.system.locks import (
    Lock,
    Locks,
)

from .listeners import FileListeners
from .names import (
    Names,
    check_alone,
    check_joins,
    elsewhere,
    has_log,
    living_hosts,
    read_living_hosts,
)

_LOOKS: Final = 3
"""So often a log that connections should have is looked for."""


@final
class FilesMoved(UnknownOutcome):
    """A name of the store leads elsewhere while it is open; `name` says which: database, log, shm or lock."""

    def __init__(self, message: str, name: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.name = name


@final
class DatabaseFiles:
    """The lock beside a database and the recovery of its log.

    Every process holds a shared lock on ``<path>-lock``. An open that can have it exclusive is alone, and stays alone until
    it has recovered the log and its own row is on disk; then it makes the lock a shared one. It does so in one step on Linux
    (since 4.0) and macOS: no host can be alone in between.

    Attributes:
        alone: Whether the lock is exclusive.
    """

    def __init__(
        self,
        path: str,
        files: Files,
        locks: Locks,
        *,
        shared: bool,
        vfs: str | None,
        busy_s: float = 0.0,
        cut_damage: bool = False,
    ) -> None:
        """Touch nothing yet; without `shared` the lock stays exclusive; with `cut_damage` a damaged log is cut off."""
        self._path = path
        self._folder = folder_of(path)
        self._busy_s = busy_s
        self._cut_damage = cut_damage
        self._vfs = vfs
        self._files = files
        self._locks = locks
        self._shared = shared
        self._lock: Lock | None = None
        self._names: Names | None = None
        self._opened: tuple[tuple[str, str, str], ...] = ()  # of those names: which, its path, and what it led to
        self._stamp: object | None = None
        self.alone = False

    @property
    def names(self) -> Names:
        """The files that this process has open. Only after `settle`."""
        if self._names is None:
            message = "the names of the store were asked for before it was open"
            raise ValueError(message)
        return self._names

    def prepare(self) -> None:
        """Lock; where no other host has the file open, recover the log and create what is missing.

        Raises:
            CannotOpen, NotADatabase, Corrupt: See `check_path`; `Corrupt` also for a store that was emptied.
            StoreLocked: Another host has the file for itself: it is opening it, or keeps it so; or others have it open since
                before it broke.
        """
        check_path(self._path, self._files, self._vfs)
        name = f"{self._path}-lock"
        self._lock = self._locks.acquire(name, exclusive=True)
        self.alone = self._lock is not None
        if self._lock is None and self._shared:
            self._lock = self._locks.acquire(name, exclusive=False)
        if self._lock is None:
            raise StoreLocked(path=self._path, holder="another process or store")
        try:
            check_path(self._path, self._files, self._vfs)  # once more, now that no other process creates it
            self._check_emptied(self._lock)
            if not self.alone:
                self._check_mark()
                self._check_there()
                return
            self._recover_log()
            self._clear_mark()
            self._create()
        except BaseException:
            self.close()
            raise

    def check_hosts(self, connection: apsw.Connection) -> None:
        """Where others have the store open: see that its hosts have the files that a new connection finds.

        Raises:
            CannotOpen: They have others, or the rows cannot be read through these.
        """
        if self.alone:
            return
        try:
            living = living_hosts(connection)
        except apsw.SQLError:
            return  # tables of another version, which has its own error
        except (apsw.IOError, apsw.CorruptError, apsw.NotADBError) as exc:
            raise elsewhere(self._path, "log") from exc
        check_joins(self._path, self._seen(), living)

    def settle(self) -> None:
        """Remember the open files, after the first connection; under other names nothing is written. Raises `OSError`."""
        self._names = names = self._seen()
        opened = [(name, path, str(getattr(names, name))) for name, path in self._paths()]
        self._opened = tuple([each for each in opened if each[2]])
        if self.alone and self._lock is not None and self._lock.note != self._names.note:
            self._lock.write_note(self._names.note)

    def share(self) -> None:
        """Put the name of the log on disk, after the first commit, and let others in. Raises `OSError`."""
        if self.alone:
            # SQLite syncs the folder for a new log, and ignores what came of it: after an error there a power cut would
            # take the whole log with everything acknowledged in it, or bring back a journal that empties the database.
            self._files.sync_folder(self._folder)
        if self.alone and self._shared and self._lock is not None:
            self._lock.downgrade()
            self.alone = False

    def check_unmoved(self) -> None:
        """See that database, lock, log and shm still have their names, and that no other file has them.

        Raises:
            FilesMoved: They were moved, removed or replaced while they were open; what was written since will not be found.
        """
        if self._names is None:
            return
        try:
            stamp = self._files.names_stamp(self._folder, self._stamp)
            if stamp is not None and stamp is self._stamp:
                return  # no name in the folder has changed since all of them were looked at
            for name, path, opened in self._opened:
                self._check_name(path, opened, name)
        except OSError as exc:
            raise FilesMoved(f"{self._path} cannot be looked at any more: {exc}", "database") from exc
        self._stamp = stamp  # from before the names were read: what changed since changes it again

    def _check_name(self, path: str, opened: str, name: str) -> None:
        try:
            there = self._files.identity(path)
        except OSError as exc:
            message = f"{path} was moved or removed while the store was open: {exc.strerror}"
            raise FilesMoved(message, name) from exc
        if there != opened:
            message = f"{path} was replaced by another file while the store was open"
            raise FilesMoved(message, name)

    def may_save_log(self) -> bool:
        """Whether what is in a log that has lost its name may be moved into the database.

        Not into a database without a name; and not where another index stands: its program may have begun the log anew.
        """
        return self._holds("database") and (self._holds("shm") or not self._files.exists(f"{self._path}-shm"))

    def _holds(self, name: str) -> bool:
        try:
            return bool(self._files.identity(dict(self._paths())[name]) == getattr(self.names, name))
        except OSError:
            return False

    def _paths(self) -> tuple[tuple[str, str], ...]:
        return (
            ("database", self._path),
            ("log", f"{self._path}-wal"),
            ("shm", f"{self._path}-shm"),
            ("lock", f"{self._path}-lock"),
        )

    def _seen(self) -> Names:
        return Names.seen(self._path, "" if self._lock is None else self._lock.identity, self._files)

    def mark_broken(self, detail: str) -> None:
        """Leave ``<path>-broken`` for the next open, as well as a failing disk lets it: never raises."""
        mark = self._path + BROKEN_SUFFIX
        with suppress(OSError, UnknownOutcome):
            self.check_unmoved()  # else the mark would stand beside another store
            self._files.create(mark)  # one that is there already says the same
            self._files.write_at(mark, 0, f"{detail}\n".encode())
            self._files.sync(mark)
            self._files.sync_folder(folder_of(self._path))

    def listeners(self) -> FileListeners:
        """Those who wait for what is written here. Only while the lock is held."""
        if self._lock is None:
            message = "listeners were asked for before the store was locked"
            raise ValueError(message)
        return FileListeners(f"{self._path}-wal", self._lock, self._files)

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _recover_log(self) -> None:
        log = LogRewrite(self._path, self._files, vfs=self._vfs, one_connection=not self._shared)
        log.settle_copy(self._check_alone, broken=self._files.exists(self._path + BROKEN_SUFFIX))
        self._check_alone()
        log.rewrite(cut_damage=self._cut_damage)

    @property
    def was_cut(self) -> bool:
        """Whether a damaged log was cut, now or before, and the tokens are still to be raised."""
        return self._files.exists(self._path + CUT_SUFFIX)

    def forget_cut(self) -> None:
        """The raised tokens are on disk. Raises `OSError`."""
        self._files.remove(self._path + CUT_SUFFIX)
        self._files.sync_folder(self._folder)

    def _check_mark(self) -> None:
        # A host that stopped with an unknown outcome left it. Those that are still there may read what the disk never got.
        if self._files.exists(self._path + BROKEN_SUFFIX):
            holder = "hosts that were there when the store broke"
            raise StoreLocked(path=self._path, holder=holder)

    def _check_there(self) -> None:
        # SQLite would begin a new database, or a new log, beside the hosts that go on in the old one.
        if not self._files.exists(self._path):
            detail = "it was moved or removed while hosts have it open; stop them, and put it back"
            raise CannotOpen(path=self._path, detail=detail)
        noted = None if self._lock is None else Names.noted(self._lock.note)
        other = None if noted is None else self._seen().differs_from(noted)
        if other is not None:
            raise elsewhere(self._path, other)

    def _check_emptied(self, lock: Lock) -> None:
        # A database of a store is never empty when its lock gets a note. One made in the place of what was removed, and whose
        # process is killed then, finds none: `_create` has taken it.
        if lock.note and self._files.exists(self._path) and self._files.size(self._path) == 0:
            raise emptied(self._path)

    def _check_alone(self) -> None:
        # The lock says alone, but the hosts may hold another one, whose name was removed. Cases: no connection; one to a
        # database that has no log, which no host has; one without its files; and hosts that all hold this very lock are dead.
        if not self._shared or not self._files.exists(self._path):
            return
        missing: str | None = None
        for _ in range(_LOOKS):
            if not (is_connected(self._path, self._vfs) and has_log(self._path, self._vfs)):
                return
            missing = self._missing()
            if missing is None:
                break
        if missing is not None:
            raise elsewhere(self._path, missing)
        lock = self._seen().lock
        check_alone(self._path, lock, read_living_hosts(self._path, self._vfs, self._busy_s))

    def _missing(self) -> str | None:
        # Programs that come and go make and remove both, so that one look proves nothing.
        seen = self._seen()
        return next((name for name in ("log", "shm") if not getattr(seen, name)), None)

    def _clear_mark(self) -> None:
        # Only an open that is alone gets here: no process still reads pages that a failed fsync left in the cache.
        mark = self._path + BROKEN_SUFFIX
        if self._files.exists(mark):
            self._files.remove(mark)
            self._files.sync_folder(folder_of(self._path))

    def _create(self) -> None:
        # SQLite syncs the folder for its log but not for the database itself.
        if not self._files.exists(self._path):
            if self._lock is not None and self._lock.note:
                self._lock.write_note(b"")
            self._files.create(self._path)
            self._files.sync(self._path)
            self._files.sync_folder(folder_of(self._path))
