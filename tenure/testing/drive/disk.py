"""The model of a disk that can lose its power.

Theory of operation. A file has two contents: *visible*, what reads return (the page cache), and
*durable*, what is on the platters. A write changes the visible content and joins the file's
unsynced changes; a sync makes them durable. Names work alike: a created, renamed or removed name is
visible at once and durable after its folder was synced. Then:

- a killed process changes nothing: its unsynced changes stay visible, and stay unsynced;
- a power cut leaves the durable contents, and of the unsynced changes any subset, torn between
  sectors;
- a failed fsync loses what had not landed: reads return it still, and no later sync saves it. Only
  writing those bytes again makes them unsynced changes again. This is what Linux does, and why
  PostgreSQL stops at the first one.

Pure and sync: no clock, no SQLite. Contents are shared between the disks that a crash makes and
copied when written, so that an image costs what changed in it.
"""

from __future__ import annotations

import errno
import os
from typing import Protocol, final

from attrs import frozen

from .disk_file import (
    Content,
    DiskFile,
)
from .operations import (
    Change,
    Create,
    Drive,
    EntryChange,
    FailedSync,
    MakeFolder,
    Operation,
    Remove,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
    apply_sectors,
    entry_folder,
    folder_of,
    sector_count,
)

FOLDER = 0
"""Stands for a folder where a name leads to the number of a file."""


@final
@frozen(kw_only=True, slots=True)
class Survivors:
    """What a power cut leaves of the unsynced: of the changes and of the names, oldest first.

    Attributes:
        sectors: For each change the mask of sectors that landed.
        wrecked: For each change the mask of sectors that hold garbage.
        entries: For each changed name whether the change landed.
        grown: Whether a file has the length that its dropped writes gave it, with zeros in place of
            the data.
    """

    sectors: tuple[int, ...]
    wrecked: tuple[int, ...]
    entries: tuple[bool, ...]
    grown: bool = False


class Faults(Protocol):
    """Makes operations fail. A disk asks before each one, and raises what it is given."""

    def before_read(self) -> int | None:
        """The errno with which a read fails, or None. A read is not an operation: it changes nothing and is not recorded."""
        ...

    def before_write(self, size: int, /) -> tuple[int, int] | None:
        """The errno and how many bytes are written all the same, or None."""
        ...

    def before_sync(self, sectors: tuple[int, ...], /) -> tuple[int, tuple[int, ...]] | None:
        """The errno and for each unsynced change the mask of sectors that landed, or None.

        Args:
            sectors: How many sectors each unsynced change of the file has.
        """
        ...

    def before(self, operation: type[Operation], /) -> int | None:
        """The errno with which any other operation fails, or None."""
        ...


@final
class Disk:
    """A disk: named files and folders, what of them is on the platters, and what was done to it.

    Attributes:
        drive: The hardware.
        log: The operations so far, oldest first; None on a disk that does not record.
        operation_count: How many operations this disk has seen.
        durable_version: Rises whenever something becomes durable.
        faults: Makes operations fail; None for a disk that works.
    """

    def __init__(self, drive: Drive | None = None, *, recording: bool = False) -> None:
        """An empty disk."""
        self.drive = Drive() if drive is None else drive
        self.log: list[Operation] | None = [] if recording else None
        self.operation_count = 0
        self.durable_version = 0
        self.faults: Faults | None = None
        self._order = 0  # never begins anew at a kill: unsynced changes of both processes keep their order
        self._last_file = 0
        self._files: dict[int, DiskFile] = {}
        self._entries: dict[str, int] = {}
        self._durable_entries: dict[str, int] = {}
        self._unsynced_entries: list[tuple[int, EntryChange]] = []

    # What there is to see

    def exists(self, name: str) -> bool:
        """Whether a file or folder has this name."""
        return name == "" or name in self._entries

    def is_folder(self, name: str) -> bool:
        """Whether a folder has this name; the empty name is the root."""
        return name == "" or self._entries.get(name) == FOLDER

    def find(self, name: str) -> DiskFile | None:
        """The file under this name, or None."""
        number = self._entries.get(name, FOLDER)
        return None if number == FOLDER else self._files[number]

    def names(self, folder: str = "") -> list[str]:
        """The full names that stand directly in a folder, sorted."""
        return sorted(name for name in self._entries if folder_of(name) == folder)

    def entries(self) -> dict[str, int]:
        """Every full name with the number of its file, or `FOLDER`."""
        return dict(self._entries)

    def unsynced_changes(self) -> list[tuple[int, Change]]:
        """The changes that a power cut may drop, oldest first.

        Those of files to which no name leads are left out: they are lost anyhow.
        """
        written = [file for file in self._files.values() if file.unsynced]
        if len(written) > 1:
            reachable = self._reachable()
            written = [file for file in written if file.number in reachable]
        return sorted((pair for file in written for pair in file.unsynced), key=_by_order)

    def durable_size(self, number: int) -> int:
        """The length on disk of the file with this number."""
        return len(self._files[number].durable(self.drive))

    def has_unsynced_changes(self) -> bool:
        """Whether `unsynced_changes` may have any, without collecting them."""
        return any(file.unsynced for file in self._files.values())

    def unsynced_entries(self) -> list[tuple[int, EntryChange]]:
        """The changed names that a power cut may drop, oldest first."""
        return self._unsynced_entries

    # What can be done to it

    def create(self, name: str) -> DiskFile:
        """Make an empty file under a new name; the name is durable after `sync_folder`."""
        self._expect_folder_of(name)
        self._may_fail(Create)
        if name in self._entries:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        self._change_entry(Create(name, self._last_file + 1))
        return self._files[self._last_file]

    def read(self, file: DiskFile, offset: int, amount: int) -> Content:
        """The visible bytes there; fewer where the file ends before. Not to be changed."""
        if self.faults is not None:
            code = self.faults.before_read()
            if code is not None:
                raise OSError(code, os.strerror(code))
        return file.visible[offset : offset + amount]

    def write(self, file: DiskFile, offset: int, data: bytes) -> None:
        """Write bytes; they are durable after `sync`."""
        if self.faults is not None:
            failure = self.faults.before_write(len(data))
            if failure is not None:
                code, written = failure
                if written:
                    self._change(file, Write(file.number, offset, data[:written]))
                raise OSError(code, os.strerror(code))
        self._change(file, Write(file.number, offset, data))

    def truncate(self, file: DiskFile, size: int) -> None:
        """Cut or extend the file; durable after `sync`."""
        self._may_fail(Truncate)
        self._change(file, Truncate(file.number, size))

    def sync(self, file: DiskFile) -> None:
        """Make the file's changes durable. When it fails, what did not land is lost for good."""
        if self.faults is not None:
            sectors = tuple(sector_count(change, self.drive) for _, change in file.unsynced)
            failure = self.faults.before_sync(sectors)
            if failure is not None:
                code, landed = failure
                self._end_sync(file, landed)
                raise OSError(code, os.strerror(code))
        self._end_sync(file, None)

    def rename(self, source: str, target: str) -> None:
        """Move a file's name; durable after the target's folder was synced."""
        file = self.find(source)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
        self._expect_folder_of(target)
        self._may_fail(Rename)
        self._change_entry(Rename(source, target, file.number))

    def remove(self, name: str) -> None:
        """Take a file's name away; durable after its folder was synced."""
        if self.find(name) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        self._may_fail(Remove)
        self._change_entry(Remove(name))

    def make_folder(self, name: str) -> None:
        """Make an empty folder under a new name; durable after its parent was synced."""
        self._expect_folder_of(name)
        self._may_fail(MakeFolder)
        self._change_entry(MakeFolder(name))

    def sync_folder(self, name: str) -> None:
        """Make the names in a folder durable. When it fails, a later sync may still save them."""
        if not self.is_folder(name):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        self._may_fail(SyncFolder)
        self._end_sync_folder(name)

    def replay(self, operation: Operation) -> None:
        """Do again what another disk recorded."""
        match operation:
            case Write() | Truncate():
                self._change(self._files[operation.file], operation)
            case Sync():
                self._end_sync(self._files[operation.file], None)
            case FailedSync():
                self._end_sync(self._files[operation.file], operation.landed)
            case SyncFolder():
                self._end_sync_folder(operation.name)
            case _:
                self._change_entry(operation)

    # What a crash leaves

    def after_kill(self, *, recording: bool = False) -> Disk:
        """The disk that a killed process leaves: all of it visible, the unsynced still unsynced."""
        other = Disk(self.drive, recording=recording)
        other._order = self._order
        other._last_file = self._last_file
        other._entries = dict(self._entries)
        other._durable_entries = dict(self._durable_entries)
        other._unsynced_entries = list(self._unsynced_entries)
        other._files = {number: self._files[number].fork(self.drive) for number in self._reachable()}
        return other

    def after_power_cut(self, survivors: Survivors, *, recording: bool = False) -> Disk:
        """The disk that a power cut leaves: what is durable and what survives, all durable then."""
        other = Disk(self.drive, recording=recording)
        other._last_file = self._last_file
        entries = dict(self._durable_entries)
        for (_, change), survives in zip(self._unsynced_entries, survivors.entries, strict=True):
            if survives:
                _change_names(entries, change)
        for name in sorted(entries):  # sorted: a folder comes before what stands in it
            if not (folder_of(name) == "" or entries.get(folder_of(name)) == FOLDER):
                del entries[name]
        contents = self._contents_after(survivors)
        other._files = {
            number: DiskFile(number, contents.get(number, self._files[number].durable(self.drive)))
            for number in entries.values()
            if number != FOLDER
        }
        other._entries = entries
        other._durable_entries = dict(entries)
        return other

    def _contents_after(self, survivors: Survivors) -> dict[int, bytearray]:
        contents: dict[int, bytearray] = {}
        changes = zip(self.unsynced_changes(), survivors.sectors, survivors.wrecked, strict=True)
        for (_, change), kept, wrecked in changes:
            if not (kept or wrecked or survivors.grown):
                continue
            content = contents.get(change.file)
            if content is None:
                content = contents[change.file] = bytearray(self._files[change.file].durable(self.drive))
            apply_sectors(content, change, kept, wrecked, self.drive)
            if survivors.grown and isinstance(change, Write):
                missing = change.offset + len(change.data) - len(content)
                content.extend(bytes(max(missing, 0)))
        return contents

    # How it is done

    def _reachable(self) -> set[int]:
        numbers = {*self._entries.values(), *self._durable_entries.values()}
        numbers.update(change.file for _, change in self._unsynced_entries if isinstance(change, Create | Rename))
        return numbers - {FOLDER}

    def _may_fail(self, operation: type[Operation]) -> None:
        if self.faults is not None:
            code = self.faults.before(operation)
            if code is not None:
                raise OSError(code, os.strerror(code))

    def _expect_folder_of(self, name: str) -> None:
        if not self.is_folder(folder_of(name)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)

    def _record(self, operation: Operation) -> None:
        self.operation_count += 1
        self._order += 1
        if self.log is not None:
            self.log.append(operation)

    def _change(self, file: DiskFile, change: Change) -> None:
        self._record(change)
        file.change(self._order, change)

    def _change_entry(self, change: EntryChange) -> None:
        self._record(change)
        if isinstance(change, Create):
            self._last_file = change.file
            self._files[change.file] = DiskFile(change.file, b"")
        _change_names(self._entries, change)
        self._unsynced_entries.append((self._order, change))

    def _end_sync(self, file: DiskFile, landed: tuple[int, ...] | None) -> None:
        self._record(Sync(file.number) if landed is None else FailedSync(file.number, landed))
        if file.settle(landed):
            self.durable_version += 1

    def _end_sync_folder(self, folder: str) -> None:
        self._record(SyncFolder(folder))
        waiting: list[tuple[int, EntryChange]] = []
        for order, change in self._unsynced_entries:
            if entry_folder(change) == folder:
                _change_names(self._durable_entries, change)
                self.durable_version += 1
            else:
                waiting.append((order, change))
        self._unsynced_entries = waiting


def _by_order(pair: tuple[int, Change]) -> int:
    return pair[0]


def _change_names(entries: dict[str, int], change: EntryChange) -> None:
    # A power cut may have dropped what came before: then there is nothing to take away.
    match change:
        case Create():
            entries[change.name] = change.file
        case MakeFolder():
            entries[change.name] = FOLDER
        case Remove():
            entries.pop(change.name, None)
        case Rename():
            entries.pop(change.source, None)
            entries[change.target] = change.file
