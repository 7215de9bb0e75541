"""What happened in a simulation, as lines: the last of them to be read, all of them in a digest to be compared."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Final, final

import trio

KEPT: Final = 60
"""Lines that are kept to be shown."""


@final
class Trace:
    """The events of one simulation.

    Attributes:
        count: How many there were.
    """

    def __init__(self, kept: int = KEPT) -> None:
        """Nothing has happened yet."""
        self.count = 0
        self._last: deque[str] = deque(maxlen=kept)
        self._digest = hashlib.sha256()

    def note(self, text: str) -> None:
        """Something happened, now."""
        line = f"{trio.current_time():12.3f} {text}"
        self.count += 1
        self._last.append(line)
        self._digest.update(line.encode() + b"\n")

    @property
    def digest(self) -> str:
        """SHA-256 over every line: equal where the same happened at the same time."""
        return self._digest.hexdigest()

    @property
    def last(self) -> tuple[str, ...]:
        """The last lines, oldest first."""
        return tuple(self._last)
