"""Queued work, as a part of the scenario with every kind of commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve

from tenure.persistence.commits.commit import Commit
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue import rates
from tenure.persistence.facets.queue.rates import PruneRates, SetRate
from tenure.persistence.facets.queue.serving import ServeNext
from tenure.persistence.model.contracts.queued_work import (
    DeliveryPolicy,
    MergeKey,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkKind,
    QueuedWorkPayload,
    SlotPolicy,
)
from tenure.persistence.store import Store, ground_of

from .words import Words

Retried = Callable[..., Awaitable[Any]]
"""Calls a verb again where the disk was full."""

KEPT = "kept"
"""How the source key of a batch begins that the story leaves in the queue."""

DESK = "desk"
BENCH = "bench"
RATE = SetRate(name="of the story", starts=100, per_ms=60_000)
PASSING = "passing"
"""A rate that is pruned."""
TTL_MS = 60_000
IDLE = QueuedWorkClaimBoundary.IDLE


def _draft(key: str, size: int = 10, *, join: bool = False, at_ms: int = 0) -> QueuedWorkBatchDraft:
    return QueuedWorkBatchDraft(
        session_id=DESK,
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.JOIN if join else SlotPolicy.EXCLUSIVE,
        payloads=(QueuedWorkPayload(kind=QueuedWorkKind.TURN_INPUT, body=key.encode() + b"." * size),),
        source_key=key,
        merge_key=MergeKey.group("g") if join else MergeKey.never(),
        available_at_ms=at_ms,
    )


async def tell_queue(store: Store, retried: Retried) -> None:
    """Work that is claimed, renewed, done, given back, claimed again and cancelled."""
    queue = store.queue
    for key in ("one", "two"):
        await retried(queue.enqueue_queued_work, _draft(key, join=True))
    await retried(queue.enqueue_queued_work, _draft("one"))  # known: nothing is written
    await retried(queue.enqueue_queued_work, _draft("unwanted"))
    await retried(queue.enqueue_queued_work, _draft(f"{KEPT} for later", at_ms=2**52))
    claim = await retried(queue.claim_ready_queued_work, DESK, "ann", IDLE, TTL_MS, 5)
    await retried(queue.abandon_queued_work_claim, claim)
    claim = await retried(queue.claim_ready_queued_work, DESK, "ben", IDLE, TTL_MS, 5)
    claim = await retried(queue.renew_queued_work_claim, claim, 2 * TTL_MS)
    await retried(queue.complete_queued_work_claim, claim.completion())
    (unwanted, _) = await retried(queue.list_pending_queued_work, DESK)
    await retried(queue.cancel_queued_work_batch, DESK, unwanted.batch_id)
    await retried(queue.enqueue_queued_work, _draft(f"{KEPT} by its claim"))
    await retried(queue.claim_ready_queued_work, DESK, "cat", IDLE, TTL_MS, 5)


def _work(key: str, at_bench: str = BENCH) -> QueuedWorkBatchDraft:
    return evolve(_draft(key), session_id=at_bench)


def _next(session_id: str = BENCH) -> ServeNext:
    return ServeNext(
        session_id=session_id,
        owner_id="worker",
        ttl_ms=TTL_MS,
        count=4,
        per_session=1,
        max_crashes=9,
        rate=RATE,
    )


async def tell_serving(store: Store, retried: Retried) -> None:
    """Work for workers, under a rate: done, given back, failed and tried again, and dead."""
    serving = Serving(ground_of(store))
    await retried(serving.set_rate, RATE)
    await retried(serving.set_rate, evolve(RATE, name=PASSING))
    for key in ("done", "failing", f"{KEPT} dead"):
        await retried(store.queue.enqueue_queued_work, _work(key))
    served = await retried(serving.claim, _next())
    await retried(serving.give_back, served.claim)
    served = await retried(serving.claim, _next())
    await retried(serving.complete, served.claim)
    for attempt in range(2):
        served = await retried(serving.claim, _next())
        await retried(serving.fail, served.claim, f"no {attempt}", 3600.0)
        await retried(store.queue.retry_queued_work_batch, BENCH, served.claim.batches[0].batch_id)
    served = await retried(serving.claim, _next())
    served = await retried(serving.complete_and_claim, served.claim, evolve(_next(), name_following=True))
    await retried(serving.fail, served.claim, "never", None)
    await retried(store.queue.enqueue_queued_work, _work(f"{KEPT} in work", f"{BENCH} 2"))
    await retried(serving.claim, _next(f"{BENCH} 2"))
    passing = await store.read(lambda statements: rates.find(statements, PASSING))
    if passing is not None:
        await retried(store.commit, Commit(changes=(PruneRates(rates=(passing.rate,), before=0.0),)))


async def everyday_queue(store: Store, retried: Retried, day: int, size: int) -> None:
    """Work that stays, and work that is done past it."""
    queue = store.queue
    await retried(queue.enqueue_queued_work, _draft(f"{KEPT} day {day}", size))
    batch = await retried(queue.enqueue_queued_work, _draft(f"day {day}", size))
    claim = await retried(queue.claim_ready_queued_work_by_batch_ids, DESK, "dan", IDLE, TTL_MS, [batch.batch_id])
    await retried(queue.complete_queued_work_claim, claim.completion())


async def queue(words: Words) -> None:
    """See `tell_queue`."""
    await tell_queue(words.store, words.retried)


async def service(words: Words) -> None:
    """See `tell_serving`."""
    await tell_serving(words.store, words.retried)


async def queue_of_day(words: Words, day: int) -> None:
    """See `everyday_queue`."""
    await everyday_queue(words.store, words.retried, day, words.random.randrange(3_000))
