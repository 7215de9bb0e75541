"""A server that waits for a standby: the class is quorum, and nothing is acknowledged as more than it is."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager

import psycopg
import pytest
import trio

from proof.fleet.failover import Pair, standby_of
from proof.fleet.server import REPLICATING, OwnServer
from tenure.errors import Contended, StoreBroken, StoreMoved, WeakDurability
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store, ground_of
from tests.kit import postgres
from tests.kit.stores import landed, message, own

_WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid <> %s"
"""Sessions whose COMMIT waits for a standby."""


def set_server(server: OwnServer, name: str, value: str) -> None:
    """Change a setting of the whole server, and wait until every session that comes has it."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        admin.execute("SELECT pg_reload_conf()")
        while admin.execute(f"SHOW {name}".encode()).fetchone() != (value,):
            pass
        # What COMMIT waits for is written down by the checkpointer.
        admin.execute("SELECT pg_sleep(0.2)")


@pytest.fixture
def pair(own_server: OwnServer) -> Generator[Pair]:
    """A server that waits for its standby."""
    own_server.stop()
    own_server.start(**REPLICATING)
    with standby_of(own_server) as pair:
        set_server(own_server, "synchronous_standby_names", "*")
        yield pair


async def given(store: Store) -> object:
    """What COMMIT waits for on the connection that writes."""
    return await ground_of(store).between_groups(lambda connection: connection.raw("SHOW synchronous_commit"))


async def hosts(store: Store) -> list[str]:
    """The classes under which hosts have written."""
    async with store.read_connection() as connection:
        return [kept for (kept,) in await connection.query("SELECT durability FROM hosts ORDER BY host")]


async def test_the_class_is_what_the_server_waits_for(pair: Pair) -> None:
    async with open_store(pair.url) as store:
        assert store.durability is DurabilityClass.QUORUM
        assert await given(store) == [("on",)]
    async with open_store(pair.url, durability="disk") as store:
        assert store.durability is DurabilityClass.DISK
        assert await hosts(store) == ["quorum", "disk"]


async def test_what_is_acknowledged_survives_a_fail_over(pair: Pair) -> None:
    acknowledged: list[str] = []
    async with open_store(pair.url) as store:
        await own(store)
        for n in range(50):
            await store.commit(message(store, f"m-{n}"))
            acknowledged.append(f"m-{n}")
        await trio.to_thread.run_sync(pair.die)
        with pytest.raises(StoreMoved):
            await store.commit(message(store, "late"))

    set_server(pair.standby, "synchronous_standby_names", "")
    async with open_store(pair.url) as store:
        assert store.durability is DurabilityClass.DISK
        assert await landed(store, *acknowledged) == acknowledged


@pytest.mark.parametrize(
    ("setting", "kept"), [("off", "local"), ("local", "local"), ("remote_write", "remote_write"), ("on", "on")]
)
async def test_a_commit_waits_for_what_the_server_is_set_to_and_for_what_was_asked(
    pair: Pair, setting: str, kept: str
) -> None:
    with psycopg.connect(pair.primary.url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE postgres SET synchronous_commit = {setting}".encode())
    async with open_store(pair.url) as store:
        assert store.durability is (DurabilityClass.QUORUM if setting == "on" else DurabilityClass.DISK)
        assert await given(store) == [(kept,)]
    async with open_store(pair.url, durability="quorum") as store:
        assert store.durability is DurabilityClass.QUORUM
        assert await given(store) == [("on",)]


async def test_quorum_is_refused_where_the_server_waits_for_no_standby(url: str) -> None:
    with pytest.raises(WeakDurability, match="synchronous_standby_names is empty"):
        async with open_store(url, durability="quorum"):
            pass


async def test_nothing_is_written_as_quorum_once_the_server_waits_no_more(pair: Pair) -> None:
    async with open_store(pair.url, limits=Limits(busy_s=0.3)) as store:
        await own(store)
        for lose in (lambda: None, lambda: postgres.end_sessions(pair.primary.url)):
            set_server(pair.primary, "synchronous_standby_names", "")
            lose()
            with pytest.raises(Contended, match="standby"):
                await store.commit(message(store, "m"))
            set_server(pair.primary, "synchronous_standby_names", "*")
            assert await landed(store, "m") == []
        await store.commit(message(store, "m"))
        assert await landed(store, "m") == ["m"]


@asynccontextmanager
async def a_commit_waits(pair: Pair) -> AsyncGenerator[tuple[psycopg.Connection, int]]:
    """A commit whose standby is away, with who waits for it: acknowledged once that is back, after the block, and not in it."""
    settled: list[str] = []

    async def commit(store: Store) -> None:
        await store.commit(message(store, "m"))
        settled.append("m")

    async with open_store(pair.url, limits=Limits(busy_s=30.0)) as store:
        await own(store)
        pair.standby.stop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit, store)
            with psycopg.connect(pair.primary.url, autocommit=True) as admin:
                yield admin, await waiting(admin)
                assert settled == [], "the server has it, and no standby does"
            pair.standby.start(**REPLICATING)
        assert settled == ["m"]
        assert await landed(store, "m") == ["m"]


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
async def test_a_commit_whose_wait_for_the_standby_is_cancelled_waits_on(pair: Pair, end: str) -> None:
    async with a_commit_waits(pair) as (admin, first):
        admin.execute(f"SELECT {end}({first})".encode())
        second = await waiting(admin, but=first)  # which asks for the verdict
        admin.execute(f"SELECT {end}({second})".encode())
        await waiting(admin, but=second)


async def test_a_commit_waits_for_a_standby_that_is_away_for_longer_than_a_verdict_may_take(pair: Pair) -> None:
    settled: list[str] = []

    async def commit(store: Store) -> None:
        await store.commit(message(store, "m"))
        settled.append("m")

    async with open_store(pair.url, limits=Limits(verdict_s=0.5, busy_s=0.2)) as store:
        await own(store)
        pair.standby.stop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit, store)
            with psycopg.connect(pair.primary.url, autocommit=True) as admin:
                await waiting(admin)
                await trio.sleep(3.0)
                assert settled == []
                assert store.broken is None, "the server answers, and no standby does"
            pair.standby.start(**REPLICATING)
        assert await landed(store, "m") == settled == ["m"]


async def test_a_store_stops_in_doubt_where_the_server_ceases_to_wait_under_a_commit(pair: Pair) -> None:
    broken: list[StoreBroken] = []

    async def commit(store: Store) -> None:
        with pytest.raises(StoreBroken, match="whether one has the group is not known") as caught:
            await store.commit(message(store, "m"))
        broken.append(caught.value)

    async with open_store(pair.url) as store:
        await own(store)
        pair.standby.stop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit, store)
            with psycopg.connect(pair.primary.url, autocommit=True) as admin:
                await waiting(admin)
            await trio.to_thread.run_sync(set_server, pair.primary, "synchronous_standby_names", "")
        assert [each.in_doubt for each in broken] == [True]


async def test_a_verdict_for_which_no_standby_was_waited_any_more_is_none(pair: Pair) -> None:
    async def commit(store: Store) -> None:
        with pytest.raises(StoreBroken) as caught:
            await store.commit(message(store, "m"))
        assert caught.value.in_doubt

    async with open_store(pair.url, limits=Limits(verdict_s=1.0)) as store:
        await own(store)
        pair.standby.stop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit, store)
            with psycopg.connect(pair.primary.url, autocommit=True) as admin:
                first = await waiting(admin)
                admin.execute(f"SELECT pg_terminate_backend({first})".encode())
                await waiting(admin, but=first)  # which asks for the verdict, and was connected while there were names
            await trio.to_thread.run_sync(set_server, pair.primary, "synchronous_standby_names", "")


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["group", "verdict"])
async def test_names_that_are_emptied_and_set_again_under_one_commit_acknowledge_nothing(
    pair: Pair, whose: str
) -> None:
    """A COMMIT that waits is let go when they are emptied. Its session is stopped here, so that it sees them set again only."""
    async with a_commit_waits(pair) as (admin, first):
        stopped = first
        if whose == "verdict":
            admin.execute(f"SELECT pg_terminate_backend({first})".encode())
            stopped = await waiting(admin, but=first)
        os.kill(stopped, signal.SIGSTOP)
        try:
            for names in ("", "*"):
                await trio.to_thread.run_sync(set_server, pair.primary, "synchronous_standby_names", names)
        finally:
            os.kill(stopped, signal.SIGCONT)
        await waiting(admin, but=stopped)  # which asks for the verdict, or asks for it again
        await trio.sleep(0.2)


async def test_settings_that_are_read_again_between_commits_are_in_the_way_of_none(pair: Pair) -> None:
    async with open_store(pair.url) as store:
        await own(store)
        for key in ("m", "n"):
            await trio.to_thread.run_sync(set_server, pair.primary, "work_mem", "5MB" if key == "m" else "6MB")
            await store.commit(message(store, key))
        assert await landed(store, "m", "n") == ["m", "n"]


async def waiting(admin: psycopg.Connection, but: int = 0) -> int:
    """Wait until a COMMIT waits for a standby, of another process than `but`; the process."""
    found = None
    with trio.fail_after(20):
        while found is None:
            await trio.sleep(0.01)
            found = admin.execute(_WAITING, (but,)).fetchone()
    return int(found[0])
