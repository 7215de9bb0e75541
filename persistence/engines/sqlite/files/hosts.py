"""The proofs of life of hosts that share a SQLite file: one locked file for each, ``<path>-host-<incarnation>``.

The system frees a lock when its process ends, however it ends, so a lock that can be taken proves that its host is dead. A
lock of this kind cannot be probed without being taken for a moment; two hosts that probe at once may both find it held, and
try again at their next look.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final, final

from tenure.persistence.engines.sqlite.opening.preflight import mapped_os_errors
from tenure.persistence.engines.sqlite.system.files import (
    Files,
    folder_of,
)
from tenure.persistence.engines.sqlite.system.locks import (
    Lock,
    Locks,
)

from .database import DatabaseFiles

_PROOF: Final = "proof="

LONGEST_BREATH: Final = 1_000
"""Bytes of the note that says that a host lives though its loop stands still."""


@final
class HostLocks:
    """See `HostProofs`. Called by one thread at a time for each incarnation."""

    def __init__(self, path: str, files: Files, locks: Locks, database: DatabaseFiles) -> None:
        """Hold nothing yet; `database` knows the files that every host of the store has open."""
        self._database = database
        self._prefix = f"{path}-host-"
        self._files = files
        self._locks = locks
        self._held: dict[str, Lock] = {}
        self._own: Lock | None = None
        self._breaths = 0

    def hold(self, incarnation: str) -> str:
        """See `HostProofs.hold`."""
        with mapped_os_errors(self._prefix + incarnation):
            lock = self._held[incarnation] = self._own = self._locks.make(self._prefix + incarnation)
        return f"{self._database.names.text} {_PROOF}{lock.identity}"

    def seize(self, incarnation: str, files: str | None) -> bool:
        """See `HostProofs.seize`.

        Cases that prove nothing: a lock that is gone, or another file than the host's row says, which anybody may have removed
        or put there; and one that cannot be asked for now, for want of a file descriptor say.
        """
        if incarnation in self._held:
            return True
        try:
            lock = self._locks.find(self._prefix + incarnation)
        except OSError:
            return False
        if lock is None:
            return False
        if f"{_PROOF}{lock.identity}" not in (files or "").split():
            lock.release()
            return False
        self._held[incarnation] = lock
        return True

    def breathe(self) -> None:
        """See `HostProofs.breathe`. The note in the file is longer each time: two in one tick of the clock differ too."""
        own = self._own
        if own is not None:
            self._breaths = self._breaths % LONGEST_BREATH + 1
            with suppress(OSError, ValueError):  # a full disk, or released meanwhile: the lease goes by the loop alone
                own.write_note(b"." * self._breaths)

    def breath(self, incarnation: str) -> object | None:
        """See `HostProofs.breath`."""
        return self._files.written_stamp(self._prefix + incarnation)

    def let_go(self, incarnation: str) -> None:
        """See `HostProofs.let_go`. The file goes before the lock: who finds it gone makes one that proves nothing new."""
        lock = self._held.pop(incarnation, None)
        if lock is not None:
            with suppress(
                OSError
            ):  # what stays is a lock that can be taken, until the next host that is alone clears it away
                self._remove(self._prefix + incarnation)
            lock.release()

    def clear(self) -> None:
        """Remove the files of all hosts. Only for a host that is alone on the database."""
        prefix = Path(self._prefix).name
        for name in self._files.list_folder(folder_of(self._prefix)):
            if name.startswith(prefix):
                self._remove(str(Path(self._prefix).with_name(name)))

    def close(self) -> None:
        """Let go of everything."""
        for incarnation in list(self._held):
            self.let_go(incarnation)

    def _remove(self, path: str) -> None:
        if self._files.exists(path):
            self._files.remove(path)
