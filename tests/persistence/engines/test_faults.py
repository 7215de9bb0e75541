"""The disk fails: what is known stays known, and what is not known stops the store."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tenure.errors import DiskFull, Internal, StoreBroken, StoreLocked
from tenure.persistence.commits.commit import (
    Commit,
    CommitResult,
)
from tenure.persistence.engines.engine import WriteConnection
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.facets.ownership.ownership import RenewLease
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tenure.testing.observing import inside_of
from tests.kit.faulty_vfs import (
    FULL,
    READ_ERROR,
    SYNC_ERROR,
    WRITE_ERROR,
    FaultyVfs,
)
from tests.kit.ground import pull_the_plug, submit
from tests.kit.stores import (
    OpenMode,
    landed,
    message,
    own,
    refused,
    settle,
    settle_all,
)

ROOT = Path(__file__).resolve().parents[3]

BIG = b'"' + b"x" * 400_000 + b'"'


async def leave_room(store: Store, pages: int) -> None:
    """A small disk, by SQLite's own bound: it fills up at a statement."""

    def bound(connection: WriteConnection) -> None:
        ((count,),) = connection.raw("PRAGMA page_count")
        assert connection.raw(f"PRAGMA max_page_count = {count + pages}") == [(count + pages,)]

    await inside_of(store).run(bound)


async def test_disk_full_at_commit_is_known_and_everybody_gets_it(open_file: OpenMode, vfs: FaultyVfs) -> None:
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)
        vfs.fail("xWrite", "-wal", FULL)

        outcomes = await settle_all(
            [
                submit(store, message(store, "m-1")),
                submit(store, refused()),
                submit(store, message(store, "m-2")),
            ]
        )

        assert [type(outcome) for outcome in outcomes] == [DiskFull, DiskFull, DiskFull]
        assert len({id(outcome) for outcome in outcomes}) == 3
        vfs.heal()
        assert await landed(store, "m-1", "m-2") == []
        assert isinstance(await store.commit(message(store, "m-1")), CommitResult)
    async with open_file(vfs=vfs.vfs_name) as store:
        assert await landed(store, "m-1", "m-2") == ["m-1"]


async def test_the_commit_that_fills_the_disk_is_left_out_and_the_others_land(store: Store) -> None:
    await own(store)
    await leave_room(store, 60)

    outcomes = await settle_all(
        [
            submit(store, message(store, "m-1")),
            submit(store, message(store, "big", payload=BIG)),
            submit(store, message(store, "m-2")),
        ]
    )

    assert [type(outcome) for outcome in outcomes] == [CommitResult, DiskFull, CommitResult]
    assert await landed(store, "m-1", "big", "m-2") == ["m-1", "m-2"]


async def test_a_disk_that_is_full_again_in_the_replay_gives_it_to_all(store: Store) -> None:
    await own(store)
    await leave_room(store, 60)

    outcomes = await settle_all(
        [
            submit(store, message(store, "m-1")),
            submit(store, message(store, "big-1", payload=BIG)),
            submit(store, message(store, "big-2", payload=BIG)),
        ]
    )

    assert [type(outcome) for outcome in outcomes] == [DiskFull, DiskFull, DiskFull]
    assert await landed(store, "m-1") == []
    assert isinstance(await store.commit(message(store, "m-1")), CommitResult)


async def test_an_error_that_ends_the_transaction_costs_its_own_commit_alone(store: Store) -> None:
    await own(store)
    await inside_of(store).run(
        lambda connection: connection.raw(
            "CREATE TEMP TRIGGER poison BEFORE INSERT ON main.payloads WHEN NEW.payload = CAST('\"poison\"' AS BLOB)"
            " BEGIN SELECT RAISE(ROLLBACK, 'poisoned'); END"
        ),
    )
    bad = [message(store, f"bad-{n}", payload=b'"poison"') for n in range(2)]

    outcomes = await settle_all(
        [
            submit(store, message(store, "m-1")),
            submit(store, bad[0]),
            submit(store, message(store, "m-2")),
            submit(store, bad[1]),
            submit(store, message(store, "m-3")),
        ]
    )

    assert [type(outcome) for outcome in outcomes] == [CommitResult, Internal, CommitResult, Internal, CommitResult]
    assert await landed(store, "m-1", "bad-0", "m-2", "bad-1", "m-3") == ["m-1", "m-2", "m-3"]
    assert store.broken is None


@pytest.mark.parametrize(("call", "code"), [("xWrite", WRITE_ERROR), ("xSync", SYNC_ERROR)])
async def test_an_io_error_at_commit_stops_the_store_and_says_who_is_in_doubt(
    open_file: OpenMode, vfs: FaultyVfs, call: str, code: int
) -> None:
    async with open_file(vfs=vfs.vfs_name, limits=Limits(group_commits=3)) as store:
        await own(store)
        incarnation = store.incarnation
        vfs.fail(call, "-wal", code)
        submitted = [
            submit(store, message(store, "m-1")),
            submit(store, refused()),
            submit(store, message(store, "m-2")),
            submit(store, message(store, "not taken")),
        ]

        outcomes = await settle_all(submitted)

        assert all(isinstance(outcome, StoreBroken) for outcome in outcomes)
        broken = [outcome for outcome in outcomes if isinstance(outcome, StoreBroken)]
        assert [each.in_doubt for each in broken] == [True, False, True, False]
        assert [each.group for each in broken] == [2, None, 2, None]
        assert {each.incarnation for each in broken} == {incarnation}
        assert isinstance(await settle_nothing(store), StoreBroken)
        with pytest.raises(StoreBroken):
            await landed(store, "m-1")
        vfs.heal()
    async with open_file(vfs=vfs.vfs_name) as store:
        verdict = await store.verdict(incarnation, 2)
        assert await landed(store, "m-1", "m-2") == (["m-1", "m-2"] if verdict else [])
        assert await landed(store, "not taken") == []
        assert await store.verdict(incarnation, 1)
    async with open_file(vfs=vfs.vfs_name) as store:
        assert await store.verdict(incarnation, 2) is verdict


async def settle_nothing(store: Store) -> object:
    """What a stopped store says to the next commit."""
    try:
        return await settle(submit(store, refused()))
    except StoreBroken as exc:
        return exc


async def test_whoever_was_left_out_of_a_replay_is_not_in_doubt(open_file: OpenMode, vfs: FaultyVfs) -> None:
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)
        await leave_room(store, 60)
        vfs.fail("xSync", "-wal", SYNC_ERROR, after=1)  # behind the checkpoint that frees what the log takes

        outcomes = await settle_all(
            [
                submit(store, message(store, "m-1")),
                submit(store, message(store, "big", payload=BIG)),
            ]
        )

        assert [isinstance(outcome, StoreBroken) and outcome.in_doubt for outcome in outcomes] == [True, False]
        vfs.heal()


async def test_a_failed_checkpoint_acknowledges_its_group_and_then_stops(open_file: OpenMode, vfs: FaultyVfs) -> None:
    async with open_file(vfs=vfs.vfs_name, wal_pages=1) as store:
        await own(store)
        await trio.testing.wait_all_tasks_blocked()
        await inside_of(store).run(lambda _: None)  # behind the checkpoint that follows the first group
        vfs.fail("xWrite", "", WRITE_ERROR)

        assert isinstance(await store.commit(message(store, "m-1")), CommitResult)

        broken = await store.wait_broken()
        assert not broken.in_doubt
        assert broken.group is None
        vfs.heal()
    async with open_file(vfs=vfs.vfs_name) as store:
        assert await landed(store, "m-1") == ["m-1"]


async def test_an_io_error_at_a_read_stops_the_store(open_file: OpenMode, vfs: FaultyVfs) -> None:
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)
        await store.commit(message(store, "m-1", payload=BIG))
        await inside_of(store).run(lambda connection: connection.raw("PRAGMA shrink_memory"))
        vfs.fail("xRead", "-wal", READ_ERROR)

        with pytest.raises(StoreBroken) as caught:  # noqa: PT012
            await store.read(lambda statements: statements.all("dead_letters.page", runtime_id="a", after="", count=1))
            await store.read(lambda statements: statements.one("runtimes.load", runtime_id="b"))

        assert not caught.value.in_doubt
        assert not (await store.wait_broken()).in_doubt
        vfs.heal()


async def test_a_disk_that_hangs_is_given_up_after_the_bound_and_the_lock_is_kept_while_it_hangs(
    open_file: OpenMode, vfs: FaultyVfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.persistence.writing.closing.CLOSE_S", 0.05)
    async with open_file(vfs=vfs.vfs_name, limits=Limits(verdict_s=0.05)) as store:
        await own(store)
        incarnation = store.incarnation
        vfs.hang("xSync", "-wal")
        pending = submit(store, message(store, "m-1"))
        await trio.to_thread.run_sync(vfs.hanging.wait, 30)
        broken: Any = None
        with trio.CancelScope() as scope:
            scope.cancel()
            broken = await settle(pending)

        assert (broken.incarnation, broken.group, broken.in_doubt) == (incarnation, 2, True)
    with pytest.raises(StoreLocked):
        async with open_file(vfs=vfs.vfs_name, limits=Limits(busy_s=0.05)):
            pass
    vfs.heal()
    with trio.fail_after(30):
        while True:
            try:
                async with open_file(vfs=vfs.vfs_name) as store:
                    assert await store.verdict(incarnation, 2) is bool(await landed(store, "m-1"))
                    break
            except StoreLocked:
                await trio.sleep(0.01)


async def test_a_disk_that_fails_while_the_store_closes_is_told(open_file: OpenMode, vfs: FaultyVfs) -> None:
    with pytest.raises(StoreBroken) as caught:  # noqa: PT012
        async with open_file(vfs=vfs.vfs_name) as store:
            await own(store)
            vfs.fail("xSync", "", SYNC_ERROR)
    vfs.heal()

    assert not caught.value.in_doubt
    async with open_file(vfs=vfs.vfs_name) as store:
        assert await store.verdict(caught.value.incarnation, 2)


async def test_a_disk_that_is_really_full_loses_nothing_and_works_again_with_room(small_disk: Path) -> None:
    path = small_disk / "agents.db"
    kept: list[str] = []
    refused_at = -1
    await trio.run_process(["mount", "-o", "remount,size=832k", str(small_disk)])  # a new store, and little else
    async with open_store(path, seams=Seams(engine=SqliteOptions(wal_pages=1_000_000))) as store:
        await own(store)
        for n in range(200):
            outcomes = await settle_all(
                [submit(store, message(store, f"m-{n}-{k}", payload=b'"' + b"x" * 3000 + b'"')) for k in range(3)]
            )
            kept += [f"m-{n}-{k}" for k, outcome in enumerate(outcomes) if isinstance(outcome, CommitResult)]
            if any(isinstance(outcome, DiskFull) for outcome in outcomes):
                refused_at = n
                break
        assert refused_at > 0, "the first of them landed"
        assert store.broken is None
        assert await landed(store, *kept) == kept
        assert await landed(store, *(f"m-{refused_at}-{k}" for k in range(3))) == []
        await trio.run_process(["mount", "-o", "remount,size=2m", str(small_disk)])
        await store.commit(message(store, "with room"))

    async with open_store(path) as store:
        assert await landed(store, *kept, "with room") == [*kept, "with room"]


async def test_a_disk_that_is_full_of_the_log_is_freed_by_moving_the_log(disk: Path) -> None:
    async with open_store(disk / "agents.db") as store:
        await own(store)
        for number in range(10):
            await store.commit(message(store, f"m-{number}"))
    async with open_store(disk / "agents.db") as store:
        for _ in range(10):
            await store.commit(Commit(changes=(RenewLease(),)))  # the same page again and again
        fill(disk)

        await store.commit(Commit(changes=(RenewLease(),)))
        await store.commit(message(store, "last"))

    async with open_store(disk / "agents.db") as store:
        assert await landed(store, "m-1", "last") == ["m-1", "last"]


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def fill(folder: Path) -> None:
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(512))
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                raise


@pytest.mark.slow
@pytest.mark.process
def test_a_quota_is_a_full_disk_and_its_outcome_is_known(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, str(tmp_path / "agents.db")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert result.stdout.split() == ["DiskFull", "True"], result.stderr


UNDER_A_LIMIT = """
import resource, sys, trio
from tenure.errors import DiskFull
from tenure.persistence.opening import open_store
from tests.kit.stores import landed, message, own
from tenure.persistence.store import ground_of

async def main():
    async with open_store(sys.argv[1]) as store:
        await own(store)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        keys = []
        try:
            for number in range(1_000):
                await store.commit(message(store, f"m-{number}", payload=b'"' + b"x" * 3_000 + b'"'))
                keys.append(f"m-{number}")
        except DiskFull as exc:
            print(type(exc).__name__)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await store.commit(message(store, "last"))
        print(await landed(store, *keys, "last") == [*keys, "last"])

trio.run(main)
"""


async def test_an_open_for_which_there_is_no_room_says_so_and_leaves_nothing(disk: Path) -> None:
    path = disk / "agents.db"
    with suppress(StoreBroken):
        async with open_store(path) as store:
            await own(store)
            for number in range(10):
                await store.commit(message(store, f"m-{number}"))
            pull_the_plug(store)
    fill(disk)
    before = names(disk)

    with pytest.raises(DiskFull):
        async with open_store(path):
            pass

    assert names(disk) == before
    (disk / "ballast").unlink()
    async with open_store(path) as store:
        assert await landed(store, "m-9") == ["m-9"]
