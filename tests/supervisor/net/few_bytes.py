"""A program that opens a host with ever more address space left, each time in a child of its own, and prints how that ended."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

import tenure
import tenure.asyncio
import tenure.sync

ENDS_S = 10
"""A child that has not ended by then hangs."""

LEFT = [8_300_000 + 200_000 * step for step in range(6)]
"""Bytes: enough for the stack of one thread, and for next to nothing that it does."""


async def nothing(_: tenure.Run) -> None:
    """Consume."""


def limit(left: int) -> None:
    """Leave so many bytes of address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + left, resource.RLIM_INFINITY))


def use(front: str, left: int) -> None:
    """Open a host."""
    if front == "sync":
        limit(left)
        with tenure.sync.open_supervisor(":memory:", behaviours={}):
            return

    async def main() -> None:
        limit(left)
        async with tenure.asyncio.open_supervisor(":memory:", behaviours={"kind": nothing}):
            return

    asyncio.run(main())


def main(front: str) -> None:
    """One child for each number of bytes."""
    for left in LEFT:
        child = os.fork()
        if child == 0:
            signal.alarm(ENDS_S)
            end = "open"
            try:
                use(front, left)
            except Exception as exc:  # noqa: BLE001 - it is printed
                end = type(exc).__name__
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            sys.stdout.write(f"{end}\n")
            sys.stdout.flush()
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            sys.stdout.write("hung\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
