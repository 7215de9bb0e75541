"""OS locks on files beside the database.

A lock belongs to an open file description and dies with its process: a lock that can be taken proves that its holder is
gone (design §4). `flock` is used because POSIX record locks are dropped when any descriptor of the file is closed.
"""

from __future__ import annotations

import fcntl
import os
from typing import Protocol, final

from .files import OWNER_ONLY


class Lock(Protocol):
    """A held lock."""

    def upgrade(self) -> bool:
        """Make a shared lock exclusive if nobody else holds it; never waits. On False the shared lock is still held."""
        ...

    def downgrade(self) -> None:
        """Make an exclusive lock shared."""
        ...

    def release(self) -> None:
        """Give the lock up. Doing so twice is allowed."""
        ...


class Locks(Protocol):
    """Takes locks on files, which are created where they are missing and never removed."""

    def acquire(self, path: str, *, exclusive: bool) -> Lock | None:
        """Take the lock, or return None where another holder stands against it. Never waits."""
        ...


@final
class OsLocks:
    """Locks of the operating system, by `flock`."""

    def acquire(self, path: str, *, exclusive: bool) -> Lock | None:
        """See `Locks.acquire`."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        if _try(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH):
            return _OsLock(descriptor)
        os.close(descriptor)
        return None


@final
class _OsLock:
    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def upgrade(self) -> bool:
        # flock converts by dropping the old lock first. Two that upgrade at once can both fail and both be without their
        # shared lock for a moment, so the shared lock is taken back, waiting: only holders of shared locks are in the way.
        descriptor = self._held()
        if _try(descriptor, fcntl.LOCK_EX):
            return True
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return False

    def downgrade(self) -> None:
        fcntl.flock(self._held(), fcntl.LOCK_SH)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _held(self) -> int:
        if self._descriptor is None:
            message = "the lock was released"
            raise ValueError(message)
        return self._descriptor


def _try(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
