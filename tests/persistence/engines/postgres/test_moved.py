"""A standby that is promoted: the host stops before it writes there, nothing is handed out twice, and the next one goes on."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Generator, Sequence
from typing import LiteralString

import psycopg
import pytest
import trio

import tenure
from proof.fleet.cutting import Cut, cutting_proxy
from proof.fleet.failover import Pair, standby_of
from proof.fleet.server import REPLICATING, OwnServer
from tenure import QueuedWorkClaimBoundary
from tenure.errors import Contended, NotFound, StoreBroken, StoreMoved
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox import arrivals
from tenure.persistence.model.values import TOKEN_RAISE
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store, ground_of
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit.commands import call
from tests.kit.serving import draft, put, served, serving, texts_of
from tests.kit.stores import landed, message, own

IDLE = QueuedWorkClaimBoundary.IDLE

DEAD = ("127.0.0.1", 1)
"""Where no server is."""


@pytest.fixture
def pair(own_server: OwnServer) -> Generator[Pair]:
    """A server, and a standby of it that follows asynchronously."""
    own_server.stop()
    own_server.start(**REPLICATING)
    with standby_of(own_server) as pair:
        yield pair


async def test_a_host_whose_server_was_failed_over_stops_before_it_writes(pair: Pair) -> None:
    async with open_store(pair.url) as store:
        await own(store)
        await store.commit(message(store, "kept"))
        pair.leave_behind()
        await store.commit(message(store, "lost"))
        pair.fail_over()

        with pytest.raises(StoreMoved, match="timeline 2") as moved:
            await store.commit(message(store, "late"))
        assert not moved.value.in_doubt
        assert isinstance(store.broken, StoreMoved)
        with pytest.raises(StoreMoved):
            await store.read(lambda statements: statements.one("ownership.last_token"))

    async with open_store(pair.url) as store:
        assert await landed(store, "kept", "lost", "late") == ["kept"]
        assert all(part.is_sound for part in await verify_parts(store))


async def test_no_token_and_no_key_comes_twice_after_a_fail_over_that_lost_some(
    pair: Pair,
) -> None:
    async with open_store(pair.url) as store:
        tokens = [await own(store)]
        pair.leave_behind()
        tokens += [await own(store, f"lost-{n}") for n in range(50)]
        keys = await inputs_of(store, "lost-0", 50)
        batches = await put(store, draft("lost", session="s"), draft("lost too", session="s"))
        pair.fail_over()
        with pytest.raises(StoreMoved):
            await own(store, "late")

    async with open_store(pair.url) as first, open_store(pair.url) as second:
        later = [await own(first, "b"), await own(second, "c"), await own(first, "lost-0")]
        assert min(later) > max(tokens)
        assert max(later) - min(later) < TOKEN_RAISE, "the second that opens finds it done"
        assert min(await inputs_of(first, "lost-0", 50)) > max(keys)
        found = [*await put(second, draft("new", session="s")), *await put(first, draft("newer", session="s"))]
        assert not {*found} & {*batches}
        assert await first.queue.list_queued_work("s") != ()


async def test_a_second_standby_that_is_promoted_to_the_number_of_the_first_is_another_place(pair: Pair) -> None:
    first, dead = pair.standby, pair.primary
    with standby_of(dead) as other:
        second = other.standby
        places = ",".join(f"127.0.0.1:{each.port}" for each in (dead, first, second))
        url = f"postgresql://postgres@{places}/postgres?target_session_attrs=read-write"
        async with open_store(url) as store:
            tokens = [await own(store, "a")]
            other.leave_behind()
            tokens += [await own(store, f"lost-{n}") for n in range(3)]
        pair.die()
        async with open_store(url) as store:
            tokens += [await own(store, f"on-the-first-{n}") for n in range(3)]
            await store.commit(message(store, "kept", "on-the-first-0"))
            first.stop(signal.SIGQUIT)
            second.start(**REPLICATING)
            second.promote()
            with pytest.raises(StoreMoved, match="another timeline 2") as moved:
                await own(store, "b")
            assert not moved.value.in_doubt
        async with open_store(url) as store:
            tokens += [await own(store, f"on-the-second-{n}") for n in range(3)]
            assert all(part.is_sound for part in await verify_parts(store))
        assert len({*tokens}) == len(tokens), "a token stands for two owners"


async def test_a_host_whose_row_is_gone_stands_before_another_store(pair: Pair) -> None:
    async with open_store(pair.url) as store:
        await own(store)
        with psycopg.connect(pair.url, autocommit=True) as connection:
            connection.execute("UPDATE tenure.runtimes SET owner = NULL")
            connection.execute("DELETE FROM tenure.hosts")
        with pytest.raises(StoreMoved, match="is not known"):
            await store.commit(message(store, "m"))


async def inputs_of(store: Store, runtime_id: str, count: int) -> list[int]:
    """The keys of so many inputs that are accepted now."""
    for n in range(count):
        await store.commit(message(store, f"{runtime_id}-{n}", runtime_id))
    async with store.read_connection() as connection:
        return [key for (key,) in await connection.query("SELECT input FROM inputs")]


async def test_hosts_of_before_are_lost_and_charge_no_crash(pair: Pair) -> None:
    async with open_store(pair.url) as store:
        token = await own(store)
        pair.leave_behind()
        pair.fail_over()
        with pytest.raises(StoreMoved):
            await store.commit(message(store, "late"))
        incarnation = store.incarnation

    async with open_store(pair.url) as store:
        async with store.read_connection() as connection:
            rows = await connection.query("SELECT lost_how FROM hosts WHERE incarnation = ?", [incarnation])
            assert rows == [("lapsed",)]
        assert not await store.verdict(incarnation, 10)
        assert await own(store) > token + TOKEN_RAISE / 2
        async with store.read_connection() as connection:
            assert await connection.query("SELECT crashes FROM runtimes") == [(0,)]


async def test_a_commit_in_doubt_has_its_verdict_on_the_server_that_goes_on(pair: Pair) -> None:
    async with cutting_proxy("127.0.0.1", pair.primary.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        async with open_store(url) as store:
            await own(store)
            pair.leave_behind()
            proxy.server, proxy.cut = DEAD, Cut.ANSWER
            moved: list[StoreBroken] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(refused, store, "doubtful", moved)
                while not proxy.cuts:  # noqa: ASYNC110 - what a proxy does has no event
                    await trio.sleep(0.01)
                await trio.to_thread.run_sync(pair.fail_over)
                proxy.server = ("127.0.0.1", pair.standby.port)
            (error,) = moved
            assert isinstance(error, StoreMoved)
            assert error.in_doubt
            assert error.group is not None

        async with open_store(url) as store:
            assert not await store.verdict(error.incarnation, error.group)
            assert await landed(store, "doubtful") == []


async def refused(store: Store, key: str, errors: list[StoreBroken]) -> None:
    with pytest.raises(StoreBroken) as caught:
        await store.commit(message(store, key))
    errors.append(caught.value)


async def test_a_host_that_the_standby_never_heard_of_is_not_found(pair: Pair) -> None:
    async with open_store(pair.url):
        pass
    pair.leave_behind()
    async with open_store(pair.url) as store:
        await own(store)
        pair.fail_over()
        with pytest.raises(StoreMoved):
            await own(store, "b")
        incarnation = store.incarnation
    async with open_store(pair.url) as store:
        with pytest.raises(NotFound):
            await store.verdict(incarnation, 1)


async def test_reads_and_queries_stop_a_store_that_was_moved(pair: Pair) -> None:
    for ask in (read, query):
        async with open_store(pair.url) as store:
            await own(store)
            await ask(store)
            if ask is read:
                pair.leave_behind()
                pair.fail_over()
            else:
                postgres_moves(pair.standby)
            with pytest.raises(StoreMoved):
                await ask(store)
            assert isinstance(await store.wait_broken(), StoreMoved)


async def put_bytes(store: Store) -> None:
    await store.attachments.put("s", b"new")


async def get_bytes(store: Store) -> None:
    await store.attachments.get("s", hashlib.sha256(b"old").hexdigest())


async def test_attachments_stop_a_store_that_was_moved_and_do_not_wait_for_its_next_commit(pair: Pair) -> None:
    """It looks seldom, and nothing else asks the server."""
    for ask in (put_bytes, get_bytes):
        async with open_store(pair.url, limits=Limits(renew_s=1_000.0, lease_s=3_000.0)) as store:
            await own(store)
            await store.attachments.put("s", b"old")
            if ask is put_bytes:
                pair.leave_behind()
                pair.fail_over()
            else:
                postgres_moves(pair.standby)
            with pytest.raises(StoreMoved):
                await ask(store)
            assert isinstance(await store.wait_broken(), StoreMoved)


def postgres_moves(server: OwnServer) -> None:
    """Another timeline once more: the server is started as its own standby and promoted."""
    server.stop()
    server.stand_by()
    server.promote()


async def read(store: Store) -> None:
    await store.read(lambda statements: statements.one("ownership.last_token"))


async def query(store: Store) -> None:
    async with store.read_connection() as connection:
        await connection.query("SELECT 1")


async def test_queued_work_and_attachments_go_on_where_the_store_was_moved_to(pair: Pair) -> None:
    begun, limits = list[tuple[str, int]](), Limits(lease_s=2.0, renew_s=0.5)

    async def handle(work: tenure.QueuedWork) -> None:
        begun.append((texts_of(work), work.attempt))
        if len(begun) == 1:
            await trio.sleep_forever()

    async def until_moved() -> None:
        async with tenure.open_supervisor(pair.url, behaviours={}, limits=limits) as supervisor:
            store = supervisor.store
            kept.append(await store.attachments.put("talk", b"kept"))
            await put(store, draft("by hand", session="hand"), draft("in work", session="served"))
            claims.append(await store.queue.claim_ready_queued_work("hand", "me", IDLE, 600_000, 1))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(supervisor.serve_queue, "served", handle)
                while not begun:  # noqa: ASYNC110 - in another process, as it were
                    await trio.sleep(0.01)
                await trio.to_thread.run_sync(pair.leave_behind)
                lost.append(await store.attachments.put("talk", b"lost"))
                await put(store, draft("lost", session="served"))
                await trio.to_thread.run_sync(pair.fail_over)
                await trio.sleep_forever()

    kept, lost = list[str](), list[str]()
    claims: list[tenure.QueuedWorkClaim | None] = []
    with pytest.raises(StoreMoved), trio.fail_after(60):
        await until_moved()

    async with tenure.open_supervisor(pair.url, behaviours={}, limits=limits) as supervisor:
        store, (claim,) = supervisor.store, claims
        assert claim is not None
        assert await store.attachments.get("talk", kept[0]) == b"kept"
        with pytest.raises(NotFound):
            await store.attachments.get("talk", lost[0])
        await store.queue.complete_queued_work_claim(
            claim.completion()
        )  # who made it lives, and it holds for ten minutes
        async with serving(supervisor, handle, "served"):
            with trio.fail_after(30):
                await served(supervisor, "served", "hand")
    assert begun == [("in work", 1), ("in work", 1)], "no attempt is counted, and what was lost is not there"


async def test_a_standby_is_waited_for_and_not_written(pair: Pair) -> None:
    primary, standby = pair.primary, pair.standby
    async with cutting_proxy("127.0.0.1", primary.port) as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        async with open_store(url, limits=Limits(busy_s=0.3)) as store:
            await own(store)
            proxy.server = ("127.0.0.1", standby.port)
            await proxy.cut_all()
            with pytest.raises(Contended, match="standby"):
                await store.commit(message(store, "m"))
            with pytest.raises(Contended, match="standby"):
                await read(store)

            proxy.server = ("127.0.0.1", primary.port)
            await store.commit(message(store, "m"))
            assert await landed(store, "m") == ["m"]


READ_BACK: dict[str, tuple[LiteralString, ...]] = {
    "in another system": ("UPDATE tenure.timeline SET system = system - 1",),
    "in another database": ("UPDATE tenure.timeline SET database = database - 1",),
    "where it stood": (
        "CREATE TABLE tenure.anew (LIKE tenure.timeline INCLUDING ALL)",
        "INSERT INTO tenure.anew SELECT * FROM tenure.timeline",
        "DROP TABLE tenure.timeline",
        "ALTER TABLE tenure.anew RENAME TO timeline",
    ),
}


def execute(url: str, statements: Sequence[LiteralString]) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        for text in statements:
            admin.execute(text)


@pytest.mark.parametrize("where", READ_BACK)
async def test_a_dump_that_is_read_back_counts_as_moved(url: str, where: str) -> None:
    async with open_store(url) as store:
        token = await own(store)
        await store.commit(message(store, "m"))
    execute(url, READ_BACK[where])
    execute(url, ["UPDATE tenure.inputs SET landed = '99999999999'"])  # as the old server had counted

    async with open_store(url) as store:
        found, mark = await heard(store, arrivals.NOTHING_YET)
        assert found == {"a"}
        assert (await heard(store, mark))[0] == set(), "it is heard of once"
        assert await own(store) > token + TOKEN_RAISE / 2


async def test_a_look_at_a_store_that_was_moved_finds_no_host_there_until_one_opens_it(url: str) -> None:
    async def hosts(*options: str) -> list[tuple[str, str]]:
        listed = await trio.to_thread.run_sync(call, "hosts", url, "--json", *options)
        return [(line["incarnation"], line["state"]) for line in json.loads(listed.stdout)]

    async with open_store(url) as first:
        assert await hosts() == [(first.incarnation, "open")]
        execute(url, READ_BACK["in another system"])
        assert await hosts() == []
        assert await hosts("--all") == [(first.incarnation, "lost")]
        async with open_store(url) as second:
            assert await hosts() == [(second.incarnation, "open")]


async def heard(store: Store, since: arrivals.Mark) -> tuple[set[str], arrivals.Mark]:
    def look(statements: Statements) -> tuple[set[str], arrivals.Mark]:
        found = arrivals.arrived(statements, ground_of(store).host, since)
        return {each.runtime_id for each in found}, arrivals.mark(statements)

    return await store.read(look)


async def test_a_host_whose_store_was_dropped_and_made_anew_does_not_write_as_the_host_that_has_its_key_now(
    url: str,
) -> None:
    async with open_store(url) as old:
        await own(old, "mine")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA tenure CASCADE")
        async with open_store(url) as new:
            assert ground_of(new).host == ground_of(old).host, "else nothing is tested here"
            await own(new, "mine")
            with pytest.raises(StoreMoved, match="another store") as moved:
                await old.commit(message(old, "late", "mine"))
            assert not moved.value.in_doubt
            await new.commit(message(new, "kept", "mine"))
            assert await landed(new, "late", "kept", runtime_id="mine") == ["kept"]
