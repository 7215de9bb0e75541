"""Stores that share one file: locks, rows, leases, and a host that was judged dead (design §3 and §4)."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import apsw
import attrs
import pytest
import trio
from trio.testing import MockClock

from tenure.errors import Closed, Contended, RuntimeOwned, StaleFence, StoreLocked
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.proofs import lease_of, name_of_sessions
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.engines.sqlite.system.files import Files, OsFiles
from tenure.persistence.facets.ownership.lifecycle import Hold
from tenure.persistence.facets.ownership.ownership import (
    CloseHost,
    MarkLost,
    Ownership,
    RenewLease,
    TakeOwnership,
)
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    SessionId,
)
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store, ground_of
from tenure.persistence.writing.host_row import (
    OtherHost,
    OtherHosts,
    Rejoined,
    Sightings,
    lapsed,
    other_hosts,
    sight,
)
from tests.kit.ground import host_key, lease_lapsed
from tests.kit.past import write_past
from tests.kit.worlds import (
    LIMITS,
    Host,
    host_files,
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


@asynccontextmanager
async def opened(
    database: Path, host: Host | None = None, files: Files | None = None, limits: Limits = LIMITS
) -> AsyncGenerator[Store]:
    host = host or Host()
    seams = attrs.evolve(host.seams, engine=SqliteOptions(locks=host.locks, files=files or OsFiles()))
    async with open_store(database, limits=limits, seams=seams) as store:
        yield store


GONE = """
INSERT INTO hosts (host, incarnation, host_name, boot_id, pid, process_start, files, durability, group_number, lease_until,
                   opened_at, closed_at)
SELECT ?, ?, host_name, boot_id, pid, process_start, files, durability, group_number, lease_until, opened_at, opened_at
FROM hosts WHERE host = 1
"""
"""A host that opened the store, wrote and closed it."""


class NotingFiles:
    """The system's files; notes which are made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(OsFiles(), name)

    def create(self, path: str) -> None:
        self.made.append(Path(path).name)
        OsFiles().create(path)


async def take(store: Store, runtime_id: str) -> Ownership:
    change = TakeOwnership(
        runtime_id=LogicalRuntimeId(runtime_id),
        kind="kind",
        epoch=store.seams.new_id(),
        session_id=SessionId(store.seams.new_id()),
    )
    owned: Ownership = (await store.commit(Commit(changes=(change,)))).values[0]
    return owned


async def write(store: Store, owned: Ownership) -> None:
    mark = Hold(runtime_id=owned.runtime_id, reason="by hand")
    await store.commit(Commit(runtime_id=owned.runtime_id, fence_token=owned.fence_token, changes=(mark,)))


async def renew(store: Store) -> None:
    await store.commit(Commit(changes=(RenewLease(),)))


async def others(store: Store) -> tuple[OtherHost, ...]:
    return (await store.read(lambda statements: other_hosts(statements, host_key(store)))).living


async def judge_dead(observer: Store, host: int, counter: int | None = None) -> bool:
    marked: bool = (await observer.commit(Commit(changes=(MarkLost(host=host, counter=counter),)))).values[0]
    return marked


# --- Locks and rows


@pytest.mark.sqlite("locks of files")
async def test_each_host_has_a_lock_of_its_own_and_removes_it_when_it_closes(
    database: Path, autojump_clock: MockClock
) -> None:
    async with opened(database) as first:
        async with opened(database) as second:
            assert host_files(database) == sorted(f"agents.db-host-{each.incarnation}" for each in (first, second))
            assert [each.host for each in await others(first)] == [host_key(second)]
        assert host_files(database) == [f"agents.db-host-{first.incarnation}"]
        assert await others(first) == ()
    assert host_files(database) == []


async def test_a_host_that_came_and_went_is_noticed_whichever_key_its_row_has(
    database: Path, autojump_clock: MockClock
) -> None:
    async with opened(database) as store:

        async def look() -> OtherHosts:
            return await store.read(lambda statements: other_hosts(statements, host_key(store)))

        looks = [await look()]
        for key in (100, 50):  # rows do not become visible in the order of their keys where many connections write
            write_past(database, GONE, key, f"gone-{key}")
            looks.append(await look())

        assert all(each.living == () for each in looks)
        assert looks[0] != looks[1] != looks[2]


@pytest.mark.sqlite("locks of files")
async def test_the_lock_of_a_living_host_cannot_be_seized_and_that_of_a_dead_one_can(
    database: Path, autojump_clock: MockClock
) -> None:
    mortal = Host()
    async with opened(database) as first, opened(database, mortal) as second:
        (files,) = [each.files for each in await others(first)]
        assert not ground_of(first).proofs.seize(second.incarnation, files)

        mortal.locks.die()

        assert ground_of(first).proofs.seize(second.incarnation, files)
        ground_of(first).proofs.let_go(second.incarnation)
        assert host_files(database) == [f"agents.db-host-{first.incarnation}"]


@pytest.mark.sqlite("locks of files")
async def test_only_an_open_that_is_alone_writes_the_log_again_and_marks_all_others_lost(
    database: Path, autojump_clock: MockClock
) -> None:
    one, two, three = Host(), Host(), Host()
    log = database.with_name("agents.db-wal")
    noting = NotingFiles()
    files = cast("Files", noting)
    async with opened(database, one) as first, opened(database, two) as second:
        # Two dead hosts and a living one: what is not alone touches neither log nor rows.
        inode = log.stat().st_ino
        one.locks.die()
        async with opened(database, three, files) as third:
            assert noting.made == []
            assert [each.host for each in await others(third)] == [host_key(first), host_key(second)]
            three.locks.die()
        await take(second, "a")  # an orderly end moves the log into the database
        two.locks.die()
        async with opened(database, None, files) as alone:
            assert noting.made == ["agents.db-wal-copy"]
            assert log.stat().st_ino == inode
            assert await others(alone) == ()
            assert host_files(database) == [f"agents.db-host-{alone.incarnation}"]


@pytest.mark.sqlite("locks of files")
async def test_an_open_waits_for_another_one_that_has_the_file_for_itself_for_a_moment(
    database: Path, autojump_clock: MockClock
) -> None:
    lock = Host().locks.acquire(f"{database}-lock", exclusive=True)
    assert lock is not None
    with pytest.raises(StoreLocked):
        async with opened(database):
            pass

    async def let_in() -> None:
        await trio.sleep(LIMITS.busy_s / 2)
        lock.release()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(let_in)
        async with opened(database) as store:
            assert await others(store) == ()


# --- The lease


async def test_an_idle_host_renews_its_lease_and_another_one_sees_its_counter_rise(
    database: Path, autojump_clock: MockClock
) -> None:
    async with opened(database) as first, opened(database) as second:
        (before,) = await others(second)

        await trio.sleep(LIMITS.renew_s * 10)

        (after,) = await others(second)
        assert after.counter - before.counter in range(9, 12)
        assert not lease_lapsed(first)


@pytest.mark.sqlite("a lock of the whole file")
async def test_a_renewal_that_another_writer_is_in_the_way_of_is_tried_at_the_next_turn(
    database: Path, autojump_clock: MockClock
) -> None:
    limits = attrs.evolve(LIMITS, busy_s=0.01)
    async with opened(database, limits=limits) as store, opened(database, limits=limits) as watching:
        other = apsw.Connection(str(database))
        other.execute("BEGIN IMMEDIATE")
        await trio.sleep(LIMITS.renew_s * 3)
        other.execute("ROLLBACK")
        other.close()
        (before,) = await others(watching)

        await trio.sleep(LIMITS.renew_s * 3)

        (after,) = await others(watching)
        assert after.counter > before.counter
        assert store.broken is None


async def test_groups_renew_the_lease_and_a_busy_host_writes_no_renewal_beside_them(
    database: Path, autojump_clock: MockClock
) -> None:
    async with opened(database) as store:
        groups = 0
        for _ in range(30):
            await trio.sleep(LIMITS.renew_s / 3)
            await renew(store)
            groups += 1

        assert store.statistics().groups == groups


async def test_a_machine_that_slept_past_the_lease_knows_it_until_a_group_has_landed(
    database: Path, autojump_clock: MockClock
) -> None:
    host = Host()
    async with opened(database, host) as store:
        host.boot_clock.slept_s += LIMITS.lease_s

        assert lease_lapsed(store)
        await renew(store)
        assert not lease_lapsed(store)


# --- Judging others


def seen(now: float, counter: int, before: Sightings | None = None, *, slept: bool = False) -> Sightings:
    return sight(before or {}, [OtherHost(host=7, incarnation="x", counter=counter, files=None)], now=now, slept=slept)


def test_a_counter_that_stands_still_for_one_lease_is_judged_lapsed() -> None:
    noted = seen(100, 5)
    assert lapsed(seen(114, 5, noted), now=114, lease_s=15) == ()
    assert lapsed(seen(115, 5, noted), now=115, lease_s=15) == (7,)


def test_a_host_whose_row_says_its_lease_is_judged_by_that() -> None:
    files = name_of_sessions("ab12", 60.0)
    noted = sight({}, [OtherHost(host=7, incarnation="x", counter=5, files=files)], now=100, slept=False)
    assert lapsed(noted, now=159, lease_s=15) == ()
    assert lapsed(noted, now=160, lease_s=15) == lapsed(noted, now=160, lease_s=600) == (7,)
    assert [lease_of(name_of_sessions("ab12", each)) for each in (0.25, 1e-9, 1e22, math.inf)] == [
        0.25,
        1e-9,
        1e22,
        math.inf,
    ]
    assert [
        lease_of(each) for each in (None, "", "12:34", "tenure ab12", "tenure ab12 lease x", "tenure a lease 1e")
    ] == [None] * 6


def test_a_counter_that_moves_begins_anew() -> None:
    noted = seen(114, 6, seen(100, 5))
    assert lapsed(seen(120, 6, noted), now=120, lease_s=15) == ()


def test_an_observer_that_slept_itself_judges_nobody_by_it() -> None:
    noted = seen(5000, 5, seen(100, 5), slept=True)
    assert lapsed(noted, now=5000, lease_s=15) == ()


def test_a_host_that_is_gone_is_forgotten() -> None:
    assert sight(seen(100, 5), [], now=101, slept=False) == {}


async def test_a_host_that_renewed_since_it_was_judged_is_not_marked(database: Path, autojump_clock: MockClock) -> None:
    async with opened(database) as frozen, opened(database) as observer:
        (judged,) = await others(observer)
        await renew(frozen)

        assert not await judge_dead(observer, host_key(frozen), judged.counter)
        (judged,) = await others(observer)
        assert await judge_dead(observer, host_key(frozen), judged.counter)
        assert not await judge_dead(observer, host_key(frozen))


# --- Zombies


async def test_a_runtime_of_a_living_host_is_refused_and_one_of_a_lost_host_is_taken(
    database: Path, autojump_clock: MockClock
) -> None:
    async with opened(database) as first, opened(database) as second:
        owned = await take(first, "a")
        with pytest.raises(RuntimeOwned) as refused:
            await take(second, "a")
        assert refused.value.holder == first.incarnation

        await judge_dead(second, host_key(first))

        assert (await take(second, "a")).fence_token > owned.fence_token


@pytest.mark.sqlite("locks of files")
async def test_a_zombie_lands_nothing_of_what_it_lost_and_goes_on_with_the_rest(
    database: Path, autojump_clock: MockClock
) -> None:
    heard: list[Rejoined] = []
    async with opened(database) as zombie, opened(database) as other:
        ground_of(zombie).on_rejoined(heard.append)
        lost, kept = await take(zombie, "lost"), await take(zombie, "kept")
        host, incarnation = host_key(zombie), zombie.incarnation
        await judge_dead(other, host_key(zombie))
        won = await take(other, "lost")

        with pytest.raises(StaleFence) as refused:
            await write(zombie, lost)
        await write(zombie, kept)

        assert (refused.value.expected, refused.value.actual) == (won.fence_token, lost.fence_token)
        (rejoined,) = heard
        assert rejoined.owned == {"kept": kept.fence_token}
        assert host_key(zombie) != host
        assert zombie.incarnation != incarnation
        assert [each.host for each in await others(other)] == [host_key(zombie)]
        assert host_files(database) == sorted(f"agents.db-host-{each.incarnation}" for each in (zombie, other))
        with pytest.raises(RuntimeOwned):
            await take(other, "kept")
        await write(other, won)


async def test_a_zombie_hears_what_it_lost_before_its_lease_counts_as_renewed(
    database: Path, autojump_clock: MockClock
) -> None:
    host = Host()
    async with opened(database, host) as zombie, opened(database) as other:
        heard: list[bool] = []
        ground_of(zombie).on_rejoined(lambda _: heard.append(lease_lapsed(zombie)))
        host.boot_clock.slept_s += LIMITS.lease_s
        await judge_dead(other, host_key(zombie))

        await renew(zombie)

        assert heard == [True]
        assert not lease_lapsed(zombie)


async def test_what_a_lost_host_owned_may_be_written_without_a_token_and_is_lost_with_that(
    database: Path, autojump_clock: MockClock
) -> None:
    heard: list[Rejoined] = []
    async with opened(database) as zombie, opened(database) as other:
        ground_of(zombie).on_rejoined(heard.append)
        owned = await take(zombie, "a")
        by_hand = Commit(runtime_id=owned.runtime_id, changes=(Hold(runtime_id=owned.runtime_id, reason="by hand"),))
        with pytest.raises(StaleFence):
            await other.commit(by_hand)
        await judge_dead(other, host_key(zombie))

        await other.commit(by_hand)

        with pytest.raises(StaleFence):
            await write(zombie, owned)
        assert [rejoined.owned for rejoined in heard] == [{}]
        assert (await take(zombie, "a")).fence_token > owned.fence_token + 1


async def test_verdicts_of_both_incarnations_of_a_zombie_are_those_of_their_groups(
    database: Path, autojump_clock: MockClock
) -> None:
    async with opened(database) as zombie, opened(database) as other:
        before = (await zombie.commit(Commit(changes=(RenewLease(),)))).group
        incarnation = zombie.incarnation
        await judge_dead(other, host_key(zombie))

        after = (await zombie.commit(Commit(changes=(RenewLease(),)))).group

        assert await other.verdict(incarnation, before)
        assert not await other.verdict(incarnation, after)
        assert await other.verdict(zombie.incarnation, after)
        with pytest.raises(Contended):  # it lives and can land that group yet: no answer would last
            await other.verdict(zombie.incarnation, after + 1)


async def test_a_host_that_has_closed_its_row_does_not_come_back_under_another_one(
    database: Path, autojump_clock: MockClock
) -> None:
    async with opened(database) as closing, opened(database) as other:
        await closing.commit(Commit(changes=(CloseHost(),)))

        with pytest.raises(Closed):
            await renew(closing)
        assert await others(other) == ()


async def test_tokens_never_come_twice_whoever_takes_and_however_often(
    database: Path, autojump_clock: MockClock
) -> None:
    tokens: list[int] = []
    for _ in range(3):
        async with opened(database) as first, opened(database) as second:
            for _ in range(3):
                tokens.append((await take(first, "a")).fence_token)
                await judge_dead(second, host_key(first))
                tokens.append((await take(second, "a")).fence_token)
                await judge_dead(first, host_key(second))
    assert tokens == sorted(set(tokens))
