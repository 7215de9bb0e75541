"""Hosts in a process of their own that send themselves SIGTERM at the n-th piece of work of the disk, for each n.

python tests/supervisor/signals/sigterm_sweep.py FOLDER trio|asyncio
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio

import tenure
import tenure.asyncio
from tenure.persistence.seams.executors import Heard, ThreadExecutor

T = TypeVar("T")


class Disk:
    """Counts what the store's threads are given, and sends the signal at the n-th, before it is carried out."""

    def __init__(self, at: int) -> None:
        self.left = at

    def executor(self) -> Striking:
        return Striking(self)

    def strike(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


class Striking:
    """A thread that counts for its disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._inner = ThreadExecutor("striking")

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        def work() -> T:
            self._disk.strike()
            return function()

        return await self._inner.run(work, heard)

    def close(self) -> None:
        self._inner.close()


async def nothing(run: tenure.Run) -> None:
    """Consume."""


async def on_trio(database: Path, seams: tenure.Seams) -> None:
    async with tenure.open_supervisor(database, behaviours={"k": nothing}, seams=seams) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept(1)).wait_outcome()


async def on_asyncio(database: Path, seams: tenure.Seams) -> None:
    async with tenure.asyncio.open_supervisor(database, behaviours={"k": nothing}, seams=seams) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept(1)).wait_outcome()


def main(folder: str, front: str) -> None:
    at, reached = 0, True
    while reached:
        at += 1
        disk = Disk(at)
        seams = tenure.Seams(writer_executor=disk.executor, reader_executor=disk.executor)
        database = Path(folder) / f"{at}.db"
        if front == "trio":
            trio.run(on_trio, database, seams)
        else:
            asyncio.run(on_asyncio(database, seams))
        reached = disk.left <= 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    sys.stdout.write(f"{at - 1} places, all in order\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
