"""The bell of queued work: rung in this process where work was queued, or where some that was held may be claimed."""

from __future__ import annotations

from typing import final

import trio


@final
class QueueBell:
    """Rings for those who wait for work. It says that something may be there, and never what."""

    def __init__(self) -> None:
        """Not rung yet."""
        self._next = trio.Event()

    @property
    def next(self) -> trio.Event:
        """Set when it rings next: take it before you look, and wait for it where nothing was found."""
        return self._next

    def ring(self) -> None:
        """Work was queued, given back, done or tried again."""
        self._next.set()
        self._next = trio.Event()
