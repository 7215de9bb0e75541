"""Which session a worker takes next: that whose head has waited longest, of those it may take.

Theory of operation. A look reads the heads of all sessions that are served. Between two looks the heads are kept in memory:
what is queued in this process is heard of, and each claim names what follows it, so that the next head of a session is known
when its work is done; or at once, where a session may have several claims. A look is asked for where that does not do:
something of another host, a failure, a cancellation, a delay, or a rate that was used up. Between two looks stands ten times as
long as a look takes, so that a host with very many sessions does not spend its time with looking.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final, final

import trio

from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue.heads import Head, Heads
from tenure.persistence.facets.queue.serving import Served
from tenure.persistence.model.contracts.queued_work import QueuedWorkBatch, QueuedWorkClaim, QueuedWorkCompletion
from tenure.persistence.model.values import SessionId
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.seams import Seams
from tenure.supervisor.operators.log import HostLog

from .following import Following
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
    """The heads that are known, and when to look again."""

    def __init__(self, serving: Serving, terms: ServingTerms, seams: Seams, log: HostLog) -> None:
        """Nothing was seen yet."""
        self._serving = serving
        self._terms = terms
        self._wall_clock = seams.wall_clock
        self._log = log
        self._queue: list[Head] = []
        self._heads: dict[SessionId, Head] = {}
        self._working: dict[SessionId, int] = {}
        self._following: dict[SessionId, Following] = {}
        self._blocked: set[SessionId] = set()
        self._suspect: SessionId | None = None
        self._resting: dict[SessionId, float] = {}
        self._unreadable: set[SessionId] = set()
        self._due_ms: int | None = None
        self._rate_by = 0.0
        self._look_at = self._look_by = 0.0
        self._stale, self._looking = True, False
        self._news = trio.Event()

    def listening(self) -> AbstractContextManager[None]:
        """Hear of what is queued, in the block."""
        return self._serving.heard_by(self._hear)

    def _hear(self, news: QueuedWorkBatch | QueuedWorkCompletion | None) -> None:
        session_id = None if news is None else SessionId(news.session_id)
        if session_id is not None and not self._serves(session_id):
            return
        following = None if session_id is None else self._following.get(session_id)
        if isinstance(news, QueuedWorkCompletion) and following is not None and news.claim_id in following.held:
            following.done.add(news.claim_id)  # its worker goes on when the handler returns
        elif not isinstance(news, QueuedWorkBatch) or not self._knows(news):
            self._ask_for_look()

    def _serves(self, session_id: SessionId) -> bool:
        named = self._terms.sessions
        return session_id.startswith(named) if isinstance(named, str) else session_id in named

    def _knows(self, queued: QueuedWorkBatch) -> bool:
        """Take up what was queued. False: only a look can say what may be claimed."""
        session_id = SessionId(queued.session_id)
        if self._stale or self._looking or queued.available_at_ms > queued.enqueued_at_ms:
            return False
        head = Head(queued.enqueued_at_ms, queued.enqueue_seq, session_id, suspect=False)
        if session_id in self._working:
            self._following[session_id].queued(head)
            self._offer(session_id)
        elif session_id in self._blocked:
            return False
        elif session_id not in self._heads and session_id not in self._resting:
            self._push(head)
        return True

    def _ask_for_look(self) -> None:
        self._stale = True
        self._news.set()

    def _push(self, head: Head) -> None:
        self._heads[head.session_id] = head
        heapq.heappush(self._queue, head)
        self._news.set()

    def _offer(self, session_id: SessionId) -> None:
        """Let another worker take what follows, where the session may have one more."""
        following = self._following[session_id]
        if (
            following.head is not None
            and not self._looking  # what it finds takes the place of what is in the queue
            and self._working[session_id] + following.kept < self._terms.per_session
            and session_id not in self._heads
            and session_id not in self._resting
        ):
            head, following.head = following.head, None
            self._push(head)

    # What the workers say

    def begin(self, head: Head) -> None:
        """A worker is about to claim work of this session."""
        self._working[head.session_id] = self._working.get(head.session_id, 0) + 1
        following = self._following.get(head.session_id)
        if following is None:
            self._following[head.session_id] = Following()
        else:
            following.ask()
        if head.suspect:
            self._suspect = head.session_id

    def claimed(self, session_id: SessionId, served: Served) -> None:
        """It has claimed some."""
        following = self._following[session_id]
        following.claimed(served)
        if self._terms.per_session > 1:
            if following.head is not None:
                self._heads.pop(session_id, None)  # seen before this answer
            self._offer(session_id)

    def missed(self, session_id: SessionId) -> None:
        """It has claimed nothing."""
        self._following[session_id].missed()

    def follow(self, session_id: SessionId) -> Head | None:
        """What is claimed in the commit that ends what this session had; it is begun.

        None: nothing waits, or a look is due.
        """
        now = trio.current_time()
        if self._terms.rate is not None or self._stale or self._looking or now >= self._look_by:
            return None
        following, other = self._following[session_id], self._take()
        own = following.head
        if other is not None and other.session_id == session_id:  # which a worker beside this one might have taken
            own, other = other, None
        first = min([head for head in (own, other) if head is not None], default=None)
        for head in (own, other):
            if head is not None and head is not following.head and (head is not first or head.suspect):
                self._push(head)
        if first is None or first.suspect:
            return None
        if first is own:
            following.ask()
        else:
            self.begin(first)
        return first

    def done(self, session_id: SessionId) -> None:
        """What it had claimed of this session is done, and nothing else of it was claimed."""
        following = self._following[session_id]
        self._leave(session_id)
        if self._looking:
            self._ask_for_look()
            return
        self._blocked.discard(session_id)
        if session_id in self._working:
            self._offer(session_id)
            return
        if self._terms.per_session == 1:
            self._heads.pop(session_id, None)  # seen by a look, before it was claimed
        if following.head is not None:
            self._push(following.head)

    def done_by_turn(self, claim: QueuedWorkClaim) -> bool:
        """Whether a turn has completed this claim, which a worker has here."""
        return claim.claim_id in self._following[SessionId(claim.session_id)].done

    def forget(self, claim: QueuedWorkClaim) -> None:
        """A worker has ended with a claim."""
        following = self._following.get(SessionId(claim.session_id))
        if following is not None:
            following.forget(claim.claim_id)

    def end_trial(self) -> None:
        """What a worker died over before has been worked on to an end."""
        self._suspect = None

    def end(self, session_id: SessionId) -> None:
        """A worker has ended with this session; what comes next in it is looked for."""
        self._leave(session_id)
        self._ask_for_look()

    def _leave(self, session_id: SessionId) -> None:
        left = self._working.pop(session_id) - 1
        if left:
            self._working[session_id] = left
            return
        del self._following[session_id]
        if self._suspect == session_id:
            self._suspect = None

    def is_alone(self, session_id: SessionId) -> bool:
        """Whether one worker here has to do with this session, and no other."""
        return self._working[session_id] == 1

    def rest(self, session_id: SessionId) -> None:
        """Its head could not be claimed."""
        self._resting[session_id] = trio.current_time() + REST_S

    def hold_back(self, head: Head, wait_s: float) -> None:
        """The rate lets nothing begin for so long, as it stands: another host may set it, and someone the clock it goes by.

        The head that was not claimed for it keeps its place: the next look may be far.
        """
        self._rate_by = trio.current_time() + min(wait_s, LOOK_AGAIN_S)
        self._stale = True
        if head.session_id not in self._heads:
            self._push(head)

    # What they ask

    async def next_head(self) -> Head:
        """Wait until there is a session to take, and take it. Raises as `Store.read`, but waits where it cannot read.

        Cancellation: nothing was taken.
        """
        while True:
            now = trio.current_time()
            if (self._stale or now >= self._look_by) and now >= self._look_at:
                await self._look()
            head = self._take()
            if head is not None:
                await trio.lowlevel.checkpoint()
                return head
            await self._wait()

    async def _look(self) -> None:
        began = trio.current_time()
        self._stale, self._looking = False, True
        try:
            found = await self._serving.look(self._terms.sessions, self._terms.per_session)
        except NOT_NOW:
            self._stale, self._look_at = True, trio.current_time() + REST_S
            return
        finally:
            self._looking = False
        now = trio.current_time()
        self._look_at = now + LOOKING * (now - began)
        self._resting = {session_id: until for session_id, until in self._resting.items() if until > now}
        self._say_unreadable(found)
        self._due_ms = found.due_ms
        self._blocked = set(found.blocked)
        self._queue = list(found.ready)  # sorted, which is a heap
        self._heads = {head.session_id: head for head in found.ready}
        self._look_by = now + min([LOOK_AGAIN_S, *self._waits(now)])
        for session_id in self._working:
            self._offer(session_id)

    def _say_unreadable(self, found: Heads) -> None:
        for session_id, error in found.unreadable:
            if session_id not in self._unreadable:
                self._log.session_unreadable(session_id, error)
        self._unreadable = {session_id for session_id, _ in found.unreadable}

    def _take(self) -> Head | None:
        """The head that has waited longest, of those that may be taken now."""
        if self._rate_left_s():
            return None
        left: list[Head] = []
        taken: Head | None = None
        while self._queue and taken is None:
            head = heapq.heappop(self._queue)
            if self._heads.get(head.session_id) != head:
                continue  # another stands there by now
            if self._may_take(head):
                taken = self._heads.pop(head.session_id)
            else:
                left.append(head)
        for head in left:
            heapq.heappush(self._queue, head)
        return taken

    def _may_take(self, head: Head) -> bool:
        # One that a worker died over runs beside no other such: the next crash is charged to it, and not to all of them.
        on_trial = head.suspect and self._suspect is not None
        working = self._working.get(head.session_id, 0) >= self._terms.per_session
        return not on_trial and not working and self._resting.get(head.session_id, 0.0) <= trio.current_time()

    def _rate_left_s(self) -> float:
        """Seconds until the rate is asked again."""
        return max(self._rate_by - trio.current_time(), 0.0)

    async def _wait(self) -> None:
        """Wait until there may be something to take."""
        rate_s = self._rate_left_s()
        waits = [rate_s] if rate_s else self._waits(trio.current_time())
        stale, self._news = self._stale, trio.Event()
        with trio.move_on_after(max(min([LOOK_AGAIN_S, *waits]), SHORTEST_S)):
            if rate_s or stale:
                await trio.sleep_forever()  # what rings changes nothing before the rate, or the next look, lets it
            await self._news.wait()
            return
        self._stale = True

    def _waits(self, now: float) -> Sequence[float]:
        """Seconds until something may be there that rings no bell."""
        if self._stale:  # what is due by now, or has lapsed, only a look finds: it is not to be waited for once more
            return [self._look_at - now, *[until - now for until in self._resting.values() if until > now]]
        waits = [until - now for until in self._resting.values()]
        if self._due_ms is not None:
            waits.append(self._due_ms / 1000 - self._wall_clock())
        lapse_s = self._serving.next_lapse_s()
        return [*waits, lapse_s] if lapse_s is not None else waits
