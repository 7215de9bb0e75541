"""The weather of a simulated disk: errors, times without room, and the operation at which the host dies."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from typing import Final, final

import trio

from tenure.testing.drive.operations import Operation

SHORT_WRITES: Final = 0.3
"""Share of the writes to a full disk that stop in the middle."""


@final
class Weather:
    """Makes the disk of one host suffer (`tenure.testing.drive.disk.Faults`).

    Attributes:
        io_error: Chance of an I/O error at each operation.
        full_from: Since when (trio's clock) the disk is full.
        full_until: Until when.
        dies_at: The operation at which the host dies, from 1; None for none.
        errors: I/O errors so far.
        full: Operations that found no room so far.
    """

    def __init__(self, source: random.Random, die: Callable[[], None]) -> None:
        """Fine weather; `die` is called once, before the operation `dies_at`."""
        self.io_error = 0.0
        self.full_from = 0.0
        self.full_until = 0.0
        self.dies_at: int | None = None
        self.errors = 0
        self.full = 0
        self._source = source
        self._die = die
        self._dead = False
        self._seen = 0

    def clear(self) -> None:
        """Fine weather from now on, but for who is dead."""
        self.io_error = 0.0
        self.full_until = 0.0
        self.dies_at = None

    def end(self) -> None:
        """The host is dead: nothing that it still does reaches a disk."""
        self._dead = True

    def before_read(self) -> None:
        """See `Faults.before_read`. Reads work to the last: what a dead host reads has no reader."""

    def before_write(self, size: int) -> tuple[int, int] | None:
        """See `Faults.before_write`."""
        if self._fails():
            return errno.EIO, 0
        if self.full_from <= trio.current_time() < self.full_until:
            self.full += 1
            partly = size > 0 and self._source.random() < SHORT_WRITES
            return errno.ENOSPC, self._source.randrange(size) if partly else 0
        return None

    def before_sync(self, sectors: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
        """See `Faults.before_sync`."""
        if not self._fails():
            return None
        landed = [self._source.getrandbits(count) if not self._dead else 0 for count in sectors]
        return errno.EIO, tuple(landed)

    def before(self, operation: type[Operation]) -> int | None:  # noqa: ARG002 - all alike
        """See `Faults.before`."""
        return errno.EIO if self._fails() else None

    def _fails(self) -> bool:
        self._seen += 1
        if self._seen == self.dies_at and not self._dead:
            self._die()
        if self._dead:
            return True
        if self.io_error and self._source.random() < self.io_error:
            self.errors += 1
            return True
        return False
