"""The write-ahead log of SQLite as bytes: its header, its frames, and how each frame goes on from the one before.

A log is a header of 32 bytes and frames of a page each. The header's salts stand in every frame of this log; frames of an
earlier one, which the file may still hold at its end, have others. A frame's checksum covers its page and the checksum of the
frame before it, so frames that go on from one another were written one after another. https://www.sqlite.org/walformat.html

Pure: it looks at bytes and touches no file.
"""

from __future__ import annotations

import struct
import sys
from typing import Final, final

from attrs import frozen

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24

_MAGIC: Final = 0x377F0682  # the last bit says that checksums are big-endian
_VERSION: Final = 3_007_000
_SUMMED_OF_HEADER: Final = 24
_SUMMED_OF_FRAME: Final = 8
_PAGE_SIZES: Final = frozenset(1 << power for power in range(9, 17))
_MASK: Final = 0xFFFF_FFFF

Sum = tuple[int, int]
"""A checksum of the log: two words of 32 bits."""


@final
@frozen(kw_only=True, slots=True)
class LogHeader:
    """What the first 32 bytes of a log say.

    Attributes:
        page_bytes: Length of a page.
        salts: What each frame of this log repeats.
        sum: The checksum from which the first frame goes on.
        big_endian: How checksums read the bytes.
    """

    page_bytes: int
    salts: bytes
    sum: Sum
    big_endian: bool

    @property
    def frame_bytes(self) -> int:
        """Length of a frame."""
        return FRAME_HEADER_BYTES + self.page_bytes


def read_header(data: bytes) -> LogHeader | None:
    """The header of a log, or None where SQLite too takes the log for empty."""
    if len(data) < HEADER_BYTES:
        return None
    magic, version, page_bytes = struct.unpack_from(">3I", data)
    big_endian = bool(magic & 1)
    stored = stored_sum(data, _SUMMED_OF_HEADER)
    if magic & ~1 != _MAGIC or version != _VERSION or page_bytes not in _PAGE_SIZES:
        return None
    if checksum(data[:_SUMMED_OF_HEADER], (0, 0), big_endian=big_endian) != stored:
        return None
    return LogHeader(page_bytes=page_bytes, salts=data[16:24], sum=stored, big_endian=big_endian)


@final
@frozen(kw_only=True, slots=True)
class Frame:
    """One frame of a log.

    Attributes:
        page: Number of the page, from 1.
        database_pages: How many pages the database has after it, where it ends a transaction; else 0.
        salts: Those of the log it was written to.
        stored: The checksum it has.
        summed: What its checksum covers beside the one before: the first words of its header, and its page.
    """

    page: int
    database_pages: int
    salts: bytes
    stored: Sum
    summed: bytes

    @property
    def commits(self) -> bool:
        """Whether it has the mark that ends a transaction."""
        return self.database_pages != 0

    @property
    def content(self) -> bytes:
        """The page."""
        return self.summed[_SUMMED_OF_FRAME:]

    def computed(self, before: Sum, *, big_endian: bool) -> Sum:
        """The checksum it should have after a frame with the checksum `before`."""
        return checksum(self.summed, before, big_endian=big_endian)


def read_frame(data: bytes) -> Frame:
    """The frame in these bytes, which must be as long as a frame."""
    page, size = struct.unpack_from(">2I", data)
    return Frame(
        page=page,
        database_pages=size,
        salts=data[8:16],
        stored=stored_sum(data, 16),
        summed=data[:_SUMMED_OF_FRAME] + data[FRAME_HEADER_BYTES:],
    )


def checksum(data: bytes, before: Sum, *, big_endian: bool) -> Sum:
    """The checksum of SQLite's log over bytes that are a multiple of 8; half a millisecond a page."""
    first, second = before
    words = iter(struct.unpack(f"{'>' if big_endian else '<'}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second


def stored_sum(data: bytes, offset: int) -> Sum:
    """The checksum that stands there."""
    first, second = struct.unpack_from(">2I", data, offset)
    return first, second


NATIVE_BIG_ENDIAN: Final = sys.byteorder == "big"
"""How a log is summed that was begun on this machine."""
