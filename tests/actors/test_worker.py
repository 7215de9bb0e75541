"""The worker of a runtime: what it executes, and what it does not."""

from __future__ import annotations

from contextvars import copy_context

import trio
import trio.testing

from tenure.actors.worker import Bench, Worker


async def test_work_that_is_stopped_before_its_task_has_begun_is_not_executed() -> None:
    executed = list[str]()

    async def work() -> None:
        executed.append("a sync part")

    async with trio.open_nursery() as nursery:
        worker = Worker(nursery.start_soon, Bench(copy_context()))
        worker.start(work)
        worker.stop()
        await worker.busy.wait_value(lambda busy: not busy)

    assert not executed


async def test_work_that_is_stopped_before_its_waiting_task_goes_on_is_not_executed() -> None:
    executed = list[str]()

    async def work() -> None:
        executed.append("a sync part")

    async with trio.open_nursery() as nursery:
        worker = Worker(nursery.start_soon, Bench(copy_context()))
        worker.start(work)
        await trio.testing.wait_all_tasks_blocked()
        worker.start(work)
        worker.stop()
        await worker.busy.wait_value(lambda busy: not busy)

    assert executed == ["a sync part"]


async def test_who_has_waited_longest_leaves_a_bench_that_is_full_and_can_work_again() -> None:
    executed = list[int]()
    async with trio.open_nursery() as nursery:
        bench = Bench(copy_context(), most=1)
        workers = [Worker(nursery.start_soon, bench) for _ in range(2)]
        for number in (0, 1, 0):

            async def work(number: int = number) -> None:
                executed.append(number)

            workers[number].start(work)
            await trio.testing.wait_all_tasks_blocked()

        assert len(nursery.child_tasks) == 1, "the others have left"
        workers[0].stop()

    assert executed == [0, 1, 0]
