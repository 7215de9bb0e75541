"""A web worker: a host that waits for a line, then serves its requests, and says how many failed and which were consumed.

python tests/supervisor/fleet/accepting_worker.py DATABASE WORKER REQUESTS AGENTS
"""

from __future__ import annotations

import json
import sys

import trio

import tenure
from tenure.errors import Error


async def keep(run: tenure.Run) -> None:
    for entry in run.inputs:
        run.session.append(entry.payload)


async def serve(database: str, worker: str, requests: int, agents: int) -> None:
    failed: list[str] = []
    async with tenure.open_supervisor(database, behaviours={"chat": keep}) as supervisor:
        sys.stdout.write("open\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.readline)

        async def request(number: int) -> None:
            try:
                ticket = await supervisor.accept(
                    f"agent {number % agents}", {"worker": worker, "number": number}, kind="chat"
                )
                outcome = await ticket.wait_outcome()
                if outcome.phase != "consumed":
                    failed.append(f"{outcome}")
            except Error as exc:
                failed.append(repr(exc))

        async with trio.open_nursery() as nursery:
            for number in range(requests):
                nursery.start_soon(request, number)
        sys.stdout.write(json.dumps(failed) + "\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.readline)


if __name__ == "__main__":
    trio.run(serve, sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
