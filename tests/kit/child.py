"""A host in a process of its own, led by lines: a command on each line that it reads, an event on each that it writes.

    python tests/kit/child.py DATABASE '{"lease_s": 2.0, ...}' [COMMIT]

The second argument holds the limits. With COMMIT, the process kills itself inside its n-th transaction, before it lands.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import apsw
import trio

import tenure
from tenure.errors import Error

BLOCK_S = 5.0
"""Seconds for which the payload ``block`` keeps the loop: longer than the leases of tests."""


def tell(event: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


class Child:
    """What it runs, and what it does at each command."""

    def __init__(self) -> None:
        self.go_on = trio.Event()
        self.freeze_in_commit = False
        self.commits_left = 0
        self.tickets: dict[str, tenure.Ticket] = {}

    def in_commit(self) -> bool:
        """Called by SQLite inside each transaction that is about to be committed."""
        if self.freeze_in_commit:
            self.freeze_in_commit = False
            # To this thread: sent to the process, another one takes it, and this one may have committed before it stands still.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        if self.commits_left:
            self.commits_left -= 1
            if not self.commits_left:
                os.kill(os.getpid(), signal.SIGKILL)
        return False

    async def reader(self, run: tenure.Run) -> None:
        for entry in run.inputs:
            tell("entered", payload=entry.payload, token=run.fence_token)
            await run.step("read", self.read, entry.payload, repeat="freely")
            run.session.append(entry.payload)
        tell("ended", token=run.fence_token)

    async def read(self, payload: str) -> None:
        tell("step", payload=payload)
        if payload == "block":
            time.sleep(BLOCK_S)  # noqa: ASYNC251 - that is its mistake
        if payload.startswith("wait"):
            await self.go_on.wait()

    async def obey(self, supervisor: tenure.Supervisor, words: list[str]) -> None:
        match words:
            case ["spawn", runtime_id]:
                runtime = await supervisor.spawn(runtime_id, "reader")
                tell("spawned", token=runtime.fence_token)
            case ["accept", runtime_id, payload]:
                ticket = await supervisor.accept(runtime_id, payload, idempotency_key=payload)
                self.tickets[payload] = ticket
                tell("accepted", input_id=ticket.input_id)
            case ["outcome", payload]:
                outcome = await self.tickets[payload].wait_outcome()
                token = outcome.receipt.fence_token if outcome.receipt else None
                tell("outcome", phase=outcome.phase, token=token)
            case ["state", runtime_id]:
                tell("state", state=supervisor.runtime(runtime_id).state)
            case ["go"]:
                self.go_on.set()
            case ["freeze-in-commit"]:
                self.freeze_in_commit = True
                tell("armed")
            case _:
                tell("unknown", words=words)

    async def serve(self, database: str, limits: dict[str, Any]) -> None:
        behaviours: dict[str, Callable[[tenure.Run], Awaitable[None]]] = {"reader": self.reader}
        async with tenure.open_supervisor(
            database, behaviours=behaviours, limits=tenure.Limits(**limits), drain_s=0
        ) as supervisor:
            tell("opened", incarnation=supervisor.store.incarnation)
            while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
                try:
                    await self.obey(supervisor, line.split())
                except Error as exc:
                    tell("refused", error=type(exc).__name__)
        tell("closed")


if __name__ == "__main__":
    child = Child()
    child.commits_left = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    apsw.connection_hooks.append(lambda connection: connection.set_commit_hook(child.in_commit))
    trio.run(child.serve, sys.argv[1], json.loads(sys.argv[2]))
