"""`Supervisor.serve_queue` on virtual time: order, places, failures, rates, cancellation and the end of a claim."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import apsw
import attrs
import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure import FullGraph, QueuedWorkClaimBoundary, RestartPolicy, RuntimeCommit, SessionNodeRecord
from tenure.errors import DiskFull, InvalidInput
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.facets.queue.serving import ServeNext
from tenure.persistence.store import ground_of
from tests.kit import worlds
from tests.kit.hosting import SELDOM, Gate, host
from tests.kit.seen import open_seen_supervisor
from tests.kit.serving import Noting, draft, put, queue, served, serving, texts_of
from tests.persistence.contracts.damage import execute
from tests.persistence.contracts.queued.test_queue import joining

EVEN = RestartPolicy(max_attempts=3, backoff_s=10.0, jitter=0.0)


def never(work: tenure.QueuedWork) -> bool:
    return False


async def test_work_is_carried_out_and_done(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting()
    async with host(database, {}) as supervisor, serving(supervisor, noting):
        await queue(supervisor, "one", "two")
        await served(supervisor)

        assert noting.done == ["one", "two"]
        assert await supervisor.store.queue.list_queued_work("s") == ()


async def test_work_that_is_queued_while_nothing_waits_is_begun_at_once(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting()
    async with host(database, {}) as supervisor, serving(supervisor, noting):
        await trio.sleep(2.5)
        await queue(supervisor, "late")
        queued_at = trio.current_time()
        await served(supervisor)

        assert noting.at == [queued_at]


@pytest.mark.sqlite("a lock of the whole file")
async def test_a_claim_that_another_writer_is_in_the_way_of_is_tried_again(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting()
    async with host(database, {}, limits=attrs.evolve(SELDOM, busy_s=0.01)) as supervisor:
        await queue(supervisor, "one")
        other = apsw.Connection(str(database))
        other.execute("BEGIN IMMEDIATE")
        async with serving(supervisor, noting):
            await trio.sleep(0.5)
            assert not noting.begun
            other.execute("ROLLBACK")
            other.close()
            await served(supervisor)

        assert noting.done == ["one"]


async def test_a_session_is_worked_on_in_order_and_sessions_side_by_side(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting(lasts_s=1.0)
    async with host(database, {}) as supervisor:
        for session in ("a", "b", "c"):
            await queue(supervisor, *[f"{session}{n}" for n in range(3)], session=session)
        began = trio.current_time()
        async with serving(supervisor, noting):
            await served(supervisor, "a", "b", "c")

        assert noting.most == 3
        assert [text for text in noting.begun if text[0] == "a"] == ["a0", "a1", "a2"]
        assert noting.at[-1] - began == pytest.approx(2.0)


async def test_two_workers_that_see_the_same_head_get_one_claim(database: Path, autojump_clock: MockClock) -> None:
    """What keeps the order is the commit of the claim: a look may be old."""
    async with host(database, {}) as supervisor:
        await queue(supervisor, "one", "two")
        worker = Serving(ground_of(supervisor.store))
        change = ServeNext(session_id="s", owner_id="w", ttl_ms=60_000, count=1, per_session=1, max_crashes=5)
        first = await worker.claim(change)
        second = await worker.claim(change)

        assert first.claim is not None
        assert second.claim is None


async def test_several_of_one_session_at_once_where_that_is_asked_for(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting(lasts_s=5.0)
    async with host(database, {}) as supervisor:
        await queue(supervisor, *"abcd")
        async with serving(supervisor, noting, per_session=2):
            await served(supervisor)

        assert (noting.begun, noting.most) == ([*"abcd"], 2)


async def test_no_more_run_at_once_than_there_are_places(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting(lasts_s=1.0)
    async with host(database, {}) as supervisor:
        for session in "abcde":
            await queue(supervisor, session, session=session)
        async with serving(supervisor, noting, concurrency=2):
            await served(supervisor, *"abcde")

        assert noting.most == 2


async def test_the_session_whose_head_has_waited_longest_goes_first(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting(lasts_s=1.0)
    async with host(database, {}) as supervisor:
        for text, session in (("1", "z"), ("2", "b"), ("3", "z"), ("4", "a"), ("5", "b"), ("6", "a")):
            await queue(supervisor, text, session=session)
            await trio.sleep(0.01)
        async with serving(supervisor, noting, concurrency=1):
            await served(supervisor, "a", "b", "z")

        assert noting.begun == [*"123456"]


async def test_only_the_sessions_that_are_named_are_served(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting()
    async with host(database, {}) as supervisor:
        for session in ("mail/a", "mail/b", "mai", "mail0", "zoo"):
            await queue(supervisor, session, session=session)
        async with serving(supervisor, noting, "mail/"):
            await served(supervisor, "mail/a", "mail/b")
        async with serving(supervisor, noting, ["zoo", "nothing there", "zoo"]):
            await served(supervisor, "zoo")

        assert noting.begun == ["mail/a", "mail/b", "zoo"]


async def test_batches_that_join_are_handed_over_together(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting()
    async with host(database, {}) as supervisor:
        await put(supervisor.store, joining("a"), joining("b"), joining("c"), draft("alone"))
        async with serving(supervisor, noting, max_batches=2):
            await served(supervisor)

        assert noting.begun == ["a+b", "c", "alone"]


async def test_delayed_work_is_begun_when_it_is_due(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting()
    async with host(database, {}) as supervisor:
        due_ms = int(supervisor.store.seams.wall_clock() * 1000) + 30_000
        await put(supervisor.store, draft("later", at_ms=due_ms), draft("now"))
        began = trio.current_time()
        async with serving(supervisor, noting):
            await served(supervisor)

        assert noting.begun == ["now", "later"]
        assert noting.at[1] - began == pytest.approx(30.0, abs=0.01)


# Failures


async def test_work_that_fails_keeps_its_place_and_is_tried_again_after_a_wait_that_doubles(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting(fails=lambda work: texts_of(work) == "bad" and work.attempt < 3)
    async with host(database, {}) as supervisor:
        await queue(supervisor, "bad", "behind it")
        async with serving(supervisor, noting, restart=EVEN):
            await served(supervisor)

        assert noting.begun == ["bad", "bad", "bad", "behind it"]
        assert noting.attempts == [1, 2, 3, 1]
        assert [later - at for at, later in zip(noting.at, noting.at[1:3], strict=False)] == [
            pytest.approx(10.0, abs=0.02),
            pytest.approx(20.0, abs=0.02),
        ]
        assert await supervisor.store.queue.list_failed_queued_work("s") == ()


async def test_work_that_fails_for_the_last_time_is_dead_and_in_nobodys_way(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting(fails=lambda work: texts_of(work) == "bad")
    async with host(database, {}) as supervisor:
        (bad, _) = await queue(supervisor, "bad", "behind it")
        async with serving(supervisor, noting, restart=EVEN):
            await served(supervisor)

            (dead,) = await supervisor.store.queue.list_failed_queued_work("s")
            assert noting.done == ["behind it"]
            assert (dead.batch_id, dead.attempts, dead.is_dead) == (bad, 3, True)
            assert dead.error == "ValueError: no bad today"

            noting.fails = never
            assert await supervisor.store.queue.retry_queued_work_batch("s", bad) is not None
            await served(supervisor)

        assert noting.done == ["behind it", "bad"]
        assert noting.attempts[-1] == 1, "it is tried as if it had never failed"


async def test_dead_work_is_cancelled_by_a_person(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, {}) as supervisor:
        (bad,) = await queue(supervisor, "bad")
        async with serving(supervisor, Noting(fails=lambda _: True), restart=RestartPolicy(max_attempts=1)):
            await served(supervisor)

        assert await supervisor.store.queue.cancel_queued_work_batch("s", bad) is not None
        assert await supervisor.store.queue.list_failed_queued_work("s") == ()
        assert await supervisor.store.queue.list_queued_work("s") == ()


async def test_a_batch_that_failed_joins_no_other(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting(fails=lambda work: "bad" in texts_of(work))
    async with host(database, {}) as supervisor:
        await put(supervisor.store, joining("a"), joining("bad"), joining("c"))
        async with serving(supervisor, noting, restart=EVEN):
            await served(supervisor)

        assert noting.begun == ["a+bad+c", "a", "bad", "bad", "c"]
        (dead,) = await supervisor.store.queue.list_failed_queued_work("s")
        assert dead.is_dead


async def test_a_clock_that_was_set_back_holds_up_no_attempt(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting(fails=lambda work: work.attempt < 2)
    set_back = [0.0]
    seams = attrs.evolve(worlds.Host().seams, wall_clock=lambda: 1_700_000_000.0 + trio.current_time() - set_back[0])
    with trio.fail_after(1_000):
        async with open_seen_supervisor(database, behaviours={}, seams=seams) as supervisor:
            await queue(supervisor, "work")
            async with serving(supervisor, noting, restart=EVEN):
                await trio.sleep(1.0)
                set_back[0] = 86_400.0
                await served(supervisor)

    assert noting.attempts == [1, 2]


# Rates


def most_within(times: list[float], seconds: float) -> int:
    """Most of these times that lie within so many seconds; a thousandth is what a stored time may be off."""
    return max(sum(at <= each < at + seconds - 0.002 for each in times) for at in times)


@pytest.mark.slow
async def test_no_more_begin_in_a_time_than_the_rate_says_over_all_hosts_and_restarts(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting(fails=lambda work: work.attempt == 1 and texts_of(work) == "0")
    async with worlds.supervisor(database, {}) as one, worlds.supervisor(database, {}) as two:
        for n in range(9):
            await queue(one, str(n), session=f"s{n}")
        terms = {"sessions": "s", "rate": (3, 60.0), "restart": RestartPolicy(backoff_s=0.0)}
        began = trio.current_time()
        async with serving(one, noting, **terms), serving(two, noting, **terms):
            await trio.sleep(70.0)
    assert len(noting.at) == 6
    async with worlds.supervisor(database, {}) as one, serving(one, noting, **terms):
        await served(one, *[f"s{n}" for n in range(9)])

    assert len(noting.at) == 10, "the failed attempt counts"
    assert most_within(noting.at, 60.0) == 3
    assert noting.at[-1] - began == pytest.approx(180.0, abs=1.0), "and it waits no longer than it has to"


@pytest.mark.parametrize("back_s", [20.0, 3_600.0, 86_400.0])
async def test_a_rate_waits_at_most_its_time_where_the_clock_was_set_back(
    database: Path, autojump_clock: MockClock, back_s: float
) -> None:
    noting, set_back = Noting(), [0.0]
    seams = attrs.evolve(worlds.Host().seams, wall_clock=lambda: 1_700_000_000.0 + trio.current_time() - set_back[0])
    with trio.fail_after(1_000):
        async with open_seen_supervisor(database, behaviours={}, seams=seams) as supervisor:
            await queue(supervisor, "one", "two")
            async with serving(supervisor, noting, rate=(1, 30.0)):
                await trio.sleep(1.0)
                set_back[0] = back_s
                await served(supervisor)

    assert 29.0 <= noting.at[1] - noting.at[0] <= 40.0


async def test_the_rate_that_was_set_last_holds(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting()
    async with host(database, {}) as supervisor:
        await queue(supervisor, *"abcd")
        async with serving(supervisor, noting, rate=(1, 1_000.0)):
            await trio.sleep(10.0)
        async with serving(supervisor, noting, rate=(100, 1.0)):
            await served(supervisor)

        assert noting.at[-1] - noting.at[0] < 20.0


async def test_a_rate_under_which_nothing_has_begun_for_long_goes_with_prune_and_is_stored_again_with_the_next_claim(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting()
    async with host(database, {}) as supervisor:
        await queue(supervisor, "one")
        async with serving(supervisor, noting, rate=(1, 30.0)):
            await served(supervisor)
            assert (await supervisor.store.prune(0)).rates == 0, "its start still counts"
            await trio.sleep(30.0)
            assert (await supervisor.store.prune(60.0)).rates == 0
            assert (await supervisor.store.prune(10.0)).rates == 1
            await queue(supervisor, "two", "three")
            await served(supervisor)

        assert 29.0 <= noting.at[2] - noting.at[1] <= 40.0


# A turn of its own


async def test_a_handler_completes_its_work_with_its_own_turn(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, {}) as supervisor:
        calls: list[str] = []

        async def turn(work: tenure.QueuedWork) -> None:
            calls.append(texts_of(work))
            node = SessionNodeRecord(node_id=texts_of(work), payload=b"a", timestamp="2026-01-02T03:04:05Z")
            head = await supervisor.store.sessions.load_session("s", FullGraph())
            await supervisor.store.sessions.commit_runtime_state(
                RuntimeCommit(
                    session_id="s",
                    expected_head_revision=0 if head is None else head.head_revision,
                    nodes=(node,),
                    completed_queue_claims=(work.claim.completion(),),
                )
            )
            await trio.sleep(20.0)  # it goes on: what it did is done

        await queue(supervisor, "one", "two")
        async with serving(supervisor, turn):
            await trio.sleep(50.0)

        assert calls == ["one", "two"]
        assert await supervisor.store.queue.list_queued_work("s") == ()


# Claims


async def test_a_claim_holds_for_as_long_as_its_handler_runs(database: Path, autojump_clock: MockClock) -> None:
    noting = Noting(lasts_s=40.0)
    async with worlds.supervisor(database, {}) as one, worlds.supervisor(database, {}) as two:
        await queue(one, "long")
        async with serving(one, noting), serving(two, noting):
            await served(one)

    assert noting.begun == ["long"]


@pytest.mark.sqlite("a death is proven by a lock file")
async def test_the_work_of_a_host_that_died_is_claimed_at_once(database: Path, autojump_clock: MockClock) -> None:
    first, second = Noting(lasts_s=1e6), Noting()
    world = worlds.Host()
    async with worlds.supervisor(database, {}) as two, worlds.supervisor(database, {}, world) as one:
        await queue(one, "work", "next")
        async with serving(one, first):
            await trio.sleep(1.0)
            async with serving(two, second):
                await trio.sleep(30.0)
                assert second.begun == []
                world.gate.freeze()
                world.locks.die()
                died_at = trio.current_time()
                await served(two)

                assert second.begun == ["work", "next"]
                assert second.at[0] - died_at < 1.0
                world.gate.thaw()


@pytest.mark.slow
async def test_a_handler_whose_claim_was_taken_over_is_stopped_and_writes_nothing(
    database: Path, autojump_clock: MockClock
) -> None:
    first, second = Noting(lasts_s=60.0), Noting(lasts_s=100.0)
    world = worlds.Host()
    async with worlds.supervisor(database, {}) as two, worlds.supervisor(database, {}, world) as one:
        await queue(one, "work")
        async with serving(one, first):
            await trio.sleep(1.0)
            async with serving(two, second):
                world.gate.freeze()
                await trio.sleep(40.0)
                assert second.begun == ["work"]
                world.gate.thaw()
                await trio.sleep(15.0)
                assert first.running == 0
                assert len(await two.store.queue.list_queued_work("s")) == 1, "the frozen one has completed nothing"
                await served(two)

    assert (first.done, second.done) == ([], ["work"])


@pytest.mark.sqlite("a death is proven by a lock file")
async def test_work_over_which_workers_die_is_dead_and_takes_no_other_down(
    database: Path, autojump_clock: MockClock
) -> None:
    """Each host dies where the poison is in work, until one has none; they stand frozen to the end."""
    begun: list[str] = []
    died: list[worlds.Host] = []
    async with AsyncExitStack() as stack:
        for _ in range(9):
            poisoned, world = trio.Event(), worlds.Host()

            async def handle(work: tenure.QueuedWork, poisoned: trio.Event = poisoned) -> None:
                begun.append(texts_of(work))
                await trio.sleep(1.0)
                if texts_of(work) == "poison":
                    poisoned.set()
                    await trio.sleep_forever()

            supervisor = await stack.enter_async_context(worlds.supervisor(database, {}, world))
            if not begun:
                for text in ("poison", "a", "b"):
                    await queue(supervisor, text, session=text)
            await stack.enter_async_context(serving(supervisor, handle, restart=RestartPolicy(max_crashes=3)))
            with trio.move_on_after(60.0):
                await poisoned.wait()
            if not poisoned.is_set():
                break
            died.append(world)
            world.gate.freeze()
            world.locks.die()
        async with worlds.supervisor(database, {}) as last:
            (dead,) = await last.store.queue.list_failed_queued_work("poison")
            assert (dead.is_dead, dead.crashes, dead.error) == (True, 3, "its worker died")
            assert await last.store.queue.list_queued_work("a") == ()
        for world in died:
            world.gate.thaw()

    assert len(died) == 3
    assert begun.count("poison") == 3


@pytest.mark.sqlite("a death is proven by a lock file")
async def test_of_one_session_too_those_over_which_a_worker_died_are_worked_on_one_by_one(
    database: Path, autojump_clock: MockClock
) -> None:
    """Also where the session has always something else in work."""
    running, together, done, world = set[str](), list[set[str]](), list[str](), worlds.Host()

    async def handle(work: tenure.QueuedWork) -> None:
        running.add(texts_of(work))
        together.append({*running})
        await trio.sleep(10.0 if work.crashes else 11.0)
        running.discard(texts_of(work))
        done.append(texts_of(work))

    async with worlds.supervisor(database, {}) as two, worlds.supervisor(database, {}, world) as one:
        await queue(one, *"abc")
        await queue(one, "other", session="t")
        async with serving(one, Noting(lasts_s=1e6), per_session=3):
            await trio.sleep(1.0)
            world.gate.freeze()
            world.locks.die()
            await trio.sleep(1.0)
            await queue(two, *map(str, range(20)))
            async with serving(two, handle, per_session=3):
                await served(two, "s", "t")
            world.gate.thaw()

    crashed = {"a", "b", "c", "other"}
    assert max(len(each & crashed) for each in together) == 1
    assert max(len(each - {"other"}) for each in together) == 3
    assert {*done[:14]} >= crashed, "they do not wait for all the rest"


@pytest.mark.sqlite("a death is proven by a lock file")
async def test_those_over_which_a_worker_died_are_not_worked_on_at_the_same_time(
    database: Path, autojump_clock: MockClock
) -> None:
    noting, world = Noting(lasts_s=10.0), worlds.Host()
    async with worlds.supervisor(database, {}) as two, worlds.supervisor(database, {}, world) as one:
        for text in "abc":
            await queue(one, text, session=text)
        async with serving(one, Noting(lasts_s=1e6)):
            await trio.sleep(1.0)
            world.gate.freeze()
            world.locks.die()
            await trio.sleep(1.0)
            await queue(two, "fresh", session="d")
            async with serving(two, noting):
                await served(two, *"abcd")
            world.gate.thaw()

    assert [text for text in noting.begun if text != "fresh"] == [*"abc"]
    assert noting.most == 2, "one of those that are suspect, and the fresh one"


async def test_a_claim_that_no_one_renews_is_taken_over_after_its_time(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting()
    async with host(database, {}) as supervisor:
        await queue(supervisor, "by hand")
        claim = await supervisor.store.queue.claim_ready_queued_work("s", "me", QueuedWorkClaimBoundary.IDLE, 20_000, 1)
        assert claim is not None
        began = trio.current_time()
        async with serving(supervisor, noting):
            await served(supervisor)

        assert noting.at[0] - began == pytest.approx(20.0, abs=2.0)


async def test_what_another_claims_by_hand_keeps_the_place_of_its_session(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting()
    async with host(database, {}) as supervisor:
        await queue(supervisor, "by hand", "behind it")
        claim = await supervisor.store.queue.claim_ready_queued_work("s", "me", QueuedWorkClaimBoundary.IDLE, 60_000, 1)
        assert claim is not None
        async with serving(supervisor, noting):
            await trio.sleep(30.0)
            assert noting.begun == []
            await supervisor.store.queue.complete_queued_work_claim(claim.completion())
            await served(supervisor)

        assert noting.begun == ["behind it"]


# The end of a service


async def test_a_cancelled_service_gives_back_what_it_had_and_counts_no_attempt(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting(lasts_s=100.0)
    async with host(database, {}) as supervisor:
        await queue(supervisor, "work")
        async with serving(supervisor, noting):
            await trio.sleep(1.0)
        (batch,) = await supervisor.store.queue.list_pending_queued_work("s")
        assert noting.running == 0
        async with serving(supervisor, noting):
            await served(supervisor)

        assert noting.attempts == [1, 1]
        assert noting.done == ["work"]
        assert batch.batch_id == "qwb:1"


async def test_a_cancelled_service_lets_handlers_come_to_their_end_where_it_is_told_to(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting(lasts_s=5.0)
    async with host(database, {}) as supervisor:
        await queue(supervisor, "work", "next")
        async with serving(supervisor, noting, drain_s=10.0):
            await trio.sleep(1.0)

        assert noting.begun == ["work"]
        assert noting.done == ["work"]
        assert len(await supervisor.store.queue.list_pending_queued_work("s")) == 1


async def test_a_handler_that_ends_the_program_is_charged_with_it(database: Path, autojump_clock: MockClock) -> None:
    async def exits(work: tenure.QueuedWork) -> None:
        raise SystemExit(3)

    async def serve_it() -> None:
        async with host(database, {}) as supervisor:
            await queue(supervisor, "work")
            await supervisor.serve_queue("", exits)

    with pytest.raises(SystemExit):
        await serve_it()
    async with host(database, {}) as supervisor:
        (failed,) = await supervisor.store.queue.list_failed_queued_work("s")
        assert failed.attempts == 1


async def test_a_damaged_session_is_passed_over_and_holds_up_no_other(
    database: Path, autojump_clock: MockClock
) -> None:
    noting = Noting()
    async with host(database, {}) as supervisor:
        await queue(supervisor, "bad", session="a")
        await queue(supervisor, "good", session="b")
        await execute(supervisor.store, "UPDATE queue_batches SET payloads = x'00' WHERE batch = 1")
        async with serving(supervisor, noting, concurrency=1):
            await served(supervisor, "b")

        assert noting.begun == ["good"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"per_session": -1},
        {"max_batches": 0},
        {"rate": 5},
        {"rate": (0, 1.0)},
        {"rate": (1, 0.0)},
        {"rate": (1, 1e9)},
        {"rate": (10_001, 1.0)},
        {"rate": (True, 1.0)},
        {"restart": "never"},
        {"drain_s": -1.0},
        {"sessions": 5},
        {"sessions": ["s", None]},
        {"sessions": "a\0"},
        {"handler": texts_of},
    ],
    ids=lambda terms: next(iter(terms)),
)
async def test_terms_that_make_no_sense_are_refused_at_the_door(
    database: Path, autojump_clock: MockClock, wrong: dict[str, object]
) -> None:
    given: dict[str, object] = {"sessions": "", "handler": Noting(), **wrong}
    async with host(database, {}) as supervisor:
        with pytest.raises(InvalidInput), trio.move_on_after(1.0):
            await partial(supervisor.serve_queue, **given)()  # type: ignore[arg-type]


# A host that drains


async def test_a_host_that_drains_claims_nothing_until_that_has_ended(
    database: Path, autojump_clock: MockClock
) -> None:
    here, there = Noting(lasts_s=5.0), Noting()
    async with host(database, {}) as first, host(database, {}) as second:
        await queue(first, "1", "2", "3")
        async with serving(first, here, concurrency=1), trio.open_nursery() as nursery:
            await trio.sleep(1.0)
            nursery.start_soon(partial(first.drain, drain_s=100.0))
            await trio.sleep(60.0)
            assert here.begun == here.done == ["1"], "what it has it finishes"
            async with serving(second, there):
                await served(second)
            assert there.begun == ["2", "3"]
            await queue(second, "4")
            await trio.sleep(60.0)
            assert here.begun == ["1"]
            await first.undrain()
            await served(first)

    assert here.done == ["1", "4"]


async def test_a_drain_waits_for_handlers_and_gives_back_what_takes_too_long(
    database: Path, autojump_clock: MockClock
) -> None:
    here, there = Noting(lasts_s=1e6), Noting()
    async with host(database, {}) as first, host(database, {}) as second:
        await queue(first, "long", session="s")
        await queue(first, "too", session="t")
        async with serving(first, here):
            await trio.sleep(1.0)
            began = trio.current_time()
            await first.drain(drain_s=20.0)
            assert trio.current_time() - began == pytest.approx(20.0, abs=1.0)
            assert here.running == 0
            async with serving(second, there):
                await served(second, "s", "t")

    assert sorted(there.begun) == ["long", "too"]
    assert there.attempts == [1, 1], "no attempt was counted"


async def test_a_handler_that_does_not_end_is_done_by_others_and_writes_nothing(
    database: Path, autojump_clock: MockClock
) -> None:
    go_on, there = trio.Event(), Noting()

    async def stubborn(work: tenure.QueuedWork) -> None:
        with trio.CancelScope(shield=True):
            await go_on.wait()

    async with host(database, {}) as first, host(database, {}) as second:
        await queue(first, "work")
        async with serving(first, stubborn):
            await trio.sleep(1.0)
            await first.drain(drain_s=1.0)
            async with serving(second, there):
                await served(second)
            await queue(second, "next")
            go_on.set()
            await trio.sleep(1.0)
            assert len(await second.store.queue.list_pending_queued_work("s")) == 1

    assert there.done == ["work"]
    assert there.attempts == [1]


async def test_a_claim_that_lands_when_the_host_drains_already_is_given_back(
    database: Path, autojump_clock: MockClock
) -> None:
    noting, gate = Noting(), Gate()
    async with host(database, {}, gate=gate) as supervisor:
        await queue(supervisor, "work")
        gate.shut()
        async with serving(supervisor, noting), trio.open_nursery() as nursery:
            await trio.sleep(1.0)
            nursery.start_soon(supervisor.drain)
            await trio.sleep(1.0)
            gate.open()
            await trio.sleep(10.0)
            assert noting.begun == []
            await supervisor.undrain()
            await served(supervisor)

    assert noting.attempts == [1]


async def test_a_drain_that_cannot_give_a_claim_back_says_so_and_the_next_goes_on(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stubborn(work: tenure.QueuedWork) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1e3)

    async def full(_serving: object, _claim: object) -> None:
        raise DiskFull

    async with host(database, {}) as supervisor:
        await queue(supervisor, "work")
        async with serving(supervisor, stubborn):
            await trio.sleep(1.0)
            with monkeypatch.context() as patch:
                patch.setattr(Serving, "give_back", full)
                with pytest.raises(DiskFull):
                    await supervisor.drain(drain_s=1.0)
            await supervisor.drain(drain_s=1.0)
            (batch,) = await supervisor.store.queue.list_pending_queued_work("s")
            assert await supervisor.store.queue.claim_ready_queued_work(
                "s", "me", QueuedWorkClaimBoundary.IDLE, 1_000, 1
            )

    assert batch.batch_id == "qwb:1"
