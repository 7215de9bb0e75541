"""`store.queue`: queued work of sessions, and the claims on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import tenure
from tenure import (
    DeliveryPolicy,
    MergeKey,
    MergeKind,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkKind,
    QueuedWorkPayload,
    Seams,
    SlotPolicy,
    Store,
)
from tenure.errors import InvalidInput, PayloadTooLarge, QueuedWorkClaimExpired, RuntimeDestroyed
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.conversation.snapshots import WriteSnapshot
from tenure.persistence.facets.ownership.lifecycle import PersistState
from tenure.persistence.facets.queue.queue import CompleteClaim, EnqueueBatch
from tenure.persistence.model.contracts.queued_work import (
    CLAIMED_AT_ONCE,
    encode_batch,
    name_of_batch,
)
from tenure.persistence.model.conversation.envelope import SessionSnapshot
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState, SessionId
from tenure.persistence.seams.limits import Limits
from tests.kit.clocks import Clock

IDLE = QueuedWorkClaimBoundary.IDLE
WITHIN_TURN = QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
MINUTE_MS = 60_000


def draft(
    text: str = "work",
    *,
    session: str = "s",
    early: bool = True,
    join: bool = False,
    key: str | None = None,
    merge: MergeKey | None = None,
    at_ms: int = 0,
) -> QueuedWorkBatchDraft:
    return QueuedWorkBatchDraft(
        session_id=session,
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY if early else DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
        slot_policy=SlotPolicy.JOIN if join else SlotPolicy.EXCLUSIVE,
        payloads=(QueuedWorkPayload(kind=QueuedWorkKind.TURN_INPUT, body=text.encode()),),
        source_key=key,
        merge_key=merge or MergeKey.never(),
        available_at_ms=at_ms,
    )


def joining(text: str, group: str = "g", *, early: bool = True) -> QueuedWorkBatchDraft:
    return draft(text, join=True, merge=MergeKey.group(group), early=early)


async def put(store: Store, *drafts: QueuedWorkBatchDraft) -> list[str]:
    return [(await store.queue.enqueue_queued_work(each)).batch_id for each in drafts]


async def claim(
    store: Store, count: int = 10, *, session: str = "s", boundary: QueuedWorkClaimBoundary = IDLE, owner: str = "w"
) -> QueuedWorkClaim | None:
    return await store.queue.claim_ready_queued_work(session, owner, boundary, MINUTE_MS, count)


async def claim_ids(
    store: Store, ids: list[str], *, boundary: QueuedWorkClaimBoundary = IDLE
) -> QueuedWorkClaim | None:
    return await store.queue.claim_ready_queued_work_by_batch_ids("s", "w", boundary, MINUTE_MS, ids)


async def must_claim(store: Store, count: int = 10, **named: Any) -> QueuedWorkClaim:
    found = await claim(store, count, **named)
    assert found is not None
    return found


def texts(found: QueuedWorkClaim | None) -> list[str]:
    return [] if found is None else [item.payload.body.decode() for batch in found.batches for item in batch.items]


def ids(found: QueuedWorkClaim) -> list[str]:
    return [batch.batch_id for batch in found.batches]


# Enqueue and listings


async def test_a_queue_that_nothing_was_put_into_is_empty(store: Store) -> None:
    assert await store.queue.list_queued_work("s") == ()
    assert await store.queue.list_pending_queued_work("s") == ()
    assert await claim(store) is None
    assert await store.queue.cancel_queued_work_batch("s", "qwb:1") is None


async def test_a_batch_comes_back_as_it_was_queued(store: Store) -> None:
    queued = await store.queue.enqueue_queued_work(
        QueuedWorkBatchDraft(
            session_id="s",
            delivery_policy=DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
            slot_policy=SlotPolicy.JOIN,
            payloads=tuple(
                QueuedWorkPayload(kind=kind, body=bytes([place])) for place, kind in enumerate(QueuedWorkKind)
            ),
            source_key="k",
            merge_key=MergeKey.payload_default(),
            available_at_ms=7,
        )
    )

    assert [item.item_id for item in queued.items] == [f"{queued.batch_id}:item:{n}" for n in range(3)]
    assert [item.payload.body for item in queued.items] == [b"\0", b"\1", b"\2"]
    assert queued.merge_key == MergeKey.payload_default()
    assert await store.queue.list_queued_work("s") == (queued,)
    assert await store.queue.list_queued_work("other") == ()


async def test_a_batch_of_which_no_more_is_said_is_an_input_that_comes_after_the_turn_and_alone(store: Store) -> None:
    for body in (b"one", b"two"):
        work = QueuedWorkPayload(body=body)
        await store.queue.enqueue_queued_work(QueuedWorkBatchDraft(session_id="s", payloads=(work,)))

    assert await claim(store, boundary=WITHIN_TURN) is None
    held = await must_claim(store)
    assert texts(held) == ["one"]
    assert held.batches[0].items[0].payload.kind is QueuedWorkKind.TURN_INPUT


async def test_a_source_key_is_queued_once_and_free_again_once_its_batch_is_gone(store: Store) -> None:
    first = await store.queue.enqueue_queued_work(draft("one", key="k"))

    again = await store.queue.enqueue_queued_work(draft("two", key="k"))
    elsewhere = await store.queue.enqueue_queued_work(draft("two", key="k", session="t"))

    assert again == first
    assert elsewhere.batch_id != first.batch_id
    held = await must_claim(store)
    assert await store.queue.enqueue_queued_work(draft("two", key="k")) == first, "a claimed batch still has its key"
    await store.queue.complete_queued_work_claim(held.completion())
    third = await store.queue.enqueue_queued_work(draft("three", key="k"))
    assert third.enqueue_seq > elsewhere.enqueue_seq
    assert await store.queue.cancel_queued_work_batch("s", third.batch_id) == third
    assert (await store.queue.enqueue_queued_work(draft("four", key="k"))).enqueue_seq > third.enqueue_seq


async def test_a_place_in_the_queue_is_never_used_again(tmp_path: Path) -> None:
    async with tenure.open_store(tmp_path / "a.db") as store:
        (first,) = await put(store, draft())
        assert await store.queue.cancel_queued_work_batch("s", first)
    async with tenure.open_store(tmp_path / "a.db") as store:
        assert await put(store, draft()) == ["qwb:2"]


@pytest.mark.parametrize(
    "change",
    [
        {"payloads": ()},
        {"source_key": ""},
        {"available_at_ms": -1},
        {"merge_key": MergeKey(kind=MergeKind.GROUP)},
        {"merge_key": MergeKey(kind=MergeKind.NEVER, group_name="g")},
        {"merge_key": MergeKey.group("x" * 501)},
    ],
)
async def test_what_is_no_batch_is_refused_at_the_door(store: Store, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await store.queue.enqueue_queued_work(attrs.evolve(draft(), **change))


async def test_payloads_have_a_limit_together() -> None:
    async with tenure.open_store(":memory:", limits=Limits(payload_bytes=100)) as store:
        with pytest.raises(PayloadTooLarge):
            await store.queue.enqueue_queued_work(draft("x" * 101))
        assert await put(store, draft("x" * 50))


async def test_a_destroyed_runtime_takes_no_more_work(tmp_path: Path) -> None:
    async def idle(_run: tenure.Run) -> None:
        pass

    async with tenure.open_supervisor(tmp_path / "a.db", behaviours={"k": idle}) as supervisor:
        runtime = await supervisor.spawn("r", "k")
        rows = await supervisor.store.read(lambda statements: statements.all("graph_check.sessions", after=0, count=1))
        session = rows[0][1]
        await put(supervisor.store, draft(session=session))
        await runtime.destroy()
        with pytest.raises(RuntimeDestroyed):
            await put(supervisor.store, draft(session=session))


@pytest.mark.parametrize("how", ["made", "bound"])
async def test_a_session_that_gets_a_runtime_after_work_was_queued_for_it_is_that_runtimes(
    store: Store, how: str
) -> None:
    """Whose a session is was found when work was queued for it, and is not what it was."""
    if how == "bound":
        await store.sessions.commit_runtime_state(tenure.RuntimeCommit(session_id="s", expected_head_revision=0))
    await put(store, draft(session="s"))
    target, snapshot = LogicalRuntimeId("r"), SessionSnapshot(session_id=SessionId("s"))
    await store.commit(Commit(runtime_id=target, changes=(WriteSnapshot(runtime_id=target, snapshot=snapshot),)))
    await put(store, draft(session="s"))
    destroy = PersistState(runtime_id=target, state=RuntimeState.DESTROYED)
    await store.commit(Commit(runtime_id=target, changes=(destroy,)))

    with pytest.raises(RuntimeDestroyed):
        await put(store, draft(session="s"))


# What is taken


async def test_batches_are_claimed_in_the_order_in_which_they_were_queued(store: Store) -> None:
    await put(store, draft("one"), draft("two"), draft("three", session="t"))

    assert texts(await claim(store)) == ["one"]
    assert texts(await claim(store)) == ["two"]
    assert await claim(store) is None
    assert texts(await claim(store, session="t")) == ["three"]


async def test_zero_batches_are_never_claimed_and_a_count_below_zero_is_refused(store: Store) -> None:
    await put(store, draft())

    assert await claim(store, 0) is None
    with pytest.raises(InvalidInput):
        await claim(store, -1)
    assert texts(await claim(store, 1)) == ["work"]


async def test_an_exclusive_batch_is_claimed_alone(store: Store) -> None:
    await put(store, joining("one"), draft("alone"), joining("two"), joining("three"))

    assert texts(await claim(store)) == ["one"]
    assert texts(await claim(store)) == ["alone"]
    assert texts(await claim(store)) == ["two", "three"]


async def test_batches_join_by_key_and_policy_up_to_the_count(store: Store) -> None:
    await put(
        store, joining("one"), joining("two"), joining("three"), joining("later", early=False), joining("other", "h")
    )

    assert texts(await claim(store, 2)) == ["one", "two"]
    assert texts(await claim(store)) == ["three"]
    assert texts(await claim(store)) == ["later"]
    assert texts(await claim(store)) == ["other"]


async def test_batches_that_never_merge_are_claimed_one_by_one_also_where_they_join(store: Store) -> None:
    await put(store, draft("one", join=True), draft("two", join=True))

    assert texts(await claim(store)) == ["one"]


async def test_payload_default_merges_with_its_like_and_with_no_group(store: Store) -> None:
    default = MergeKey.payload_default()
    await put(
        store,
        draft("one", join=True, merge=default),
        draft("two", join=True, merge=default),
        draft("three", join=True, merge=MergeKey.group("payload_default")),
    )

    assert texts(await claim(store)) == ["one", "two"]


async def test_the_head_gates_what_is_claimed_within_a_turn(store: Store) -> None:
    await put(store, draft("late", early=False), draft("early"))

    assert await claim(store, boundary=WITHIN_TURN) is None, "a later batch may not pass the head"
    assert texts(await claim(store, boundary=IDLE)) == ["late"]
    assert texts(await claim(store, boundary=WITHIN_TURN)) == ["early"], "a claimed head is in nobody's way"


async def test_a_claim_has_at_most_so_many_batches_whatever_is_asked_for(store: Store) -> None:
    changes = tuple(EnqueueBatch(batch=encode_batch(joining(str(n)))) for n in range(CLAIMED_AT_ONCE + 1))
    await store.commit(Commit(changes=changes))

    assert len((await must_claim(store, 2**60)).batches) == CLAIMED_AT_ONCE


async def test_a_batch_waits_for_its_time_and_keeps_its_place(tmp_path: Path) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "a.db", seams=Seams(wall_clock=clock)) as store:
        await put(store, draft("delayed", at_ms=1_010_000), draft("now"), draft("behind"))

        assert texts(await claim(store)) == ["now"]
        clock.now = 1_009.999
        assert texts(await claim_ids(store, ["qwb:1"])) == []
        clock.now = 1_010.0
        assert texts(await claim(store)) == ["delayed"]
        assert texts(await claim(store)) == ["behind"]


async def test_a_batch_that_was_due_once_stays_so_where_the_clock_is_set_back(tmp_path: Path) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "a.db", seams=Seams(wall_clock=clock)) as store:
        await put(store, draft("delayed", at_ms=1_010_000))
        clock.now = 1_010.0
        held = await must_claim(store)
        clock.now = 900.0
        await store.queue.abandon_queued_work_claim(held)

        assert texts(await claim(store)) == ["delayed"]


async def test_a_clock_that_once_stood_ahead_lets_nothing_come_before_its_time(tmp_path: Path) -> None:
    """By the mark of the state's clock, which never goes back, all that was delayed came at once until the day it had shown."""
    clock = Clock()
    async with tenure.open_store(tmp_path / "a.db", seams=Seams(wall_clock=clock)) as store:
        clock.now = 90_000.0
        await store.state.set("key", b"value", ttl=5)
        clock.now = 1_000.0
        (delayed,) = await put(store, draft("delayed", at_ms=1_010_000))

        assert await claim(store) is None
        assert await claim_ids(store, [delayed]) is None
        clock.now = 1_010.0
        assert texts(await claim(store)) == ["delayed"]


# By ids


async def test_batches_are_claimed_by_their_ids_past_earlier_ones(store: Store) -> None:
    first, second, third, fourth = await put(store, draft("one"), joining("two"), joining("three"), draft("four"))

    assert await claim_ids(store, [second, first]) is None
    assert await claim_ids(store, [third, second]) is None, "not in the order of the queue"
    assert await claim_ids(store, [second, fourth]) is None, "they do not join"
    assert await claim_ids(store, [second, "qwb:99"]) is None
    assert await claim_ids(store, [second, "another"]) is None
    assert await claim_ids(store, []) is None
    assert texts(await claim_ids(store, [second, third])) == ["two", "three"]
    assert await claim_ids(store, [second, third]) is None, "they are claimed"
    assert texts(await claim_ids(store, [first])) == ["one"]


async def test_ids_pass_the_gate_and_may_leave_out_what_is_behind(store: Store) -> None:
    late, one, two = await put(store, draft("late", early=False), joining("one"), joining("two"))

    assert await claim_ids(store, [late], boundary=WITHIN_TURN) is None
    assert texts(await claim_ids(store, [one], boundary=WITHIN_TURN)) == ["one"]
    assert await claim_ids(store, [one, two]) is None
    assert texts(await claim_ids(store, [two])) == ["two"]


async def test_ids_of_another_session_are_not_claimed(store: Store) -> None:
    (other,) = await put(store, draft(session="t"))

    assert await claim_ids(store, [other]) is None
    assert texts(await claim(store, session="t")) == ["work"]


# How claims end


async def test_a_claim_names_its_work_and_counts_how_often_it_was_claimed(store: Store) -> None:
    await put(store, draft())

    first = await must_claim(store, owner="one")
    await store.queue.abandon_queued_work_claim(first)
    second = await must_claim(store, owner="two")

    assert (first.claim_id, first.fencing_token, first.owner_id) == ("qwc:1:1", 1, "one")
    assert (second.claim_id, second.fencing_token, second.owner_id) == ("qwc:1:2", 2, "two")
    assert first.lease_token != second.lease_token
    assert second.expires_at_epoch_ms == second.claimed_at_epoch_ms + MINUTE_MS


async def test_completed_work_is_gone(store: Store) -> None:
    await put(store, joining("one"), joining("two"), draft("three"))
    held = await must_claim(store)

    await store.queue.complete_queued_work_claim(held.completion())

    assert [batch.enqueue_seq for batch in await store.queue.list_queued_work("s")] == [3]
    with pytest.raises(QueuedWorkClaimExpired):
        await store.queue.complete_queued_work_claim(held.completion())
    with pytest.raises(QueuedWorkClaimExpired):
        await store.queue.renew_queued_work_claim(held, MINUTE_MS)
    await store.queue.abandon_queued_work_claim(held)


async def test_a_completion_names_all_the_batches_of_its_claim(store: Store) -> None:
    await put(store, joining("one"), joining("two"))
    held = await must_claim(store)
    whole = held.completion()

    for wrong in (
        attrs.evolve(whole, batch_ids=whole.batch_ids[:1]),
        attrs.evolve(whole, batch_ids=(*whole.batch_ids, whole.batch_ids[0])),
        attrs.evolve(whole, batch_ids=(whole.batch_ids[0], "qwb:3")),
        attrs.evolve(whole, lease_token="another"),
        attrs.evolve(whole, session_id="t"),
        attrs.evolve(whole, claim_id="qwc:2:1"),
    ):
        with pytest.raises(QueuedWorkClaimExpired):
            await store.queue.complete_queued_work_claim(wrong)

    assert len(await store.queue.list_queued_work("s")) == 2
    await store.queue.complete_queued_work_claim(attrs.evolve(whole, batch_ids=whole.batch_ids[::-1]))
    assert await store.queue.list_queued_work("s") == ()


async def test_a_commit_completes_and_queues_together_or_not_at_all(store: Store) -> None:
    await put(store, draft("one"))
    held = await must_claim(store)
    following = EnqueueBatch(batch=encode_batch(draft("next")))
    stale = CompleteClaim(completion=attrs.evolve(held.completion(), lease_token="another"))

    with pytest.raises(QueuedWorkClaimExpired):
        await store.commit(Commit(changes=(following, stale)))
    assert len(await store.queue.list_queued_work("s")) == 1
    twice = CompleteClaim(completion=held.completion())
    with pytest.raises(QueuedWorkClaimExpired):
        await store.commit(Commit(changes=(following, twice, twice)))
    assert len(await store.queue.list_queued_work("s")) == 1
    await store.commit(Commit(changes=(following, CompleteClaim(completion=held.completion()))))
    assert texts(await claim(store)) == ["next"]


async def test_a_stale_abandon_frees_nothing(store: Store) -> None:
    await put(store, draft())
    first = await must_claim(store)
    await store.queue.abandon_queued_work_claim(first)
    second = await must_claim(store)

    await store.queue.abandon_queued_work_claim(first)

    assert await claim(store) is None
    with pytest.raises(QueuedWorkClaimExpired):
        await store.queue.complete_queued_work_claim(first.completion())
    assert len(await store.queue.list_queued_work("s")) == 1
    await store.queue.complete_queued_work_claim(second.completion())


async def test_a_cancel_wins_over_a_batch_that_no_claim_holds(store: Store) -> None:
    one, two = await put(store, draft("one"), draft("two"))
    await must_claim(store)

    assert await store.queue.cancel_queued_work_batch("s", one) is None
    assert await store.queue.cancel_queued_work_batch("t", two) is None
    cancelled = await store.queue.cancel_queued_work_batch("s", two)

    assert cancelled is not None
    assert cancelled.batch_id == two
    assert await store.queue.cancel_queued_work_batch("s", two) is None
    assert [batch.batch_id for batch in await store.queue.list_queued_work("s")] == [one]
    assert await store.queue.list_pending_queued_work("s") == ()


# Claims that lapsed


async def test_a_claim_lapses_on_the_clock_of_whoever_looks_and_ends_when_it_is_claimed_again(tmp_path: Path) -> None:
    clock, wall = Clock(), Clock()
    async with tenure.open_store(tmp_path / "a.db", seams=Seams(boot_clock=clock, wall_clock=wall)) as store:
        await put(store, joining("one"), joining("two"))
        held = await must_claim(store)

        wall.now += 10 * MINUTE_MS
        assert await claim(store) is None, "the wall clock may jump"
        clock.now += 59.9
        assert await claim(store) is None
        assert await store.queue.list_pending_queued_work("s") == ()
        clock.now += 0.1
        assert len(await store.queue.list_pending_queued_work("s")) == 2, "it may be taken over"
        renewed = await store.queue.renew_queued_work_claim(held, MINUTE_MS)
        assert renewed.claim_id == held.claim_id
        assert renewed.expires_at_epoch_ms > held.expires_at_epoch_ms
        assert await claim(store) is None, "it was renewed before anybody took it"
        clock.now += 60
        again = await must_claim(store, 1)

        assert (texts(again), again.fencing_token) == (["one"], 2)
        with pytest.raises(QueuedWorkClaimExpired):
            await store.queue.complete_queued_work_claim(held.completion())
        with pytest.raises(QueuedWorkClaimExpired):
            await store.queue.renew_queued_work_claim(held, MINUTE_MS)
        assert len(await store.queue.list_queued_work("s")) == 2
        assert texts(await claim(store)) == ["two"], "the whole claim has ended"


async def list_pending(store: Store) -> None:
    assert len(await store.queue.list_pending_queued_work("s")) == 2


async def claim_what_may_not_be_delivered(store: Store) -> None:
    assert await claim(store, boundary=WITHIN_TURN) is None


async def cancel_another(store: Store) -> None:
    assert await store.queue.cancel_queued_work_batch("s", name_of_batch(99)) is None


@pytest.mark.parametrize("look", [list_pending, claim_what_may_not_be_delivered, cancel_another])
async def test_a_lapsed_claim_is_not_forgotten_by_a_look_that_leaves_it(
    look: Callable[[Store], Awaitable[None]], tmp_path: Path
) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "a.db", seams=Seams(boot_clock=clock)) as store:
        await put(store, draft("one", early=False), draft("two"))
        held = await must_claim(store, 1)
        clock.now += 60

        await look(store)
        await look(store)

        assert texts(await claim(store, 1)) == ["one"]
        with pytest.raises(QueuedWorkClaimExpired):
            await store.queue.complete_queued_work_claim(held.completion())


async def test_a_lapsed_claim_that_nobody_took_is_completed(tmp_path: Path) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "a.db", seams=Seams(boot_clock=clock)) as store:
        await put(store, draft())
        held = await must_claim(store)
        clock.now += 1_000

        await store.queue.complete_queued_work_claim(held.completion())

        assert await store.queue.list_queued_work("s") == ()


async def test_a_cancel_ends_a_lapsed_claim_as_a_whole(tmp_path: Path) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "a.db", seams=Seams(boot_clock=clock)) as store:
        one, two = await put(store, joining("one"), joining("two"))
        held = await must_claim(store)
        clock.now += 60

        assert await store.queue.cancel_queued_work_batch("s", one) is not None

        with pytest.raises(QueuedWorkClaimExpired):
            await store.queue.complete_queued_work_claim(held.completion())
        assert [batch.batch_id for batch in await store.queue.list_pending_queued_work("s")] == [two]


async def test_who_has_just_opened_the_store_counts_from_its_first_look(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        tenure.open_store(tmp_path / "a.db") as store,
        tenure.open_store(tmp_path / "a.db", seams=Seams(boot_clock=clock)) as other,
    ):
        await put(store, draft())
        held = await must_claim(store)
        clock.now += 1_000

        assert await claim(other) is None
        clock.now += 30
        await store.queue.renew_queued_work_claim(held, MINUTE_MS)
        clock.now += 31
        assert await claim(other) is None, "it was renewed"
        clock.now += 60
        assert texts(await claim(other)) == ["work"]


async def test_the_claims_of_a_host_that_closed_are_free_at_once(tmp_path: Path) -> None:
    async with tenure.open_store(tmp_path / "a.db") as store:
        async with tenure.open_store(tmp_path / "a.db") as other:
            await put(store, draft())
            held = await must_claim(other)
            assert await claim(store) is None
        again = await must_claim(store)
        assert again.fencing_token == 2
        with pytest.raises(QueuedWorkClaimExpired):
            await store.queue.complete_queued_work_claim(held.completion())


async def test_a_claim_survives_its_store_and_is_completed_by_the_next_one(tmp_path: Path) -> None:
    async with tenure.open_store(tmp_path / "a.db") as store:
        await put(store, draft())
        held = await must_claim(store)
    async with tenure.open_store(tmp_path / "a.db") as store:
        renewed = await store.queue.renew_queued_work_claim(held, MINUTE_MS)
        assert await claim(store) is None, "the host that renewed it lives"
        await store.queue.complete_queued_work_claim(renewed.completion())


async def test_racing_claimants_take_every_batch_once(store: Store) -> None:
    await put(store, *[draft(str(n)) for n in range(30)])
    taken: list[str] = []

    async def work() -> None:
        while (held := await claim(store, 1)) is not None:
            taken.extend(texts(held))
            await store.queue.complete_queued_work_claim(held.completion())

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(work)

    assert sorted(taken, key=int) == [str(n) for n in range(30)]
    assert await store.queue.list_queued_work("s") == ()
