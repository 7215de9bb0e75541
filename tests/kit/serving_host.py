"""A process that serves queued work until it is killed: ``serving_host.py TARGET WORK_S RATE PER_S LEASE_S``.

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


async def serve(target: str, work_s: float, rate: tuple[int, float], lease_s: float) -> None:
    """Serve, and try again where another process had the lock."""

    async def handle(work: tenure.QueuedWork) -> None:
        (batch,) = work.batches
        text = batch.items[0].payload.body.decode()
        say("began", text, work.claim.claimed_at_epoch_ms)
        await trio.sleep(work_s)
        say("done", text)

    limits = tenure.Limits(lease_s=lease_s, renew_s=lease_s / 4)
    while True:
        try:
            async with tenure.open_supervisor(target, behaviours={}, limits=limits) as supervisor:
                await supervisor.serve_queue("w", handle, rate=rate, restart=tenure.RestartPolicy(max_crashes=1_000))
        except (Contended, StoreLocked):
            await trio.sleep(0.05)


if __name__ == "__main__":
    target, work_s, starts, per_s, lease_s = sys.argv[1:]
    trio.run(serve, target, float(work_s), (int(starts), float(per_s)), float(lease_s))
