"""A worker in one place of a service: it claims, carries out, and goes on with what follows.

The end of one piece of work and the claim of the next are one commit, where it is known without a look which session has waited
longest. Where that commit says that nothing landed, the end is written alone, and the worker ends: a look says what comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import trio
from attrs import define

from tenure.errors import QueuedWorkClaimExpired, ReadFailed
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue.heads import Head
from tenure.persistence.facets.queue.serving import Served, ServeNext
from tenure.persistence.model.contracts.queued_work import QueuedWorkClaim
from tenure.persistence.model.values import SessionId
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.store import Store
from tenure.supervisor.operators.log import HostLog

from .choosing import Choosing
from .shift import Shift
from .terms import QueuedWork, ServingTerms
from .working import Working


@final
@define(eq=False, slots=True)
class Shop:
    """What the workers of one service share.

    Attributes:
        serving: The verbs.
        choosing: Which session is next.
        working: Carries claims out.
        terms: How work is served.
        store: The store.
        log: Of the host.
        stopping: Set when the service ends.
        shift: Of the host.
    """

    serving: Serving
    choosing: Choosing
    working: Working
    terms: ServingTerms
    store: Store
    log: HostLog
    stopping: trio.Event
    shift: Shift

    @property
    def claims_no_more(self) -> bool:
        """Whether what is claimed now is given back, and nothing more is claimed."""
        return self.stopping.is_set() or self.shift.is_over

    def next_of(self, session_id: SessionId) -> ServeNext:
        """What claims the next work of a session."""
        return ServeNext(
            session_id=session_id,
            owner_id=self.store.incarnation,
            ttl_ms=self.working.ttl_ms,
            count=self.terms.max_batches,
            per_session=self.terms.per_session,
            max_crashes=self.terms.restart.max_crashes,
            rate=self.terms.stored_rate,
            name_following=True,
        )


@final
class Worker:
    """Works from one head on."""

    def __init__(self, shop: Shop, head: Head) -> None:
        """Take a head that was begun."""
        self._shop = shop
        self._head = head
        self._begun = [head.session_id]
        self._asked: SessionId | None = head.session_id
        self._on_trial = head.suspect
        self._served: Served | None = None

    async def run(self, claimed: Callable[[], object]) -> None:
        """Claim, carry out, and go on; `claimed` is called after the first claim. Raises as `Working.carry_out`."""
        try:
            try:
                await self._claim(self._begun[0])
            finally:
                claimed()
            while self._served is not None and self._served.claim is not None:
                await self._carry_out(self._served, self._served.claim)
                self._end_trial()
        finally:
            self._end_trial()
            if self._asked is not None:
                self._shop.choosing.missed(self._asked)
            for session_id in self._begun:
                self._shop.choosing.end(session_id)

    def _end_trial(self) -> None:
        if self._on_trial:
            self._on_trial = False
            self._shop.choosing.end_trial()

    async def _claim(self, session_id: SessionId) -> None:
        """Claim what stands at this head. None, or no claim: it was in vain, and the session is left alone for a moment."""
        served: Served | None = None
        try:
            served = await self._shop.serving.claim(self._shop.next_of(session_id))
        except NOT_NOW:
            pass  # nothing happened; tried again once it has rested
        except ReadFailed as exc:
            self._shop.log.session_unreadable(session_id, exc)
        self._hear(session_id, served)

    def _hear(self, session_id: SessionId, served: Served | None) -> None:
        choosing, self._asked = self._shop.choosing, None
        if served is not None and served.claim is not None:
            choosing.claimed(session_id, served)
        else:
            choosing.missed(session_id)
            if served is not None and served.rate_wait_ms is not None:
                choosing.hold_back(self._head, served.rate_wait_ms / 1000)  # under a rate no worker goes on to another
            elif served is None or choosing.is_alone(session_id):  # else those beside it have what may be had
                choosing.rest(session_id)
        self._served = served

    async def _carry_out(self, served: Served, claim: QueuedWorkClaim) -> None:
        self._served = None
        work = QueuedWork(claim=claim, attempt=served.attempts + 1, crashes=served.crashes)
        try:
            if self._shop.claims_no_more:  # it landed when the service was cancelled already, or the host drained
                await self._shop.working.give_back(work)
            else:
                await self._shop.working.carry_out(work, lambda: self._done(claim))
        finally:
            self._shop.choosing.forget(claim)

    async def _done(self, claim: QueuedWorkClaim) -> None:
        """The handler has returned: its work is done, unless its own turn has said so."""
        shop, session_id = self._shop, SessionId(claim.session_id)
        by_turn = shop.choosing.done_by_turn(claim)
        head = None if shop.claims_no_more else shop.choosing.follow(session_id)
        if head is None:
            if by_turn or await shop.working.write(lambda: shop.serving.complete(claim)):
                self._leave(session_id)
            return
        self._asked = head.session_id
        if head.session_id != session_id:
            self._begun.append(head.session_id)
        if by_turn:
            if head.session_id != session_id:
                self._leave(session_id)
            await self._claim(head.session_id)
            return
        try:
            served = await shop.serving.complete_and_claim(claim, shop.next_of(head.session_id))
        except QueuedWorkClaimExpired:
            return
        except (*NOT_NOW, ReadFailed):  # also of what was to follow
            await shop.working.write(lambda: shop.serving.complete(claim))
            return
        except trio.Cancelled:
            await shop.working.write_at_last(lambda: shop.serving.complete(claim))
            raise
        if head.session_id != session_id:
            self._leave(session_id)
        self._hear(head.session_id, served)

    def _leave(self, session_id: SessionId) -> None:
        self._begun.remove(session_id)
        self._shop.choosing.done(session_id)
