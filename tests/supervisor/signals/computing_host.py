"""A host in a process of its own whose behaviour computes for ever, or raises KeyboardInterrupt by itself.

python tests/supervisor/signals/computing_host.py DATABASE computes|raises|in_step
"""

from __future__ import annotations

import signal
import sys

import trio

import tenure


async def computes(run: tenure.Run) -> None:
    sys.stdout.write("computing\n")
    sys.stdout.flush()
    while True:
        pass


async def raises(run: tenure.Run) -> None:
    raise KeyboardInterrupt


async def in_step(run: tenure.Run) -> None:
    async def step() -> None:
        await computes(run)

    await run.step("computes", step, repeat="freely")


async def main(database: str, kind: str) -> None:
    few = tenure.RestartPolicy(max_crashes=2)  # the fewer, the fewer processes show it
    behaviours = {
        name: tenure.Behaviour(function, restart=few)
        for name, function in (("computes", computes), ("raises", raises), ("in_step", in_step))
    }
    async with tenure.open_supervisor(database, behaviours=behaviours) as supervisor:
        runtime = await supervisor.spawn("a", kind)
        await runtime.accept("go", idempotency_key="go")
        if await runtime.wait_held():
            sys.stdout.write("held\n")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts us in the background has it ignored
    try:
        trio.run(main, sys.argv[1], sys.argv[2])
    except KeyboardInterrupt:
        sys.stdout.write("interrupted\n")
