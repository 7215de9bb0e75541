"""Which session a worker takes next: that whose head has waited longest, of those it may take.

Theory of operation. A look reads the heads of all sessions that are served, and is asked for where the bell of queued work has
rung, or where something has come due. What it found is taken from until the next look. Between two looks stands ten times as
long as a look takes, so that a host with very many sessions does not spend its time with looking.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final, final

import trio

from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue.heads import Head, Heads
from tenure.persistence.model.values import SessionId
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.seams import Seams
from tenure.supervisor.operators.log import HostLog

from .terms import ServingTerms

LOOK_AGAIN_S: Final = 5.0
"""Most seconds between two looks: nothing rings where the wall clock was set, or another program wrote."""

REST_S: Final = 1.0
"""Seconds for which a session is left alone whose head could not be claimed: another host was first, or it is damaged."""

LOOKING: Final = 10
"""How many times as long as a look takes stands between two."""

SHORTEST_S: Final = 0.001


@final
class Choosing:
    """The heads that were seen, and when to look again."""

    def __init__(self, serving: Serving, terms: ServingTerms, seams: Seams, log: HostLog) -> None:
        """Nothing was seen yet."""
        self._serving = serving
        self._terms = terms
        self._wall_clock = seams.wall_clock
        self._log = log
        self._heads: list[Head] = []
        self._working: dict[SessionId, int] = {}
        self._suspect: SessionId | None = None
        self._resting: dict[SessionId, float] = {}
        self._unreadable: set[SessionId] = set()
        self._due_ms: int | None = None
        self._rate_until_ms: int | None = None
        self._rung = serving.bell.next
        self._look_at = 0.0
        self._stale = True

    # What the workers say

    def begin(self, head: Head) -> None:
        """A worker is about to claim work of this session."""
        self._working[head.session_id] = self._working.get(head.session_id, 0) + 1
        if head.suspect:
            self._suspect = head.session_id

    def end(self, session_id: SessionId) -> None:
        """A worker has ended with this session; what comes next in it is looked for."""
        left = self._working.pop(session_id) - 1
        if left:
            self._working[session_id] = left
        elif self._suspect == session_id:
            self._suspect = None
        self._serving.bell.ring()

    def rest(self, session_id: SessionId) -> None:
        """Its head could not be claimed."""
        self._resting[session_id] = trio.current_time() + REST_S

    def hold_back(self, until_ms: int) -> None:
        """The rate lets nothing begin before this time."""
        self._rate_until_ms = until_ms
        self._stale = True

    # What they ask

    async def next_head(self) -> Head:
        """Wait until there is a session to take, and take it. Raises as `Store.read`, but waits where it cannot read.

        Cancellation: nothing was taken.
        """
        while True:
            if self._rung.is_set():
                self._stale = True
            now = trio.current_time()
            if self._stale and now >= self._look_at:
                await self._look()
            head = self._take()
            if head is not None:
                await trio.lowlevel.checkpoint()
                return head
            await self._wait()

    async def _look(self) -> None:
        began = trio.current_time()
        self._rung, self._stale = self._serving.bell.next, False
        try:
            found = await self._serving.look(self._terms.sessions, self._terms.per_session)
        except NOT_NOW:
            self._stale, self._look_at = True, trio.current_time() + REST_S
            return
        now = trio.current_time()
        self._look_at = now + LOOKING * (now - began)
        self._resting = {session_id: until for session_id, until in self._resting.items() if until > now}
        self._say_unreadable(found)
        self._due_ms = found.due_ms
        self._heads = list(found.ready)  # sorted, which is a heap

    def _say_unreadable(self, found: Heads) -> None:
        for session_id, error in found.unreadable:
            if session_id not in self._unreadable:
                self._log.session_unreadable(session_id, error)
        self._unreadable = {session_id for session_id, _ in found.unreadable}

    def _take(self) -> Head | None:
        """The head that has waited longest, of those that may be taken now."""
        if self._rate_left_s() > 0:
            return None
        left: list[Head] = []
        taken: Head | None = None
        while self._heads and taken is None:
            head = heapq.heappop(self._heads)
            if self._may_take(head):
                taken = head
            else:
                left.append(head)
        for head in left:
            heapq.heappush(self._heads, head)
        return taken

    def _may_take(self, head: Head) -> bool:
        # One that a worker died over runs beside no other such: the next crash is charged to it, and not to all of them.
        on_trial = head.suspect and self._suspect is not None
        working = self._working.get(head.session_id, 0) >= self._terms.per_session
        return not on_trial and not working and self._resting.get(head.session_id, 0.0) <= trio.current_time()

    def _rate_left_s(self) -> float:
        """Seconds until the rate lets the next begin; never more than its time, wherever the wall clock was set."""
        if self._rate_until_ms is None:
            return 0.0
        left_ms = self._rate_until_ms - self._wall_clock() * 1000
        if not 0 < left_ms <= self._terms.rate_ms:
            self._rate_until_ms = None
            return 0.0
        return left_ms / 1000

    async def _wait(self) -> None:
        """Wait until there may be something to take."""
        rate_s = self._rate_left_s()
        waits = [rate_s] if rate_s else self._waits(trio.current_time())
        with trio.move_on_after(max(min([LOOK_AGAIN_S, *waits]), SHORTEST_S)):
            if rate_s or self._stale:
                await trio.sleep_forever()  # what rings changes nothing before the rate, or the next look, lets it
            await self._rung.wait()
        self._stale = True

    def _waits(self, now: float) -> Sequence[float]:
        """Seconds until something may be there that rings no bell."""
        waits = [until - now for until in self._resting.values()]
        if self._stale:
            waits.append(self._look_at - now)
        if self._due_ms is not None:
            waits.append(self._due_ms / 1000 - self._wall_clock())
        lapse_s = self._serving.next_lapse_s()
        return [*waits, lapse_s] if lapse_s is not None else waits
