"""A host whose agent speaks from threads, side by side, and is killed while it does; a program of its own.

python -m tests.supervisor.output.speaker DATABASE
"""

from __future__ import annotations

import sys
import threading
import time
from contextvars import copy_context

import trio

import tenure

WORDS = 40
THREADS = 3


def in_threads(name: str) -> int:
    """Emit from this thread and from others that it starts, each in its order."""

    def say(thread: int) -> None:
        for number in range(WORDS):
            tenure.emit([name, thread, number])
            time.sleep(0.004)

    threads = [threading.Thread(target=copy_context().run, args=(say, each)) for each in range(1, THREADS)]
    for each in threads:
        each.start()
    say(0)
    for each in threads:
        each.join()
    return WORDS


async def speak(run: tenure.Run) -> None:
    """Two branches side by side, with what the behaviour says itself between their steps."""

    async def branch(name: str) -> None:
        for turn in range(4):
            await run.emit([name, "says", turn])
            await run.step(f"{name}{turn}", in_threads, f"{name}{turn}", repeat="freely", attempts=3)

    await run.emit("begins")
    await run.gather(lambda: branch("a"), lambda: branch("b"))
    await run.emit("ends")


async def main(path: str) -> None:
    async with tenure.open_supervisor(path, behaviours={"speaker": speak}, durability="os"):
        sys.stdout.write("up\n")
        sys.stdout.flush()
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
