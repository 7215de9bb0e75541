"""What an open does with the log that it finds, before anything answers from it (design §3, reopen and verdicts).

Theory of operation. After a failed fsync the page cache may hold frames that reads return and no later fsync saves, so what is
read now has to be written again before it is believed. Other programs may have the database open at that moment, and another
file under the log's name would destroy it under them. So the log's own bytes are written again *in place*, under SQLite's
write lock, which no reader is in the way of. Writing in place can itself be cut off, on a drive that may destroy the sector
it writes: therefore a whole copy is on disk first, under a name of ours, with a digest at its end. Its steps, each of which
was seen to lose something when it was left out:

1. Cut the log after the last commit that SQLite sees, and sync it: what stood there must not come back to life.
2. Write the copy, sync it and its folder.
3. Write the header of the log again and sync it, then all the rest, and sync file and folder. The two are apart so that a torn
   header leaves frames that are whole.
4. Remove the copy and sync the folder.

An open that finds a copy was preceded by one that did not get so far, and deals with it before anything connects.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import Final, final

import apsw
from attrs import frozen

from tenure.errors import CannotOpen, Contended, Corrupt, StoreLocked
from tenure.persistence.engines.sqlite.errors import mapped_errors
from tenure.persistence.engines.sqlite.opening.preflight import CUT_SUFFIX
from tenure.persistence.engines.sqlite.system.files import Files, folder_of
from tenure.persistence.model.values import DurabilityClass

from .copy import Finding, LogCopy
from .damage import LogDamage
from .format import FRAME_HEADER_BYTES, HEADER_BYTES, read_header

_WAYS_ON: Final = "`tenure cut-log` cuts it off there, and loses what came after"
_BUSY_MS: Final = 1_000


@final
@frozen(kw_only=True, slots=True)
class _Seen:
    """What SQLite sees of the log.

    Attributes:
        connection: Holds the write lock.
        frames: How many frames there are up to the last commit.
        page_bytes: Length of a page.
    """

    connection: apsw.Connection
    frames: int
    page_bytes: int

    @property
    def end(self) -> int:
        """Where the last commit ends in the file."""
        return HEADER_BYTES + self.frames * (FRAME_HEADER_BYTES + self.page_bytes) if self.frames else 0


@final
class LogRewrite:
    """The log beside a database, for an open that is alone among the hosts, though not among all programs."""

    def __init__(self, path: str, files: Files, *, vfs: str | None, one_connection: bool) -> None:
        """Touch nothing yet; `vfs` and `one_connection` as in `Seams`."""
        self._path = path
        self._log = f"{path}-wal"
        self._copy = LogCopy(path, files)
        self._files = files
        self._vfs = vfs
        self._one_connection = one_connection

    def settle_copy(self, check_alone: Callable[[], None], *, broken: bool) -> None:
        """Write a copy that an earlier open left back into the log where it belongs, and remove it. Before anything connects.

        Args:
            check_alone: Raises if connections that are there may be those of another host, whose copy this would be.
            broken: A host stopped with an unknown outcome: what the cache holds need not be on disk.

        Raises:
            StoreLocked: Another program has read the log that would be written; the copy stays.
            OSError: The disk failed; the copy stays.
        """
        if not self._copy.exists:
            return
        with self._exclusive() as exclusive:
            found = self._copy.compare()
            if exclusive:
                if found is not Finding.OBSOLETE:
                    self._copy.write_back()
                self._copy.drop()
                return
        if found is Finding.TORN or (broken and found is Finding.EQUAL):
            raise StoreLocked(path=self._path, holder="a program that read the log before it was recovered")
        check_alone()
        self._copy.drop()

    def rewrite(self, *, cut_damage: bool = False) -> None:
        """Write the log again, in place, up to the last commit that SQLite sees.

        Args:
            cut_damage: Where the log is damaged, leave `CUT_SUFFIX` for who mints tokens, and cut off what cannot be read.

        Raises:
            Corrupt: It is damaged; nothing was changed.
            StoreLocked: Another program writes, or has read more of the log than is left of it.
            OSError: The disk failed, or is full: a copy that is whole stays.
        """
        if not self._size():
            return
        try:
            with self._write_locked() as seen:
                self._check_seen(seen)
                detail = self._find_damage(seen)
                if detail is not None:
                    if not cut_damage:
                        raise Corrupt(record="log", key=self._log, detail=f"{detail} ({_WAYS_ON})")
                    self._mark_cut()
                self._cut(seen.end)
                if seen.frames:
                    self._copy.make()
                    self._copy.write_back()
                    self._copy.drop()
        except Contended as exc:
            raise StoreLocked(path=self._path, holder="another program that writes") from exc

    # The steps

    def _check_seen(self, seen: _Seen) -> None:
        # A program that was connected before may remember frames that the disk never got.
        head = self._files.read_at(self._log, 0, HEADER_BYTES)
        if seen.frames and (self._size() < seen.end or read_header(head) is None):
            raise StoreLocked(path=self._path, holder="a program that read more of the log than is left of it")

    def _find_damage(self, seen: _Seen) -> str | None:
        with self._database() as file:
            damage = LogDamage(
                self._log, self._files, seen.page_bytes, lambda offset, amount: file.xRead(amount, offset)
            )
            detail = damage.find(seen.frames)
        return None if detail is None or not _all_synced(seen.connection) else detail

    def _mark_cut(self) -> None:
        mark = self._path + CUT_SUFFIX
        if not self._files.exists(mark):
            self._files.create(mark)
        self._files.sync(mark)
        self._files.sync_folder(folder_of(self._path))

    def _cut(self, end: int) -> None:
        if self._size() > end:
            self._files.truncate(self._log, end)
            self._files.sync(self._log)

    # SQLite's own locks

    @contextmanager
    def _write_locked(self) -> Generator[_Seen]:
        """Hold the write lock, and say what SQLite sees."""
        with mapped_errors("recovery of the log", self._path), closing(self._connect()) as writer:
            if self._one_connection:
                writer.pragma("locking_mode", "EXCLUSIVE")
                frames = _frames_in_use(writer)
                writer.execute("BEGIN IMMEDIATE")
            else:
                writer.execute("BEGIN IMMEDIATE")
                with closing(self._connect()) as other:  # no connection can ask inside its own transaction
                    frames = _frames_in_use(other)
            try:
                yield _Seen(connection=writer, frames=frames, page_bytes=writer.pragma("page_size"))
            finally:
                writer.execute("ROLLBACK")

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(self._path, apsw.SQLITE_OPEN_READWRITE, self._vfs)
        connection.set_busy_timeout(_BUSY_MS)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.wal_autocheckpoint(0)
        return connection

    @contextmanager
    def _exclusive(self) -> Generator[bool]:
        """Try to lock the database as SQLite does: got where no connection of any program has read it; none can meanwhile."""
        with mapped_errors("recovery of the log", self._path), self._database() as file:
            try:
                yield _try_exclusive(file)
            finally:
                file.xUnlock(apsw.SQLITE_LOCK_NONE)

    @contextmanager
    def _database(self) -> Generator[apsw.VFSFile]:
        # Never through a descriptor of our own: see `read_head`.
        flags = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE, 0]
        file = apsw.VFSFile(self._vfs or "", self._path, flags)
        try:
            if flags[1] & apsw.SQLITE_OPEN_READONLY:
                raise CannotOpen(path=self._path, detail="the file may be read but not written")
            yield file
        finally:
            file.xClose()

    def _size(self) -> int:
        return self._files.size(self._log) if self._files.exists(self._log) else 0


def _all_synced(connection: apsw.Connection) -> bool:
    """Whether every host that wrote into this log synced each group before the next one.

    Of a host whose row is closed or lost this is so: that commit was synced, and with it all that the host had written. The
    rows that SQLite sees are all that count: a host's row was synced, in every class, before the host wrote anything else.
    """
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'hosts'").fetchone() is None:
        return True  # what there is was written while the store was made, which is synced in every class
    weaker = "SELECT 1 FROM hosts WHERE closed_at IS NULL AND lost_at IS NULL AND durability IS NOT ?"
    return connection.execute(weaker, (DurabilityClass.DISK.value,)).fetchone() is None


def _frames_in_use(connection: apsw.Connection) -> int:
    connection.pragma("schema_version")  # a connection sees the log with its first read
    frames, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    return max(frames, 0)


def _try_exclusive(file: apsw.VFSFile) -> bool:
    try:
        file.xLock(apsw.SQLITE_LOCK_SHARED)
        file.xLock(apsw.SQLITE_LOCK_EXCLUSIVE)
    except apsw.BusyError:
        return False
    return True
