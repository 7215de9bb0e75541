"""A process that serves queued work until it is killed: ``serving_host.py DATABASE WORK_S RATE PER_S``.

It says ``began TEXT AT_MS``, with the time of the claim, when its handler is called and ``done TEXT`` at its end.
"""

from __future__ import annotations

import sys

import trio

import tenure
from tenure.errors import Contended, StoreLocked


def say(*words: object) -> None:
    """One line, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def serve(path: str, work_s: float, rate: tuple[int, float]) -> None:
    """Serve, and try again where another process had the lock."""

    async def handle(work: tenure.QueuedWork) -> None:
        (batch,) = work.batches
        text = batch.items[0].payload.body.decode()
        say("began", text, work.claim.claimed_at_epoch_ms)
        await trio.sleep(work_s)
        say("done", text)

    while True:
        try:
            async with tenure.open_supervisor(path, behaviours={}) as supervisor:
                await supervisor.serve_queue("w", handle, rate=rate, restart=tenure.RestartPolicy(max_crashes=1_000))
        except (Contended, StoreLocked):
            await trio.sleep(0.05)


if __name__ == "__main__":
    trio.run(serve, sys.argv[1], float(sys.argv[2]), (int(sys.argv[3]), float(sys.argv[4])))
