"""A commit that is alone goes to the thread in the step of its caller, with every promise of the others."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import Error, StoreBroken, ValueConflict
from tenure.persistence.engines.engine import UnknownOutcome, WriteConnection
from tenure.persistence.seams.executors import Bell, ThreadExecutor
from tenure.persistence.store import ground_of
from tests.kit.groups import Groups

PATIENCE_S: Final = 20.0
WRITER: Final = "tenure.persistence.writing.ground.Ground.serve"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def groups() -> Groups:
    return Groups()


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - of another thread, or of what has no event
            await trio.sleep(0.001)


async def write(store: tenure.Store, key: str) -> None:
    await store.state.write({key: b"1"})


async def there(store: tenure.Store, *keys: str) -> list[str]:
    return sorted(await store.state.get_all(keys))


class Steps(trio.abc.Instrument):
    """Whose steps the loop takes."""

    def __init__(self) -> None:
        self.steps: list[trio.lowlevel.Task] = []

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps.append(task)


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="a system without such descriptors has the usual way")
async def test_it_takes_one_step_of_its_caller_and_none_of_the_writer(database: Path) -> None:
    async with tenure.open_store(database) as store:
        await write(store, "a")
        await trio.testing.wait_all_tasks_blocked()  # the writer's task has its turn given back by then
        seen = Steps()
        trio.lowlevel.add_instrument(seen)
        for number in range(10):
            await write(store, f"{number}")
        trio.lowlevel.remove_instrument(seen)
        assert seen.steps.count(trio.lowlevel.current_task()) == 10
        assert not [each for each in seen.steps if each.name == WRITER]


async def test_without_such_a_descriptor_it_goes_the_usual_way(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure.persistence.seams.executors._MAKE", None)
    async with tenure.open_store(database) as store:
        for number in range(5):
            await write(store, f"{number}")
        assert len(await there(store, *map(str, range(5)))) == 5


async def test_what_comes_meanwhile_is_the_next_group_together(database: Path, groups: Groups) -> None:
    async with tenure.open_store(database, seams=groups.seams) as store:
        await write(store, "a")
        groups.sizes.clear()
        groups.hold()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, store, "first")
            await groups.wait_begun()
            for number in range(8):
                nursery.start_soon(write, store, f"{number}")
            await until(lambda: store.statistics().waiting == 8)
            groups.free.set()
        assert groups.sizes == [1, 8]
        groups.sizes.clear()
        async with trio.open_nursery() as nursery:  # those who came together once are waited for
            for number in range(8):
                nursery.start_soon(write, store, f"{number}")
        assert groups.sizes == [8]


async def test_what_is_wrong_with_it_is_raised_and_the_next_one_goes_alone_again(database: Path) -> None:
    async with tenure.open_store(database) as store:
        await write(store, "a")
        for _ in range(3):
            with pytest.raises(ValueConflict):
                await store.state.write({"a": b"2"}, expected={"a": None})
            await write(store, "b")
        assert await there(store, "a", "b") == ["a", "b"]


async def test_its_log_is_kept_short(database: Path) -> None:
    async with tenure.open_store(database) as store:
        for number in range(600):
            await store.state.write({f"{number % 10}": b"x" * 20_000})
        assert store.statistics().log_pages < 4_000


async def test_cancelled_with_the_disk_it_lands_and_its_caller_hears_so(database: Path, groups: Groups) -> None:
    async with tenure.open_store(database, seams=groups.seams) as store:
        await write(store, "a")
        groups.hold()
        answered = went_on = False

        async def cancelled() -> None:
            nonlocal answered, went_on
            await write(store, "b")
            answered = True
            await trio.lowlevel.checkpoint()
            went_on = True

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancelled)
            await groups.wait_begun()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.sleep(0.01)
                groups.free.set()
        assert (answered, went_on) == (True, False)
        assert await there(store, "b") == ["b"]
        await write(store, "c")
        await write(store, "d")
        assert await there(store, "c", "d") == ["c", "d"]


async def test_cancelled_before_the_thread_has_come_to_it_it_never_happened(database: Path) -> None:
    go_on, stands = threading.Event(), threading.Event()

    def stand(_: WriteConnection) -> None:
        stands.set()
        assert go_on.wait(PATIENCE_S)

    async with tenure.open_store(database) as store, trio.open_nursery() as nursery:
        await write(store, "a")
        nursery.start_soon(ground_of(store).between_groups, stand)
        assert await trio.to_thread.run_sync(stands.wait, PATIENCE_S)
        with trio.move_on_after(0.01) as scope:
            await write(store, "b")
        assert scope.cancelled_caught
        go_on.set()
        for key in "cde":  # the first of them the usual way: the thread still has what was sent to it
            await write(store, key)
        assert await there(store, *"abcde") == [*"acde"]


@pytest.mark.parametrize("error", [UnknownOutcome("torn"), ValueError("a defect")])
async def test_an_unknown_outcome_stops_the_store(database: Path, groups: Groups, error: Exception) -> None:
    try:
        async with tenure.open_store(database, seams=groups.seams) as store:
            await write(store, "a")
            groups.failing = error
            with pytest.raises(StoreBroken) as broken:
                await write(store, "b")
            assert broken.value.in_doubt
            with pytest.raises(StoreBroken) as later:
                await write(store, "c")
            assert not later.value.in_doubt
    except StoreBroken:
        pass  # an exit may say so too


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_disk_that_hangs_keeps_neither_caller_nor_store_beyond_the_bounds(
    database: Path, groups: Groups, monkeypatch: pytest.MonkeyPatch, *, cancelled: bool
) -> None:
    monkeypatch.setattr("tenure.persistence.writing.closing.CLOSE_S", 0.05)
    heard: list[Error] = []

    async def asks(store: tenure.Store, key: str, scope: trio.CancelScope) -> None:
        with scope:
            try:
                await write(store, key)
            except Error as exc:
                heard.append(exc)

    async def use(nursery: trio.Nursery) -> None:
        scope = trio.CancelScope()
        async with tenure.open_store(database, seams=groups.seams) as store:
            await write(store, "a")
            groups.hold()
            nursery.start_soon(asks, store, "b", scope)
            await groups.wait_begun()
            if cancelled:
                scope.cancel()
            nursery.start_soon(asks, store, "waits", trio.CancelScope())
            await until(lambda: store.statistics().waiting == 1)
            raise ZeroDivisionError

    with trio.fail_after(PATIENCE_S / 2):
        async with trio.open_nursery() as nursery:
            with pytest.raises(ZeroDivisionError):
                await use(nursery)
    groups.free.set()
    assert sorted([getattr(each, "in_doubt", None) is True for each in heard]) == [False, True]


async def test_one_that_the_thread_has_not_come_to_hears_that_the_store_was_given_up(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.persistence.writing.closing.CLOSE_S", 0.05)
    go_on, stands = threading.Event(), threading.Event()
    heard: list[BaseException] = []

    def stand(_: WriteConnection) -> None:
        stands.set()
        assert go_on.wait(PATIENCE_S)

    async def asks(store: tenure.Store) -> None:
        try:
            await write(store, "b")
        except Exception as exc:  # noqa: BLE001 - whichever it is
            heard.append(exc)

    async def use(nursery: trio.Nursery) -> None:
        async with tenure.open_store(database) as store:
            await write(store, "a")
            nursery.start_soon(ground_of(store).between_groups, stand)
            assert await trio.to_thread.run_sync(stands.wait, PATIENCE_S)
            nursery.start_soon(asks, store)
            await trio.testing.wait_all_tasks_blocked(0.01)
            raise ZeroDivisionError

    with trio.fail_after(PATIENCE_S / 2):
        async with trio.open_nursery() as nursery:
            try:
                with pytest.raises(ZeroDivisionError):
                    await use(nursery)
            finally:
                go_on.set()
    assert [type(each) for each in heard] == [StoreBroken]


def test_at_the_end_of_the_loop_a_task_of_the_system_hears_of_its_commit(database: Path, groups: Groups) -> None:
    heard: list[bool] = []

    async def use() -> None:
        async with tenure.open_store(database, limits=tenure.Limits(verdict_s=2.0), seams=groups.seams) as store:
            await write(store, "a")
            await trio.sleep(0.01)  # as above: the writer's task has its turn given back by then
            groups.hold()
            await write(store, "b")
            heard.append(True)
            await trio.lowlevel.checkpoint()

    async def main() -> None:
        trio.lowlevel.spawn_system_task(use)
        await until(lambda: groups.begun.is_set() and not groups.free.is_set())
        threading.Timer(0.1, groups.free.set).start()

    trio.run(main)
    assert heard == [True]


async def test_a_host_that_was_judged_dead_hears_of_it_before_its_caller(database: Path, groups: Groups) -> None:
    async with tenure.open_store(database, seams=groups.seams) as store:
        await write(store, "a")
        before, heard = store.incarnation, list[str]()
        ground_of(store).on_rejoined(lambda _: heard.append(store.incarnation))
        assert groups.inside is not None
        await groups.inside.write_past([("UPDATE hosts SET lost_at = 1 WHERE closed_at IS NULL", ())])
        await write(store, "b")
        assert heard == [store.incarnation] != [before]


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_a_thread_that_has_ended_keeps_no_descriptor() -> None:
    before = descriptors()
    for _ in range(3):
        executor = ThreadExecutor("a-thread")
        await executor.run(lambda: None)
        call = executor.prepare(lambda: 7)
        if call is not None:
            call.go()
            assert executor.prepare(lambda: 8) is None
            assert await call.wait() == 7
        executor.close()
        assert executor.prepare(lambda: 9) is None
    assert descriptors() == before


async def test_an_executor_that_is_closed_while_a_call_is_out_ends_the_wait_and_keeps_no_descriptor() -> None:
    held = threading.Event()
    before = descriptors()
    executor = ThreadExecutor("a-thread")
    await executor.run(lambda: None)
    call = executor.prepare(lambda: held.wait(PATIENCE_S))
    if call is None:
        return
    call.go()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(interrupted, call.wait)
        await trio.testing.wait_all_tasks_blocked()
        executor.close()
    held.set()
    await until(lambda: descriptors() == before)  # the thread gives it back


async def interrupted(wait: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await wait()


class BeforeIts(trio.abc.Instrument):
    """Does something before the next step of a task: it is to run, and has not yet."""

    def __init__(self, task: trio.lowlevel.Task, work: Callable[[], object]) -> None:
        self._task = task
        self._work = work

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            trio.lowlevel.remove_instrument(self)
            self._work()


async def test_one_that_was_woken_touches_no_descriptor_that_was_given_back_meanwhile() -> None:
    before = descriptors()
    executor = ThreadExecutor("a-thread")
    await executor.run(lambda: None)
    call = executor.prepare(lambda: 7)
    if call is None:
        return

    def close() -> None:
        executor.close()
        deadline = time.monotonic() + PATIENCE_S
        while descriptors() > before:
            assert time.monotonic() < deadline

    trio.lowlevel.add_instrument(BeforeIts(trio.lowlevel.current_task(), close))
    call.go()
    await interrupted(call.wait)
    await interrupted(call.wait)  # nor one that begins to wait after that


async def test_no_ring_is_left_for_the_next_call_where_a_signal_strikes(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = ThreadExecutor("a-thread")
    await executor.run(lambda: None)
    call = executor.prepare(lambda: 7)
    if call is None:
        return
    with monkeypatch.context() as patch:
        patch.setattr(Bell, "still", struck)
        call.go()
        with pytest.raises(InterruptedError):
            await call.wait()
    assert await call.wait() == 7
    held, still = threading.Event(), Bell.still
    later = executor.prepare(lambda: held.wait(PATIENCE_S))
    assert later is not None
    later.go()

    def slowly(bell: Bell) -> None:
        held.set()  # the thread rings here, where it has not yet
        time.sleep(0.1)
        still(bell)

    monkeypatch.setattr(Bell, "still", slowly)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, set_later, held)
        with trio.fail_after(PATIENCE_S / 2):
            assert await later.wait()
    executor.close()


def set_later(event: threading.Event) -> None:
    time.sleep(0.05)
    event.set()


def struck(_: Bell) -> None:
    raise InterruptedError
