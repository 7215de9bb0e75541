"""When a host looks at the others next: after a while, and at once where one of them hints that it has written something.

Where hints are heard a look a second is enough, for what no hint came of; where they are not, looks are all there is. After a
look the host rests for three times as long as that took. Where hints make it look more often than it would without them, it
looks as often as without for a while, and asks the others to spare it hints: however many come, looks cost hardly more. Where
that goes on, the while becomes longer.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, final

import trio

from tenure.persistence.seams.limits import POLL_S, Limits
from tenure.persistence.writing.hinting.hinting import Hinting
from tenure.persistence.writing.hinting.pace import LONGEST_SPARE_S, SPARE_S

from .news import News

SELDOM_S: Final = 1.0
"""Seconds between two looks of a host that hears hints, where `Limits.poll_s` is not set."""

BEAT_S: Final = 0.25
"""Most seconds for which it sleeps in one: so often it shows that the loop runs."""

REST: Final = 3.0
"""So many times as long as a look has taken it rests after it; at most `POLL_S`, so that hints make nothing later."""

LEAST_REST_S: Final = 0.005

CROWD: Final = 8
"""Looks in a row, each after a hint, that are judged together."""

CROWDED_S: Final = POLL_S / 2
"""Where they have come this soon after one another, on average, hints cost more looks than they save."""

AGAIN: Final = 2
"""So many are judged together within `AGAIN_S` after the last time that hints were spared."""

AGAIN_S: Final = 1.0

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
        self._rests = deque[float](maxlen=CROWD)
        self._spare_s = SPARE_S
        self._spared_until = -math.inf
        hinting.on_hint = self._hint
        hinting.on_held_back = self._hurry
        news.on_stir = self._hurry

    async def wait(self, took_s: float) -> None:
        """Wait until it is time to look; the last look has taken so long.

        Cancellation: at any time.
        """
        ended = trio.current_time()
        if not self._hinting.is_heard:
            self._rests.clear()
            self._woken = trio.Event()
            await self._nap(self._limits.poll_wait_s, self._woken if self._hinting.gives else None)
            if not self._is_hinted:
                return
        if ended < self._spared_until:
            await self._nap(min(POLL_S, self._limits.poll_wait_s), None)
        else:
            await self._nap(min(max(LEAST_REST_S, REST * took_s), POLL_S), None)
            is_late = self._is_hinted  # hints come sooner than it can look
            while (left_s := self._due(ended) - trio.current_time()) > 0:
                self._woken = trio.Event()
                await self._nap(min(left_s, BEAT_S), self._woken)
            self._judge(0.0 if is_late else trio.current_time() - ended)
        if self._is_hinted:
            self._is_hinted = False
            self._news.stir(is_hinted=True)  # the host that hints may have written nothing that a counter shows

    def _judge(self, rested_s: float) -> None:
        now = trio.current_time()
        again = now - self._spared_until <= AGAIN_S
        self._rests.append(rested_s if self._is_hinted else math.inf)
        judged = [*self._rests][-(AGAIN if again else CROWD) :]
        if len(judged) == (AGAIN if again else CROWD) and sum(judged) <= len(judged) * CROWDED_S:
            self._rests.clear()
            self._spare_s = min(2 * self._spare_s, LONGEST_SPARE_S) if again else SPARE_S
            self._spared_until = now + self._spare_s + BEAT_S  # it may take a while until others have heard
            self._hinting.spare(self._spare_s)

    def _due(self, ended: float) -> float:
        if self._is_hinted or not self._hinting.is_heard:
            return ended
        limits = self._limits
        # A host that looked less often than it renews would take itself for one that had slept.
        seldom_s = min(SELDOM_S, limits.renew_s / 2) if limits.poll_s is None else limits.poll_s
        lapse_in_s = self._lapse_in()
        if lapse_in_s > 0:
            seldom_s = min(seldom_s, lapse_in_s)
        soon = self._news.hurries or self._hinting.holds_back
        return ended + (min(seldom_s, POLL_S) if soon else seldom_s)

    def _hint(self) -> None:
        self._is_hinted = True
        self._woken.set()

    def _hurry(self) -> None:
        if self._hinting.is_heard:  # else the next look comes when it comes
            self._woken.set()
