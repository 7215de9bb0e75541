"""Cancellations of asyncio that are held while something must end, and given back as they were.

What cancels may know its own by what it says, as the scopes of anyio do: so it is the same exception, or the same words. And it
takes its own back where its block ends: a cancellation that waits for the next await must not come after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, final


@final
class Held:
    """The cancellations of one task that were held, one or more.

    Attributes:
        error: The first.
    """

    def __init__(self, error: asyncio.CancelledError, before: int) -> None:
        """Hold one; `before` is how many cancellations the task counted when it began to wait (`cancelling`)."""
        self.error = error
        self._before = before
        self._times = 1

    def again(self) -> None:
        """Hold a further one."""
        self._times += 1

    def come_at_next_await(self) -> None:
        """Let the current task's next await raise it, unless who has cancelled takes that back before.

        It counts as those that it was. It is not left with the task at once: before Python 3.13 no one takes that back, and it
        would come after the block of a time limit that had passed while the last verb inside gave its result all the same.
        Where the next await is a verb, that raises it before it asks for anything (`raise_what_is_due`): it would land all the
        same too, and so would each after it.
        """
        task = asyncio.current_task()
        if task is not None:
            # One that came before the task began to wait was counted then; of two at once the task hears as of one.
            self._before = min(self._before, task.cancelling() - self._times)
            DUE[task] = self
            asyncio.get_running_loop().call_soon(_come, task, self)

    def is_meant(self, task: asyncio.Task[Any]) -> bool:
        """Whether who has cancelled has not taken it back."""
        return task.cancelling() > self._before


DUE: Final[dict[asyncio.Task[Any], Held]] = {}
"""By tasks what their next await raises, for a turn of their loop at most."""


def raise_what_is_due() -> None:
    """Raise what the next await of the current task is to raise, which this is.

    Raises:
        asyncio.CancelledError: As it was held.
    """
    task = asyncio.current_task()
    held = None if task is None else DUE.pop(task, None)
    if task is not None and held is not None and held.is_meant(task):
        raise held.error


def cancelling() -> int:
    """How many cancellations the current task counts."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _come(task: asyncio.Task[Any], held: Held) -> None:
    if DUE.get(task) is held:
        del DUE[task]
        if not task.done() and held.is_meant(task):
            task.uncancel()
            task.cancel(*held.error.args)


async def wait_shielded(future: asyncio.Future[Any], on_cancel: Callable[[], object]) -> Held | None:
    """Wait for a future to the end; at each cancellation of the waiting task call `on_cancel`. What is held, or None."""
    held: Held | None = None
    before = cancelling()
    while not future.done():
        try:
            await asyncio.wait([future])  # which, unlike awaiting it, leaves the future alone when cancelled
        except asyncio.CancelledError as exc:
            if held is None:
                held = Held(exc, before)
            else:
                held.again()
            on_cancel()
    return held
