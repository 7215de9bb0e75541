"""The service of queued work: places that are filled with the next session for as long as it is not cancelled.

Theory of operation. One task waits for a free place and then for the session whose head has waited longest, and starts a worker
in that place. The worker claims, which is one commit that also asks for the order of the session and for the rate; carries the
work out; and goes on with what follows, for as long as that is known (`worker`). Workers stand in another scope, so that
a cancelled service may let them end first.
"""

from __future__ import annotations

from typing import final

import trio

from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue.heads import Head
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import together
from tenure.persistence.store import Store, ground_of
from tenure.supervisor.operators.log import HostLog

from .choosing import REST_S, Choosing
from .terms import ServingTerms
from .worker import Shop, Worker
from .working import Working


@final
class QueueService:
    """Serves queued work. One call of `Supervisor.serve_queue`."""

    def __init__(self, store: Store, terms: ServingTerms, log: HostLog) -> None:
        """Serve nothing yet."""
        self._terms = terms
        self._serving = Serving(ground_of(store))
        self._choosing = Choosing(self._serving, terms, store.seams, log)
        self._working = Working(self._serving, terms, store.limits, store.seams, log)
        self._places = trio.Semaphore(terms.concurrency)
        self._turn = trio.Semaphore(1 if terms.rate else terms.concurrency)
        self._stopping = trio.Event()
        self._shop = Shop(
            serving=self._serving,
            choosing=self._choosing,
            working=self._working,
            terms=terms,
            store=store,
            log=log,
            stopping=self._stopping,
        )

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Serve until cancelled. Raises as `Supervisor.serve_queue`."""
        await self._store_rate()
        with self._choosing.listening():
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
            await Worker(self._shop, head).run(self._turn.release)
        finally:
            self._places.release()
