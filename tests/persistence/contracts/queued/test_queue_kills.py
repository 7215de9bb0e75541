"""Several processes claim at once, and are killed: each batch is done once, and what a dead one held is claimed at once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import trio

import tenure
from tests.persistence.contracts.queued.test_queue import draft, must_claim, put

pytestmark = pytest.mark.sqlite("processes with a file between them")

ROOT = Path(__file__).parents[4]
WORKER = ROOT / "tests" / "kit" / "queue_worker.py"
BATCHES = 30
KILLS = 6


async def start(path: Path, work_s: float) -> trio.Process:
    command = [sys.executable, str(WORKER), str(path), "s", str(work_s)]
    return await trio.lowlevel.open_process(
        command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


async def read(process: trio.Process, said: list[str]) -> None:
    """Take down the lines of a worker to its end; a line that a kill cut off does not count."""
    assert process.stdout is not None
    text = b""
    async for part in process.stdout:
        text += part
        *lines, text = text.split(b"\n")
        said += [line.decode() for line in lines]


@pytest.mark.slow
async def test_what_a_killed_process_held_is_claimed_at_once(tmp_path: Path) -> None:
    with trio.fail_after(60):
        async with tenure.open_store(tmp_path / "a.db") as store:
            await put(store, draft())
            process = await start(tmp_path / "a.db", 1_000)
            try:
                assert process.stdout is not None
                assert await process.stdout.receive_some() == b"claimed qwb:1\n"
                assert await store.queue.list_pending_queued_work("s") == ()
            finally:
                process.kill()
                await process.wait()

            held = await must_claim(store, 1)

            assert held.fencing_token == 2, "its lease of a minute was not waited for"


@pytest.mark.turns(4)
@pytest.mark.slow
async def test_processes_that_are_killed_do_every_batch_once(tmp_path: Path) -> None:
    source, path = random.Random(14), tmp_path / "a.db"
    async with tenure.open_store(path) as store:
        wanted = await put(store, *[draft(str(n)) for n in range(BATCHES)])
    said: list[str] = []
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:

            async def worker() -> None:
                process = await start(path, 0.01)
                try:
                    await read(process, said)
                    await process.wait()
                finally:
                    process.kill()

            async def killed() -> None:
                for _ in range(KILLS):
                    process = await start(path, 0.02)
                    nursery.start_soon(read, process, said)
                    try:
                        with trio.move_on_after(1 + source.random()):
                            await process.wait()
                    finally:
                        process.kill()
                    await process.wait()

            nursery.start_soon(killed)
            nursery.start_soon(worker)
            nursery.start_soon(worker)
        async with tenure.open_store(path) as store:
            assert await store.queue.list_queued_work("s") == ()
    done = [line.removeprefix("done ") for line in said if line.startswith("done ")]
    assert len(done) == len(set(done)), "a completion was acknowledged twice"
    assert set(done) <= set(wanted)
    assert len(done) >= BATCHES - KILLS, "each kill may swallow one answer"
