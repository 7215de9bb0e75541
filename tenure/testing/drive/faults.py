"""I/O faults: which operation fails, how, and for how long."""

from __future__ import annotations

import enum
import errno
import random
from typing import final

from attrs import frozen

from .operations import (
    ALL_SECTORS,
    NO_SECTORS,
    Create,
    Operation,
    Remove,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
)


@final
class FaultKind(enum.Enum):
    """What goes wrong."""

    READ_ERROR = "EIO at read"
    WRITE_ERROR = "EIO at write"
    DISK_FULL = "no space at write"
    SHORT_WRITE = "no space in the middle of a write"
    SYNC_LOST = "EIO at fsync, nothing landed"
    SYNC_LANDED = "EIO at fsync, everything landed"
    SYNC_TORN = "EIO at fsync, some of it landed"
    TRUNCATE_ERROR = "EIO at truncate"
    CREATE_ERROR = "EIO at create"
    RENAME_ERROR = "EIO at rename"
    REMOVE_ERROR = "EIO at remove"
    FOLDER_SYNC_ERROR = "EIO at fsync of a folder"


_STRUCK: dict[FaultKind, type[Operation] | None] = {
    FaultKind.READ_ERROR: None,  # a read is not an operation of the disk: it changes nothing
    FaultKind.WRITE_ERROR: Write,
    FaultKind.DISK_FULL: Write,
    FaultKind.SHORT_WRITE: Write,
    FaultKind.SYNC_LOST: Sync,
    FaultKind.SYNC_LANDED: Sync,
    FaultKind.SYNC_TORN: Sync,
    FaultKind.TRUNCATE_ERROR: Truncate,
    FaultKind.CREATE_ERROR: Create,
    FaultKind.RENAME_ERROR: Rename,
    FaultKind.REMOVE_ERROR: Remove,
    FaultKind.FOLDER_SYNC_ERROR: SyncFolder,
}

_FULL = (FaultKind.DISK_FULL, FaultKind.SHORT_WRITE)


@final
@frozen(kw_only=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: What.
        nth: At the how-manieth operation of its sort, from 1.
        times: How many of them fail in a row.
    """

    kind: FaultKind
    nth: int
    times: int = 1

    def __str__(self) -> str:
        return f"{self.kind.value}, number {self.nth}" + (f" and {self.times - 1} more" if self.times > 1 else "")


@final
class FaultInjector:
    """Makes a disk suffer one fault (`tenure.testing.drive.disk.Faults`).

    Attributes:
        fault: Which.
        struck: How many operations it has made fail.
    """

    def __init__(self, fault: Fault) -> None:
        """Count from now on."""
        self.fault = fault
        self.struck = 0
        self._seen = 0
        self._random = random.Random(str(fault))

    def before_read(self) -> int | None:
        """See `Faults.before_read`."""
        return self._errno() if self._strikes(None) else None

    def before_write(self, size: int) -> tuple[int, int] | None:
        """See `Faults.before_write`."""
        if not self._strikes(Write):
            return None
        written = self._random.randrange(size) if self.fault.kind is FaultKind.SHORT_WRITE and size else 0
        return self._errno(), written

    def before_sync(self, sectors: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
        """See `Faults.before_sync`."""
        if not self._strikes(Sync):
            return None
        if self.fault.kind is FaultKind.SYNC_TORN:
            return self._errno(), tuple(self._random.getrandbits(count) for count in sectors)
        mask = ALL_SECTORS if self.fault.kind is FaultKind.SYNC_LANDED else NO_SECTORS
        return self._errno(), (mask,) * len(sectors)

    def before(self, operation: type[Operation]) -> int | None:
        """See `Faults.before`."""
        return self._errno() if self._strikes(operation) else None

    def _strikes(self, operation: type[Operation] | None) -> bool:
        if _STRUCK[self.fault.kind] is not operation:
            return False
        self._seen += 1
        strikes = self.fault.nth <= self._seen < self.fault.nth + self.fault.times
        self.struck += strikes
        return strikes

    def _errno(self) -> int:
        return errno.ENOSPC if self.fault.kind in _FULL else errno.EIO
