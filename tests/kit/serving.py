"""Queued work for the tests of workers: what is queued, and handlers that note what they are called with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, final

import trio

import tenure
from tenure.persistence.store import ground_of
from tests.persistence.contracts.queued.test_queue import draft, put

__all__ = ["Noting", "draft", "failed", "put", "queue", "served", "serving"]


async def queue(supervisor: tenure.Supervisor, *texts: str, session: str = "s") -> list[str]:
    """Queue a batch for each text; their ids."""
    return await put(supervisor.store, *[draft(text, session=session) for text in texts])


def texts_of(work: tenure.QueuedWork) -> str:
    return "+".join(batch.items[0].payload.body.decode() for batch in work.batches)


@final
class Noting:
    """A handler that notes what it did, and when, and fails where it is told to.

    Attributes:
        begun: The texts it was called with, in order.
        done: Those it came to the end of.
        at: When each call began, on trio's clock.
        attempts: The attempt of each call.
        running: How many run now, and `most` how many did at once.
    """

    def __init__(self, *, lasts_s: float = 0.0, fails: Callable[[tenure.QueuedWork], bool] = lambda _: False) -> None:
        self.lasts_s = lasts_s
        self.fails = fails
        self.begun: list[str] = []
        self.done: list[str] = []
        self.at: list[float] = []
        self.attempts: list[int] = []
        self.running = 0
        self.most = 0

    async def __call__(self, work: tenure.QueuedWork) -> None:
        self.begun.append(texts_of(work))
        self.at.append(trio.current_time())
        self.attempts.append(work.attempt)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await trio.sleep(self.lasts_s)
            if self.fails(work):
                raise ValueError(f"no {texts_of(work)} today")
            self.done.append(texts_of(work))
        finally:
            self.running -= 1


@asynccontextmanager
async def serving(
    supervisor: tenure.Supervisor,
    handler: Callable[[tenure.QueuedWork], Awaitable[object]],
    sessions: Any = "",
    **terms: Any,
) -> AsyncGenerator[trio.CancelScope]:
    """Serve beside the body; the scope cancels the service."""
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervisor.serve_queue, sessions, handler, **terms))
        yield nursery.cancel_scope
        nursery.cancel_scope.cancel()


async def served(supervisor: tenure.Supervisor, *sessions: str) -> None:
    """Wait until no work is left of these sessions but what is dead."""
    store, bell = supervisor.store.queue, ground_of(supervisor.store).queue_bell
    for session in sessions or ("s",):
        while True:
            rung = bell.next
            dead = [each.batch_id for each in await store.list_failed_queued_work(session) if each.is_dead]
            if {each.batch_id for each in await store.list_queued_work(session)} <= {*dead}:
                break
            with trio.move_on_after(10.0):
                await rung.wait()


async def failed(supervisor: tenure.Supervisor, session: str) -> None:
    """Wait until work of a session has failed."""
    bell = ground_of(supervisor.store).queue_bell
    while True:
        rung = bell.next
        if await supervisor.store.queue.list_failed_queued_work(session):
            return
        with trio.move_on_after(10.0):
            await rung.wait()
