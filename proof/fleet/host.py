"""One host of a fleet: ``python -m proof.fleet.host URL NAME TERMS``, until it ends; `TERMS` are JSON, see `Terms`.

It runs whatever it owns, and is a client too: each of its senders gives inputs to the runtimes in turn, one after the other,
and the host says on its output which were acknowledged, and which steps it begins. It drains and takes again as a line on its
input says; the line ``quiet`` ends the senders, the end of its input ends it, and so does SIGTERM.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, final

import attrs
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


@final
@attrs.frozen(kw_only=True, slots=True)
class Terms:
    """How a host works.

    Attributes:
        lease_s: Of its limits.
        renew_s: Of its limits.
        runtimes: To so many it gives inputs.
        version: Of its behaviour; it has the one before too.
        clocks_s: The clock of its machine is wrong by so many seconds at most, and jumps, see `wrong_clock`; 0: it is right.
        mistakes: What is sown.
    """

    lease_s: float
    renew_s: float
    runtimes: int
    version: int = 1
    clocks_s: float = 0.0
    mistakes: tuple[str, ...] = ()


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

    async def begun(payload: str) -> str:
        say("began", run.runtime_id, payload, run.fence_token, time.monotonic())
        return await noted(payload)

    for entry in run.inputs:
        run.session.append(await run.step("note", begun, entry.payload, repeat="freely"))


def behaviours_of(version: int) -> dict[str, tuple[tenure.Behaviour, ...]]:
    """Of this version, and of the one before: a deploy leaves no run without a host."""
    restart = tenure.RestartPolicy(max_crashes=1_000_000)
    return {
        KIND: tuple([tenure.Behaviour(clerk, restart=restart, version=str(each)) for each in (version, version - 1)])
    }


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


async def _listen(supervisor: tenure.Supervisor, quiet: trio.Event, end: trio.Event) -> None:
    lines: Any = trio.wrap_file(sys.stdin)
    async for line in lines:
        if line == "drain\n":
            await _patiently(supervisor.drain)
            say("drained", supervisor.statistics().runtimes)
        elif line == "undrain\n":
            await _patiently(supervisor.undrain)
            say("undrained")
        else:
            quiet.set()
    quiet.set()
    end.set()


async def _patiently(verb: Callable[[], Any]) -> None:
    while True:
        try:
            return await verb()
        except Contended:
            say("contended")


async def _serve(url: str, name: str, terms: Terms) -> None:
    quiet, end = trio.Event(), trio.Event()
    limits = limits_of(terms.lease_s, terms.renew_s)
    behaviours = behaviours_of(terms.version)
    async with tenure.open_supervisor(url, behaviours=behaviours, limits=limits) as supervisor:
        say("ready")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen, supervisor, quiet, end)
            async with trio.open_nursery() as senders:
                for number in range(SENDERS):
                    senders.start_soon(partial(_send, supervisor, f"{name}.{number}", terms.runtimes, quiet))
            say("quiet")
            await end.wait()


def main() -> None:
    """Be one host."""
    terms = Terms(**json.loads(sys.argv[3]))
    for mistake in terms.mistakes:
        MISTAKES[mistake]()
    trio.run(_serve, sys.argv[1], sys.argv[2], terms)


if __name__ == "__main__":
    main()
