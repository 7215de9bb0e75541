"""The asyncio loop of the program, as the trio thread sees it: whether it runs, and where it stands while it does not.

Behaviours and steps that are asyncio functions run there. Code of theirs that blocks keeps that loop from running, and not the
trio one, which sees it and says so. Where nothing of ours runs there, the loop is not asked.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, final

import trio

from tenure.persistence.model.values import LogicalRuntimeId
from tenure.supervisor.fleet.loop_watch import LOOK_S, place_of
from tenure.supervisor.host import Host

from .portal import in_loop

LATE_LOOKS: Final = 4
"""So many looks without an answer are a loop that stands still: a second."""

_ASYNCIO: Final = ("asyncio.", "uvloop")
"""What calls the code of a program there."""


@final
class ProgramLoop:
    """The loop that made this.

    Attributes:
        loop: The loop.
    """

    def __init__(self) -> None:
        """Of the running loop, from its thread."""
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._calls = 0
        self._called = trio.Event()

    @contextmanager
    def in_use(self) -> Generator[None]:
        """From the trio thread: something of ours runs there inside."""
        self._calls += 1
        self._called.set()
        try:
            yield
        finally:
            self._calls -= 1

    async def watch(self, host: Host) -> None:
        """From the trio thread: the log has a line each time that the loop stands still while something of ours runs there."""
        while True:
            if not self._calls:
                self._called = trio.Event()
                await self._called.wait()
            await self._look(host)

    async def _look(self, host: Host) -> None:
        answered = threading.Event()
        in_loop(self.loop, answered.set)
        # By looks and not by a clock: a process that stood still has looked no further.
        looks, place, running = 0, "", list[LogicalRuntimeId]()
        while not answered.is_set() and not self.loop.is_closed():
            await trio.sleep(LOOK_S)
            looks += 1
            if looks == LATE_LOOKS and not answered.is_set():
                place, running = self._place(), host.owned.running()
                host.log.loop_blocks(looks * LOOK_S, place, "the asyncio loop")
        if looks > LATE_LOOKS:
            host.log.loop_blocked(looks * LOOK_S, running, place, "the asyncio loop")
        elif not looks:
            await trio.sleep(LOOK_S)

    def _place(self) -> str:
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - documented, for debuggers
        return "" if frame is None else place_of(frame, _ASYNCIO)
