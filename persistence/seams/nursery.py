"""Background tasks beside a body, whose own exception leaves unwrapped.

A nursery wraps what its body raises into an exception group. A context manager of this library must not: a user's
`ValueError` inside ``async with open_store(...)`` is a `ValueError` outside (design §15).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import cast, final

import trio

from tenure.persistence.model.texts import leaves

from .interrupts import interrupt_in


@final
class Body:
    """Catches what the body raises, so that the background can end first. May be entered again, for what ends the body.

    Attributes:
        nursery: Where the background runs.
        error: What the body raised, or None.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        """Nothing was raised yet."""
        self.nursery = nursery
        self.error: BaseException | None = None

    @property
    def left_normally(self) -> bool:
        """Whether the body has ended."""
        return self.error is None

    def __enter__(self) -> None:
        """Begin the body."""

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> bool:
        """Keep the first exception; `reraise` gives it back outside the nursery."""
        if self.error is None:
            self.error = error
        return True

    def reraise(self) -> None:
        """Raise what the body raised, once the background has ended."""
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def background(*tasks: Callable[[], Awaitable[object]]) -> AsyncGenerator[Body]:
    """Run tasks beside a body and cancel those that are left when it ends. One owner: the context manager that calls this."""
    try:
        async with trio.open_nursery() as nursery:
            body = Body(nursery)
            for task in tasks:
                nursery.start_soon(task)
            yield body
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise interrupt_in(group) or group from None


async def together(*tasks: Callable[[], Awaitable[object]]) -> None:
    """Run tasks at once and wait for all of them; what one raises cancels the rest, and leaves unwrapped."""
    try:
        async with trio.open_nursery() as nursery:  # owned by this call
            for task in tasks:
                nursery.start_soon(task)
    except BaseExceptionGroup as group:
        # Of several errors the first is the cause; a cancellation of our own caller comes again.
        raise interrupt_in(group) or _first_leaf(group) from None


async def first(*tasks: Callable[[], Awaitable[object]]) -> None:
    """Run tasks at once until one of them has ended; the others are cancelled. What one raises leaves unwrapped."""

    async def run(task: Callable[[], Awaitable[object]], scope: trio.CancelScope) -> None:
        await task()
        scope.cancel()

    with trio.CancelScope() as scope:
        await together(*(partial(run, task, scope) for task in tasks))


def _first_leaf(error: BaseException) -> BaseException:
    if isinstance(error, BaseExceptionGroup):
        return _first_leaf(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error


def is_for_others(error: BaseException) -> bool:
    """Whether an exception has to go on whatever it meets: a cancellation of trio's, or what asks the process to end.

    Any other one that a user's code raises is a failure like another, also where it is no `Exception`.
    """
    return any(issubclass(type(each), trio.Cancelled | KeyboardInterrupt | SystemExit) for each in leaves(error))
