"""A recovery that is itself cut off in half of the images, and then done again by another host on what that one left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol, Self, TypeVar

import trio

from tenure.supervisor.supervisor import Supervisor
from tenure.testing.drive.images import Cut
from tenure.testing.machine import Machine

CUTS: Final = (Cut.KILL, Cut.NOTHING, Cut.EVERYTHING, Cut.SUBSET, Cut.TORN)


class World(Protocol):
    """What is done outside of the store: it outlives every crash."""

    calls: int
    """How often a function of it was called."""

    def copy(self) -> Self:
        """The same, for another life."""
        ...


W = TypeVar("W", bound=World)


async def recover(
    machine: Machine,
    world: W,
    open_host: Callable[[Machine, W], AbstractAsyncContextManager[Supervisor]],
    is_unfinished: Callable[[Supervisor], bool],
    compare: Callable[[Supervisor, W], Awaitable[None]],
    crash_after: tuple[int, int, int],
) -> None:
    """Bring everything to its end and compare; in half of the images after a crash that comes after so many calls."""
    calls = machine.random.choice((0, 0, 0, *crash_after))
    async with open_host(machine, world) as supervisor:
        while is_unfinished(supervisor):
            if calls and world.calls >= calls:
                machine, world = machine.crashed(machine.random.choice(CUTS)), world.copy()
                break
            await trio.sleep(0.01 if calls else 1)
        else:
            await compare(supervisor, world)
            return
    async with open_host(machine, world) as supervisor:
        while is_unfinished(supervisor):  # noqa: ASYNC110 - the database has no event to wait for
            await trio.sleep(1)
        await compare(supervisor, world)
