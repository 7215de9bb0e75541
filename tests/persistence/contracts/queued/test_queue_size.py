"""What a claim costs does not grow with the queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import apsw
import pytest

from tenure import QueuedWorkClaim, SessionId, Store
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.facets.queue.serving import Served, ServeNext
from tenure.persistence.store import ground_of
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import execute
from tests.persistence.contracts.queued.test_queue import draft, must_claim, put, texts

pytestmark = pytest.mark.sqlite("counts steps and looks at plans of SQLite")

MANY = 100_000

COPIES = """
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)
INSERT INTO queue_batches (batch, session_id, claim, delayed_until, fence, delivery, slot, merge_key, available_at, enqueued_at,
    digest, payloads)
SELECT 1000 + n, session_id, NULL, {delayed}, 0, delivery, slot, merge_key, available_at, enqueued_at, x'00', payloads
FROM queue_batches, n WHERE batch = 1
"""
"""Copies with a digest that is not theirs: whoever read one as a batch would find it damaged."""


def database(store: Store) -> apsw.Connection:
    opened: Any = vars(store)["_opened"]
    return cast("apsw.Connection", vars(opened.connection)["_db"])


async def between_groups(store: Store, do: Callable[[], None]) -> None:
    """Do something to the connection that writes, while its thread does nothing."""
    await ground_of(store).between_groups(lambda _connection: do())


@pytest.mark.parametrize("delayed", ["NULL", "9000000000000"], ids=["behind it", "delayed"])
async def test_a_claim_reads_a_handful_of_rows_of_a_hundred_thousand(tmp_path: Path, delayed: str) -> None:
    steps = 0

    def step() -> bool:
        nonlocal steps
        steps += 1
        return False

    async with open_seen_store(tmp_path / "a.db") as store:
        await put(store, draft("head"), draft("next"))
        await execute(store, COPIES.format(delayed=delayed), MANY)
        await between_groups(store, lambda: database(store).set_progress_handler(step, 50))

        held = await must_claim(store, 1)
        renewed = await store.queue.renew_queued_work_claim(held, 60_000)
        await store.queue.complete_queued_work_claim(renewed.completion())
        second = await must_claim(store, 1)
        await store.queue.abandon_queued_work_claim(second)

        assert texts(held) == ["head"]
        assert texts(second) == ["next"]
        assert steps * 50 < 5_000, (
            "virtual machine steps of all of it; a walk over the queue takes some hundred thousand"
        )


DEAD = """
INSERT INTO queue_failures (batch, session_id, attempts, crashes, failed_at, retry_at, error, digest)
SELECT batch, session_id, 1, 1, 0, NULL, 'no', x'00' FROM queue_batches WHERE batch >= 1000
"""
"""A failure for the last time of each of the copies, also with a digest that is not its own."""


async def test_what_a_worker_does_reads_none_of_ten_thousand_that_are_dead() -> None:
    """Dead work is in the way of no other: each claim, failure and look once read every dead batch of its session."""
    steps = 0

    def step() -> bool:
        nonlocal steps
        steps += 1
        return False

    async with open_seen_store(":memory:") as store:
        await put(store, draft("first"), draft("fails"), draft("last"))
        await execute(store, COPIES.format(delayed="9223372036854775807"), 10_000)
        await execute(store, DEAD)
        serving = Serving(ground_of(store))
        next_one = ServeNext(
            session_id="s", owner_id="w", ttl_ms=60_000, count=1, per_session=1, max_crashes=5, name_following=True
        )
        await between_groups(store, lambda: database(store).set_progress_handler(step, 50))

        served = [await serving.claim(next_one)]
        served.append(await serving.complete_and_claim(held_by(served[-1]), next_one))
        await serving.fail(held_by(served[-1]), "no", 0.0)
        served.append(await serving.claim(next_one))
        await serving.complete(held_by(served[-1]))
        (head,) = (await serving.look([SessionId("s")], 1)).ready

    assert [texts(each.claim) for each in served] == [["first"], ["fails"], ["fails"]]
    assert (served[-1].attempts, head.batch) == (1, 3)
    assert steps * 50 < 10_000, "virtual machine steps of all of it; a walk over the dead takes some ten thousand"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "queue.front",
            "queue.ready",
            "queue.following",
            "queue.of_claim",
            "queue.delayed",
            "queue.let_come",
            "queue.keys_of_claim",
            "claims.of_session",
        ),
        *(
            "failures.not_dead",
            "failures.delete_of_claim",
            "heads.of_session",
            "rates.by_name",
            "rates.standing",
        ),
    ],
)
async def test_every_statement_of_a_claim_goes_by_an_index(name: str) -> None:
    async with open_seen_store(":memory:") as store:
        sql = load_statements()[name]
        plan = [
            str(row[3])
            for row in database(store).execute(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(_names(sql))).fetchall()
        ]

        plan = [
            line for line in plan if line not in {"SCAN CONSTANT ROW", "SCAN o"}
        ]  # the one row that the heads are joined to
        assert not [line for line in plan if line.startswith("SCAN") or "TEMP B-TREE" in line], plan


async def test_a_piece_of_work_is_seven_statements_and_each_row_is_read_once() -> None:
    executed: list[str] = []
    names = {sql: name for name, sql in load_statements().items()}

    def trace(_cursor: object, sql: str, _values: object) -> bool:
        executed.extend([names[sql]] if sql in names else [])
        return True

    async with open_seen_store(":memory:") as store:
        for _ in range(2):
            executed.clear()
            await between_groups(store, lambda: database(store).set_exec_trace(trace))
            await put(store, draft("work"))
            await store.queue.complete_queued_work_claim((await must_claim(store, 1)).completion())
            await between_groups(store, lambda: database(store).set_exec_trace(None))

    assert [name for name in executed if name != "ownership.begin_group"] == [
        *("queue.insert", "queue.raise_counter"),
        *("queue.front", "claims.insert", "queue.take"),
        *("queue.delete_of_claim", "claims.delete"),
    ]


def held_by(served: Served) -> QueuedWorkClaim:
    assert served.claim is not None
    return served.claim


def _names(sql: str) -> list[str]:
    return [word.strip("(),;:") for word in sql.replace(":", " :").split() if word.startswith(":")]
