"""Connections that are lost, at every place, and servers that go and come back: no verdict is wrong, nobody sees an error."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import trio

from proof.cuts import make_cuts
from proof.fleet.cutting import Cut, CuttingProxy, cutting_proxy
from proof.fleet.server import OwnServer
from tenure.errors import Contended, StoreBroken
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.engine import Again, Statements
from tenure.persistence.engines.postgres import user_queries
from tenure.persistence.engines.postgres.connecting import Connecting
from tenure.persistence.engines.postgres.protocol.errors import Lost
from tenure.persistence.engines.postgres.protocol.translation import translated
from tenure.persistence.engines.postgres.protocol.wire import command, plain
from tenure.persistence.engines.postgres.target import target_of
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.erasing import erasing
from tenure.persistence.facets.inbox.inputs import AcceptedInput
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store, ground_of
from tenure.supervisor.accepting.doubts import Ended, ended
from tests.kit import postgres
from tests.kit.shares import TURN, examples
from tests.kit.stores import landed, message, name, own

_IDLE = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
"""How many sessions are in a transaction and do nothing."""


def say(token: int, text: bytes) -> Commit:
    """What lands twice where a group that landed is tried again."""
    return Commit(
        runtime_id=name("a"), fence_token=token, changes=(AppendMessages(runtime_id=name("a"), messages=(text,)),)
    )


async def said(store: Store) -> int:
    rows = await store.read(lambda statements: statements.all("sessions.of_runtime", runtime_id="a"))
    return int(rows[0][2])


@asynccontextmanager
async def behind_a_proxy(url: str, limits: Limits | None = None) -> AsyncGenerator[tuple[CuttingProxy, Store]]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with cutting_proxy(parts.hostname, parts.port) as proxy:
        through = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{proxy.port}"))
        async with open_store(through, limits=limits) as store:
            yield proxy, store


@pytest.mark.parametrize("cut", Cut)
async def test_a_commit_whose_connection_is_cut_lands_once(url: str, cut: Cut) -> None:
    async with behind_a_proxy(url) as (proxy, store):
        token = await own(store)
        for n in range(3):
            proxy.cut, proxy.late_s = cut, 0.05 * n
            result = await store.commit(say(token, b"once"))

            assert result.written
            assert await said(store) == n + 1
        assert proxy.cuts == 3
        assert store.broken is None


async def test_a_group_of_many_whose_connection_is_cut_has_one_verdict(url: str) -> None:
    async with behind_a_proxy(url) as (proxy, store):
        await own(store)
        results: list[CommitResult] = []

        async def commit(key: str) -> None:
            results.append(await store.commit(message(store, key)))

        for cut in Cut:
            proxy.cut = cut
            keys = [f"{cut.name}-{n}" for n in range(20)]
            async with trio.open_nursery() as nursery:
                for key in keys:
                    nursery.start_soon(commit, key)
            assert await landed(store, *keys) == keys
        assert len(results) == 20 * len(Cut)
        assert proxy.cuts == len(Cut)


async def test_connections_that_are_cut_between_groups_are_made_anew(url: str) -> None:
    async with behind_a_proxy(url) as (proxy, store):
        token = await own(store)
        for n in range(3):
            await proxy.cut_all()
            await store.commit(say(token, b"hi"))
            assert await said(store) == n + 1
            await proxy.cut_all()
            assert await said(store) == n + 1


async def test_a_connection_that_says_nothing_more_holds_nobody_for_ever(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_queries, "SILENCE_S", 0.5)
    async with behind_a_proxy(url, Limits(busy_s=0.5, verdict_s=0.5)) as (proxy, store):
        await own(store)
        await store.attachments.put("before", b"x")
        async with store.read_connection() as connection:
            await connection.query("SELECT 1")
            proxy.hold_all()
            with trio.fail_after(10):
                with pytest.raises(Contended, match="no word from the server"):
                    await store.attachments.put("held", b"x")
                await store.attachments.put("after", b"x")
                with trio.move_on_after(0.1) as stopped:
                    await connection.query("SELECT 1")
                assert stopped.cancelled_caught
                assert await connection.query("SELECT 1") == [(1,)]
                proxy.hold_all()
                assert (
                    await landed(store, "m") == []
                )  # the server has heard nothing, works on nothing, and is asked anew


@pytest.mark.parametrize("activities", ["on", "off"])
def test_a_read_that_the_server_works_on_is_not_lost_however_long_it_takes(url: str, activities: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:  # where they are off, a session does not say that it is active
        admin.execute(f"ALTER DATABASE {postgres.name_of(url)} SET track_activities = {activities}".encode())
    connecting = Connecting(target_of(url), Limits(verdict_s=1.0), None)
    for writes in (False, True):
        wire = connecting.wire(writes=writes)
        if writes:
            with pytest.raises(Lost, match=r"no word from the server for 1 s"):
                wire.exchange([plain("SELECT pg_sleep(2.5)")])
        else:
            assert len(wire.exchange([plain("SELECT pg_sleep(2.5)")])[0].rows()) == 1
            wire.close()


async def test_a_value_that_takes_long_to_arrive_is_no_pause_between_two_requests(url: str) -> None:
    parts = urlsplit(url)
    limits = Limits(lease_s=4.0, renew_s=1.0)

    def send(port: int) -> object:
        theirs = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
        with closing(Connecting(target_of(theirs), limits, None).wire(writes=True)) as wire:
            length = translated("SELECT length(CAST(:text AS text))")
            # What is prepared here is no part of the next request.
            wire.exchange([plain("BEGIN"), command("length", length, {"text": ""})])
            return wire.exchange([command("length", length, {"text": "x" * 3_000_000})])[0].rows()

    async with cutting_proxy(str(parts.hostname), int(parts.port or 0)) as proxy:
        proxy.pause_s = 0.1  # 64 KiB each time: four seconds in all, and the server ends who pauses for two
        assert await trio.to_thread.run_sync(send, proxy.port) == [(3_000_000,)]


async def test_what_is_asked_between_groups_is_asked_again(url: str) -> None:
    async with behind_a_proxy(url) as (proxy, store):
        await own(store)
        for _ in range(3):  # an erasure is carried on by that, and an error in it would end the host
            await proxy.cut_all()
            assert await ground_of(store).between_groups(erasing.unfinished) == ()


async def test_what_is_asked_between_groups_of_a_server_that_is_away_says_so(own_server: OwnServer) -> None:
    async with open_store(own_server.url) as store:
        own_server.stop()
        with pytest.raises(Contended):
            await ground_of(store).between_groups(erasing.unfinished)
        own_server.start()
        assert await ground_of(store).between_groups(erasing.unfinished) == ()


async def test_every_backend_is_killed_again_and_again(url: str) -> None:
    async with open_store(url) as store:
        token = await own(store)
        for n in range(10):
            postgres.end_sessions(url)
            await store.commit(say(token, b"hi"))
            assert await said(store) == n + 1


async def test_who_waits_for_an_input_hears_nothing_of_a_connection_that_is_cut(url: str) -> None:
    async with open_store(url) as store:
        await own(store)
        accepted: AcceptedInput = (await store.commit(message(store, "m"))).values[0]
        cuts: list[int] = []

        def read(statements: Statements) -> list[Ended]:
            if not cuts:
                statements.one("ownership.host", host=ground_of(store).host)  # the view has begun
                with psycopg.connect(postgres.server_url(), autocommit=True) as admin:
                    ended_by = admin.execute(
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                        (postgres.name_of(url),),
                    )
                    cuts.append(len(ended_by.fetchall()))
            return ended(statements, [(name("a"), accepted.input_id)])

        assert await store.read(read) == []
        assert cuts


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "crash"])
async def test_nothing_acknowledged_is_lost_where_the_server_restarts_under_load(
    own_server: OwnServer, how: signal.Signals
) -> None:
    acknowledged: list[str] = []
    async with open_store(own_server.url, limits=Limits(busy_s=60.0)) as store:
        await own(store)
        stopping = False

        async def work(worker: int) -> None:
            n = 0
            while not stopping:
                key = f"{worker}-{n}"
                await store.commit(message(store, key))
                acknowledged.append(key)
                n += 1

        async with trio.open_nursery() as nursery:
            for worker in range(5):
                nursery.start_soon(work, worker)
            for _ in range(2):
                before = len(acknowledged)
                while len(acknowledged) < before + 50:  # noqa: ASYNC110 - what they did has no event
                    await trio.sleep(0.005)
                await trio.to_thread.run_sync(own_server.stop, how)
                await trio.to_thread.run_sync(own_server.start)
            before = len(acknowledged)
            while len(acknowledged) < before + 50:  # noqa: ASYNC110
                await trio.sleep(0.005)
            stopping = True

        assert await landed(store, *acknowledged) == acknowledged


async def test_a_server_that_is_away_for_long_is_contended_before_a_commit(own_server: OwnServer) -> None:
    async with open_store(own_server.url, limits=Limits(busy_s=0.2)) as store:
        await own(store)
        own_server.stop()

        with pytest.raises(Contended):
            await store.commit(message(store, "m"))
        with pytest.raises(Contended):
            await landed(store, "m")

        own_server.start()
        await store.commit(message(store, "m"))
        assert await landed(store, "m") == ["m"]


@pytest.mark.slow
async def test_a_server_that_comes_back_without_keeping_what_it_acknowledges_is_not_written(
    own_server: OwnServer,
) -> None:
    async with open_store(own_server.url, limits=Limits(busy_s=0.2)) as store:
        await own(store)
        first = await store.attachments.put("s", b"first")
        own_server.stop()
        own_server.start(fsync="off")

        with pytest.raises(Contended, match="fsync = off"):
            await store.commit(message(store, "m"))
        with pytest.raises(Contended, match="fsync = off"):
            await store.attachments.put("s", b"second")
        assert await landed(store, "m") == [], "it is read as before"

        own_server.stop()
        own_server.start()
        await store.commit(message(store, "n"))
        assert await landed(store, "m", "n") == ["n"]
        assert await store.attachments.get("s", first) == b"first"


async def test_a_server_that_keeps_nothing_gives_no_verdict(own_server: OwnServer) -> None:
    async with behind_a_proxy(own_server.url, Limits(verdict_s=0.3)) as (proxy, store):
        await own(store)
        with psycopg.connect(own_server.url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("SELECT pg_reload_conf()")
            while admin.execute("SHOW fsync").fetchone() != ("off",):  # noqa: ASYNC110 - a server's settings have no event
                await trio.sleep(0.01)
        proxy.cut = Cut.ANSWER

        with pytest.raises(StoreBroken, match="fsync = off") as broken:
            await store.commit(message(store, "m"))
        assert broken.value.in_doubt


async def test_a_server_that_is_away_with_a_commit_in_doubt_breaks_the_store(url: str) -> None:
    limits = Limits(busy_s=0.2, verdict_s=0.3)
    async with behind_a_proxy(url, limits) as (proxy, store):
        await own(store)
        proxy.cut, proxy.server = Cut.REQUEST, ("127.0.0.1", 1)

        with pytest.raises(StoreBroken) as broken:
            await store.commit(message(store, "m"))
        assert broken.value.in_doubt

    async with open_store(url) as store:
        assert await landed(store, "m") == []


async def test_a_lost_connection_on_which_the_server_waits_is_ended_by_who_asks_for_the_verdict(url: str) -> None:
    limits = Limits(busy_s=0.2, verdict_s=0.3)
    async with behind_a_proxy(url, limits) as (proxy, store):
        await own(store)
        proxy.cut, proxy.late_s = Cut.SILENT, 600.0  # meanwhile the server would hold the row of the host
        with trio.fail_after(60):
            await store.commit(message(store, "m"))
        assert await landed(store, "m") == ["m"]


@pytest.mark.slow
async def test_no_verdict_of_random_cuts_is_wrong(url: str) -> None:
    found = await make_cuts(url, examples(48), TURN)

    assert not found.wrong
    assert found.acknowledged


async def test_a_host_that_stands_still_in_a_group_does_not_hold_its_rows(url: str) -> None:
    door = door_to(url, Limits(lease_s=1.0, renew_s=0.2))
    engine = door.engine(None)
    writer = engine.open()
    try:
        writer.begin_unnumbered()
        with psycopg.connect(url, autocommit=True) as admin, trio.fail_after(10):
            while admin.execute(_IDLE).fetchone() != (0,):  # noqa: ASYNC110 - what a server does has no event
                await trio.sleep(0.05)
        with pytest.raises(Again):
            writer.commit()
    finally:
        writer.close(checkpoint=False)
        engine.close()
