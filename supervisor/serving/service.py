"""The service of queued work: places that are filled with the next session for as long as it is not cancelled.

Theory of operation. One task waits for a free place and then for the session whose head has waited longest, and starts a worker
in that place. The worker claims, which is one commit that also asks for the order of the session and for the rate; carries the
work out; and ends. Workers stand in a scope of their own, so that a cancelled service may let them end first.
"""

from __future__ import annotations

from typing import final

import trio

from tenure.errors import ReadFailed
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue.heads import Head
from tenure.persistence.facets.queue.serving import Served, ServeNext
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import together
from tenure.persistence.store import Store, ground_of
from tenure.supervisor.operators.log import HostLog

from .choosing import REST_S, Choosing
from .terms import QueuedWork, ServingTerms
from .working import Working


@final
class QueueService:
    """Serves queued work. One call of `Supervisor.serve_queue`."""

    def __init__(self, store: Store, terms: ServingTerms, log: HostLog) -> None:
        """Serve nothing yet."""
        self._terms = terms
        self._serving = Serving(ground_of(store))
        self._store = store
        self._choosing = Choosing(self._serving, terms, store.seams, log)
        self._working = Working(self._serving, terms, store.limits, store.seams, log)
        self._places = trio.Semaphore(terms.concurrency)
        self._turn = trio.Semaphore(1 if terms.rate else terms.concurrency)
        self._stopping = trio.Event()
        self._log = log

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Serve until cancelled. Raises as `Supervisor.serve_queue`."""
        await self._store_rate()
        await together(lambda: self._run(task_status))

    async def _store_rate(self) -> None:
        rate = self._terms.stored_rate
        while rate is not None:
            try:
                await self._serving.set_rate(rate)
            except NOT_NOW:
                await trio.sleep(REST_S)
            else:
                rate = None

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:  # owned by this call, as the one of the workers is
            workers, scope = await nursery.start(self._hold_workers)
            try:
                task_status.started()
                await self._fill_places(workers)
            finally:
                self._stopping.set()
                scope.deadline = trio.current_time() + self._terms.drain_s

    async def _hold_workers(self, task_status: trio.TaskStatus[tuple[trio.Nursery, trio.CancelScope]]) -> None:
        """Hold the nursery of the workers until they have ended, or the drain is over."""
        with trio.CancelScope(shield=True) as scope:
            async with trio.open_nursery() as keeping:
                keeping.start_soon(self._working.keep)
                async with trio.open_nursery() as workers:
                    task_status.started((workers, scope))
                    await self._stopping.wait()
                keeping.cancel_scope.cancel()

    async def _fill_places(self, workers: trio.Nursery) -> None:
        while True:
            await self._places.acquire()
            await self._turn.acquire()
            head = await self._choosing.next_head()
            self._choosing.begin(head)
            workers.start_soon(self._work, head)

    async def _work(self, head: Head) -> None:
        try:
            try:
                served = await self._claim(head)
            finally:
                self._turn.release()
            if served is not None and served.claim is not None:
                await self._carry_out(served)
        finally:
            self._choosing.end(head.session_id)
            self._places.release()

    async def _claim(self, head: Head) -> Served | None:
        """Claim what stands at this head. None, or no claim: it was in vain, and the session is left alone for a moment."""
        change = ServeNext(
            session_id=head.session_id,
            owner_id=self._store.incarnation,
            ttl_ms=self._working.ttl_ms,
            count=self._terms.max_batches,
            per_session=self._terms.per_session,
            max_crashes=self._terms.restart.max_crashes,
            rate=self._terms.stored_rate,
        )
        served: Served | None = None
        try:
            served = await self._serving.claim(change)
        except NOT_NOW:
            pass  # nothing happened; tried again once it has rested
        except ReadFailed as exc:
            self._log.session_unreadable(head.session_id, exc)
        if served is None or (served.claim is None and served.rate_until is None):
            self._choosing.rest(head.session_id)
        elif served.rate_until is not None:
            self._choosing.hold_back(served.rate_until)
        return served

    async def _carry_out(self, served: Served) -> None:
        if served.claim is None:
            return
        work = QueuedWork(claim=served.claim, attempt=served.attempts + 1, crashes=served.crashes)
        if self._stopping.is_set():  # it landed when the service was cancelled already
            await self._working.give_back(work)
        else:
            await self._working.carry_out(work)
