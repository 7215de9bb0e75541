"""Every column of the rows of queued work, damaged: verbs and `verify` say so, and other sessions go on."""

from __future__ import annotations

import random
from typing import Any

import pytest
from attrs import evolve

from tenure import (
    DeliveryPolicy,
    MergeKey,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkKind,
    QueuedWorkPayload,
    SlotPolicy,
    Store,
)
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue.rates import SetRate
from tenure.persistence.facets.queue.serving import Served, ServeNext
from tenure.persistence.store import ground_of
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit.shares import TURN, share
from tests.persistence.contracts.damage import (
    SCHEMA,
    Calls,
    answers_of,
    check_answers,
    damage,
    every_junk,
    execute,
    restore,
    save,
    texts,
)

TABLES = {
    "queue_batches": "batch = 1",
    "queue_claims": "claim = 1",
    "queue_counter": "singleton = 1",
    "queue_failures": "batch = 7",
    "queue_rates": "rate = 1",
    "queue_starts": "rate = 1",
}

NAMES = {
    ("queue_batches", "batch"),
    ("queue_batches", "session_id"),
    ("queue_batches", "source_key"),
    ("queue_batches", "claim"),
    ("queue_failures", "session_id"),
    ("queue_rates", "name"),
    ("queue_rates", "rate"),
    ("queue_starts", "rate"),
}
"""What is found by another name, or by none, is not there; every other change of an answer is an error of reading."""

COLUMNS = [(table, column) for table in TABLES for column in SCHEMA[table]]


def _draft(name: str, key: str, at_ms: int = 0) -> QueuedWorkBatchDraft:
    return QueuedWorkBatchDraft(
        session_id=name,
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.JOIN,
        payloads=(QueuedWorkPayload(kind=QueuedWorkKind.TURN_INPUT, body=key.encode()),),
        source_key=key,
        merge_key=MergeKey.group("g"),
        available_at_ms=at_ms,
    )


async def fill_queue(store: Store) -> None:
    """Two sessions, each with a batch that is claimed, one that waits and one that is delayed; and two with a failed one."""
    for name in ("a", "b"):
        for key, at_ms in (("claimed", 0), ("waits", 0), ("delayed", 2**52)):
            await store.queue.enqueue_queued_work(_draft(name, key, at_ms))
        held = await store.queue.claim_ready_queued_work(name, "w", QueuedWorkClaimBoundary.IDLE, 2**40, 1)
        assert held is not None
    for name in ("a", "b"):
        serving = Serving(ground_of(store))
        await serving.set_rate(_rate(name))
        for key in ("failing", "ready"):
            await store.queue.enqueue_queued_work(_draft(f"{name} bench", key))
        served = await serving.claim(_next(name))
        assert served.claim is not None
        await serving.fail(served.claim, "no", 2**30)


def _next(name: str) -> ServeNext:
    return ServeNext(
        session_id=f"{name} bench", owner_id="w", ttl_ms=2**40, count=1, per_session=2, max_crashes=5, rate=_rate(name)
    )


async def _refused(store: Store, name: str) -> Served:
    """The rate lets it claim nothing; for how long is rounded, as that is less by each moment."""
    served = await Serving(ground_of(store)).claim(_next(name))
    return served if served.rate_wait_ms is None else evolve(served, rate_wait_ms=round(served.rate_wait_ms, -9))


def _rate(name: str) -> SetRate:
    return SetRate(name=name, starts=1, per_ms=2**50)


async def answers(store: Store, name: str) -> dict[str, Any]:
    """What the verbs that change nothing say of one session; an error in place of an answer."""
    queue, boundary = store.queue, QueuedWorkClaimBoundary.IDLE
    own = {"a": "qwb:1", "b": "qwb:4"}[name]
    calls: Calls = {
        "list": lambda: queue.list_queued_work(name),
        "pending": lambda: queue.list_pending_queued_work(name),
        "known": lambda: queue.enqueue_queued_work(_draft(name, "claimed")),
        "claimed": lambda: queue.claim_ready_queued_work_by_batch_ids(name, "w", boundary, 1, [own]),
        "cancel": lambda: queue.cancel_queued_work_batch(name, own),
        "failed": lambda: queue.list_failed_queued_work(f"{name} bench"),
        "serve": lambda: _refused(store, name),
    }
    return await answers_of(calls)


@pytest.mark.turns(2)
@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(each) for each in COLUMNS])
async def test_a_damaged_value_is_said_and_hides_no_neighbour(store_of_turn: Store, table: str, column: str) -> None:
    await fill_queue(store_of_turn)
    whole, other = await answers(store_of_turn, "a"), await answers(store_of_turn, "b")
    saved = await save(store_of_turn, TABLES)
    for expression, value in share(every_junk(random.Random(f"{table}.{column}")), 4, TURN // 2):
        await damage(store_of_turn, table, column, TABLES[table], expression, value)

        found = await answers(store_of_turn, "a")
        sound = (await verify_part(store_of_turn, "queue")).is_sound
        neighbour = await answers(store_of_turn, "b")

        if table != "queue_counter":
            assert texts(neighbour) == texts(other)
        check_answers(whole, found, value, may_be_silent=(table, column) in NAMES, seen=not sound)
        await restore(store_of_turn, saved)

    assert texts(await answers(store_of_turn, "a")) == texts(whole)


@pytest.mark.parametrize("table", ["queue_claims", "queue_counter"])
async def test_a_row_that_is_gone_is_missed(store: Store, table: str) -> None:
    await fill_queue(store)
    await execute(store, f"DELETE FROM {table} WHERE {TABLES[table]}")

    assert not (await verify_part(store, "queue")).is_sound


async def test_a_claim_whose_batch_is_gone_is_missed(store: Store) -> None:
    await fill_queue(store)
    await execute(store, "DELETE FROM queue_batches WHERE batch = 1")

    assert not (await verify_part(store, "queue")).is_sound
