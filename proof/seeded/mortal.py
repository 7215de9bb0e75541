"""Locks of a host that dies in this process while others live on: all come free, as those of a killed process do."""

from __future__ import annotations

import errno
import os
from typing import final

from tenure.persistence.engines.sqlite.system.locks import Lock, Locks, OsLocks


@final
class MortalLocks:
    """The locks of a system, all of which come free at a death.

    Attributes:
        exhausted: Whether the process has no file descriptor left for another one.
    """

    def __init__(self, locks: Locks | None = None) -> None:
        """None of these is taken; None: of those of this system."""
        self.exhausted = False
        self._locks: Locks = OsLocks() if locks is None else locks
        self._taken: list[Lock] = []

    def acquire(self, path: str, *, exclusive: bool) -> Lock | None:
        """See `Locks.acquire`."""
        self._needs_descriptor(path)
        return self._keep(self._locks.acquire(path, exclusive=exclusive))

    def make(self, path: str) -> Lock:
        """See `Locks.make`."""
        self._needs_descriptor(path)
        lock = self._locks.make(path)
        self._taken.append(lock)
        return lock

    def find(self, path: str) -> Lock | None:
        """See `Locks.find`."""
        self._needs_descriptor(path)
        return self._keep(self._locks.find(path))

    def die(self) -> None:
        """Free them all."""
        for lock in self._taken:
            lock.release()

    def _needs_descriptor(self, path: str) -> None:
        if self.exhausted:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    def _keep(self, lock: Lock | None) -> Lock | None:
        if lock is not None:
            self._taken.append(lock)
        return lock
