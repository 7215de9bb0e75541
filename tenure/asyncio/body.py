"""The body of an asyncio context manager that the trio thread may end."""

from __future__ import annotations

import asyncio
from typing import final

from tenure.portals.cancelling import Held


@final
class Body:
    """The task of the body, and the one way to cancel it without being taken for the cancel of another task.

    As `asyncio.timeout` does: a cancel of ours is taken back with `uncancel`, and is ours where none other is left.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            message = "there is no asyncio task around this"
            raise RuntimeError(message)
        self._task = task
        self._cancelling = task.cancelling()
        self._early = False
        self._entered = False
        self._interrupted = False
        self._left = False

    def enter(self) -> None:
        """The body begins; what would have interrupted it before does so at its first await."""
        self._entered = True
        if self._early:
            self.interrupt()

    def interrupt(self, *_: object) -> None:
        """Cancel the body, once, unless it has been left."""
        if not self._entered:
            self._early = True
        elif not self._interrupted and not self._left:
            self._interrupted = True
            self._task.cancel()

    @property
    def cancelled_by_others(self) -> bool:
        """Whether the task was cancelled since the body began, and not by this; asked once it was left."""
        return self._task.cancelling() > self._cancelling

    async def leave(self, error: BaseException | None) -> bool:
        """Leave the body, by this exception or by none. Whether it was our cancel and no other that ended it.

        A cancel of ours that has not come yet does not come any more: a call that delivered its result keeps one for the
        next await, and taking the cancel back does not take that back before Python 3.13.
        """
        self._left = True
        if not self._interrupted:
            return False
        left = self._task.uncancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as exc:
            if self._task.cancelling() > self._cancelling:
                Held(exc, self._cancelling).come_at_next_await()  # another's, which the close hears of
        return isinstance(error, asyncio.CancelledError) and left <= self._cancelling
