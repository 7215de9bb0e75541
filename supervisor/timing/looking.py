"""Looking at what is stored for a time: one task sleeps until the next, and looks again when something comes.

While something is stored for a time, anywhere in the store, it also looks every `LOOK_S`: runtimes change hands, and the wall
clock may be set. Nothing is fired from memory: what a look finds is judged again by the commit that acts on it.

What is kept for a time, and then goes, is looked for now and then (`look_for_old`).
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

OLD_S: Final = 3600.0
"""Most seconds between two looks for what is kept no longer; it outlives its time by a twelfth of that at most, or by this."""

SHARE: Final = 12


async def safely(look: Callable[[], Awaitable[None]], log: HostLog) -> bool:
    """Look, and return whether that could be done now. Only a store that has stopped, or was closed, ends who looks."""
    try:
        await look()
    except (StoreBroken, Closed):
        raise
    except NOT_NOW:
        return False
    except BaseException as exc:
        if is_for_others(exc):
            raise
        # Nothing that is stored, and no mistake in reading it, ends a host.
        log.look_failed(exc)
        return False
    return True


async def look_for_old(kept_s: float, look: Callable[[], Awaitable[None]], log: HostLog) -> None:
    """Take away now and then, by `look`, what was kept for so long. Ends with the host; at once where nothing ever goes."""
    while kept_s < math.inf:
        await trio.sleep(min(OLD_S, kept_s / SHARE))
        await safely(look, log)


@final
class Looking:
    """Looks for as long as the host lives."""

    def __init__(self, look: Callable[[], Awaitable[float]], log: HostLog) -> None:
        """`look` acts on what has come by now, and answers how many seconds it may be until the next look."""
        self._look = look
        self._log = log
        self._came = trio.Event()
        self._wait_s = LOOK_S

    def hear(self) -> None:
        """Something may be stored for a time that was not there."""
        self._came.set()

    async def watch(self) -> None:
        """Look, whenever a time has come. Ends with the host."""
        while True:
            self._came, self._wait_s = trio.Event(), LOOK_S
            await safely(self._act, self._log)
            with trio.move_on_after(self._wait_s):
                await self._came.wait()

    async def _act(self) -> None:
        self._wait_s = await self._look()


def wait_until(coming: float | None, now: float, *, left: bool) -> float:
    """Seconds until the next look: at the next time that is stored, and soon where something was left over."""
    if coming is None:
        return LOOK_S if left else math.inf
    return min(max(coming - now, 0.0), LOOK_S)
