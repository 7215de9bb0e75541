"""A busy loop leaves the interpreter lock to the thread that works for it."""

from __future__ import annotations

import time

import pytest

from tenure.persistence.seams.executors import ThreadExecutor
from tenure.persistence.seams.give_way import GiveWay, own_clock


def rests(give_way: GiveWay, timeout: float) -> bool:
    before = give_way.rested_at
    give_way.before_io_wait(timeout)
    return give_way.rested_at != before


def test_a_busy_loop_rests_now_and_then_while_work_is_out() -> None:
    give_way = GiveWay()

    assert not rests(give_way, 0)  # nobody needs it
    give_way.working = 1
    assert not rests(give_way, 1.0)  # it is about to wait anyway
    assert rests(give_way, 0)
    give_way.rested_at += 60
    assert not rests(give_way, 0)  # it has just rested


@pytest.mark.parametrize(
    ("worked_s", "given", "looks"),
    [
        ([0.0, 0.0], 1, 2),  # it waits for the disk: the loop goes on
        ([0.0, 0.0001, 0.0001], 1, 3),  # it was at work, and waits now
        ([0.0, 0.0001, 0.0004, 0.0007, 0.001], 1, 4),  # it is at work, and the loop has rested for long enough
        ([0.0], 0, 1),  # of this piece of work it has rested for all the time that it may
    ],
)
def test_a_busy_loop_rests_on_while_the_thread_is_at_work(worked_s: list[float], given: int, looks: int) -> None:
    give_way, asked = GiveWay(), list[float]()

    def used_s() -> float:
        asked.append(worked_s[len(asked)])
        return asked[-1]

    give_way.watch(used_s)
    give_way.working = 1
    for _ in range(given):
        give_way.give()

    assert rests(give_way, 0)
    assert len(asked) == looks


def test_of_one_piece_of_work_a_loop_rests_on_for_50_ms() -> None:
    give_way, asked = GiveWay(), list[float]()

    def used_s() -> float:  # as of a query that takes long, and not the interpreter lock
        asked.append(len(asked))
        return asked[-1]

    give_way.watch(used_s)
    give_way.post()
    for _ in range(60):
        give_way.rested_at = 0.0
        give_way.before_io_wait(0)

    assert len(asked) == 50 * 4 + 10
    give_way.rested_at = 0.0
    give_way.post()  # the next one
    give_way.before_io_wait(0)
    assert len(asked) == 50 * 4 + 10 + 4


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clock for each thread here")
async def test_a_thread_is_at_work_by_its_own_clock() -> None:
    executor = ThreadExecutor("test")

    def burn() -> None:
        began = time.thread_time()
        while time.thread_time() - began < 0.02:
            pass

    clock = await executor.run(own_clock)
    before = clock()
    burn()  # this thread, not that one
    between = clock()
    await executor.run(burn)

    assert between - before < 0.01
    assert clock() - between >= 0.02
    executor.close()
