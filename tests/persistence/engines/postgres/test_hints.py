"""Hints between hosts on one server: whom a commit concerns hears at once, and what becomes of a hint changes nothing else."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from typing import Any

import psycopg
import pytest
import trio

import tenure
from proof.fleet.server import OwnServer
from tenure.errors import InboxFull, InvalidInput
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.listeners import Hint
from tenure.persistence.engines.postgres.server.line import MOST_BYTES, ServerLine, hint_of
from tenure.persistence.facets.ownership.ownership import MarkLost
from tenure.persistence.opening import open_store
from tenure.persistence.store import ground_of
from tenure.persistence.writing.hinting import hinting
from tenure.persistence.writing.hinting.hinting import Hinting
from tenure.persistence.writing.hinting.pace import GAP_S, GAP_TO_ALL_S
from tenure.supervisor.supervisor import host_of
from tests.kit.stores import message, name, own, settle_all

SELDOM = tenure.Limits(poll_s=600.0, lease_s=4_000.0, renew_s=1_000.0)
"""A host that hears of others by hints alone, for as long as a test lasts."""

SOON_S = 60.0
"""Most seconds that a test waits for what must come: far below the time of a look."""

OFF = tenure.Seams(engine=tenure.PostgresOptions(hints=False))


async def chat(run: tenure.Run) -> None:
    for entry in run.inputs:
        run.session.append(f"heard {entry.payload}")


def hinting_of(supervisor: tenure.Supervisor) -> Hinting:
    return ground_of(supervisor.store).hinting


@asynccontextmanager
async def host(
    url: str, limits: tenure.Limits | None = SELDOM, *, kinds: tuple[str, ...] = ("chat",)
) -> AsyncGenerator[tenure.Supervisor]:
    """A host that hears hints."""
    behaviours = dict.fromkeys(kinds, chat)
    async with tenure.open_supervisor(url, behaviours=behaviours, limits=limits) as supervisor:
        await until(lambda: hinting_of(supervisor).is_heard)
        yield supervisor


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(SOON_S):
        while not holds():  # noqa: ASYNC110 - it sets no event
            await trio.sleep(0.01)


async def settled() -> None:
    """Hints that were to be given by now have been."""
    await trio.sleep(4 * GAP_TO_ALL_S)


@contextmanager
def saying(monkeypatch: pytest.MonkeyPatch) -> Generator[list[tuple[int, float, Any, Any]]]:
    """What the hosts of this process say: key of the host that says it, when, to whom, to all."""
    said: list[tuple[int, float, Any, Any]] = []
    say = ServerLine.say

    def noted(line: ServerLine, hosts: Any, everyone: Any, spare_s: float) -> None:
        said.append((line.host, trio.current_time(), dict(hosts), everyone))
        say(line, hosts, everyone, spare_s)

    with monkeypatch.context() as patch:
        patch.setattr(ServerLine, "say", noted)
        yield said


async def test_a_host_that_looks_once_in_ten_minutes_hears_at_once_what_comes_from_another_and_so_does_who_waits(
    url: str,
) -> None:
    async with host(url) as one, host(url) as two:
        await two.spawn("a", "chat")
        with trio.fail_after(SOON_S):
            for text in ("first", "second"):
                ticket = await one.accept("a", text)
                outcome = await ticket.wait_outcome()
                assert outcome.phase is tenure.InputPhase.CONSUMED


async def test_a_verb_of_a_runtime_of_another_host_is_carried_out_and_answered_at_once(url: str) -> None:
    async with host(url) as one, host(url) as two:
        await two.spawn("a", "chat")
        with trio.fail_after(SOON_S):
            handle = await one.find("a")
            await handle.retire()
            await (await one.find("a")).wait_state("retired")


async def test_what_becomes_of_a_runtime_elsewhere_is_heard_by_who_waits_for_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host(url) as one, host(url) as two:
        mine = await two.spawn("a", "chat")
        handle = await one.find("a")
        with trio.fail_after(SOON_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(handle.wait_state, "retired")
                await settled()
                with saying(monkeypatch) as said:
                    await mine.retire()
                    await settled()
        assert [list(hosts) for _, _, hosts, _ in said] == [[ground_of(one.store).host]]


async def test_a_message_to_a_runtime_of_another_host_begins_there_at_once(url: str) -> None:
    begun = trio.Event()

    async def target(_run: tenure.Run) -> None:
        await trio.lowlevel.checkpoint()
        begun.set()

    async def sender(run: tenure.Run) -> None:
        await trio.lowlevel.checkpoint()
        run.send("b", "hello")

    async def serve(kind: str, behaviour: Any) -> AsyncGenerator[tenure.Supervisor]:
        async with tenure.open_supervisor(url, behaviours={kind: behaviour}, limits=SELDOM) as supervisor:
            await until(lambda: hinting_of(supervisor).is_heard)
            yield supervisor

    served = asynccontextmanager(serve)
    async with served("sender", sender) as one, served("target", target) as two:
        await two.spawn("b", "target")
        await one.spawn("a", "sender")
        with trio.fail_after(SOON_S):
            await one.accept("a", "go")
            await begun.wait()


async def test_what_no_host_owns_is_heard_of_by_all(url: str) -> None:
    async with host(url) as one, host(url, kinds=("other",)) as another:
        ticket = await another.accept("theirs", "hello", kind="chat")
        with trio.fail_after(SOON_S):
            await until(lambda: host_of(one).owned.owns(name("theirs")))
            await until(lambda: ticket.outcome is not None)


async def test_a_host_that_goes_gives_its_last_hint(url: str) -> None:
    async with host(url) as one:
        async with open_store(url) as store:
            await until(lambda: host_of(one).watch.sees_others)
            assert ground_of(store).hinting.gives
        await until(lambda: not host_of(one).watch.sees_others)


async def test_accepts_by_the_owner_say_nothing_and_neither_do_refused_ones(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tenure.Limits(inbox_inputs=1, poll_s=600.0, lease_s=4_000.0, renew_s=1_000.0)
    async with host(url, small) as one, host(url) as two:
        await one.spawn("mine", "chat")
        await two.spawn("theirs", "chat")
        await two.hold("theirs")
        await settled()
        with saying(monkeypatch) as said:
            for n in range(3):
                await (await one.accept("mine", n)).wait_outcome()
            await settled()
            assert said == []

            key = ground_of(two.store).host
            await one.accept("theirs", "fits")
            await settled()
            assert [list(hosts) for _, _, hosts, _ in said] == [[key]]

            with pytest.raises(InboxFull):
                await one.accept("theirs", "does not fit")
            ground = ground_of(one.store)
            beside = [ground.submit(message(one.store, "k", each)) for each in ("theirs", "mine")]
            refused, written = await settle_all(beside)
            await settled()
            assert isinstance(refused, InboxFull)
            assert isinstance(written, CommitResult)
            assert written.written
            assert len(said) == 1, "what is refused is not there to be looked at"


async def test_a_hint_comes_after_the_commit_that_it_is_about(url: str) -> None:
    async with host(url) as one, open_store(url) as store:
        await own(store)
        key = ground_of(store).host
        channel = channel_of(url, key)
        async with listener(url, channel) as notified:
            for n in range(20):
                await one.store.commit(message(one.store, f"k{n}"))
                with trio.fail_after(SOON_S):
                    seen = await notified()
                assert seen >= 1
                with psycopg.connect(url) as connection:
                    found = connection.execute("SELECT count(*) FROM tenure.inputs").fetchone()
                assert found == (n + 1,)


def line_of(url: str, host_key: int) -> ServerLine:
    """A line of a store that nobody has open, as a host opens it."""
    opens = door_to(url).engine(None).listeners.open_line
    assert opens is not None
    line = opens(host_key)
    assert isinstance(line, ServerLine)
    return line


def channel_of(url: str, host_key: int) -> str:
    line = line_of(url, host_key)
    line.close()
    return line.channel


@asynccontextmanager
async def listener(url: str, channel: str) -> AsyncGenerator[Callable[[], Any]]:
    """Waits for what is notified on a channel: how much of it has come."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'LISTEN "{channel}"'.encode())

        def wait() -> int:
            return len(list(connection.notifies(timeout=SOON_S, stop_after=1)))

        async def notified() -> int:
            return await trio.to_thread.run_sync(wait)

        yield notified


async def test_a_flood_is_said_at_most_once_each_5_ms_to_a_host(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with host(url) as one, host(url) as two:
        await two.spawn("theirs", "chat")
        key, mine = ground_of(two.store).host, ground_of(one.store).host
        await settled()
        with saying(monkeypatch) as said:
            async with trio.open_nursery() as nursery:
                for n in range(300):
                    nursery.start_soon(one.accept, "theirs", n)
            await settled()
            times = [at for host_key, at, hosts, _ in said if host_key == mine and key in hosts]
        assert 1 <= len(times) <= 300
        assert all(later - earlier >= GAP_S - 1e-9 for earlier, later in pairwise(times))


async def test_a_host_that_needs_no_hints_is_said_none_and_hears_at_the_end_of_that(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host(url) as one, host(url) as two:
        await two.spawn("a", "chat")
        with saying(monkeypatch) as said, trio.fail_after(SOON_S):
            await until(lambda: hinting_of(one).is_heard and hinting_of(two).is_heard)
            await settled()
            hinting_of(two).spare(2.0)
            await settled()
            said.clear()
            ticket = await one.accept("a", "first")
            await settled()
            assert not [each for each in said if each[0] == hinting_of(one).listens_as]
            outcome = await ticket.wait_outcome()
            assert outcome.phase is tenure.InputPhase.CONSUMED
            assert [awaited for _, _, hosts, _ in said for awaited in hosts.values() if awaited] == [{"a"}]


async def test_where_hints_are_off_nothing_listens_and_looks_are_the_truth(url: str) -> None:
    behaviours = {"chat": chat}
    async with (
        tenure.open_supervisor(url, behaviours=behaviours, seams=OFF) as one,
        tenure.open_supervisor(url, behaviours=behaviours, seams=OFF) as two,
    ):
        await two.spawn("a", "chat")
        with trio.fail_after(SOON_S):
            await (await one.accept("a", "hello")).wait_outcome()
        assert not hinting_of(one).gives
        assert lines(url) == 0


def lines(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(f"SELECT count(*) FROM ({_LINES}) AS lines".encode()).fetchone()
    assert found is not None
    return int(found[0])


_LINES = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'tenure %' "
    "AND query LIKE '%pg_notify%' AND pid <> pg_backend_pid()"
)


async def test_a_line_that_is_cut_is_opened_again_and_meanwhile_the_host_looks_as_without(url: str) -> None:
    async with host(url, None) as one, host(url, None) as two:
        await two.spawn("a", "chat")
        assert lines(url) == 2
        for n in range(2):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({_LINES}) AS lines".encode())
            await until(lambda: not hinting_of(one).is_heard)
            with trio.fail_after(SOON_S):
                await (await one.accept("a", n)).wait_outcome()
            await until(lambda: hinting_of(one).is_heard and hinting_of(two).is_heard)
            assert lines(url) == 2


async def test_false_and_unreadable_hints_change_nothing(url: str) -> None:
    async with host(url) as one, host(url) as two:
        await two.spawn("a", "chat")
        await one.spawn("b", "chat")
        channel = channel_of(url, ground_of(two.store).host)
        words = ["", "{", "null", '{"host": -1}', '{"host": 1e300}', '{"host": 99, "awaits": ["b", 3]}']
        words += ['{"host": 9223372036854775807, "awaits": ["a", "no such runtime"]}', "[" * 5_000]
        with psycopg.connect(url, autocommit=True) as connection:
            for each in words * 3:
                connection.execute("SELECT pg_notify(%s, %s)", (channel, each))
        with trio.fail_after(SOON_S):
            for n in range(3):
                await (await one.accept("a", n)).wait_outcome()
                await (await two.accept("b", n)).wait_outcome()
        assert hinting_of(two).is_heard


def test_what_a_hint_says_is_read_as_far_as_it_can_be() -> None:
    assert hint_of(b'{"host":3,"awaits":["a"]}', 4) == Hint(host=3, awaits=["a"])
    assert hint_of(b'{"host":4}', 4).own
    assert hint_of(b'{"host":3,"spare":1500}', 4) == Hint(host=3, awaits=[], spare_s=1.5)
    assert hint_of(b'{"host":3,"spare":-1}', 4) == Hint()
    for words in (b"", b"{", b"3", b'{"host":0}', b'{"host":9223372036854775808}', b'{"host":3,"awaits":3}', b"\xff"):
        assert hint_of(words, 4) == Hint()
    for opens, closes in (("[", "]"), ('{"a":', "}")):  # deeper than the decoder of any version of Python goes
        assert hint_of(f'{{"host":3,"a":{opens * 100_000}1{closes * 100_000}}}'.encode(), 4) == Hint()


async def test_a_hint_says_of_what_is_awaited_only_what_fits(url: str) -> None:
    line = line_of(url, 1)
    try:
        awaited = ["\N{SNOWMAN}" * 250 + str(n) for n in range(20)]
        with trio.fail_after(SOON_S):
            await heard_on(line)
            line.say({1: awaited}, None, 1.5)
            (hint,) = await heard_on(line)
        assert hint.own
        assert hint.spare_s == 1.5
        assert 0 < len(hint.awaits) < len(awaited)
        assert sum(len(each.encode()) for each in hint.awaits) <= MOST_BYTES
    finally:
        line.close()


async def heard_on(line: ServerLine) -> list[Hint]:
    heard: list[Hint] = []
    while not heard or line.is_busy:
        while line.flush():
            await trio.lowlevel.wait_writable(line)
        await trio.lowlevel.wait_readable(line)
        heard += line.hear()
    return heard


async def test_a_host_that_was_judged_dead_is_heard_under_its_new_row(url: str) -> None:
    async with host(url) as one, host(url) as two:
        before = ground_of(two.store).host
        await one.store.commit(Commit(changes=(MarkLost(host=before, counter=None),)))
        await two.spawn("a", "chat")
        assert ground_of(two.store).host != before
        await until(lambda: hinting_of(two).is_heard and hinting_of(two).listens_as == ground_of(two.store).host)
        with trio.fail_after(SOON_S):
            await (await one.accept("a", "hello")).wait_outcome()


async def test_what_a_host_that_drains_gives_back_goes_on_elsewhere_at_once(url: str) -> None:
    async with host(url) as one, host(url) as two:
        await two.spawn("a", "chat")
        await two.drain()
        with trio.fail_after(SOON_S):
            await (await two.accept("a", "hello")).wait_outcome()
        assert host_of(one).owned.owns(name("a"))


async def test_a_hold_that_ends_elsewhere_is_heard_of(url: str) -> None:
    async with host(url) as one, host(url) as two:
        await two.spawn("a", "chat")
        await one.hold("a")
        await settled()
        ticket = await one.accept("a", "hello")
        await settled()
        await one.resume("a")
        with trio.fail_after(SOON_S):
            await ticket.wait_outcome()


async def test_work_that_is_queued_elsewhere_is_heard_of(url: str) -> None:
    async with host(url) as one, open_store(url) as store:
        rung = trio.Event()
        with ground_of(one.store).queue_bell.heard_by(lambda _: rung.set()):
            payload = tenure.QueuedWorkPayload(kind=tenure.QueuedWorkKind.TURN_INPUT, body=b"letter")
            batch = tenure.QueuedWorkBatchDraft(
                session_id="mail",
                delivery_policy=tenure.DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
                slot_policy=tenure.SlotPolicy.JOIN,
                payloads=(payload,),
            )
            await store.queue.enqueue_queued_work(batch)
            with trio.fail_after(SOON_S):
                await rung.wait()


async def test_a_store_closes_while_its_server_is_away_and_leaves_no_thread(own_server: OwnServer) -> None:
    limits = tenure.Limits(busy_s=0.2, verdict_s=0.3)
    before = {each.ident for each in threading.enumerate()}
    with trio.fail_after(SOON_S):
        async with open_store(own_server.url, limits=limits) as store:
            await until(lambda: ground_of(store).hinting.is_heard)
            own_server.stop()
            await until(lambda: not ground_of(store).hinting.is_heard)
        await until(lambda: {each.ident for each in threading.enumerate() if each.name == "tenure-reader"} <= before)


async def test_a_server_that_restarts_carries_hints_again(own_server: OwnServer) -> None:
    async with host(own_server.url, None) as one, host(own_server.url, None) as two:
        await two.spawn("a", "chat")
        own_server.stop()
        own_server.start()
        await until(lambda: hinting_of(one).is_heard and hinting_of(two).is_heard)
        with trio.fail_after(SOON_S):
            await (await one.accept("a", "hello")).wait_outcome()


def fill(connection: psycopg.Connection) -> None:
    """Give notifications until there is no room for one."""
    for _ in range(1_000):
        try:
            connection.execute("SELECT pg_notify('something', repeat('x', 7000))")
        except psycopg.errors.ProgramLimitExceeded:
            return
    pytest.fail("it is not full")


@pytest.mark.slow
async def test_a_queue_of_hints_that_was_full_carries_them_again_once_all_have_read_it(own_server: OwnServer) -> None:
    """One who listens and stays in a transaction keeps it full: no NOTIFY lands then, and none moved its end on afterwards."""
    own_server.stop()
    own_server.start(max_notify_queue_pages="64")
    async with host(own_server.url, tenure.Limits()) as one, host(own_server.url, tenure.Limits()) as two:
        await two.spawn("a", "chat")
        with psycopg.connect(own_server.url) as lazy, psycopg.connect(own_server.url, autocommit=True) as other:
            lazy.execute("LISTEN something")
            lazy.commit()
            lazy.execute("SELECT 1")
            fill(other)
            with trio.fail_after(SOON_S):
                ticket = await one.accept("a", "while it is full")
                assert (await ticket.wait_outcome()).phase is tenure.InputPhase.CONSUMED
            await until(lambda: not hinting_of(one).is_heard)
        await until(lambda: hinting_of(one).is_heard and hinting_of(two).is_heard)


@pytest.mark.slow
async def test_a_queue_that_a_transaction_has_filled_which_failed_carries_hints_again(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server wakes no session for what did not land, whose room is free once each has read it: idle hosts would keep it."""
    monkeypatch.setattr(hinting, "QUIET_S", 1.0)
    own_server.stop()
    own_server.start(max_notify_queue_pages="64")
    async with host(own_server.url, tenure.Limits()) as one, host(own_server.url, tenure.Limits()) as two:
        await two.spawn("a", "chat")
        with psycopg.connect(own_server.url, autocommit=True) as other:
            with pytest.raises(psycopg.errors.ProgramLimitExceeded):
                other.execute("SELECT pg_notify('something', repeat('x', 7000) || n) FROM generate_series(1, 1000) n")
            await until(lambda: other.execute("SELECT pg_notification_queue_usage()").fetchone() == (0.0,))
        await until(lambda: hinting_of(one).is_heard and hinting_of(two).is_heard)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_options_of_a_server_are_checked(value: Any) -> None:
    with pytest.raises(InvalidInput):
        tenure.PostgresOptions(hints=value)
    with pytest.raises(InvalidInput):
        door_to("postgresql://here/app", None, tenure.Seams(engine=tenure.SqliteOptions()))
    with pytest.raises(InvalidInput):
        door_to(":memory:", None, tenure.Seams(engine=tenure.PostgresOptions()))
