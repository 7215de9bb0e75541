"""Scopes of anyio and time limits of asyncio around verbs on a loop: each knows the cancellation that is its own."""

from __future__ import annotations

import asyncio
import selectors
import time
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

import tenure
import tenure.asyncio
from tenure.asyncio.reading import QueryConnection
from tests.kit.shares import share

PATIENCE_S = 60.0


async def wait_for_ever(run: tenure.Run) -> None:
    await run.sleep(3600)


@pytest.mark.parametrize("seconds", share([0, 0.001, 0.003, 0.01, 0.03], 2))
def test_a_scope_that_is_over_ends_the_verbs_inside_and_goes_no_further(tmp_path: Path, seconds: float) -> None:
    async def main() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"wait": wait_for_ever}) as supervisor,
        ):
            with anyio.move_on_after(seconds) as waiting:
                ticket = await supervisor.accept("ada", 1, kind="wait")
                await ticket.wait_outcome()
            assert waiting.cancelled_caught
            written = 0
            with anyio.move_on_after(seconds) as writing:
                while True:
                    written += await supervisor.store.state.write({f"turn:{written:04}": b"1"})
            assert writing.cancelled_caught
            for turn in range(10):
                with anyio.move_on_after(seconds * turn / 10):
                    await supervisor.store.state.write({f"last {turn}": b"1"})
                await asyncio.sleep(0)  # nothing of it comes after the scope
            assert (
                seconds or written <= 1
            )  # a scope that is over when it begins lets the verb of its first await land, at most
            # One more may have landed whose result was cut off with the loop around it.
            assert written <= len(await supervisor.store.state.items("turn:", limit=1_000)) <= written + 1

    asyncio.run(main())


class SlowToLook(selectors.DefaultSelector):
    """What a loop looks with between its turns: what a thread answers meanwhile is there when the next turn begins."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        time.sleep(0.01)
        return super().select(timeout)


def test_a_scope_that_is_over_ends_the_verbs_inside_also_where_each_answer_is_there_before_the_loop_looks(
    tmp_path: Path,
) -> None:
    """Scopes of anyio leave a task alone that is about to go on; one that always is would never hear of them."""
    most = 30

    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S), tenure.asyncio.open_store(tmp_path / "a.db") as store:
            written = 0
            with anyio.move_on_after(0) as writing:
                while written < most:
                    written += await store.state.write({f"turn:{written:04}": b"1"})
            assert writing.cancelled_caught
            assert written <= 1

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(SlowToLook())) as runner:
        runner.run(main())


def test_a_scope_around_the_opening_knows_its_own_too(tmp_path: Path) -> None:
    async def main() -> None:
        for seconds in (0, 0.001, 0.01):
            with anyio.move_on_after(seconds):
                async with tenure.asyncio.open_store(tmp_path / "a.db") as store:
                    await anyio.sleep(seconds)
                    await store.state.write({"k": b"1"})
                    await anyio.sleep(PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S), tenure.asyncio.open_store(tmp_path / "a.db") as store:
            assert await store.state.write({"k": b"2"}) == 1

    asyncio.run(main())


def test_a_task_that_does_nothing_but_verbs_is_cancelled_at_the_next_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S), tenure.asyncio.open_store(tmp_path / "a.db") as store:
            written = 0

            async def write(least: int) -> None:
                nonlocal written
                while True:
                    written += await store.state.write({f"{written}": b"1"})
                    if written == least:
                        enough.set()

            for least in range(1, 40):
                written, enough = 0, asyncio.Event()
                task = asyncio.create_task(write(least))
                await enough.wait()
                before = written
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                assert task.cancelled()
                assert written <= before + 1  # the one on its way gives its result all the same

    asyncio.run(main())


def test_a_connection_is_left_also_where_a_cancellation_is_due(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S), tenure.asyncio.open_store(tmp_path / "a.db") as store:

            async def read() -> None:
                async with store.read_connection() as connection:
                    connections.append(connection)
                    there.set()
                    while not leave:
                        await store.state.write({"k": b"1"})

            for _ in range(20):
                connections: list[QueryConnection] = []
                leave, there = False, asyncio.Event()
                task = asyncio.create_task(read())
                await there.wait()
                task.cancel()
                leave = True
                with suppress(asyncio.CancelledError):
                    await task
                with pytest.raises(RuntimeError, match="has ended"):
                    await connections[0].query("SELECT 1")

    asyncio.run(main())


async def put(store: tenure.asyncio.Store, seconds: float) -> None:
    """Put under a time limit, and say nothing where that passes."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await store.state.write({"k": b"1"})


def test_a_time_limit_that_passes_while_the_last_verb_inside_lands_is_over_with_its_block(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S), tenure.asyncio.open_store(tmp_path / "a.db") as store:
            task = asyncio.current_task()
            assert task is not None
            for turn in range(60):
                await put(store, turn / 30_000)
                await asyncio.sleep(0)
                assert task.cancelling() == 0, turn

    asyncio.run(main())


def test_a_time_limit_around_another_comes_after_that_has_ended(tmp_path: Path) -> None:
    async def under_two(store: tenure.asyncio.Store, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await put(store, seconds)
            await asyncio.sleep(PATIENCE_S)

    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S), tenure.asyncio.open_store(tmp_path / "a.db") as store:
            for turn in range(60):
                with pytest.raises(TimeoutError):
                    await under_two(store, turn / 30_000)

    asyncio.run(main())
