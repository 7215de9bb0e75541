"""Patience: a read that the process has no thread or no file descriptor for is not an answer, and is tried again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import trio

from tenure.errors import CannotOpen, Contended, DiskFull, NoThread

T = TypeVar("T")

AGAIN_S: Final = 0.25
"""Seconds until it is tried again."""

LOOK_AGAIN_S: Final = 1.0
"""Seconds after which a wait for something stored reads again in any case: what rings need not have heard of it."""

NOT_NOW: Final = (Contended, DiskFull, CannotOpen, NoThread)
"""Another process's lock, no room, descriptor or thread: nothing happened, and a task of the host tries again later."""


async def patiently(read: Callable[[], Awaitable[T]]) -> T:
    """Read, and again for as long as there is no way to. Raises what `read` raises else.

    Cancellation: ends the wait and changes nothing.
    """
    while True:
        try:
            return await read()
        except (CannotOpen, NoThread):
            await trio.sleep(AGAIN_S)
