"""Damage in a log, as opposed to the torn tail that a power cut leaves (design §3, damage in a log).

SQLite ends a log at its first bad frame, whatever stands after it. For a tail that is right: a group is synced before the next
one is written, so nothing after the bad frame was acknowledged. Where frames after it go on from one another through a
commit and on to a further frame, that group had been synced, and the bad frame with it: it was whole once. Then the store may
not open as if nothing had been lost.

What looks the same as a tear: the last group, and the last frame of the one before it. What proves nothing: the salts alone,
which a dropped write leaves in the frames after it; a commit mark in a frame that nothing goes on from.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import final

from tenure.persistence.engines.sqlite.system.files import Files

from .format import (
    FRAME_HEADER_BYTES,
    HEADER_BYTES,
    NATIVE_BIG_ENDIAN,
    Frame,
    LogHeader,
    Sum,
    checksum,
    read_frame,
    read_header,
    stored_sum,
)

ReadPage = Callable[[int, int], bytes]
"""Reads so many bytes of the database from an offset; fewer where it ends before."""


@final
class LogDamage:
    """Looks for damage in a log that nothing writes meanwhile."""

    def __init__(self, log: str, files: Files, page_bytes: int, read_page: ReadPage) -> None:
        """Touch nothing yet; `page_bytes` is the database's."""
        self._log = log
        self._files = files
        self._page_bytes = page_bytes
        self._read_page = read_page

    def find(self, frames: int) -> str | None:
        """What is damaged, for people; None where the log ends as a power cut or a kill may end it.

        Args:
            frames: How many frames SQLite sees, up to the last commit.
        """
        head = self._files.read_at(self._log, 0, HEADER_BYTES)
        if len(head) < HEADER_BYTES:
            return None
        header = read_header(head)
        if header is None:
            return self._find_behind_header(head)
        return None if header.page_bytes != self._page_bytes else self._find_behind(header, frames)

    # After a header that can be read

    def _find_behind(self, header: LogHeader, frames: int) -> str | None:
        last = self._frame(frames - 1) if frames else None
        before = header.sum if last is None else last.stored
        at, bad = frames, self._frame(frames)
        while bad is not None and _goes_on(bad, header.salts, before, big_endian=header.big_endian):
            at, before, bad = at + 1, bad.stored, self._frame(at + 1)
        if bad is None:
            return None
        # Cases: its page or the head of it is damaged, and what follows goes on from the checksum that it has; or its checksum
        # or its salts are, and what follows goes on from the one that it should have.
        computed = bad.computed(before, big_endian=header.big_endian)
        seeds = {bad.stored, computed}
        if any(self._was_synced(header, at + 1, seed, marked=bad.commits and seed == computed) for seed in seeds):
            return f"frame {at + 1} cannot be read, and what was written after it is there"
        return None

    def _was_synced(self, header: LogHeader, at: int, before: Sum, *, marked: bool) -> bool:
        """Whether frames from here go on from one another through a commit mark to a frame after it."""
        for frame in self._chain(at, header.salts, before, big_endian=header.big_endian):
            if marked:
                return True
            marked = frame.commits
        return False

    # After a header that cannot be read

    def _find_behind_header(self, head: bytes) -> str | None:
        # SQLite takes this log for empty. It is, where the header of the next log was torn: then everything in it had been
        # moved into the database before.
        for page, content in sorted(self._last_images(head).items()):
            if self._read_page((page - 1) * self._page_bytes, self._page_bytes) != content:
                return f"its header cannot be read, and page {page} of its last commit is not in the database"
        return None

    def _last_images(self, head: bytes) -> dict[int, bytes]:
        images: dict[int, bytes] = {}
        waiting: dict[int, bytes] = {}
        for frame in self._chain_behind(head):
            waiting[frame.page] = frame.content
            if frame.commits:
                images = {page: each for page, each in (images | waiting).items() if page <= frame.database_pages}
                waiting.clear()
        return images

    def _chain_behind(self, head: bytes) -> Generator[Frame]:
        """The frames that go on from one another, from the first one on that anything goes on from."""
        first = self._frame(0)
        for big_endian in (NATIVE_BIG_ENDIAN, not NATIVE_BIG_ENDIAN):
            seeds = (stored_sum(head, 24), checksum(head[:24], (0, 0), big_endian=big_endian))
            for seed in seeds:
                if first is not None and _goes_on(first, first.salts, seed, big_endian=big_endian):
                    yield from self._chain(0, first.salts, seed, big_endian=big_endian)
                    return
            at, frame = 0, first
            while frame is not None:
                after = self._frame(at + 1)
                if after is not None and _goes_on(after, frame.salts, frame.stored, big_endian=big_endian):
                    yield from self._chain(at + 1, frame.salts, frame.stored, big_endian=big_endian)
                    return
                at, frame = at + 1, after

    # Frames

    def _chain(self, at: int, salts: bytes, before: Sum, *, big_endian: bool) -> Generator[Frame]:
        while (frame := self._frame(at)) is not None and _goes_on(frame, salts, before, big_endian=big_endian):
            yield frame
            at, before = at + 1, frame.stored

    def _frame(self, at: int) -> Frame | None:
        size = FRAME_HEADER_BYTES + self._page_bytes
        data = self._files.read_at(self._log, HEADER_BYTES + at * size, size)
        return read_frame(data) if len(data) == size else None


def _goes_on(frame: Frame, salts: bytes, before: Sum, *, big_endian: bool) -> bool:
    return frame.salts == salts and frame.computed(before, big_endian=big_endian) == frame.stored
