"""Groups: commits that share one transaction, and none of which takes its neighbours with it."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import apsw
import pytest
import trio
from attrs import evolve, frozen

from tenure.errors import Contended, IdempotencyConflict, Internal, SessionBindingMismatch, StaleFence, StoreMoved
from tenure.persistence.commits.commit import (
    Change,
    Commit,
    CommitResult,
)
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tenure.persistence.writing.pending import Pending
from tests.kit.ground import submit
from tests.kit.serving import draft
from tests.kit.stores import (
    OpenMode,
    landed,
    message,
    name,
    own,
    ownership,
    refused,
    settle,
    settle_all,
)
from tests.persistence.contracts.damage import execute


@frozen(kw_only=True, slots=True)
class NobodyKnowsThis(Change):
    ingress = True


async def test_one_bad_commit_among_63_good_ones_fails_alone(store: Store) -> None:
    await own(store)
    keys = [f"m-{n}" for n in range(63)]
    commits = [message(store, key) for key in keys]
    commits.insert(31, refused())

    outcomes = await settle_all([submit(store, commit) for commit in commits])

    assert isinstance(outcomes.pop(31), StaleFence)
    assert {outcome.group for outcome in outcomes if isinstance(outcome, CommitResult)} == {2}
    assert len(outcomes) == 63
    assert await landed(store, *keys) == keys


async def test_a_host_whose_row_is_another_hosts_stops_and_writes_nothing(store: Store) -> None:
    await own(store)
    await store.commit(message(store, "before"))
    await execute(store, "UPDATE hosts SET incarnation = 'of another store', files = 'of that'")

    with pytest.raises(StoreMoved, match="'of another store'") as moved:
        await store.commit(message(store, "late"))

    assert not moved.value.in_doubt
    assert isinstance(store.broken, StoreMoved)


async def test_a_defect_in_one_commit_is_internal_and_its_neighbours_land(store: Store) -> None:
    await own(store)
    commits = [message(store, "before"), Commit(changes=(NobodyKnowsThis(),)), message(store, "after")]

    outcomes = await settle_all([submit(store, commit) for commit in commits])

    assert isinstance(outcomes[1], Internal)
    assert await landed(store, "before", "after") == ["before", "after"]


async def test_commits_that_wait_together_share_one_group(store: Store) -> None:
    await own(store)
    before = store.statistics().groups

    outcomes = await settle_all([submit(store, message(store, f"m-{n}")) for n in range(40)])

    assert store.statistics().groups == before + 1
    assert {outcome.group for outcome in outcomes if isinstance(outcome, CommitResult)} == {before + 1}


@pytest.mark.sqlite("a lock of the whole file")
async def test_the_time_of_a_group_is_read_while_no_other_can_write(tmp_path: Path) -> None:
    """Else what a host waited for the lock would make its times earlier than those of groups before it."""
    path, shown, held = tmp_path / "a.db", count(1_000_000), set[int]()
    others: list[apsw.Connection] = []

    def clock() -> float:
        now = next(shown)
        for other in others:
            try:
                other.execute("BEGIN IMMEDIATE; ROLLBACK")
            except apsw.BusyError:
                held.add(now)
        return float(now)

    async with open_store(path, seams=Seams(wall_clock=clock)) as store:
        others.append(apsw.Connection(str(path)))
        batch = await store.queue.enqueue_queued_work(draft("work"))
        others.pop().close()

    assert batch.enqueued_at_ms // 1000 in held


async def test_a_group_is_bounded_in_commits_and_in_bytes_and_a_larger_commit_goes_alone(open_mode: OpenMode) -> None:
    async with open_mode(limits=Limits(group_commits=3, group_bytes=1000)) as store:
        await own(store)
        sizes = [1, 1, 1, 1, 600, 600, 5000, 1]
        commits = [message(store, f"m-{n}", payload=b'"' + b"x" * size + b'"') for n, size in enumerate(sizes)]

        outcomes = await settle_all([submit(store, commit) for commit in commits])

        groups = [outcome.group for outcome in outcomes if isinstance(outcome, CommitResult)]
        assert groups == [2, 2, 2, 3, 3, 4, 5, 6]


async def test_a_repeat_in_the_same_group_gets_the_answer_of_the_first(store: Store) -> None:
    await own(store)

    first, second, other = await settle_all(
        [
            submit(store, message(store, "m-1")),
            submit(store, message(store, "m-1")),
            submit(store, message(store, "m-1", payload=b'"other"')),
        ]
    )

    assert isinstance(first, CommitResult)
    assert isinstance(second, CommitResult)
    assert second.values[0].input_id == first.values[0].input_id
    assert second.values[0].deduplicated
    assert not second.written
    assert isinstance(other, IdempotencyConflict)


async def test_a_group_of_repeats_and_refusals_uses_up_no_number(store: Store) -> None:
    await own(store)
    first = await store.commit(message(store, "m-1"))
    groups = store.statistics().groups

    repeat, refusal = await settle_all([submit(store, message(store, "m-1")), submit(store, refused())])
    last = await store.commit(message(store, "m-2"))

    assert isinstance(repeat, CommitResult)
    assert isinstance(refusal, StaleFence)
    assert repeat.group == first.group
    assert last.group == first.group + 1
    assert store.statistics().groups == groups + 1


async def test_commits_land_in_the_order_in_which_they_were_submitted(store: Store) -> None:
    await own(store)
    order: list[int] = []

    await settle_all(
        [submit(store, message(store, f"m-{n}"), on_settled=lambda _, n=n: order.append(n)) for n in range(700)]
    )

    assert order == list(range(700))


async def test_a_callback_that_raises_keeps_nobody_waiting_and_stops_the_store(store: Store) -> None:
    await own(store)

    def fail(_: object) -> None:
        raise ZeroDivisionError

    outcomes: list[object] = []

    async def wait(pending: Pending) -> None:
        outcomes.append(await settle(pending))

    with trio.move_on_after(20) as patience:
        async with trio.open_nursery() as nursery:
            for key in ("m-1", "m-2", "m-3"):
                nursery.start_soon(wait, submit(store, message(store, key), on_settled=fail if key == "m-2" else None))

    assert not patience.cancel_called, "a waiter was left parked"
    assert len(outcomes) == 3
    assert all(isinstance(outcome, CommitResult) for outcome in outcomes)
    assert "ZeroDivisionError" in (await store.wait_broken()).detail


@pytest.mark.sqlite("a lock of the whole file")
async def test_a_foreign_write_lock_is_awaited_and_then_contended_for_each_waiter(tmp_path: Path) -> None:
    open_mode = OpenMode("file", tmp_path / "agents.db")
    async with open_mode(limits=Limits(busy_s=0.05)) as store:
        await own(store)
        other = apsw.Connection(str(open_mode.path))
        other.execute("BEGIN IMMEDIATE")

        outcomes = await settle_all([submit(store, message(store, f"m-{n}")) for n in range(3)])

        assert all(isinstance(outcome, Contended) for outcome in outcomes)
        assert len({id(outcome) for outcome in outcomes}) == 3, "one error object a waiter"
        other.execute("ROLLBACK")
        other.close()
        assert isinstance(await store.commit(message(store, "m-0")), CommitResult)


async def test_a_new_runtime_gets_no_session_of_another_one(store: Store) -> None:
    first = ownership(store, "a")
    await store.commit(Commit(changes=(first,)))

    with pytest.raises(SessionBindingMismatch):
        await store.commit(Commit(changes=(evolve(first, runtime_id=name("b")),)))

    assert await own(store, "b")
