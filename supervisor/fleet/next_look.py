"""When a host looks at the others next: after a while, and at once where one of them hints that it has written something.

Where hints are heard a look a second is enough, for what no hint came of; where they are not, looks are all there is. After a
look the host rests for three times as long as that took, and where a hint has come in each of several rests, as long as
between two looks without hints: however many come, looks cost no more than without them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, final

import trio

from tenure.persistence.seams.limits import POLL_S, Limits
from tenure.persistence.writing.hinting.hinting import Hinting

from .news import News

SELDOM_S: Final = 1.0
"""Seconds between two looks of a host that hears hints, where `Limits.poll_s` is not set."""

BEAT_S: Final = 0.25
"""Most seconds for which it sleeps in one: so often it shows that the loop runs."""

REST: Final = 3.0
"""So many times as long as a look has taken it rests after it; at most `POLL_S`, so that hints make nothing later."""

LEAST_REST_S: Final = 0.005

CROWD: Final = 4
"""Rests in a row in which a hint has come, after which it rests for `POLL_S`: hosts that have much to do need no hint."""

Nap = Callable[[float, trio.Event | None], Awaitable[None]]
"""Sleeps for so many seconds, or until the event."""


@final
class NextLook:
    """Waits for the next look."""

    def __init__(self, hinting: Hinting, limits: Limits, news: News, nap: Nap, lapse_in: Callable[[], float]) -> None:
        """Hear of hints from now on, and of what is stirred here.

        `lapse_in` says after the last look for how many seconds from then on no other host can lapse.
        """
        self._hinting = hinting
        self._limits = limits
        self._news = news
        self._nap = nap
        self._lapse_in = lapse_in
        self._woken = trio.Event()
        self._is_hinted = False
        self._crowded = 0
        hinting.on_hint = self._hint
        news.on_stir = self._hurry

    async def wait(self, took_s: float) -> None:
        """Wait until it is time to look; the last look has taken so long.

        Cancellation: at any time.
        """
        ended = trio.current_time()
        if not self._hinting.is_heard:
            self._woken = trio.Event()
            await self._nap(self._limits.poll_wait_s, self._woken if self._hinting.gives else None)
            if not self._is_hinted:
                return
        await self._nap(POLL_S if self._crowded >= CROWD else min(max(LEAST_REST_S, REST * took_s), POLL_S), None)
        self._crowded = self._crowded + 1 if self._is_hinted else 0
        while (left_s := self._due(ended) - trio.current_time()) > 0:
            self._woken = trio.Event()
            await self._nap(min(left_s, BEAT_S), self._woken)
        if self._is_hinted:
            self._is_hinted = False
            self._news.stir(is_hinted=True)  # the host that hints may have written nothing that a counter shows

    def _due(self, ended: float) -> float:
        if self._is_hinted or not self._hinting.is_heard:
            return ended
        limits = self._limits
        # A host that looked less often than it renews would take itself for one that had slept.
        seldom_s = min(SELDOM_S, limits.renew_s / 2) if limits.poll_s is None else limits.poll_s
        lapse_in_s = self._lapse_in()
        if lapse_in_s > 0:
            seldom_s = min(seldom_s, lapse_in_s)
        return ended + (min(seldom_s, POLL_S) if self._news.hurries else seldom_s)

    def _hint(self) -> None:
        self._is_hinted = True
        self._woken.set()

    def _hurry(self) -> None:
        if self._hinting.is_heard:  # else the next look comes when it comes
            self._woken.set()
