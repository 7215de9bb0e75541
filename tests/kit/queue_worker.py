"""A process that claims queued work, a batch at a time, until there is none: ``queue_worker.py DATABASE SESSION WORK_S``.

It says ``claimed ID`` once it holds a batch and ``done ID`` once its completion is acknowledged.
"""

from __future__ import annotations

import sys

import trio

import tenure
from tenure.errors import Contended, QueuedWorkClaimExpired, StoreLocked


def say(what: str, batch_id: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{what} {batch_id}\n")
    sys.stdout.flush()


async def _open_and_work(path: str, session: str, work_s: float) -> None:
    async with tenure.open_store(path) as store:
        while await store.queue.list_queued_work(session):
            claim = await store.queue.claim_ready_queued_work(
                session, "w", tenure.QueuedWorkClaimBoundary.IDLE, 60_000, 1
            )
            if claim is None:
                await trio.sleep(0.02)
                continue
            (batch,) = claim.batches
            say("claimed", batch.batch_id)
            await trio.sleep(work_s)
            try:
                await store.queue.complete_queued_work_claim(claim.completion())
            except QueuedWorkClaimExpired:
                say("lost", batch.batch_id)
            else:
                say("done", batch.batch_id)


async def work(path: str, session: str, work_s: float) -> None:
    """Work, and try again where another process had the lock."""
    while True:
        try:
            return await _open_and_work(path, session, work_s)
        except (Contended, StoreLocked):
            await trio.sleep(0.05)


if __name__ == "__main__":
    trio.run(work, sys.argv[1], sys.argv[2], float(sys.argv[3]))
