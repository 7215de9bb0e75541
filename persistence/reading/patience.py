"""Patience: a read that the process has no thread or no file descriptor for is not an answer, and is tried again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import trio

from tenure.errors import CannotOpen, Contended, DiskFull, NoDescriptor, NoThread

T = TypeVar("T")

AGAIN_S: Final = 0.25
"""Seconds until it is tried again."""

LONGEST_S: Final = 5.0
"""The longest wait of a run, whose waits double from `AGAIN_S` on."""

LOOK_AGAIN_S: Final = 1.0
"""Seconds after which a wait for something stored reads again in any case: what rings need not have heard of it."""

NOT_NOW: Final = (Contended, DiskFull, CannotOpen, NoThread, NoDescriptor)
"""Another process's lock, no room, descriptor or thread: nothing happened, and a task of the host tries again later."""


async def patiently(read: Callable[[], Awaitable[T]]) -> T:
    """Read, and again for as long as there is no way to: what a run reads costs it no attempt. Raises what `read` raises else.

    Cancellation: ends the wait and changes nothing.
    """
    wait_s = AGAIN_S
    while True:
        try:
            return await read()
        except NOT_NOW:
            await trio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_S)


async def in_a_run(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask, and again for as long as the machine has no room, no descriptor or no thread, or another process the lock.

    Nothing happened then, and no attempt of a run is counted for it (design §3). Raises what `ask` raises else.

    Cancellation: ends the wait and changes nothing.
    """
    wait_s = AGAIN_S
    while True:
        try:
            return await ask()
        except (Contended, DiskFull, NoThread, NoDescriptor):
            await trio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_S)
