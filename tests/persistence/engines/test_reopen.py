"""The next open after a broken store, and what it can say of what was in doubt."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
import trio
import trio.testing

from tenure.errors import Closed, Contended, InvalidInput, NotFound, StoreBroken, StoreLocked
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store
from tests.kit.faulty_vfs import (
    SYNC_ERROR,
    WRITE_ERROR,
    FaultyVfs,
)
from tests.kit.ground import submit
from tests.kit.processes import running
from tests.kit.stores import (
    OpenMode,
    landed,
    message,
    own,
    settle,
)

ROOT = Path(__file__).parents[3]
IMPATIENT = Limits(busy_s=0.05)


async def break_store(store: Store, vfs: FaultyVfs) -> StoreBroken:
    """Have a group fail at its fsync."""
    vfs.fail("xSync", "-wal", SYNC_ERROR)
    outcome = await settle(submit(store, message(store, "doubtful")))
    vfs.heal()
    assert isinstance(outcome, StoreBroken)
    return outcome


async def test_a_broken_store_leaves_a_mark_that_the_next_lonely_open_takes_away(
    open_file: OpenMode, vfs: FaultyVfs
) -> None:
    mark = open_file.path.with_name("agents.db-broken")
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)
        broken = await break_store(store, vfs)
        await store.wait_broken()
    assert broken.incarnation in mark.read_text()

    async with open_file(vfs=vfs.vfs_name) as store:
        assert not mark.exists()
        assert isinstance(await store.verdict(broken.incarnation, broken.group or 0), bool)


async def test_a_reopen_after_a_broken_store_is_refused_while_others_are_there(tmp_path: Path, vfs: FaultyVfs) -> None:
    open_file = OpenMode("file", tmp_path / "agents.db")
    async with open_file() as other:
        async with open_file(vfs=vfs.vfs_name) as store:
            await own(store)
            await break_store(store, vfs)
            await store.wait_broken()
        with pytest.raises(StoreLocked, match="when the store broke"):
            async with open_file(limits=IMPATIENT):
                pass
        await own(other, "b")
    async with open_file(limits=IMPATIENT) as again:
        await own(again, "c")


async def test_a_broken_store_has_closed_everything_before_its_body_ends(open_file: OpenMode, vfs: FaultyVfs) -> None:
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)
        await landed(store)
        await break_store(store, vfs)
        with trio.fail_after(30):
            while True:
                try:
                    async with open_file(vfs=vfs.vfs_name, limits=IMPATIENT) as again:
                        await own(again, "b")
                    break
                except StoreLocked:
                    await trio.sleep(0.01)
        with pytest.raises(StoreBroken):
            await landed(store)


async def test_the_log_that_is_found_is_written_anew_before_anybody_reads_it(
    open_file: OpenMode, vfs: FaultyVfs
) -> None:
    log = open_file.path.with_name("agents.db-wal")
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)
        await break_store(store, vfs)
        await store.wait_broken()
    before, content = log.stat(), log.read_bytes()
    assert content

    async with open_file() as store:
        after = log.stat()
        assert after.st_ino == before.st_ino  # other programs may have it open
        assert after.st_mtime_ns != before.st_mtime_ns
        assert log.read_bytes()[: len(content)] == content
        assert not log.with_name("agents.db-wal-copy").exists()
        assert await landed(store, "doubtful") == ["doubtful"]


async def test_a_verdict_never_flips(open_file: OpenMode, vfs: FaultyVfs) -> None:
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)
        incarnation = store.incarnation
        vfs.fail("xWrite", "-wal", WRITE_ERROR)
        outcome = await settle(submit(store, message(store, "m-1")))
        vfs.heal()
    assert isinstance(outcome, StoreBroken)
    assert outcome.in_doubt
    answers: list[tuple[bool, list[str]]] = []
    for _ in range(3):
        async with open_file() as store:
            answers.append((await store.verdict(incarnation, outcome.group or 0), await landed(store, "m-1")))
            assert await store.verdict(incarnation, 1)
            await own(store)

    assert answers == [(False, [])] * 3


async def test_a_verdict_on_what_was_never_in_doubt_is_refused(store: Store) -> None:
    await own(store)

    assert await store.verdict(store.incarnation, 1)
    with pytest.raises(InvalidInput):
        await store.verdict(store.incarnation, 2)
    with pytest.raises(NotFound):
        await store.verdict("nobody", 1)


async def test_a_verdict_on_a_living_host_waits_until_it_is_known_dead(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as here:
        async with open_store(path) as there:
            incarnation = there.incarnation
            await own(there)
            assert await here.verdict(incarnation, 1)
            with pytest.raises(Contended):
                await here.verdict(incarnation, 99)

        assert await here.verdict(incarnation, 99) is False


KILLED = """
import os, sys, trio
from tenure.persistence.opening import open_store
from tests.kit.stores import message, own

async def main():
    async with open_store(sys.argv[1]) as store:
        await own(store)
        for n in range(1000):
            await store.commit(message(store, f"m-{n}"))
            print(store.incarnation, n, flush=True)

trio.run(main)
"""


@pytest.mark.slow
@pytest.mark.process
async def test_what_a_killed_process_acknowledged_is_there(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    with running([sys.executable, "-c", KILLED, path], cwd=ROOT) as child:
        assert child.stdout is not None
        lines = [await trio.to_thread.run_sync(child.stdout.readline) for _ in range(20)]
        child.kill()
        rest = await trio.to_thread.run_sync(child.stdout.read)
    acknowledged = [line.split() for line in [*lines, *rest.splitlines()] if len(line.split()) == 2]

    async with open_store(path) as store:
        keys = [f"m-{number}" for _, number in acknowledged]
        assert len(keys) >= 20
        assert await landed(store, *keys) == keys
        assert await store.verdict(acknowledged[0][0], len(keys) + 1)


async def test_whoever_waits_for_a_break_hears_of_an_orderly_end(open_mode: OpenMode) -> None:
    heard: list[type[Exception]] = []

    async def wait(store: Store) -> None:
        try:
            await store.wait_broken()
        except Closed as exc:
            heard.append(type(exc))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery, open_mode() as store:
            nursery.start_soon(wait, store)
            await trio.testing.wait_all_tasks_blocked()

    assert heard == [Closed]


WRITER = """
import sys, trio
from tenure.persistence.opening import open_store
from tests.kit.stores import message, own
from tenure.persistence.store import ground_of

async def main():
    name = sys.argv[2]
    async with open_store(sys.argv[1]) as store:
        print("open", flush=True)
        sys.stdin.readline()
        await own(store, name)
        for n in range(50):
            await store.commit(message(store, f"m-{n}", name))
        print("done", flush=True)
        sys.stdin.readline()

trio.run(main)
"""


@pytest.mark.slow
@pytest.mark.process
async def test_two_processes_on_one_file_both_land_everything(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"

    def start(name: str) -> AbstractContextManager[subprocess.Popen[str]]:
        return running([sys.executable, "-c", WRITER, path, name], stdin=subprocess.PIPE, cwd=ROOT)

    def step(child: subprocess.Popen[str]) -> str:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("\n")
        child.stdin.flush()
        return child.stdout.readline().strip()

    with ExitStack() as ended:
        children = [ended.enter_context(start(name)) for name in ("a", "b")]
        for child in children:
            assert child.stdout is not None
            assert (await trio.to_thread.run_sync(child.stdout.readline)).strip() == "open"
        answers: list[str] = []
        async with trio.open_nursery() as nursery:

            async def write(child: subprocess.Popen[str]) -> None:
                answers.append(await trio.to_thread.run_sync(step, child))

            for child in children:
                nursery.start_soon(write, child)
        assert answers == ["done", "done"]

        keys = [f"m-{n}" for n in range(50)]
        async with open_store(path) as store:
            for name in ("a", "b"):
                assert await landed(store, *keys, runtime_id=name) == keys
        for child in children:
            await trio.to_thread.run_sync(child.communicate, "\n")
            assert child.returncode == 0
