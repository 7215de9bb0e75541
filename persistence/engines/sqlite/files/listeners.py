"""Those who wait for what is written into a SQLite file: marks beside the store's lock, and a glance at its log.

What is listened for is a mark on the lock file that every process holds, at a place that its name draws. A mark costs one call
of the system, belongs to its process and dies with it; nothing is written, so that a look, which may not write, can listen too.
"""

from __future__ import annotations

import hashlib
from typing import Final, final

from tenure.persistence.engines.sqlite.system.files import Files
from tenure.persistence.engines.sqlite.system.locks import Lock

_PLACES: Final = 2**62
"""Two names may have one place: then who writes for the one hurries for the other."""


@final
class FileListeners:
    """See `Listeners`."""

    open_line = None
    """See `Listeners.open_line`: what is written into a file is seen at a glance."""

    def __init__(self, log: str, lock: Lock, files: Files) -> None:
        """Listen for nothing yet."""
        self._log = log
        self._lock = lock
        self._files = files
        self._stamp: object | None = None

    def begin(self, what: str, /) -> None:
        """See `Listeners.begin`."""
        self._lock.mark(_place_of(what), marked=True)

    def end(self, what: str, /) -> None:
        """See `Listeners.end`."""
        self._lock.mark(_place_of(what), marked=False)

    def others(self, what: str | None = None, /) -> bool:
        """See `Listeners.others`."""
        return self._lock.is_marked(None if what is None else _place_of(what))

    def stirred(self) -> bool:
        """See `Listeners.stirred`."""
        before, self._stamp = self._stamp, self._files.written_stamp(self._log)
        return self._stamp != before


def _place_of(what: str) -> int:
    return int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest(), "big") % _PLACES
