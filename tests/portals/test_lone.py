"""Commits of other threads that are groups by themselves: past the trio thread, with every promise of the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast, final

import pytest

import tenure
import tenure.asyncio
import tenure.sync
from tenure.errors import Closed, StoreBroken, ValueConflict
from tenure.persistence.engines.engine import UnknownOutcome
from tenure.persistence.seams.executors import ThreadExecutor
from tenure.persistence.writing.lone.turn import Turn
from tenure.portals.portal import Portal
from tenure.sync.front import way
from tests.kit.groups import Groups

T = TypeVar("T")
PATIENCE_S: Final = 20.0


def portal_of(store: tenure.sync.Store) -> Portal:
    return way(store.state)[0]


@contextmanager
def standing_still(store: tenure.sync.Store) -> Generator[None]:
    """The thread of the store stands still."""
    go_on, stands = threading.Event(), threading.Event()

    def stand() -> None:
        stands.set()
        assert go_on.wait(PATIENCE_S)

    portal_of(store).tell(stand)
    assert stands.wait(PATIENCE_S)
    try:
        yield
    finally:
        go_on.set()


@pytest.fixture
def groups() -> Groups:
    return Groups()


def in_a_thread(function: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as other:
        return other.submit(function).result(PATIENCE_S)


def test_a_commit_that_is_alone_lands_while_the_thread_of_its_store_stands_still(tmp_path: Path) -> None:
    with tenure.sync.open_store(tmp_path / "a.db") as store:
        before = store.statistics()
        with standing_still(store):
            assert in_a_thread(lambda: [store.state.write({f"{turn}": b"1"}) for turn in range(3)]) == [1, 1, 1]
            assert store.state.write({"main": b"1"}) == 1
        after = store.statistics()
        assert (after.commits - before.commits, after.groups - before.groups, after.writing_s) == (4, 4, 0.0)
        assert sorted(store.state.get_all(["0", "1", "2", "main"])) == ["0", "1", "2", "main"]


def test_a_commit_of_a_loop_that_is_alone_does_so_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "a.db") as store:
            go_on = threading.Event()
            store.state.portal.tell(partial(go_on.wait, PATIENCE_S))
            async with asyncio.timeout(PATIENCE_S / 2):
                assert await store.state.write({"k": b"1"}) == 1
            go_on.set()
            assert await store.state.get("k") == b"1"

    asyncio.run(main())


def test_what_comes_while_one_is_on_its_way_is_the_next_group_together(tmp_path: Path, groups: Groups) -> None:
    with tenure.sync.open_store(tmp_path / "a.db", seams=groups.seams) as store, ThreadPoolExecutor(9) as others:
        groups.free.clear()
        groups.begun.clear()
        first = others.submit(store.state.write, {"first": b"1"})
        assert groups.begun.wait(PATIENCE_S)
        rest = [others.submit(store.state.write, {f"{number}": b"1"}) for number in range(8)]
        while store.statistics().waiting < len(rest):
            time.sleep(0.001)
        groups.free.set()
        assert [each.result(PATIENCE_S) for each in (first, *rest)] == [1] * 9
        assert groups.sizes[-2:] == [1, 8]


def test_one_that_comes_after_what_waits_lands_after_it(tmp_path: Path) -> None:
    with tenure.sync.open_store(tmp_path / "a.db") as store, ThreadPoolExecutor(2) as others:
        with standing_still(store):
            # What is on its way to the trio thread, and is not submitted yet.
            portal_of(store)._asked._things.append(cast("Any", _Nothing()))  # pyright: ignore[reportPrivateUsage]
            put = others.submit(store.state.write, {"k": b"1"})
            time.sleep(0.05)
            assert not put.done()
        assert put.result(PATIENCE_S) == 1


@final
class _Nothing:
    """Something that is asked of the trio thread."""

    def start(self) -> None:
        """Do nothing."""


def test_what_is_wrong_with_it_is_raised_and_the_next_one_goes_alone_again(tmp_path: Path) -> None:
    with tenure.sync.open_store(tmp_path / "a.db") as store:
        for _ in range(2):
            with pytest.raises(ValueConflict):
                store.state.write({"k": b"1"}, expected={"k": b"2"})
        assert store.state.get("k") is None  # by then the writer's task has given its turn back, if it had one
        with standing_still(store):
            assert in_a_thread(lambda: store.state.write({"k": b"1"})) == 1


def test_its_log_is_kept_short(tmp_path: Path) -> None:
    seams = tenure.Seams(engine=tenure.SqliteOptions(wal_pages=20))
    with tenure.sync.open_store(tmp_path / "a.db", seams=seams) as store:
        pages: list[int] = []
        for turn in range(60):
            store.state.write({f"{turn}": b"1" * 5_000})
            pages.append(store.statistics().log_pages)
        assert max(pages[5:]) < 60, "without a checkpoint it would have 300 and what the tables took"


@pytest.mark.parametrize("error", [UnknownOutcome("the disk"), OSError("a defect")])
def test_an_unknown_outcome_stops_the_store(tmp_path: Path, groups: Groups, error: Exception) -> None:
    with tenure.sync.open_store(tmp_path / "a.db", seams=groups.seams) as store:
        groups.failing = error
        with pytest.raises(StoreBroken) as broken:
            store.state.write({"k": b"1"})
        assert broken.value.in_doubt
        with pytest.raises(StoreBroken) as later:
            store.state.write({"k": b"1"})
        assert not later.value.in_doubt


def test_a_disk_that_hangs_keeps_neither_caller_nor_store_beyond_the_bounds(
    tmp_path: Path, groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.persistence.writing.closing.CLOSE_S", 0.05)
    with ThreadPoolExecutor(2) as others:
        asked: list[Future[int]] = []

        def use() -> None:
            with tenure.sync.open_store(tmp_path / "a.db", seams=groups.seams) as store:
                groups.free.clear()
                groups.begun.clear()
                asked.append(others.submit(store.state.write, {"k": b"1"}))
                assert groups.begun.wait(PATIENCE_S)
                asked.append(others.submit(store.state.write, {"waits": b"1"}))
                while store.statistics().waiting < 1:
                    time.sleep(0.001)
                raise ZeroDivisionError

        began = time.monotonic()
        with pytest.raises(ZeroDivisionError):
            use()
        assert time.monotonic() - began < PATIENCE_S / 2, "it waited for the disk"
        with pytest.raises(StoreBroken) as broken:
            asked[0].result(PATIENCE_S)
        assert broken.value.in_doubt
        with pytest.raises(Closed):
            asked[1].result(PATIENCE_S)
        groups.free.set()


def test_a_host_that_was_judged_dead_hears_of_it_before_its_caller(tmp_path: Path, groups: Groups) -> None:
    with tenure.sync.open_store(tmp_path / "a.db", seams=groups.seams) as store:
        before = store.incarnation
        inside = groups.inside
        assert inside is not None
        lost = [("UPDATE hosts SET lost_at = 1 WHERE closed_at IS NULL", ())]
        portal_of(store).call_blocking(lambda: inside.write_past(lost))
        assert store.state.write({"k": b"1"}) == 1
        assert store.incarnation != before
        assert store.state.get("k") == b"1"


# A signal whose handler raises, anywhere on the way


@final
class Struck:
    """An executor for threads, on which a signal strikes as a commit is posted."""

    def __init__(self, *, after: bool) -> None:
        self._thread = ThreadExecutor("tenure-writer")
        self.run = self._thread.run
        self.close = self._thread.close
        self._after = after
        self.strikes = False

    def post(self, work: Callable[[], object], /) -> None:
        strikes, self.strikes = self.strikes, False
        if strikes and not self._after:
            raise KeyboardInterrupt
        self._thread.post(work)
        if strikes:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [False, True])
def test_what_a_signal_raises_as_it_goes_leaves_the_turn_to_the_next(tmp_path: Path, after: bool) -> None:  # noqa: FBT001
    executor = Struck(after=after)
    with tenure.sync.open_store(tmp_path / "a.db", seams=tenure.Seams(writer_executor=lambda: executor)) as store:
        executor.strikes = True
        with pytest.raises(KeyboardInterrupt):
            store.state.write({"struck": b"1"})
        assert store.state.write({"next": b"1"}) == 1
        with standing_still(store):
            assert in_a_thread(lambda: store.state.write({"alone": b"1"})) == 1
        assert store.statistics().writing_s == 0.0


def test_a_signal_that_strikes_before_one_has_the_turn_leaves_what_is_with_the_disk(
    tmp_path: Path, groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, strikes = Turn.take, list[bool]()

    def struck(turn: Turn, taker: object) -> bool:
        if strikes:
            raise KeyboardInterrupt
        return take(turn, taker)

    monkeypatch.setattr(Turn, "take", struck)
    asked: list[Future[int]] = []

    def use(others: ThreadPoolExecutor) -> None:
        with tenure.sync.open_store(tmp_path / "a.db", seams=groups.seams) as store:
            groups.free.clear()
            groups.begun.clear()
            asked.append(others.submit(store.state.write, {"k": b"1"}))
            assert groups.begun.wait(PATIENCE_S)
            strikes.append(True)
            with pytest.raises(KeyboardInterrupt):
                store.state.write({"struck": b"1"})
            strikes.clear()
            assert store.statistics().writing_s > 0.0
            raise ZeroDivisionError

    monkeypatch.setattr("tenure.persistence.writing.closing.CLOSE_S", 0.05)
    with ThreadPoolExecutor(1) as others:
        with pytest.raises(ZeroDivisionError):
            use(others)
        try:
            with pytest.raises(StoreBroken) as broken:
                asked[0].result(PATIENCE_S / 4)
            assert broken.value.in_doubt
        finally:
            groups.free.set()


def test_a_turn_is_given_back_by_who_has_it_and_kept_for_the_task_that_asks() -> None:
    turn, task, one = Turn(), object(), object()

    assert turn.take(one)
    assert not turn.take(task)
    assert not turn.give_back(task)
    assert not turn.take_or_ask(task)
    assert turn.give_back(one)
    assert not turn.take(one), "the task asks for it"
    assert turn.take_or_ask(task)
    assert not turn.give_back(task)
    assert turn.take(one)
