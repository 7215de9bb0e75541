"""Cancellations of asyncio that are held while something must end, and given back as they were.

What cancels may know its own by what it says, as the scopes of anyio do: so it is the same exception, or the same words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


async def wait_shielded(future: asyncio.Future[Any], on_cancel: Callable[[], object]) -> asyncio.CancelledError | None:
    """Wait for a future to the end; at each cancellation of the waiting task call `on_cancel`. The first one, or None."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])  # which, unlike awaiting it, leaves the future alone when cancelled
        except asyncio.CancelledError as exc:
            cancelled = cancelled or exc
            on_cancel()
    return cancelled


def cancel_at_next_await(cancelled: asyncio.CancelledError) -> None:
    """Give back a cancellation that was caught: the task's next await raises it. Counts as the one cancel that it was."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
        task.cancel(*cancelled.args)
