"""A pooler between a host and the server: of sessions, which is fine, or of transactions, also beneath a host that runs."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
import trio

from tenure.errors import CannotOpen, Contended
from tenure.persistence.engines.postgres.connecting import Connecting
from tenure.persistence.engines.postgres.protocol.wire import plain
from tenure.persistence.engines.postgres.target import target_of
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.upkeep.look import look_into
from tests.kit.pooling import pooler
from tests.kit.stores import landed, message, own

SHARED = "a pooler of transactions stands before the server"


def tables_of(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()


def leave_something(url: str) -> None:
    """What is temporary is seen before what is ours."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        for each in ("CREATE TEMP TABLE hosts (host int)", 'LISTEN "mine"'):
            connection.execute(each.encode())


@pytest.mark.parametrize("places", [1, 2, 3, 5])
async def test_a_pooler_of_transactions_is_refused_however_many_sessions_it_has(empty_url: str, places: int) -> None:
    async with pooler(empty_url, shares=True, places=places) as between:
        with pytest.raises(CannotOpen) as opening:
            async with open_store(between.url):
                pass
        with pytest.raises(CannotOpen) as looking:
            async with look_into(between.url):
                pass
    for refused in (opening.value, looking.value):
        assert (refused.path, refused.detail) == (target_of(between.url).shown, SHARED)
    assert tables_of(empty_url) == []


async def test_a_pooler_of_sessions_is_let_through_with_what_others_have_left(empty_url: str) -> None:
    async with pooler(empty_url, shares=False) as between:
        for n in range(2):
            async with open_store(between.url) as store:
                await own(store)
                await store.commit(message(store, f"m-{n}"))
                assert len(await landed(store, "m-0", "m-1")) == n + 1
                kept = await store.attachments.put(f"s-{n}", b"bytes")
                assert await store.attachments.get(f"s-{n}", kept) == b"bytes"
            async with look_into(between.url) as look:
                assert (await look.read(lambda statements: statements.one("ownership.last_token"))) == (n + 1,)
            await trio.to_thread.run_sync(leave_something, between.url)


@pytest.mark.parametrize("of", ["transactions", "statements"])
async def test_a_pooler_that_is_switched_beneath_hosts_is_refused_until_it_is_switched_back(
    empty_url: str, of: str
) -> None:
    limits = Limits(busy_s=0.3)
    async with (
        pooler(empty_url, shares=False) as between,
        open_store(f"{between.url}?schema=one", limits=limits) as one,
        open_store(f"{between.url}?schema=two", limits=limits) as two,
        one.read_connection() as queries,
    ):
        for store, key in ((one, "mine"), (two, "theirs")):
            await own(store)
            await store.commit(message(store, key))
            await store.attachments.put(key, key.encode())
            await landed(store, key)
        assert await queries.query("SELECT count(*) FROM inputs") == [(1,)]
        between.shares, between.refuses_transactions = True, of == "statements"

        said = f"{SHARED}|transaction blocks not allowed in statement pooling mode"
        for store in (one, two):
            with pytest.raises(Contended, match=said):
                await store.commit(message(store, "lost"))
        with pytest.raises(Contended, match=said):
            await landed(one, "mine", "theirs", "lost")
        with pytest.raises(Contended):
            await one.attachments.put("mine", b"of one")
        with pytest.raises(Contended):
            await queries.query("SELECT count(*) FROM inputs")
        between.shares = between.refuses_transactions = False

        await trio.sleep(0.1)
        for store, key in ((one, "mine"), (two, "theirs")):
            await store.commit(message(store, "later"))
            assert await landed(store, "mine", "theirs", "lost", "later") == [key, "later"]
            kept = await store.attachments.put(key, b"again")
            assert await store.attachments.get(key, kept) == b"again"
        assert await queries.query("SELECT count(*) FROM inputs") == [(2,)]


async def test_a_read_goes_on_while_the_server_works_on_it_beyond_a_pooler(url: str) -> None:
    async with pooler(url, shares=False) as between:
        connecting = Connecting(target_of(between.url), Limits(verdict_s=0.3), None)

        def read() -> int:
            with closing(connecting.wire(writes=False)) as wire:
                return len(wire.exchange([plain("SELECT pg_sleep(1)")]))

        assert await trio.to_thread.run_sync(read) == 1
