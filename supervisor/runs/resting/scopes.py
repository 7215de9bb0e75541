"""A scope of a behaviour whose end is recorded (design §18, "Cut off")."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import trio

from tenure.persistence.model.numbers import check_seconds

from .turns import Opens


class Scoped(Protocol):
    """A branch of a run.

    Attributes:
        scopes: How many scopes of it are open.
        opened: How many it has opened.
        cuts: How many of its entries were cut off.
    """

    scopes: int
    opened: int
    cuts: int


B = TypeVar("B", bound=Scoped)


class Cuts(Opens, Protocol[B]):
    """An entering of a run, as far as a scope cuts off what it has in flight."""

    @property
    def branch(self) -> B:
        """The branch that the calling task works in. Raises `InvalidInput` where there is none."""
        ...

    async def record_cuts(self, branch: B, cuts: int, scope: int, /) -> None:
        """Record what a scope of a branch has cut off, of which so many were before; where that is nothing, record that.

        `scope` is its number in the branch.
        """
        ...

    async def stay_cut(self, branch: B, scope: int, /) -> None:
        """Wait for the end of a scope whose body has come to its end, where the body was cut off before that."""
        ...


@asynccontextmanager
async def move_on_after(entering: Cuts[B], seconds: float) -> AsyncGenerator[trio.CancelScope]:
    """See `Run.move_on_after`."""
    try:
        entering.check_open()
        branch = entering.branch
        length = check_seconds(seconds, "seconds", zero=True)
    except Exception:
        await entering.turn()
        raise
    cuts = branch.cuts
    branch.scopes += 1
    branch.opened = number = branch.opened + 1
    try:
        with trio.move_on_after(length) as scope:
            try:
                yield scope
            except Exception:
                await entering.stay_cut(branch, number)
                raise
            await entering.stay_cut(branch, number)
    finally:
        branch.scopes -= 1
    if scope.cancelled_caught:
        await entering.record_cuts(branch, cuts, number)
