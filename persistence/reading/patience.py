"""Patience: a read that the process has no thread or no file descriptor for is no answer, and is tried again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import trio

from tenure.errors import CannotOpen, NoThread

T = TypeVar("T")

AGAIN_S: Final = 0.25
"""Seconds until it is tried again."""


async def patiently(read: Callable[[], Awaitable[T]]) -> T:
    """Read, and again for as long as there is no way to. For whoever cannot go on without; raises what `read` raises else.

    Cancellation: ends the wait and changes nothing.
    """
    while True:
        try:
            return await read()
        except (CannotOpen, NoThread):
            await trio.sleep(AGAIN_S)
