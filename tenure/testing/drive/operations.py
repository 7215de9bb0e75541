"""The operations that change a disk, and what is left of one that a power cut tore."""

from __future__ import annotations

from typing import final

from attrs import frozen

ALL_SECTORS = -1
"""The mask that keeps every sector of a change."""

NO_SECTORS = 0
"""The mask that keeps none."""

_GARBAGE = b"\xa5"


@final
@frozen(kw_only=True, slots=True)
class Drive:
    """What the hardware below the disk promises, and what SQLite hears of it.

    Sectors of 512 bytes are the smallest that any drive writes at once: an image torn between them
    is torn as finely as can be (`xSectorSize` says 512). *Powersafe overwrite* is the promise that
    bytes beside a write are safe while it is under way. SQLite's own VFS takes it for granted on
    every drive, so the default takes it too: then the log is laid out, and may be torn, as in
    production. ``Drive(powersafe_overwrite=False)`` is the harsher drive: `xDeviceCharacteristics`
    says 0, SQLite pads each commit in its log to a full sector, and a torn write may wreck the
    whole of a sector that it touches. SQLite alone does not hold on it (seen with 3.54.1): recovery
    ends the log at the commit, not at its padding, so the first write after it shares a sector with
    a commit that was acknowledged. A checkpoint before that write would be the remedy.

    Attributes:
        sector_bytes: What is written whole or not at all; a torn write tears between two of these.
        powersafe_overwrite: Whether bytes beside a write are safe while it is under way.
    """

    sector_bytes: int = 512
    powersafe_overwrite: bool = True


@final
@frozen(slots=True)
class Write:
    """Bytes written to a file."""

    file: int
    offset: int
    data: bytes


@final
@frozen(slots=True)
class Truncate:
    """A file cut, or extended with zeros, to a length."""

    file: int
    size: int


@final
@frozen(slots=True)
class Sync:
    """Everything written to a file so far is on disk."""

    file: int


@final
@frozen(slots=True)
class FailedSync:
    """An fsync that failed: what did not land by then is lost, though reads still return it.

    Attributes:
        file: The file.
        landed: One mask of sectors for each change that was not synced, oldest first.
    """

    file: int
    landed: tuple[int, ...]


@final
@frozen(slots=True)
class Create:
    """A new, empty file under a name."""

    name: str
    file: int


@final
@frozen(slots=True)
class Remove:
    """A name taken away."""

    name: str


@final
@frozen(slots=True)
class Rename:
    """A file given another name, replacing what had it; never torn: it happened or it did not."""

    source: str
    target: str
    file: int


@final
@frozen(slots=True)
class MakeFolder:
    """A new, empty folder."""

    name: str


@final
@frozen(slots=True)
class SyncFolder:
    """The names in a folder are on disk."""

    name: str


Change = Write | Truncate
"""What changes the content of a file."""

EntryChange = Create | Remove | Rename | MakeFolder
"""What changes the names in a folder."""

Operation = Change | EntryChange | Sync | FailedSync | SyncFolder
"""All that a disk can be asked to do."""


def folder_of(name: str) -> str:
    """The folder in which a name stands; the empty string is the root."""
    return name.rpartition("/")[0]


def entry_folder(change: EntryChange) -> str:
    """The folder whose sync puts this change on disk; for a rename the target's."""
    return folder_of(change.target if isinstance(change, Rename) else change.name)


def apply(content: bytearray, change: Change) -> None:
    """Make a change whole."""
    if isinstance(change, Write):
        offset, missing = change.offset, change.offset - len(content)
        if missing >= 0:
            content += bytes(missing)
            content += change.data
        else:
            content[offset : offset + len(change.data)] = change.data
    elif change.size < len(content):
        del content[change.size :]
    else:
        content.extend(bytes(change.size - len(content)))


def sector_count(change: Change, drive: Drive) -> int:
    """How many sectors a change touches; a truncation counts as one, for it is made or not."""
    if isinstance(change, Truncate) or not change.data:
        return 1
    last = change.offset + len(change.data) - 1
    return last // drive.sector_bytes - change.offset // drive.sector_bytes + 1


def apply_sectors(content: bytearray, change: Change, kept: int, wrecked: int, drive: Drive) -> None:
    """Make what a power cut leaves of a change.

    Args:
        content: The file before.
        change: What was under way.
        kept: Mask of the sectors that landed, lowest bit first.
        wrecked: Mask of the sectors that hold garbage, because they were being written at that
            moment.
        drive: Says how long a sector is, and whether garbage reaches beyond the written bytes.
    """
    # Cases: all of it, a truncation (made or not), and sector by sector.
    if kept == ALL_SECTORS and not wrecked:
        apply(content, change)
        return
    if isinstance(change, Truncate):
        if kept:
            apply(content, change)
        return
    size = drive.sector_bytes
    start, end = change.offset, change.offset + len(change.data)
    first = start // size
    for index in range(sector_count(change, drive)):
        sector = (first + index) * size
        low, high = max(sector, start), min(sector + size, end)
        if wrecked >> index & 1:
            _wreck(content, low, high, sector, drive)
        elif kept >> index & 1:
            apply(content, Write(change.file, low, change.data[low - start : high - start]))


def _wreck(content: bytearray, low: int, high: int, sector: int, drive: Drive) -> None:
    if not drive.powersafe_overwrite:
        # The whole sector goes, as far as the file reaches.
        low, high = sector, max(high, min(sector + drive.sector_bytes, len(content)))
    apply(content, Write(0, low, _GARBAGE * (high - low)))
