"""The service of queued work: places that are filled with the next session for as long as it is not cancelled.

Theory of operation. One task waits for a free place and then for the session whose head has waited longest, and starts a worker
in that place. The worker claims, which is one commit that also asks for the order of the session and for the rate; carries the
work out; and goes on with what follows, for as long as that is known (`worker`). Workers stand in another scope, so that
a cancelled service may let them end first. While the host drains no place is filled, and no worker goes on (`shift`).
"""

from __future__ import annotations

import operator
from contextlib import ExitStack
from functools import partial
from typing import Final, final

import trio

from tenure.actors.watched import Watched
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue.heads import Head
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import first, together
from tenure.persistence.store import Store, ground_of
from tenure.supervisor.operators.log import HostLog

from .choosing import REST_S, Choosing
from .shift import Shift
from .terms import ServingTerms
from .worker import Shop, Worker
from .working import Working

CLEAN_UP_S: Final = 5.0
"""Seconds that a handler has to clean up which a drain has cancelled, before its claim is given back all the same."""


@final
class QueueService:
    """Serves queued work. One call of `Supervisor.serve_queue`."""

    def __init__(self, store: Store, terms: ServingTerms, log: HostLog, shift: Shift) -> None:
        """Serve nothing yet."""
        self._terms = terms
        self._shift = shift
        self._workers = Watched(0)
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
            shift=shift,
        )

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Serve until cancelled. Raises as `Supervisor.serve_queue`."""
        await self._store_rate()
        with self._choosing.listening(), self._shift.joined_by(self):
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
            await self._shift.wait_begin()
            await first(partial(self._fill, workers), self._shift.wait_end)

    async def _fill(self, workers: trio.Nursery) -> None:
        """Fill one place after another. Cancellation: the place that was about to be filled is free again."""
        while True:
            with ExitStack() as taken:
                for semaphore in (self._places, self._turn):
                    await semaphore.acquire()
                    taken.callback(semaphore.release)
                head = await self._choosing.next_head()
                taken.pop_all()
            self._choosing.begin(head)
            self._workers.value += 1
            workers.start_soon(self._work, head)

    async def _work(self, head: Head) -> None:
        try:
            await Worker(self._shop, head).run(self._turn.release)
        finally:
            self._places.release()
            self._workers.value -= 1

    # For a host that drains

    async def wait_idle(self) -> None:
        """See `Service`."""
        await self._workers.wait_value(operator.not_)

    async def give_back(self) -> None:
        """See `Service`."""
        self._working.cancel_handlers()
        with trio.move_on_after(CLEAN_UP_S):
            await self.wait_idle()
        await self._working.give_all_back()
