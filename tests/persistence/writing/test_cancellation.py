"""A cancelled commit is withdrawn, or its outcome is delivered: never a third thing."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

import tenure
from tenure.errors import Closed, Error
from tenure.persistence.commits.commit import CommitResult
from tenure.persistence.store import Store
from tests.kit.faulty_vfs import FaultyVfs
from tests.kit.ground import submit
from tests.kit.stores import (
    OpenMode,
    landed,
    message,
    own,
)


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope when the n-th task step since then is over, of whatever task."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self._scope = scope
        self._left = step

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self._scope.cancel()


async def cancelled_at(store: Store, step: int, key: str) -> CommitResult | None:
    """The result of a commit whose scope is cancelled at that step, None for `Cancelled`."""
    result = None
    with trio.CancelScope() as scope:
        instrument = CancelAtStep(scope, step)
        trio.lowlevel.add_instrument(instrument)
        try:
            result = await store.commit(message(store, key))
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return result


async def test_a_commit_that_is_cancelled_at_any_checkpoint_has_landed_exactly_if_it_returned(store: Store) -> None:
    await own(store)
    delivered = 0

    for step in range(1, 40):
        key = f"m-{step}"
        result = await cancelled_at(store, step, key)

        assert await landed(store, key) == ([key] if result is not None else [])
        delivered += result is not None

    assert delivered
    assert store.broken is None


async def test_a_commit_that_is_cancelled_before_it_is_taken_never_happened(store: Store) -> None:
    await own(store)

    with trio.CancelScope() as scope:
        scope.cancel()
        await store.commit(message(store, "m-1"))

    assert scope.cancelled_caught
    assert await landed(store, "m-1") == []


async def test_a_withdrawn_commit_is_skipped_and_its_neighbours_land(store: Store) -> None:
    await own(store)
    first, second, third = (submit(store, message(store, f"m-{n}")) for n in range(3))

    assert second.withdraw()

    await first.wait()
    await third.wait()
    assert await landed(store, "m-0", "m-1", "m-2") == ["m-0", "m-2"]
    assert not third.withdraw()


async def test_a_cancelled_wait_for_a_taken_commit_delivers_the_outcome_and_the_cancellation_comes_next(
    open_file: OpenMode, vfs: FaultyVfs
) -> None:
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)
        vfs.hang("xSync", "-wal")
        outcomes: list[CommitResult] = []
        came_next = False

        async def commit() -> None:
            nonlocal came_next
            outcomes.append(await store.commit(message(store, "m-1")))
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled:
                came_next = True
                raise

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            await trio.to_thread.run_sync(vfs.hanging.wait, 30)
            nursery.cancel_scope.cancel()
            vfs.heal()

        assert len(outcomes) == 1
        assert came_next
        assert await landed(store, "m-1") == ["m-1"]


async def test_what_is_submitted_by_a_caller_that_dies_lands_and_its_owner_is_told(store: Store) -> None:
    await own(store)
    told: list[CommitResult | Error] = []

    async with trio.open_nursery() as nursery:

        async def die() -> None:
            submit(store, message(store, "m-1"), on_settled=told.append)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await die()
        nursery.cancel_scope.cancel()

    await store.commit(message(store, "m-2"))
    assert isinstance(told[0], CommitResult)
    assert await landed(store, "m-1") == ["m-1"]


async def test_a_caller_that_is_cancelled_with_many_others_leaves_the_store_whole(store: Store) -> None:
    await own(store)
    keys = [f"m-{n}" for n in range(200)]
    returned: list[str] = []

    async def commit(key: str) -> None:
        await store.commit(message(store, key))
        returned.append(key)

    async with trio.open_nursery() as nursery:
        for key in keys:
            nursery.start_soon(commit, key)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()

    assert set(await landed(store, *keys)) == set(returned)
    await store.commit(message(store, "after"))


async def test_leaving_normally_lands_what_was_submitted(open_file: OpenMode) -> None:
    async with open_file() as store:
        await own(store)
        for n in range(20):
            submit(store, message(store, f"m-{n}"))

    with pytest.raises(Closed):
        submit(store, message(store, "late"))
    with pytest.raises(Closed):
        await landed(store, "m-0")
    async with open_file() as store:
        assert len(await landed(store, *(f"m-{n}" for n in range(20)))) == 20


async def test_a_cancelled_exit_closes_at_once_and_lets_the_next_host_in(open_file: OpenMode) -> None:
    with trio.fail_after(5), trio.move_on_after(0.05) as scope:
        async with open_file() as store:
            await own(store)
            await trio.sleep_forever()

    assert scope.cancelled_caught
    async with open_file() as store:
        await own(store)


async def test_the_exception_of_the_body_leaves_unwrapped(open_mode: OpenMode) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with open_mode() as store:
            await own(store)
            raise ZeroDivisionError


async def test_an_exit_by_an_exception_answers_whoever_waits_elsewhere(open_mode: OpenMode) -> None:
    answers: list[object] = []

    async def commit_late(store: Store) -> None:
        for n in range(1000):
            try:
                await store.commit(message(store, f"m-{n}"))
            except Closed as exc:
                answers.append(exc)
                return

    async with trio.open_nursery() as nursery:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with open_mode() as store:
                await own(store)
                nursery.start_soon(commit_late, store)
                await trio.lowlevel.checkpoint()
                raise ZeroDivisionError

    assert len(answers) == 1


async def test_shutdown_closes_early_and_the_next_host_may_open(open_file: OpenMode) -> None:
    async with open_file() as store:
        await own(store)
        pending = submit(store, message(store, "m-1"))

        await store.shutdown()
        await store.shutdown()

        assert isinstance(await pending.wait(), CommitResult)
        with pytest.raises(Closed):
            await store.commit(message(store, "m-2"))
        with pytest.raises(Closed):
            await store.health_check()
        async with open_file() as again:
            assert await landed(again, "m-1") == ["m-1"]


async def test_a_cancelled_shutdown_still_closes(open_file: OpenMode, vfs: FaultyVfs) -> None:
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)
        vfs.hang("xSync", "-wal")
        waiting = submit(store, message(store, "m-1"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.shutdown)
            await trio.to_thread.run_sync(vfs.hanging.wait, 30)
            nursery.cancel_scope.cancel()
            vfs.heal()

        assert isinstance(await waiting.wait(), CommitResult)
        with pytest.raises(Closed):
            submit(store, message(store, "m-3"))
    async with open_file() as store:
        assert await landed(store, "m-1") == ["m-1"]


def test_a_store_whose_drain_is_cancelled_says_all_the_same_that_it_was_closed(tmp_path: Path) -> None:
    # What runs in a host that did not say so is charged with a crash. In the main task, which closes by way of another one.
    path = tmp_path / "a.db"

    async def main() -> list[tuple[object, ...]]:
        for _ in range(20):
            with trio.CancelScope() as scope:
                async with tenure.open_store(path):
                    scope.cancel()
        async with tenure.open_store(path) as store, store.read_connection() as connection:
            return await connection.query("SELECT count(*) FROM hosts WHERE closed_at IS NULL")

    assert trio.run(main) == [(1,)]
