"""Background tasks beside a body, whose own exception leaves unwrapped; and nurseries that a user's code opens itself.

A nursery wraps what its body raises into an exception group. A context manager of this library must not: a user's
`ValueError` inside ``async with open_store(...)`` is a `ValueError` outside (design §15).

What leaves a task, or the body of a nursery, trio asks for its text, in the loop itself. An exception whose text raises would
end the loop and every runtime in it, or leave the nursery open in a task that is the host's. So each task that a user's code
starts gives its nursery an exception that could be asked, and gives it past the loop, which would ask once more
(`Containment`); and what that code leaves open is closed when it returns (`contained`). Rejected: a separate task for each
behaviour and step, which is 120 calls more for each.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Any, Final, NoReturn, TypeVar, cast, final

import outcome
import trio

from tenure.errors import Unsupported
from tenure.persistence.model.texts import class_name, in_place_of, is_sound, leaves, named, storable

from .interrupts import interrupt_in, unprotected

T = TypeVar("T")


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


_INSIDE: Final[ContextVar[bool]] = ContextVar("tenure.inside", default=False)
"""Whether this is code of a user's that the host has called, or a task that it has started."""

_CONTAINED: Final = trio.lowlevel.RunVar[int]("tenure.contained", 0)
"""How many hosts of this loop contain their users' code."""

_GIVES_REASONS: Final = "reason" in inspect.signature(trio.CancelScope.cancel).parameters
"""Whether this trio gives who is cancelled a reason; since 0.31."""


@contextmanager
def containing() -> Generator[None]:
    """For as long as this lasts, tasks that users' code starts in this loop end with exceptions that can be asked."""
    if not _CONTAINED.get():
        trio.lowlevel.add_instrument(_CONTAINMENT)
    _CONTAINED.set(_CONTAINED.get() + 1)
    try:
        yield
    finally:
        _CONTAINED.set(_CONTAINED.get() - 1)
        if not _CONTAINED.get():
            trio.lowlevel.remove_instrument(_CONTAINMENT)


@final
class Containment(trio.abc.Instrument):
    """Sees to what the tasks of users' code end with. Has no state."""

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """A task is about to begin."""
        if task.context.get(_INSIDE):
            code: Any = _sound(task.coro)
            task.coro = code


_CONTAINMENT: Final = Containment()


async def contained(function: Callable[..., Awaitable[T]], *arguments: object) -> T:
    """Call an async function of the user's, as `unprotected` does; what it leaves open in this task is closed.

    Raises:
        RuntimeError: It has left a nursery open; its tasks were cancelled, and have ended.
    """
    task = trio.lowlevel.current_task()
    before = _innermost(task)
    token = _INSIDE.set(True)
    try:
        result = await unprotected(function, *arguments)
    except BaseException as exc:
        if _innermost(task) is not before and await _close_inside(task, before) and not is_for_others(exc):
            message = f"a nursery was left open, after {storable(named(exc))}"
            raise RuntimeError(message) from exc
        raise
    finally:
        _INSIDE.reset(token)
    if _innermost(task) is not before and await _close_inside(task, before):
        message = "a nursery was left open by code that had returned"
        raise RuntimeError(message)
    return result


async def _sound(code: Coroutine[Any, Any, T]) -> T | None:
    try:
        return await unprotected(lambda: code)
    except BaseException as exc:
        if type(exc) is trio.Cancelled:
            raise
        found = exc if is_sound(exc) else in_place_of(exc)
    if not _give(trio.lowlevel.current_task().parent_nursery, found):
        raise found
    return None


def _give(nursery: trio.Nursery | None, error: BaseException) -> bool:
    """End a nursery with what a task of it raises, as the loop would. False where this trio keeps that otherwise.

    The loop asks for its text, its class and its traceback, and what it answered once it need not answer again.
    """
    pending: Any = getattr(nursery, "_pending_excs", None)
    if nursery is None or type(pending) is not list:
        return False
    cast("list[BaseException]", pending).append(error)
    told = {"reason": f"a child task raised {storable(class_name(error))}"} if _GIVES_REASONS else {}
    nursery.cancel_scope.cancel(**told)
    return True


def _innermost(task: trio.lowlevel.Task) -> Any:
    """The innermost scope that is open in a task, as trio itself knows it; None where it knows it otherwise."""
    return getattr(task, "_cancel_status", None)


async def _close_inside(task: trio.lowlevel.Task, before: object) -> bool:
    """Close what was opened in a task since, innermost first. Whether a nursery was among it."""
    found = False
    while (now := _innermost(task)) is not before and _is_inside(now, before):
        scope: trio.CancelScope = getattr(now, "_scope")  # noqa: B009 - trio has no public name for it
        nursery = next((each for each in task.child_nurseries if each.cancel_scope is scope), None)
        if nursery is None:
            scope.__exit__(None, None, None)
        else:
            found = True
            await _close(nursery)
    return found


def _is_inside(now: Any, before: object) -> bool:
    while now is not None and now is not before:
        now = getattr(now, "parent", None)
    return now is before and before is not None


async def _close(nursery: trio.Nursery) -> None:
    """Cancel a nursery that was left open, and leave it as its own context manager does. Errors of its tasks are lost."""
    nursery.cancel_scope.cancel()
    manager = trio.open_nursery()
    vars(manager).update(_scope=nursery.cancel_scope, _nursery=nursery)
    answer = await outcome.acapture(manager.__aexit__, None, None, None)
    if isinstance(answer, outcome.Error):
        for each in leaves(answer.error):
            if issubclass(type(each), KeyboardInterrupt | SystemExit):
                raise each


def refuse_thread() -> NoReturn:
    """Raises `Unsupported`: what a host has is waited for in another thread than that of its loop.

    A task there cannot be woken from here, and what wakes it would fail in its place.
    """
    raise Unsupported(what="a verb in another thread than that of its host (tenure.sync has them for threads)")
