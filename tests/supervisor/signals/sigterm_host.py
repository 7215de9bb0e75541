"""A host in a process of its own, for the test that ends it with SIGTERM."""

from __future__ import annotations

import sys

import trio

import tenure


async def behaviour(run: tenure.Run) -> None:
    sys.stdout.write("running\n")
    sys.stdout.flush()
    await trio.sleep(0.3)
    run.session.append("came to its end")


async def main(database: str) -> None:
    async with tenure.open_supervisor(database, behaviours={"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        await runtime.accept(2)
        await trio.sleep_forever()
    sys.stdout.write("ended in order\n")
    sys.stdout.flush()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
