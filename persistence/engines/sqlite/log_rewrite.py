"""What an open does with the log that it finds, before anything answers from it (design §3, reopen and verdicts).

Theory of operation. After a failed fsync the page cache may hold frames that reads return and no later fsync saves, so what is
read now has to be written again before it is believed. Other programs may have the database open at that moment, and another
file under the log's name would destroy it under them. So the log's own bytes are written again *in place*, under SQLite's
write lock, which no reader is in the way of. Writing in place can itself be cut off, on a drive that may destroy the sector
it writes: therefore a whole copy is on disk first, under a name of ours, with a digest at its end. Its steps, each of which
was seen to lose something when it was left out:

1. Cut the log behind the last commit that SQLite sees, and sync it: what stood behind must not come back to life.
2. Write the copy, sync it and its folder.
3. Write the header of the log again and sync it, then all the rest, and sync file and folder. The two are apart so that a torn
   header leaves frames that are whole.
4. Remove the copy and sync the folder.

An open that finds a copy was preceded by one that did not get so far, and deals with it before anything connects.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final, final

import apsw

from tenure.errors import Contended, StoreLocked
from tenure.persistence.seams.files import Files, folder_of

from .errors import mapped_errors
from .log_format import FRAME_HEADER_BYTES, HEADER_BYTES, Frame, LogHeader, read_frame, read_header
from .preflight import COPY_SUFFIX

_TRAILER: Final = b"tenure: log copy"
_DIGEST_BYTES: Final = 32
_CHUNK: Final = 8 << 20
_BUSY_MS: Final = 1_000


class _Finding(enum.Enum):
    """What a copy says of the log beside it."""

    OBSOLETE = "the copy is not whole, or the log is another one or has gone on"
    TORN = "the log is what a torn rewrite left of the copy"
    EQUAL = "the log is the copy"


@final
class LogRewrite:
    """The log beside a database, for an open that is alone among the hosts, though not among all programs."""

    def __init__(self, path: str, files: Files, *, vfs: str | None, one_connection: bool) -> None:
        """Touch nothing yet; `vfs` and `one_connection` as in `Seams`."""
        self._path = path
        self._log = f"{path}-wal"
        self._copy = path + COPY_SUFFIX
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
        if not self._files.exists(self._copy):
            return
        with self._exclusive() as exclusive:
            found = self._compare()
            if exclusive:
                if found is not _Finding.OBSOLETE:
                    self._write_back()
                self._drop_copy()
                return
        if found is _Finding.TORN or (broken and found is _Finding.EQUAL):
            raise StoreLocked(path=self._path, holder="a program that read the log before it was recovered")
        check_alone()
        self._drop_copy()

    def rewrite(self) -> None:
        """Write the log again, in place, up to the last commit that SQLite sees.

        Raises:
            StoreLocked: Another program writes, or has read more of the log than is left of it.
            OSError: The disk failed, or is full: a copy that is whole stays.
        """
        if not self._size(self._log):
            return
        try:
            with self._write_locked() as (frames, page_bytes):
                self._cut(frames, page_bytes)
                if frames:
                    self._make_copy()
                    self._write_back()
                    self._drop_copy()
        except Contended as exc:
            raise StoreLocked(path=self._path, holder="another program that writes") from exc

    # The steps

    def _cut(self, frames: int, page_bytes: int) -> None:
        size = self._size(self._log)
        end = HEADER_BYTES + frames * (FRAME_HEADER_BYTES + page_bytes) if frames else 0
        if size < end:
            holder = "a program that read more of the log than is left of it"
            raise StoreLocked(path=self._path, holder=holder)
        if size > end:
            self._files.truncate(self._log, end)
            self._files.sync(self._log)

    def _make_copy(self) -> None:
        self._files.create(self._copy)
        try:
            digest, written = hashlib.sha256(), 0
            for offset, chunk in self._chunks(self._log, 0, self._size(self._log)):
                digest.update(chunk)
                self._files.write_at(self._copy, offset, chunk)
                written = offset + len(chunk)
            self._files.write_at(self._copy, written, _TRAILER + digest.digest())
            self._files.sync(self._copy)
            self._files.sync_folder(folder_of(self._path))
        except BaseException:
            with suppress(OSError):  # it would take the last room of a full disk; the next open removes it
                self._files.remove(self._copy)
            raise

    def _write_back(self) -> None:
        # From the copy, which is synced: the log's own pages may have left the cache, and the disk holds something else.
        end = self._copied()
        self._files.write_at(self._log, 0, self._files.read_at(self._copy, 0, HEADER_BYTES))
        self._files.sync(self._log)
        for offset, chunk in self._chunks(self._copy, HEADER_BYTES, end):
            self._files.write_at(self._log, offset, chunk)
        self._files.sync(self._log)
        self._files.sync_folder(folder_of(self._path))

    def _drop_copy(self) -> None:
        if self._files.exists(self._log):
            self._files.sync(self._log)
        self._files.sync_folder(folder_of(self._path))
        self._files.remove(self._copy)
        self._files.sync_folder(folder_of(self._path))

    # What a copy says

    def _compare(self) -> _Finding:
        size, copied = self._size(self._log), self._copied()
        if not 0 < size <= copied or not self._is_whole(copied):
            return _Finding.OBSOLETE
        head, kept = (self._files.read_at(name, 0, HEADER_BYTES) for name in (self._log, self._copy))
        ours, theirs = read_header(head), read_header(kept)
        if theirs is None:
            return _Finding.OBSOLETE
        if ours is None:
            return _Finding.TORN
        if ours.salts != theirs.salts:
            return _Finding.OBSOLETE
        differs = self._first_difference(ours, size)
        if differs is None:
            return _Finding.EQUAL if size == copied and head == kept else _Finding.TORN
        return _Finding.OBSOLETE if self._is_valid(ours, differs) else _Finding.TORN

    def _is_whole(self, copied: int) -> bool:
        digest = hashlib.sha256()
        for _, chunk in self._chunks(self._copy, 0, copied):
            digest.update(chunk)
        trailer = self._files.read_at(self._copy, copied, len(_TRAILER) + _DIGEST_BYTES)
        return trailer == _TRAILER + digest.digest()

    def _first_difference(self, header: LogHeader, size: int) -> int | None:
        """The offset of the first frame of the log that is not the copy's."""
        step = max(_CHUNK // header.frame_bytes, 1) * header.frame_bytes
        for offset in range(HEADER_BYTES, size, step):
            amount = min(step, size - offset)
            here, there = (self._files.read_at(name, offset, amount) for name in (self._log, self._copy))
            if here != there:
                frames = range(0, amount, header.frame_bytes)
                return offset + next(
                    at for at in frames if here[at : at + header.frame_bytes] != there[at : at + header.frame_bytes]
                )
        return None

    def _is_valid(self, header: LogHeader, offset: int) -> bool:
        """Whether this frame goes on from the one before it, which is the copy's and so is valid itself."""
        frame = self._frame(header, offset)
        if frame is None or frame.salts != header.salts:
            return False
        before = None if offset == HEADER_BYTES else self._frame(header, offset - header.frame_bytes)
        seed = header.sum if before is None else before.stored
        return frame.computed(seed, big_endian=header.big_endian) == frame.stored

    def _frame(self, header: LogHeader, offset: int) -> Frame | None:
        data = self._files.read_at(self._log, offset, header.frame_bytes)
        return read_frame(data) if len(data) == header.frame_bytes else None

    # SQLite's own locks

    @contextmanager
    def _write_locked(self) -> Generator[tuple[int, int]]:
        """Hold the write lock; gives the number of frames up to the last commit that SQLite sees, and the length of a page."""
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
                yield frames, writer.pragma("page_size")
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
        with mapped_errors("recovery of the log", self._path):
            flags = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE, 0]
            file = apsw.VFSFile(self._vfs or "", self._path, flags)
            try:
                yield not flags[1] & apsw.SQLITE_OPEN_READONLY and _try_exclusive(file)
            finally:
                file.xUnlock(apsw.SQLITE_LOCK_NONE)
                file.xClose()

    # Files

    def _size(self, name: str) -> int:
        return self._files.size(name) if self._files.exists(name) else 0

    def _copied(self) -> int:
        """How much of a log is in the copy."""
        return self._size(self._copy) - len(_TRAILER) - _DIGEST_BYTES

    def _chunks(self, name: str, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        for offset in range(start, end, _CHUNK):
            yield offset, self._files.read_at(name, offset, min(_CHUNK, end - offset))


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
