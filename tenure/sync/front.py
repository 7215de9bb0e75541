"""How verbs of the trio thread become functions, and how long they may take."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from math import inf
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, final

from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.model.numbers import check_seconds
from tenure.portals.asked import OnSettled
from tenure.portals.outside import Outside
from tenure.portals.portal import Portal

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_DEADLINE: Final = ContextVar("deadline", default=inf)


@contextmanager
def fail_after(seconds: float) -> Generator[None]:
    """Within it no verb takes longer: one that has not ended by then is cancelled, and raises `TimeoutError`.

        with tenure.sync.fail_after(5.0):
            outcome = ticket.wait_outcome()

    The time is that of the whole block, not of each verb. Of two blocks around a verb, the earlier end counts. A commit that
    was taken when the time ends is waited for, and its result is returned. It is of this thread.

    Args:
        seconds: From now on.

    Raises:
        InvalidInput: No number of seconds.
        TimeoutError: A verb inside was cancelled by it.
    """
    check_seconds(seconds, "seconds", zero=True)
    before = _DEADLINE.set(min(_DEADLINE.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _DEADLINE.reset(before)


class Front(Generic[C_co]):
    """A thing whose verbs are those of a thing in the trio thread."""

    def __init__(self, portal: Portal, behind: C_co) -> None:
        """Bind it to the way to it."""
        self._portal = portal
        self._behind = behind

    def _call(self, function: Callable[[], Awaitable[T]]) -> T:
        return self._portal.call_blocking(function, deadline=_DEADLINE.get())


def call(front: Front[Any], function: Callable[[], Awaitable[T]]) -> T:
    """Run a trio function in the trio thread of this front, and wait for it."""
    return front._call(function)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - a public name would be a verb


def way(front: Front[C]) -> tuple[Portal, C]:
    """The portal of a front, and what it stands for."""
    return front._portal, front._behind  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - a public name would be a verb


def verb(method: Callable[Concatenate[C, P], Awaitable[T]]) -> Callable[Concatenate[Front[C], P], T]:
    """The same method, which returns when it is done."""

    @wraps(method)
    def wait(self: Front[C], /, *arguments: P.args, **named: P.kwargs) -> T:
        _, behind = way(self)
        return call(self, partial(method, behind, *arguments, **named))

    return wait


class Near(Front[C_co]):
    """A thing whose verbs run in the caller's thread, over a contract on this side, but for some."""

    def __init__(self, portal: Portal, behind: C_co, near: C_co) -> None:
        """Bind it to the contract over there, and to the same one on this side."""
        super().__init__(portal, behind)
        self._near = near


@final
class InThread(Outside):
    """A store for contracts whose verbs run in a thread that stands still meanwhile: nothing they await suspends."""

    async def _commit(self, commit: Commit, on_settled: OnSettled | None) -> CommitResult:
        return self._portal.commit_blocking(self._ground, commit, on_settled, deadline=_DEADLINE.get())

    async def _call(self, function: Callable[[], Awaitable[T]]) -> T:
        return self._portal.call_blocking(function, deadline=_DEADLINE.get())


def near(front: Near[C]) -> C:
    """The contract on this side."""
    return front._near  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - a public name would be a verb


def here(
    method: Callable[Concatenate[C, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Near[C], P], T]:
    """The same method of the contract on this side, which returns when it is done."""

    @wraps(method)
    def wait(self: Near[C], /, *arguments: P.args, **named: P.kwargs) -> T:
        return _driven(method(near(self), *arguments, **named))

    return wait


def _driven(verb: Coroutine[Any, Any, T]) -> T:
    try:
        verb.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    message = "a verb of a contract has suspended"
    raise RuntimeError(message)


def giving(
    front: Callable[[Portal, T], R], method: Callable[Concatenate[C, P], Awaitable[T]]
) -> Callable[Concatenate[Front[C], P], R]:
    """The same method, which returns the front of what that gives."""

    @wraps(method)
    def wait(self: Front[C], /, *arguments: P.args, **named: P.kwargs) -> R:
        portal, behind = way(self)
        return front(portal, call(self, partial(method, behind, *arguments, **named)))

    return wait


def at_once(method: Callable[Concatenate[C, P], T]) -> Callable[Concatenate[Front[C], P], T]:
    """The same method of the trio thread, where that is a plain function."""

    @wraps(method)
    def answer(self: Front[C], /, *arguments: P.args, **named: P.kwargs) -> T:
        portal, behind = way(self)
        return portal.call_now(partial(method, behind, *arguments, **named))

    return answer
