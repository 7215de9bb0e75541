"""One file of the model of the disk: what reads return, what is on the platters, and what lies between.

Contents are shared between the disks that a crash makes, and copied when they are written.
"""

from __future__ import annotations

from typing import final

from .operations import (
    ALL_SECTORS,
    Change,
    Drive,
    Write,
    apply,
    apply_sectors,
)

Content = bytes | bytearray
"""What a file holds. Shared content is never changed in place, whichever of the two it is."""


@final
class DiskFile:
    """One file of a disk, by its number; it lives on as long as a name or a handle leads to it."""

    __slots__ = (
        "_durable",
        "_durable_shared",
        "_lost",
        "_settled",
        "_visible_shared",
        "locks",
        "number",
        "unsynced",
        "visible",
    )

    def __init__(self, number: int, content: Content, durable: Content | None = None) -> None:
        """Share the given contents with all that have them; they are never changed in place."""
        self.number = number
        self.visible: Content = content
        self._visible_shared = True
        self._durable: Content = content if durable is None else durable
        self._durable_shared = True
        # Synced changes that are not yet made in `_durable`: a sync costs nothing until a caller
        # asks.
        self._settled: list[tuple[Change, int]] = []
        self._lost = False  # whether a failed sync ever parted what is visible from what will be durable
        self.unsynced: list[tuple[int, Change]] = []
        self.locks: dict[object, int] = {}

    @property
    def size(self) -> int:
        """The visible length."""
        return len(self.visible)

    def change(self, order: int, change: Change) -> None:
        """Make a change visible and unsynced."""
        if isinstance(change, Write) and change.offset == 0 and not self.visible:
            # A whole file written at once, such as the copy of a log, is not copied before
            # something more is written.
            self.visible, self._visible_shared = change.data, True
        else:
            if self._visible_shared or isinstance(self.visible, bytes):
                self.visible, self._visible_shared = bytearray(self.visible), False
            apply(self.visible, change)
        self.unsynced.append((order, change))

    def settle(self, landed: tuple[int, ...] | None) -> bool:
        """All that is unsynced landed (None), or what the masks say; whether anything did."""
        if landed is None:
            now = [(change, ALL_SECTORS) for _, change in self.unsynced]
        else:
            now = [(change, mask) for (_, change), mask in zip(self.unsynced, landed, strict=True) if mask]
            self._lost = True
        self._settled += now
        self.unsynced.clear()
        return bool(now)

    def durable(self, drive: Drive) -> Content:
        """What is on disk. Shared from now on: not to be changed."""
        # Cases: all that is visible is durable; synced changes have still to be made; nothing has
        # changed.
        if not (self.unsynced or self._lost):
            self._durable = self.visible
            self._visible_shared = True
            self._settled.clear()
        elif self._settled:
            durable = self._durable
            if self._durable_shared or isinstance(durable, bytes):
                self._durable = durable = bytearray(durable)
            for change, mask in self._settled:
                apply_sectors(durable, change, mask, 0, drive)
            self._settled.clear()
        self._durable_shared = True
        return self._durable

    def fork(self, drive: Drive) -> DiskFile:
        """The same file on the disk that a killed process leaves."""
        durable = self.durable(drive)
        other = DiskFile(self.number, self.visible, None if durable is self.visible else durable)
        self._visible_shared = True
        other.unsynced = list(self.unsynced)
        other._lost = self._lost
        return other
