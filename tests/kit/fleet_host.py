"""A host of a fleet, until it is killed: ``fleet_host.py URL NAME RUNTIMES LEASE_S``.

It spawns so many runtimes under its name, says ``ready``, and runs whatever it takes over besides.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import trio

import tenure
from tenure.errors import InvalidTransition


def echo(text: str) -> str:
    return f"You said: {text}"


async def chat(run: tenure.Run) -> None:
    for entry in run.inputs:
        run.session.append(await run.step("echo", echo, entry.payload, repeat="freely"))


BEHAVIOURS = {"chat": tenure.Behaviour(chat, restart=tenure.RestartPolicy(max_crashes=1_000))}


def limits_of(lease_s: float) -> tenure.Limits:
    return tenure.Limits(lease_s=lease_s, renew_s=lease_s / 4, busy_s=30.0)


async def serve(url: str, name: str, runtimes: int, lease_s: float) -> None:
    async with tenure.open_supervisor(url, behaviours=BEHAVIOURS, limits=limits_of(lease_s)) as supervisor:
        for number in range(runtimes):
            with suppress(InvalidTransition):
                await supervisor.spawn(f"{name}-{number}", "chat")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(serve, sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
