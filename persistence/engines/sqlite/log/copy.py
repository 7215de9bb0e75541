"""The copy of a log, which stands beside it while the log is written again in place.

It is the log's bytes and a digest of them, so that one that was not written whole is known. Nothing here asks SQLite; who calls
holds the lock under which neither file changes.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, final

from tenure.persistence.engines.sqlite.opening.preflight import COPY_SUFFIX
from tenure.persistence.engines.sqlite.system.files import Files, folder_of

from .format import (
    HEADER_BYTES,
    Frame,
    LogHeader,
    read_frame,
    read_header,
)

_TRAILER: Final = b"tenure: log copy"
_DIGEST_BYTES: Final = 32
_CHUNK: Final = 8 << 20


@final
class Finding(enum.Enum):
    """What a copy says of the log beside it."""

    OBSOLETE = "the copy is not whole, or the log is another one or has gone on"
    TORN = "the log is what a torn rewrite left of the copy"
    EQUAL = "the log is the copy"


@final
class LogCopy:
    """The copy beside the log of one database."""

    def __init__(self, path: str, files: Files) -> None:
        """Touch nothing yet; `path` is the database's."""
        self._log = f"{path}-wal"
        self._copy = path + COPY_SUFFIX
        self._folder = folder_of(path)
        self._files = files

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return self._files.exists(self._copy)

    def make(self) -> None:
        """Copy the log; on disk when it returns. What could not be written whole is removed. Raises `OSError`."""
        self._files.create(self._copy)
        try:
            digest, written = hashlib.sha256(), 0
            for offset, chunk in self._chunks(self._log, 0, self._size(self._log)):
                digest.update(chunk)
                self._files.write_at(self._copy, offset, chunk)
                written = offset + len(chunk)
            self._files.write_at(self._copy, written, _TRAILER + digest.digest())
            self._files.sync(self._copy)
            self._files.sync_folder(self._folder)
        except BaseException:
            with suppress(OSError):  # it would take the last room of a full disk; the next open removes it
                self._files.remove(self._copy)
            raise

    def write_back(self) -> None:
        """Write the log again in place; on disk when it returns. Raises `OSError`."""
        # From the copy, which is synced: the log's own pages may have left the cache, and the disk holds something else.
        end = self._copied()
        self._files.write_at(self._log, 0, self._files.read_at(self._copy, 0, HEADER_BYTES))
        self._files.sync(self._log)
        for offset, chunk in self._chunks(self._copy, HEADER_BYTES, end):
            self._files.write_at(self._log, offset, chunk)
        self._files.sync(self._log)
        self._files.sync_folder(self._folder)

    def drop(self) -> None:
        """Remove the copy, once the log and its name are on disk. Raises `OSError`."""
        if self._files.exists(self._log):
            self._files.sync(self._log)
        self._files.sync_folder(self._folder)
        self._files.remove(self._copy)
        self._files.sync_folder(self._folder)

    def compare(self) -> Finding:
        """What the copy says of the log beside it."""
        size, copied = self._size(self._log), self._copied()
        if not 0 < size <= copied or not self._is_whole(copied):
            return Finding.OBSOLETE
        head, kept = (self._files.read_at(name, 0, HEADER_BYTES) for name in (self._log, self._copy))
        ours, theirs = read_header(head), read_header(kept)
        if theirs is None:
            return Finding.OBSOLETE
        if ours is None:
            return Finding.TORN
        if ours.salts != theirs.salts:
            return Finding.OBSOLETE
        differs = self._first_difference(ours, size)
        if differs is None:
            return Finding.EQUAL if size == copied and head == kept else Finding.TORN
        return Finding.OBSOLETE if self._is_valid(ours, differs) else Finding.TORN

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

    def _size(self, name: str) -> int:
        return self._files.size(name) if self._files.exists(name) else 0

    def _copied(self) -> int:
        """How much of a log is in the copy."""
        return self._size(self._copy) - len(_TRAILER) - _DIGEST_BYTES

    def _chunks(self, name: str, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        for offset in range(start, end, _CHUNK):
            yield offset, self._files.read_at(name, offset, min(_CHUNK, end - offset))
