"""Looking at what is stored for a time: one task sleeps until the next, and looks again when something comes.

While something is stored for a time, anywhere in the store, it also looks every `LOOK_S`: runtimes change hands, and the wall
clock may be set. Nothing is fired from memory: what a look finds is judged again by the commit that acts on it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final, final

import trio

from tenure.errors import Closed, StoreBroken
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import is_for_others
from tenure.supervisor.operators.log import HostLog

LOOK_S: Final = 5.0
"""Most seconds between two looks, while something is stored for a time."""


@final
class Looking:
    """Looks for as long as the host lives."""

    def __init__(self, look: Callable[[], Awaitable[float]], log: HostLog) -> None:
        """`look` acts on what has come by now, and answers how many seconds it may be until the next look."""
        self._look = look
        self._log = log
        self._came = trio.Event()

    def hear(self) -> None:
        """Something may be stored for a time that was not there."""
        self._came.set()

    async def watch(self) -> None:
        """Look, whenever a time has come. Ends with the host."""
        while True:
            self._came = trio.Event()
            try:
                wait_s = await self._look()
            except NOT_NOW:
                wait_s = LOOK_S
            except (StoreBroken, Closed):
                raise
            except BaseException as exc:
                if is_for_others(exc):
                    raise
                self._log.look_failed(exc)
                wait_s = LOOK_S
            with trio.move_on_after(wait_s):
                await self._came.wait()


def wait_until(coming: float | None, now: float, *, left: bool) -> float:
    """Seconds until the next look: at the next time that is stored, and soon where something was left over."""
    if coming is None:
        return LOOK_S if left else math.inf
    return min(max(coming - now, 0.0), LOOK_S)
