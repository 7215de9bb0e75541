"""The worker of a runtime: the one task that executes its runs.

A behaviour that is cancelled may clean up under a shield, as long as it likes. Its worker lives until that has ended, and
no other starts for the runtime before: also where it was lost meanwhile and came back to another actor of this host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, final

import trio

from .watched import Watched

StartSoon = Callable[[Callable[[], Awaitable[None]]], None]

LINGERS: Final = "the last run has not ended"
"""What blocks a runtime whose behaviour is not done with its clean-up."""

LINGERS_S: Final = 30.0
"""Seconds of clean-up after which a line of the log says so."""


@final
class Worker:
    """At most one task at a time.

    Attributes:
        busy: Whether there is a task; a stopped one counts until it has ended.
        ended: Called when the task has ended. Belongs to the actor that owns the runtime now.
        lingers: Called when a stopped task has not ended after `LINGERS_S`. Belongs to that actor too.
    """

    __slots__ = ("__weakref__", "_ended", "_scope", "_start_soon", "busy", "ended", "lingers")

    def __init__(self, start_soon: StartSoon) -> None:
        """No task yet; `start_soon` will start them."""
        self.busy = Watched(False)
        self.ended: Callable[[], None] = _nothing
        self.lingers: Callable[[], None] = _nothing
        self._start_soon = start_soon
        self._scope: trio.CancelScope | None = None
        self._ended: trio.Event | None = None

    @property
    def stopped(self) -> bool:
        """Whether the task was stopped."""
        return self._scope is not None and self._scope.cancel_called

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin a task; there is none."""
        self._scope, self.busy.value = trio.CancelScope(), True
        self._start_soon(partial(self._run, self._scope, work))

    def stop(self) -> None:
        """Cancel the task, if there is one. Does not wait."""
        if self._scope is not None and not self._scope.cancel_called:
            self._scope.cancel()
            self._ended = trio.Event()
            self._start_soon(partial(self._watch, self._ended))

    async def _run(self, scope: trio.CancelScope, work: Callable[[], Awaitable[None]]) -> None:
        with scope:
            await work()
        self._scope, self.busy.value = None, False
        if self._ended is not None:
            self._ended.set()
        self.ended()

    async def _watch(self, ended: trio.Event) -> None:
        with trio.move_on_after(LINGERS_S):
            await ended.wait()
        if not ended.is_set():
            self.lingers()


def _nothing() -> None:
    """Nothing listens."""
