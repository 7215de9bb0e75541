"""The loop that a behaviour of the proof of re-entry stands on: trio's, or that of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol, final

import trio

Task = Callable[[], Awaitable[None]]


@final
class Cut:
    """What a scope of the loop's own says at its end.

    Attributes:
        cancelled_caught: Whether it has cut something off.
    """

    __slots__ = ("cancelled_caught",)

    def __init__(self) -> None:
        """Nothing yet."""
        self.cancelled_caught = False


class Loop(Protocol):
    """What a behaviour does that is not asked of its run."""

    async def sleep(self, seconds: float, /) -> None:
        """A wait that is in no record."""
        ...

    async def together(self, tasks: Sequence[Task], /) -> None:
        """Tasks side by side, until all have ended."""
        ...

    def cut(self, seconds: float, /) -> AbstractAsyncContextManager[Cut]:
        """A scope of the loop's own."""
        ...


@final
class OnTrio:
    """Trio."""

    async def sleep(self, seconds: float, /) -> None:
        """See `Loop.sleep`."""
        await trio.sleep(seconds)

    async def together(self, tasks: Sequence[Task], /) -> None:
        """See `Loop.together`."""
        async with trio.open_nursery() as nursery:  # owned by this item
            for each in tasks:
                nursery.start_soon(each)

    @asynccontextmanager
    async def cut(self, seconds: float, /) -> AsyncGenerator[Cut]:
        """See `Loop.cut`."""
        said = Cut()
        with trio.move_on_after(seconds) as scope:
            yield said
        said.cancelled_caught = scope.cancelled_caught


@final
class OnAsyncio:
    """Asyncio."""

    async def sleep(self, seconds: float, /) -> None:
        """See `Loop.sleep`."""
        await asyncio.sleep(seconds)

    async def together(self, tasks: Sequence[Task], /) -> None:
        """See `Loop.together`."""
        async with asyncio.TaskGroup() as group:
            for each in tasks:
                group.create_task(_whole(each))

    @asynccontextmanager
    async def cut(self, seconds: float, /) -> AsyncGenerator[Cut]:
        """See `Loop.cut`."""
        said = Cut()
        timeout = asyncio.timeout(seconds)
        try:
            async with timeout:
                yield said
        except TimeoutError:
            if not timeout.expired():
                raise
            said.cancelled_caught = True


async def _whole(task: Task) -> None:
    await task()


TRIO: Final = OnTrio()
ASYNCIO: Final = OnAsyncio()
