"""A scope of a behaviour whose end is recorded (design §18, "Cut off")."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final, Protocol, TypeVar, final

import trio

from tenure.persistence.model.numbers import check_seconds
from tenure.persistence.model.texts import comes_of

from .turns import Opens


@final
class OpenScope:
    """A scope of a behaviour that is open.

    Attributes:
        path: Which of its branch: ``2.1`` is the first in the second. How many were opened in the first does not count: one
            that is cut off may have opened more by then in one entering than in another.
        around: The one that it stands in, of whatever branch; None where there is none.
        beside: The open ones of its branch; shared with that, and with what of it is past a cut.
        opened: How many stand in it, and did.
    """

    __slots__ = ("_counts", "_length", "_scope", "_stays", "around", "beside", "opened", "path")

    def __init__(self, scope: trio.CancelScope, length: float, branch: Scoped) -> None:
        """The next one of its branch, in that one of it which the calling task stands in. Its time counts."""
        self.around = around = INSIDE.get()
        self.beside = branch.scopes
        self.opened = 0
        self._scope = scope
        self._length = length
        self._counts = True
        self._stays = False
        while around is not None and around.beside is not self.beside:
            around = around.around
        if around is None:
            branch.opened += 1
            self.path = f"{branch.opened}"
        else:
            around.opened += 1
            self.path = f"{around.path}.{around.opened}"

    @property
    def is_over(self) -> bool:
        """Whether its time is over: what its tasks await next is cut off."""
        return self._scope.cancel_called

    def count(self, *, stays: bool = False) -> None:
        """Its time counts from now on, where it did not before; it `stays` so, whatever is asked for beside."""
        self._stays = self._stays or stays
        if not self._counts:
            self._scope.deadline = trio.current_time() + self._length
            self._counts = True

    def wait_for(self, seconds: float) -> None:
        """Its time does not count, for so long at most."""
        if self._counts and not self._stays:
            self._scope.deadline += seconds
            self._counts = False

    def end_with_another(self) -> None:
        """Its time does not count any more."""
        self._scope.deadline = math.inf
        self._counts = False


INSIDE: Final[ContextVar[OpenScope | None]] = ContextVar("tenure.scope", default=None)
"""The innermost scope that a task stands in."""


@contextmanager
def stands_in(scope: OpenScope | None) -> Generator[None]:
    """What is called here stands in this scope, which another task holds open."""
    around = INSIDE.get()
    INSIDE.set(scope)
    try:
        yield
    finally:
        INSIDE.set(around)


class Scoped(Protocol):
    """A branch of a run.

    Attributes:
        scopes: Those of its scopes that are open, by path.
        opened: How many it has opened that stand in no other.
        left: Paths of scopes that a cancellation has left by now, on its way out to the one that it is of.
    """

    scopes: dict[str, OpenScope]
    opened: int
    left: list[str]

    def close_scope(self, path: str, /) -> None:
        """A scope of it is open no more."""
        ...


B = TypeVar("B", bound=Scoped)
B_contra = TypeVar("B_contra", bound=Scoped, contravariant=True)


class Times(Protocol[B_contra]):
    """The record of a run, as far as it knows when scopes were over."""

    def time_scopes(self, branch: B_contra, /) -> None:
        """Set the ends of the open scopes of a branch."""
        ...


class Cuts(Opens, Protocol[B]):
    """An entering of a run, as far as a scope cuts off what it has in flight."""

    @property
    def record(self) -> Times[B]:
        """What is recorded."""
        ...

    @property
    def branch(self) -> B:
        """The branch that the calling task works in. Raises `InvalidInput` where there is none."""
        ...

    async def record_cut(self, branch: B, scopes: list[str], /) -> None:
        """Record that scopes of a branch were cut off, by their paths: that which was, and those in it."""
        ...

    def record_raised(self, branch: B, scopes: list[str], /) -> None:
        """Record that the body of a scope has made an error of its cancellation; see `record_cut`."""
        ...

    async def stay_cut(self, branch: B, scope: str, /, *, raised: bool) -> None:
        """Wait for the end of a scope whose body has ended, where that was cut off before its end.

        Raises `StepMismatch` where it had `raised` at its cancellation, and has not now.
        """
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
    branch.left = []
    scope = trio.move_on_after(length)
    opened = OpenScope(scope, length, branch)
    path = opened.path
    try:
        with scope:
            branch.scopes[path] = opened
            INSIDE.set(opened)
            entering.record.time_scopes(branch)
            try:
                try:
                    yield scope
                except Exception:
                    await entering.stay_cut(branch, path, raised=True)
                    raise
                await entering.stay_cut(branch, path, raised=False)
                branch.left = []
            except BaseException as exc:
                if not isinstance(exc, Exception):
                    branch.left.append(path)
                raise
            finally:
                branch.close_scope(path)
                INSIDE.set(opened.around)
    except Exception as exc:
        left, branch.left = branch.left[::-1], []
        if scope.cancelled_caught or (scope.cancel_called and comes_of(exc, trio.Cancelled)):
            entering.record_raised(branch, left if path in left else [path, *left])
        raise
    if scope.cancelled_caught:
        scopes, branch.left = branch.left[::-1], []
        await entering.record_cut(branch, scopes)
