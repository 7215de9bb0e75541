"""A process that gets no further thread: what needs one waits or is refused, nothing else happens, and no host ends.

A thread that asks for a stack of 64 TiB is refused by every system, as one that is over a limit of threads is.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

import tenure
from tenure.errors import NoThread

NO_STACK = 2**46
"""Bytes of stack that no thread can have."""


@contextmanager
def no_thread() -> Generator[None]:
    """No thread begins inside."""
    before = threading.stack_size(NO_STACK)
    try:
        yield
    finally:
        threading.stack_size(before)


async def test_a_store_that_gets_no_thread_does_not_open_and_opens_later(database: Path) -> None:
    with no_thread(), pytest.raises(NoThread):
        async with tenure.open_store(database):
            pytest.fail("it has no thread to write with")

    async with tenure.open_store(database) as store:
        await store.health_check()


@pytest.mark.skipif(sys.platform != "linux", reason="reads how much the process has from /proc")
@pytest.mark.parametrize("front", ["sync", "asyncio"])
async def test_a_thread_that_would_find_no_memory_is_not_started(front: str) -> None:
    """It could end in its first lines, or its loop could, where nothing can be raised: the open waited for ever."""
    program = [sys.executable, "-m", "tests.supervisor.net.few_bytes", front]
    with trio.fail_after(120):
        ended = await trio.run_process(program, capture_stdout=True, capture_stderr=True)

    ends = ended.stdout.decode().split()
    assert ends == ["NoThread"] * len(ends)
    assert ends


async def test_a_read_that_gets_no_thread_is_refused_and_the_host_lives(database: Path) -> None:
    async def nothing(_: tenure.Run) -> None:
        """Consume."""

    with trio.fail_after(30):
        limits = tenure.Limits(read_connections=16)  # more than have a thread since it opened
        async with tenure.open_supervisor(database, behaviours={"kind": nothing}, limits=limits) as supervisor:
            alice = await supervisor.spawn("alice", "kind")
            with no_thread():
                async with trio.open_nursery() as nursery:  # those that read already have one: a further one needs it
                    refused = trio.Event()

                    async def read() -> None:
                        try:
                            await supervisor.read_session("alice")
                        except NoThread:
                            refused.set()

                    while not refused.is_set():
                        for _ in range(16):
                            nursery.start_soon(read)
                        await trio.lowlevel.checkpoint()
                await trio.sleep(4 * supervisor.store.limits.poll_wait_s)  # looks that get none either

            outcome = await (await alice.accept("go")).wait_outcome()
            assert outcome.phase == "consumed"


async def test_a_sync_step_waits_for_its_thread_and_runs_once(database: Path) -> None:
    ran: list[str] = []
    asked = trio.Event()

    async def stepping(run: tenure.Run) -> None:
        asked.set()
        run.session.append(await run.step("note", ran.append, "once", repeat="never"))

    with trio.fail_after(30):
        async with tenure.open_supervisor(database, behaviours={"kind": stepping}) as supervisor:
            alice = await supervisor.spawn("alice", "kind")
            with no_thread():
                ticket = await alice.accept("go")
                await asked.wait()
                await trio.sleep(0.4)
            outcome = await ticket.wait_outcome()
            assert supervisor.statistics().failed_attempts == 0

    assert outcome.phase == "consumed"
    assert ran == ["once"]
