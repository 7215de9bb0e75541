"""One host of a fleet: ``python -m proof.fleet.host URL NAME LEASE_S RENEW_S RUNTIMES [MISTAKE]``, until it ends.

It runs whatever it owns, and is a client too: each of its senders gives inputs to the runtimes in turn, one after the other,
and the host says on its output which were acknowledged. A line on its input ends the senders, the end of its input ends it.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from functools import partial
from typing import Any, Final

import trio

import tenure
from tenure.errors import Contended

from .mistakes import MISTAKES

KIND: Final = "clerk"
SENDERS: Final = 3
PAUSE_S: Final = 0.02
"""Between two inputs of a sender."""

UNFINISHED: Final = 8
"""So many of its inputs does a sender leave unfinished."""

STEP_S: Final = 0.02


def say(*words: object) -> None:
    """A line that the parent reads: what was said before a kill was said."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


async def noted(payload: str) -> str:
    """What a step gives back, after a while: hosts are killed and frozen while runs are on their way."""
    await trio.sleep(STEP_S)
    return payload


async def clerk(run: tenure.Run) -> None:
    """Write each input into the conversation, in a step."""
    for entry in run.inputs:
        run.session.append(await run.step("note", noted, entry.payload, repeat="freely"))


BEHAVIOURS: Final = {KIND: tenure.Behaviour(clerk, restart=tenure.RestartPolicy(max_crashes=1_000_000))}


def limits_of(lease_s: float, renew_s: float) -> tenure.Limits:
    """Those of a fleet whose hosts die often, and whose server may be away for a minute with a commit in doubt."""
    return tenure.Limits(lease_s=lease_s, renew_s=renew_s, busy_s=10.0, verdict_s=120.0)


async def _send(supervisor: tenure.Supervisor, sender: str, runtimes: int, quiet: trio.Event) -> None:
    sent, waiting = 0, deque[tenure.Ticket]()
    while not quiet.is_set():
        runtime_id, key = f"clerk/{sent % runtimes}", f"{sender}/{sent}"
        try:
            if len(waiting) >= UNFINISHED:
                await waiting.popleft().wait_outcome()
            ticket = await supervisor.accept(runtime_id, key, kind=KIND, idempotency_key=key)
        except Contended:
            say("contended")  # nothing was written: the same key is sent again
        else:
            say("accepted", runtime_id, key, ticket.input_id)
            waiting.append(ticket)
            sent += 1
        await trio.sleep(PAUSE_S)


async def _listen(quiet: trio.Event, end: trio.Event) -> None:
    lines: Any = trio.wrap_file(sys.stdin)
    async for _ in lines:
        quiet.set()
    quiet.set()
    end.set()


async def _serve(url: str, name: str, lease_s: float, renew_s: float, runtimes: int) -> None:
    quiet, end = trio.Event(), trio.Event()
    limits = limits_of(lease_s, renew_s)
    async with tenure.open_supervisor(url, behaviours=BEHAVIOURS, limits=limits) as supervisor:
        say("ready")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen, quiet, end)
            async with trio.open_nursery() as senders:
                for number in range(SENDERS):
                    senders.start_soon(partial(_send, supervisor, f"{name}.{number}", runtimes, quiet))
            say("quiet")
            await end.wait()


if __name__ == "__main__":
    for mistake in sys.argv[6:]:
        MISTAKES[mistake]()
    trio.run(_serve, sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
