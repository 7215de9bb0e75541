"""The bell of queued work: rung in this process where work was queued, or where some that was held may be claimed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import final

import trio

from tenure.persistence.model.contracts.queued_work import QueuedWorkBatch, QueuedWorkCompletion

Listener = Callable[[QueuedWorkBatch | QueuedWorkCompletion | None], None]
"""Called with the batch that was queued, or the claim that a turn has completed; with None where it is not known what may be
claimed now. It may not raise."""


@final
class QueueBell:
    """Rings for those who wait for work. It says that something may be there, and of a batch that was queued, which."""

    def __init__(self) -> None:
        """Not rung yet."""
        self._next: trio.Event | None = None
        self._listeners: list[Listener] = []

    @property
    def next(self) -> trio.Event:
        """Set when it rings next: take it before you look, and wait for it where nothing was found."""
        if self._next is None:
            self._next = trio.Event()
        return self._next

    def ring(self, news: QueuedWorkBatch | QueuedWorkCompletion | None = None, *, by: Listener | None = None) -> None:
        """Work was queued, given back, done or tried again. The listener of who rings is not called."""
        if self._next is not None:  # where no task has asked for it there is none
            self._next.set()
            self._next = None
        for listener in self._listeners:
            if listener != by:
                listener(news)

    @contextmanager
    def heard_by(self, listener: Listener) -> Generator[None]:
        """Call a listener at every ring in the block."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
