"""A scope of a behaviour whose end is recorded (design §18, "Cut off")."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from tenure.persistence.model.numbers import check_seconds

from .turns import Opens


class Cuts(Opens, Protocol):
    """An entering of a run, as far as a scope cuts off what it has in flight."""

    async def record_cuts(self) -> None:
        """Record what was cut off in the calling branch, where there is something."""
        ...


@asynccontextmanager
async def move_on_after(entering: Cuts, seconds: float) -> AsyncGenerator[trio.CancelScope]:
    """See `Run.move_on_after`."""
    try:
        entering.check_open()
        length = check_seconds(seconds, "seconds", zero=True)
    except Exception:
        await entering.turn()
        raise
    with trio.move_on_after(length) as scope:
        yield scope
    if scope.cancelled_caught:
        await entering.record_cuts()
