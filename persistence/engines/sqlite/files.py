"""The files of a SQLite store before and around any connection: lock, log, creation."""

from __future__ import annotations

from contextlib import suppress
from typing import final

from tenure.errors import CannotOpen, StoreLocked
from tenure.persistence.engines.engine import UnknownOutcome
from tenure.persistence.seams.files import (
    Files,
    folder_of,
)
from tenure.persistence.seams.locks import (
    Lock,
    Locks,
)

from .preflight import check_path


@final
class DatabaseFiles:
    """The lock beside a database and the recovery of its log.

    Every process holds a shared lock on ``<path>-lock``. An open that can have it exclusive is alone, and stays alone until
    it has recovered the log and its own row is on disk; then it makes the lock a shared one. It does so in one step on Linux
    (since 4.0) and macOS: nobody can be alone in between, and replace the log under connections that exist.

    Attributes:
        alone: Whether the lock is exclusive.
    """

    def __init__(self, path: str, files: Files, locks: Locks, *, shared: bool, vfs: str | None) -> None:
        """Touch nothing yet; without `shared` the lock stays exclusive."""
        self._path = path
        self._vfs = vfs
        self._files = files
        self._locks = locks
        self._shared = shared
        self._lock: Lock | None = None
        self._opened: dict[str, object] = {}
        self.alone = False

    def prepare(self) -> None:
        """Lock; where nobody else has the file open, rescue the log and create what is missing.

        Raises:
            CannotOpen, NotADatabase, Corrupt: See `check_path`.
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
            check_path(self._path, self._files, self._vfs)  # once more, now that nobody else creates it
            if not self.alone:
                self._check_mark()
                self._check_there()
                return
            self._rescue_log()
            self._clear_mark()
            self._create()
        except BaseException:
            self.close()
            raise

    def share(self) -> None:
        """Put the name of the log on disk, behind the first commit, and let others in. Raises `OSError`."""
        if self.alone:
            # SQLite syncs the folder for a new log, and ignores what came of it: after an error there a power cut would
            # take the whole log with everything acknowledged in it, or bring back a journal that empties the database.
            self._files.sync_folder(folder_of(self._path))
        names = (self._path, f"{self._path}-wal")
        self._opened = {name: self._files.identity(name) for name in names if self._files.exists(name)}
        if self.alone and self._shared and self._lock is not None:
            self._lock.downgrade()
            self.alone = False

    def check_unmoved(self) -> None:
        """See that database and log still have their names, and that no other file has them.

        Raises:
            UnknownOutcome: They were moved, removed or replaced while they were open; what was written since nobody will find.
        """
        for name, opened in self._opened.items():
            try:
                there = self._files.identity(name)
            except OSError as exc:
                message = f"{name} was moved or removed while the store was open: {exc.strerror}"
                raise UnknownOutcome(message) from exc
            if there != opened:
                message = f"{name} was replaced by another file while the store was open"
                raise UnknownOutcome(message)

    def mark_broken(self, detail: str) -> None:
        """Leave ``<path>-broken`` for the next open, as well as a failing disk lets it: never raises."""
        mark = f"{self._path}-broken"
        with suppress(OSError, UnknownOutcome):
            self.check_unmoved()  # else the mark would stand beside another store
            self._files.write(mark, f"{detail}\n".encode())
            self._files.sync(mark)
            self._files.sync_folder(folder_of(self._path))

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _rescue_log(self) -> None:
        # After a failed fsync the page cache may hold log frames that reads return and no later fsync saves. What is
        # read now decides what the database says, so exactly those bytes are written again into a fresh file, which no
        # failed write has touched, and only then does anything connect. The database file is never replaced: its
        # checkpointed pages are written again from the log.
        log = f"{self._path}-wal"
        if not self._files.exists(log):
            return
        fresh = f"{log}-fresh"
        try:
            self._files.copy(log, fresh)
            self._files.sync(fresh)
        except BaseException:
            with suppress(OSError):  # it would take the last room of a full disk; the next open writes it anew
                self._files.remove(fresh)
            raise
        self._files.rename(fresh, log)
        self._files.sync_folder(folder_of(self._path))

    def _check_mark(self) -> None:
        # A host that stopped with an unknown outcome left it. Those that are still there may read what the disk never got.
        if self._files.exists(f"{self._path}-broken"):
            holder = "hosts that were there when the store broke"
            raise StoreLocked(path=self._path, holder=holder)

    def _check_there(self) -> None:
        # SQLite would begin a new database beside the hosts that go on in the old one.
        if not self._files.exists(self._path):
            detail = "it was moved or removed while hosts have it open; stop them, and put it back"
            raise CannotOpen(path=self._path, detail=detail)

    def _clear_mark(self) -> None:
        # Only an open that is alone gets here: nobody still reads pages that a failed fsync left in the cache.
        mark = f"{self._path}-broken"
        if self._files.exists(mark):
            self._files.remove(mark)
            self._files.sync_folder(folder_of(self._path))

    def _create(self) -> None:
        # SQLite syncs the folder for its log but not for the database itself.
        if not self._files.exists(self._path):
            self._files.write(self._path, b"")
            self._files.sync(self._path)
            self._files.sync_folder(folder_of(self._path))
