"""`serve_queue` from asyncio: handlers run on the program's own loop, fail, are tried again, and end with their task."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

import tenure
import tenure.asyncio
from tenure import QueuedWork, QueuedWorkClaimBoundary, RestartPolicy
from tenure.errors import InvalidInput
from tests.asyncio.test_asyncio_front import run
from tests.persistence.contracts.queued.test_queue import draft

EVEN = RestartPolicy(max_attempts=2, backoff_s=0.0)


def test_an_asyncio_handler_carries_out_work_on_its_own_loop(tmp_path: Path) -> None:
    seen: list[tuple[str, int, bool]] = []

    async def main() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        async def handle(work: QueuedWork) -> None:
            text = work.batches[0].items[0].payload.body.decode()
            seen.append((text, work.attempt, asyncio.get_running_loop() is loop))
            await asyncio.sleep(0)
            if text == "bad":
                raise ValueError(text)
            if text == "last":
                over.set()

        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            for text in ("first", "bad", "last"):
                await supervisor.store.queue.enqueue_queued_work(draft(text))
            serving = asyncio.ensure_future(
                supervisor.serve_queue(["s"], handle, concurrency=2, rate=(100, 1.0), restart=EVEN, drain_s=60.0)
            )
            await over.wait()
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
            (dead,) = await supervisor.store.queue.list_failed_queued_work("s")
            assert (dead.attempts, dead.is_dead) == (2, True)
            assert [each.batch_id for each in await supervisor.store.queue.list_queued_work("s")] == [dead.batch_id]

    run(main)
    assert seen == [("first", 1, True), ("bad", 1, True), ("bad", 2, True), ("last", 1, True)]


def test_a_function_of_the_loop_may_be_a_handler_and_is_awaited_on_the_loop_as_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        over = asyncio.Event()

        @tenure.asyncio.on_loop
        async def handle(_work: QueuedWork) -> None:
            over.set()

        @tenure.asyncio.on_loop
        async def double(number: int) -> int:
            await asyncio.sleep(0)
            return number * 2

        assert await double(21) == 42
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            await supervisor.store.queue.enqueue_queued_work(draft("only"))
            serving = asyncio.ensure_future(supervisor.serve_queue(["s"], handle, restart=EVEN))
            await over.wait()
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    run(main)


def test_a_cancelled_service_cancels_its_asyncio_handlers_and_counts_no_attempt(tmp_path: Path) -> None:
    async def main() -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        async def handle(_work: QueuedWork) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            await supervisor.store.queue.enqueue_queued_work(draft("long"))
            serving = asyncio.ensure_future(supervisor.serve_queue("", handle))
            await began.wait()
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            assert ended.is_set()
            assert await supervisor.store.queue.list_failed_queued_work("s") == ()
            again = await supervisor.store.queue.claim_ready_queued_work(
                "s", "w", QueuedWorkClaimBoundary.IDLE, 60_000, 1
            )
            assert again is not None
            assert again.fencing_token == 2

    run(main)


def test_terms_that_make_no_sense_are_refused_in_asyncio_too(tmp_path: Path) -> None:
    async def handle(_work: QueuedWork) -> None:
        """Never called."""

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            with pytest.raises(InvalidInput) as caught:
                await supervisor.serve_queue("", handle, concurrency=0)
            assert caught.value.field == "concurrency"

    run(main)
