"""What follows the work that a worker has: known without a look, and claimed in the commit that ends it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import attrs
import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure import QueuedWorkBatch, QueuedWorkClaim, RuntimeCommit, SessionId, SessionNodeRecord
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.facets.queue.heads import Head
from tenure.persistence.facets.queue.serving import Served
from tenure.supervisor.serving.following import Following
from tests.kit.hosting import SELDOM, host
from tests.kit.serving import Noting, draft, put, queue, served, serving, texts_of
from tests.kit.statements import statements_heard
from tests.persistence.contracts.damage import execute


@contextmanager
def counted() -> Generator[list[str]]:
    """The looks of a service, counted where its connections execute them."""
    sql, looks = load_statements()["heads.of_session"], list[str]()
    with statements_heard(lambda executed: looks.extend([executed] if executed == sql else [])):
        yield looks


@pytest.mark.sqlite("counts what its connections execute")
async def test_the_next_is_claimed_with_the_end_of_the_one_before_and_without_a_look(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting()
    with counted() as looks:
        async with host(database, {}) as supervisor:
            await queue(supervisor, *map(str, range(40)))
            before = supervisor.store.statistics().commits
            async with serving(supervisor, noting):
                await served(supervisor)
                commits = supervisor.store.statistics().commits - before
                await queue(supervisor, *map(str, range(40, 80)))
                await served(supervisor)

    assert noting.done == [*map(str, range(80))]
    assert commits == 40 + 1, "the first claim; each piece with the claim of the next; the last by itself"
    assert len(looks) <= 5


@pytest.mark.sqlite("counts what its connections execute")
@pytest.mark.parametrize("terms", [{}, {"rate": (1_000, 1.0)}], ids=["no rate", "a rate"])
async def test_a_session_that_may_have_several_claims_has_them_at_once_and_without_looks(
    database: Path, autojump_clock: MockClock, terms: dict[str, Any]
) -> None:
    """Each look once let one worker begin; and between two looks stands ten times as long as a look takes."""
    noting = Noting(lasts_s=1.0)
    with counted() as looks:
        async with host(database, {}) as supervisor:
            await queue(supervisor, *map(str, range(40)))
            async with serving(supervisor, noting, concurrency=10, per_session=8, **terms):
                began = trio.current_time()
                await served(supervisor)
                first_s = trio.current_time() - began
                for n in range(40, 60):
                    await queue(supervisor, str(n))
                await served(supervisor)

    assert sorted(noting.done, key=int) == [*map(str, range(60))]
    assert noting.begun[:8] == [*map(str, range(8))]
    assert noting.most == 8
    assert first_s == pytest.approx(5.0, abs=0.1)
    assert len(looks) <= 10


@pytest.mark.sqlite("counts what its connections execute")
async def test_what_follows_a_turn_that_completes_its_work_is_claimed_without_a_look(
    database: Path, autojump_clock: MockClock
) -> None:
    begun: list[str] = []
    with counted() as looks:
        async with host(database, {}) as supervisor:

            async def turn(work: tenure.QueuedWork) -> None:
                begun.append(texts_of(work))
                follows = [draft(f"{len(begun)} again", session="s")] if len(begun) < 30 else []
                await supervisor.store.sessions.commit_runtime_state(
                    RuntimeCommit(
                        session_id=work.session_id,
                        expected_head_revision=len(begun) - 1,
                        nodes=(SessionNodeRecord(node_id=f"n{len(begun)}", payload=b"a"),),
                        completed_queue_claims=(work.claim.completion(),),
                        enqueued_queue_batches=tuple(follows),
                    )
                )

            await queue(supervisor, *map(str, range(10)))
            before = supervisor.store.statistics().commits
            async with serving(supervisor, turn):
                await served(supervisor)
            commits = supervisor.store.statistics().commits - before

    assert begun == [*map(str, range(10)), *[f"{n} again" for n in range(1, 30)]]
    assert commits == 39 * 2, "a claim and a turn for each"
    assert len(looks) <= 3


async def test_a_batch_that_is_queued_again_while_it_is_worked_on_is_not_waited_for(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting(lasts_s=1.0)
    async with host(database, {}) as supervisor:
        keyed = draft("1", session="s", key="k")
        await put(supervisor.store, keyed)
        began = trio.current_time()
        async with serving(supervisor, noting):
            await trio.sleep(0.5)
            await put(supervisor.store, keyed)
            await trio.sleep(0.6)
            await queue(supervisor, "2")
            await served(supervisor)

    assert noting.begun == ["1", "2"]
    assert noting.at[1] - began < 1.2, "no rest after a claim in vain"


async def test_what_is_queued_meanwhile_takes_its_turn_by_when_it_was_queued(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting(lasts_s=1.0)
    async with host(database, {}) as supervisor:
        await queue(supervisor, "1", session="s")
        async with serving(supervisor, noting, concurrency=1):
            for text, session in (("2", "t"), ("3", "s"), ("4", "u"), ("5", "s"), ("6", "t")):
                await trio.sleep(0.01)
                await queue(supervisor, text, session=session)
            await served(supervisor, "s", "t", "u")

    assert noting.begun == [*"123456"]
    assert noting.most == 1


async def test_a_free_place_takes_at_once_what_is_queued_beside_work(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting(lasts_s=10.0)
    async with host(database, {}) as supervisor:
        await queue(supervisor, "1", session="s")
        async with serving(supervisor, noting, concurrency=2):
            await trio.sleep(1.0)
            await queue(supervisor, "2", session="t")
            await trio.sleep(0.001)
            assert noting.begun == ["1", "2"]
            await served(supervisor, "s", "t")


async def test_what_is_damaged_meanwhile_keeps_no_worker_from_ending_what_it_has(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting(lasts_s=1.0)
    async with host(database, {}) as supervisor:
        await queue(supervisor, "1", session="s")
        await queue(supervisor, "bad", session="t")
        await queue(supervisor, "2", session="s")
        async with serving(supervisor, noting, concurrency=1):
            await trio.sleep(0.5)
            await execute(supervisor.store, "UPDATE queue_batches SET payloads = x'00' WHERE session_id = 't'")
            await served(supervisor, "s")

    assert noting.begun == noting.done == ["1", "2"]


async def test_a_turn_that_has_completed_its_work_is_followed_by_the_next(
    database: Path, autojump_clock: MockClock
) -> None:
    begun: list[str] = []
    async with host(database, {}) as supervisor:

        async def turn(work: tenure.QueuedWork) -> None:
            begun.append(texts_of(work))
            await supervisor.store.sessions.commit_runtime_state(
                RuntimeCommit(
                    session_id=work.session_id,
                    expected_head_revision=len(begun) - 1,
                    nodes=(SessionNodeRecord(node_id=texts_of(work), payload=b"a"),),
                    completed_queue_claims=(work.claim.completion(),),
                )
            )

        await queue(supervisor, "1", "2", "3")
        async with serving(supervisor, turn):
            await served(supervisor)

    assert begun == ["1", "2", "3"]


async def test_who_is_cancelled_ends_what_it_has_done_and_claims_nothing_more(
    database: Path, autojump_clock: MockClock
) -> None:
    begun: list[str] = []
    async with host(database, {}) as supervisor:
        await queue(supervisor, "1", "2")
        async with trio.open_nursery() as nursery:

            async def handle(work: tenure.QueuedWork) -> None:
                begun.append(texts_of(work))
                nursery.cancel_scope.cancel()

            await nursery.start(partial(supervisor.serve_queue, "", handle))
        (left,) = await supervisor.store.queue.list_pending_queued_work("s")

    assert begun == ["1"]
    assert left.items[0].payload.body == b"2"


@pytest.mark.sqlite("a lock of the whole file")
async def test_what_was_done_is_written_when_another_writer_goes_out_of_the_way(
    database: Path, autojump_clock: MockClock
) -> None:
    begun: list[str] = []
    async with host(database, {}, limits=attrs.evolve(SELDOM, busy_s=0.01)) as supervisor:
        other = apsw.Connection(str(database))

        async def handle(work: tenure.QueuedWork) -> None:
            begun.append(texts_of(work))
            if len(begun) == 1:
                other.execute("BEGIN IMMEDIATE")

        await queue(supervisor, "1", "2")
        async with serving(supervisor, handle):
            await trio.sleep(0.1)
            other.execute("ROLLBACK")
            other.close()
            await served(supervisor)

    assert begun == ["1", "2"]


def head(batch: int) -> Head:
    return Head(batch, batch, SessionId("s"), suspect=False)


def answer(*batches: int, following: int | None = None) -> Served:
    claimed = tuple([QueuedWorkBatch(**BATCH, batch_id=f"qwb:{each}", enqueue_seq=each) for each in batches])
    claim = QueuedWorkClaim(**CLAIM, batches=claimed)
    return Served(claim=claim, following=None if following is None else head(following))


BATCH: dict[str, Any] = {
    "session_id": "s",
    "enqueued_at_ms": 0,
    "source_key": None,
    "delivery_policy": tenure.DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
    "slot_policy": tenure.SlotPolicy.EXCLUSIVE,
    "merge_key": tenure.MergeKey.never(),
    "available_at_ms": 0,
    "items": (),
}
CLAIM: dict[str, Any] = {
    "session_id": "s",
    "claim_id": "qwc:1:1",
    "owner_id": "w",
    "lease_token": "t",
    "fencing_token": 1,
    "claimed_at_epoch_ms": 0,
    "expires_at_epoch_ms": 0,
}


@pytest.mark.parametrize(
    ("heard", "answered", "then"),
    [
        ((), answer(1), None),
        ((), answer(1, following=2), 2),
        ((2, 3), answer(1), 2),  # queued after the claim, in its group: the answer knows nothing of them
        ((2, 3), answer(1, following=2), 2),
        ((2, 3), answer(1, 2, 3), None),  # claimed with the head
        ((2, 3, 4), answer(1, 2), 4),  # which comes first is not known; the claim takes that
    ],
)
def test_what_is_heard_of_before_the_claim_has_its_answer_is_not_forgotten(
    heard: tuple[int, ...], answered: Served, then: int | None
) -> None:
    following = Following()
    for each in heard:
        following.queued(head(each))
    following.claimed(answered)

    assert (following.head and following.head.batch) == then


def test_what_is_heard_of_while_it_is_worked_on_follows_what_was_there() -> None:
    following = Following()
    following.claimed(answer(1))
    for each in (2, 3):
        following.queued(head(each))
    assert following.head == head(2)
    following.ask()
    following.queued(head(4))
    following.claimed(answer(2, following=3))

    assert following.head == head(3)
