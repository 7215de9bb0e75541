"""Commits that come from a loop of asyncio, or from a thread: withdrawn, waited for, settled as one from a trio task is."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, final

import pytest

import tenure
import tenure.asyncio
import tenure.sync
from tenure.errors import Closed, PayloadTooLarge, StoreBroken, ValueConflict
from tenure.persistence.seams.executors import Heard, ThreadExecutor

T = TypeVar("T")
PATIENCE_S = 20.0


class Disk:
    """A disk that may be held: what writes waits for it. Also the executor of the writer."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.taken = threading.Event()
        self.free.set()
        self._thread = ThreadExecutor("tenure-writer")

    @property
    def seams(self) -> tenure.Seams:
        return tenure.Seams(writer_executor=lambda: self)

    def hold(self) -> None:
        self.taken.clear()
        self.free.clear()

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        def held() -> T:
            self.taken.set()
            assert self.free.wait(PATIENCE_S)
            return function()

        return await self._thread.run(held, heard)

    def close(self) -> None:
        self._thread.close()


@final
class DiskForThreads(Disk):
    """One that takes work from other threads too: a commit that is alone goes to it past the trio thread."""

    def post(self, work: Callable[[], object], /) -> None:
        def held() -> None:
            self.taken.set()
            assert self.free.wait(PATIENCE_S)
            work()

        self._thread.post(held)


@pytest.fixture(params=[Disk, DiskForThreads], ids=["through the trio thread", "alone"])
def disk(request: pytest.FixtureRequest) -> Disk:
    made: Disk = request.param()
    return made


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE_S):
            await main()

    asyncio.run(bounded())


async def taken(disk: Disk, store: tenure.asyncio.Store) -> asyncio.Task[int]:
    """A task whose commit is with the disk, which is held."""
    disk.hold()
    task = asyncio.create_task(store.state.write({"taken": b"1"}))
    assert await asyncio.to_thread(disk.taken.wait, PATIENCE_S)
    return task


async def waiting(store: tenure.asyncio.Store, key: str) -> asyncio.Task[int]:
    """A task whose commit waits behind that."""
    task = asyncio.create_task(store.state.write({key: b"1"}))
    await asyncio.sleep(0)
    await store.statistics()  # which comes to the trio thread after it
    return task


def test_a_cancelled_task_takes_back_a_commit_that_waits(tmp_path: Path, disk: Disk) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "a.db", seams=disk.seams) as store:
            before = await taken(disk, store)
            task = await waiting(store, "waits")
            assert (await store.statistics()).waiting == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            disk.free.set()
            assert await before == 1
            assert await store.state.get_all(["taken", "waits"]) == {"taken": b"1"}

    run(main)


def test_a_commit_that_was_taken_gives_its_result_to_a_cancelled_task_which_is_cancelled_then(
    tmp_path: Path, disk: Disk
) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "a.db", seams=disk.seams) as store:
            results: list[int] = []

            async def put() -> None:
                results.append(await store.state.write({"k": b"1"}))
                await asyncio.sleep(PATIENCE_S)

            disk.hold()
            task = asyncio.create_task(put())
            assert await asyncio.to_thread(disk.taken.wait, PATIENCE_S)
            for _ in range(2):
                task.cancel()
                await asyncio.sleep(0.02)
                assert not task.done()
            disk.free.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert results == [1]

    run(main)


def test_a_cancelled_task_waits_for_a_verdict_no_longer_than_the_limit_says(tmp_path: Path, disk: Disk) -> None:
    async def main() -> None:
        limits = tenure.Limits(verdict_s=0.05)
        async with tenure.asyncio.open_store(tmp_path / "a.db", seams=disk.seams, limits=limits) as store:
            task = await taken(disk, store)
            after = await waiting(store, "waits")
            task.cancel()
            with pytest.raises(StoreBroken) as broken:
                await task
            with pytest.raises(StoreBroken) as refused:
                await after
            disk.free.set()
            assert (broken.value.in_doubt, refused.value.in_doubt) == (True, False)
            with pytest.raises(StoreBroken):
                await store.state.write({"k": b"1"})

    run(main)


def test_commits_from_a_loop_wait_for_room_and_may_be_cancelled_there(tmp_path: Path, disk: Disk) -> None:
    async def main() -> None:
        limits = tenure.Limits(waiting_commits=1)
        async with tenure.asyncio.open_store(tmp_path / "a.db", seams=disk.seams, limits=limits) as store:
            before = await taken(disk, store)
            tasks = [await waiting(store, key) for key in ("waits", "goes", "stays")]
            assert (await store.statistics()).waiting_for_room == 2
            tasks[1].cancel()
            with pytest.raises(asyncio.CancelledError):
                await tasks[1]
            disk.free.set()
            assert [await before, await tasks[0], await tasks[2]] == [1, 1, 1]
            assert sorted(await store.state.get_all(["taken", "waits", "goes", "stays"])) == ["stays", "taken", "waits"]

    run(main)


def test_what_waits_when_its_store_is_left_in_disorder_is_closed(tmp_path: Path, disk: Disk) -> None:
    async def main() -> None:
        tasks: list[asyncio.Task[int]] = []
        stores: list[tenure.asyncio.Store] = []
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what raises is the block
            async with tenure.asyncio.open_store(tmp_path / "a.db", seams=disk.seams) as store:
                stores.append(store)
                tasks += [await taken(disk, store), await waiting(store, "waits")]
                threading.Timer(0.1, disk.free.set).start()
                raise ZeroDivisionError
        with pytest.raises(Closed):
            await tasks[1]
        assert await tasks[0] == 1
        with pytest.raises(Closed):
            await stores[0].state.write({"k": b"1"})

    run(main)


def test_what_is_wrong_is_an_error_of_its_own_caller(tmp_path: Path, disk: Disk) -> None:
    async def main() -> None:
        limits = tenure.Limits(payload_bytes=10)
        async with tenure.asyncio.open_store(tmp_path / "a.db", seams=disk.seams, limits=limits) as store:
            before = await taken(disk, store)
            with pytest.raises(PayloadTooLarge):  # while the disk is held: it is judged on the loop
                await store.state.write({"k": b"1" * 11})
            wrong = asyncio.create_task(store.state.write({"k": b"1"}, expected={"k": b"2"}))
            right = await waiting(store, "right")
            disk.free.set()
            with pytest.raises(ValueConflict):
                await wrong
            assert [await before, await right] == [1, 1]

    run(main)


def test_a_thread_takes_back_a_commit_that_waits_when_its_time_ends_and_gets_the_result_of_one_that_was_taken(
    tmp_path: Path, disk: Disk
) -> None:
    with tenure.sync.open_store(tmp_path / "a.db", seams=disk.seams) as store, ThreadPoolExecutor(1) as other:
        disk.hold()

        def put() -> int:
            with tenure.sync.fail_after(0.05):
                return store.state.write({"taken": b"1"})

        before = other.submit(put)
        assert disk.taken.wait(PATIENCE_S)
        for seconds in (0.05, 0):
            began = time.monotonic()
            with tenure.sync.fail_after(seconds), pytest.raises(TimeoutError):
                store.state.write({f"waits {seconds}": b"1"})
            assert time.monotonic() - began < 0.9, "the end of the time was not heard of before the next look"
        assert not before.done()
        disk.free.set()
        assert before.result() == 1
        assert list(store.state.get_all(["taken", "waits 0.05", "waits 0"])) == ["taken"]


def test_what_a_signal_raises_takes_back_a_commit_that_waits(tmp_path: Path, disk: Disk) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with tenure.sync.open_store(tmp_path / "a.db", seams=disk.seams) as store, ThreadPoolExecutor(1) as other:
        disk.hold()
        before = other.submit(store.state.write, {"taken": b"1"})
        assert disk.taken.wait(PATIENCE_S)
        handler = signal.signal(signal.SIGUSR1, interrupt)
        try:
            threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1)).start()
            with pytest.raises(KeyboardInterrupt):
                store.state.write({"waits": b"1"})
        finally:
            signal.signal(signal.SIGUSR1, handler)
        disk.free.set()
        assert before.result() == 1
        assert list(store.state.get_all(["taken", "waits"])) == ["taken"]


def test_commits_of_several_loops_and_threads_land_each_for_its_caller(tmp_path: Path) -> None:
    with tenure.sync.open_store(tmp_path / "a.db") as store:

        def put(number: int) -> int:
            return sum(store.state.write({f"{number}:{turn}": b"1"}) for turn in range(20))

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(put, range(8))) == [20] * 8

    async def many() -> int:
        async with tenure.asyncio.open_store(tmp_path / "a.db") as opened:

            async def of_another_loop() -> int:
                return sum(await asyncio.gather(*[opened.state.write({f"other:{turn}": b"1"}) for turn in range(50)]))

            there = asyncio.create_task(asyncio.to_thread(asyncio.run, of_another_loop()))
            here = await asyncio.gather(*[opened.state.write({f"this:{turn}": b"1"}) for turn in range(50)])
            return sum(here) + await there

    assert asyncio.run(many()) == 100


def test_a_forked_child_is_refused_on_a_loop_too_and_the_parent_goes_on(tmp_path: Path) -> None:
    async def refused(verbs: list[Callable[[], Any]]) -> int:
        for verb in verbs:
            with pytest.raises(Closed):
                await verb()
        return 0

    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "a.db") as store:
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(20)  # where it is not refused it waits for ever
                code = 1
                try:
                    verbs = [lambda: store.state.write({"k": b"1"}), lambda: store.state.get("k"), store.statistics]
                    code = asyncio.Runner().run(refused(verbs))
                finally:
                    os._exit(code)
            status = await asyncio.to_thread(os.waitpid, child, 0)
            assert os.waitstatus_to_exitcode(status[1]) == 0
            assert await store.state.write({"k": b"1"}) == 1

    run(main)
