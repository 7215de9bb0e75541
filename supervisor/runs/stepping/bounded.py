"""Async steps that have a bound: each runs in a task apart, so that one that ignores its cancellation can be left.

Trio ends no task from outside: who cancels one waits for its end. A step with `timeout_s` is not waited for any longer than
the grace of its behaviour. What is left is counted with the threads that are, and bounded by `Limits.given_up`.
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, final

import outcome
import trio

from tenure.persistence.seams.nursery import contained
from tenure.persistence.seams.step_threads import StepThreads, StepWork
from tenure.supervisor.runs.recording.flight import Flight

_NONE: Final = outcome.Error(trio.ClosedResourceError("the loop ended under the step"))


@final
class BoundedCall:
    """One call of an async function, which may outlive who waits for it.

    Attributes:
        over: Set when the function has ended.
    """

    def __init__(self, function: Callable[[], Awaitable[Any]]) -> None:
        """Begin nothing yet."""
        self.over = trio.Event()
        self._function = function
        self._scope = trio.CancelScope()
        self._answer: outcome.Outcome[Any] = _NONE
        self._on_end: Callable[[], object] | None = None

    async def wait(self, grace_s: float, leave: Callable[[], Callable[[], object]]) -> Any:
        """Run the function, and return or raise what it does.

        Args:
            grace_s: Seconds between its cancellation and the time when it is left.
            leave: Called when it is; what that returns is called at its end.

        Cancellation: the function's scope is cancelled and its end is waited for; what it returns all the same is taken.
        """
        trio.lowlevel.spawn_system_task(self._run, name=self._function, context=contextvars.copy_context())
        try:
            await self.over.wait()
        except trio.Cancelled:
            self._scope.cancel()
            with trio.move_on_after(grace_s, shield=True):
                await self.over.wait()
            if not self.over.is_set():
                self._on_end = leave()
            if self._answer is _NONE:
                raise
        return self._answer.unwrap()

    async def _run(self) -> None:
        try:
            with self._scope:
                self._answer = outcome.Value(await contained(self._function))
        except trio.Cancelled:
            raise  # the loop ends
        except BaseException as exc:  # noqa: BLE001 - for who waits for it
            self._answer = outcome.Error(exc)
        finally:
            self.over.set()
            if self._on_end is not None:
                self._on_end()


@final
class Begins:
    """Begins a function in a worker thread, unless nothing waits for it any more.

    A wait that was cut off leaves a thread that the system may start late. Who leaves sets `left` and asks then whether it has
    begun; the thread says that it begins and looks then: whichever is first, what is said not to have begun never does.

    Attributes:
        function: What is begun.
        left: Whether nothing waits for it any more.
    """

    __slots__ = ("_flight", "_may_begin", "function", "left")

    def __init__(self, flight: Flight, function: Callable[[], Any], may_begin: Callable[[], bool]) -> None:
        """Not begun yet; `may_begin` is asked in the thread."""
        self.function = function
        self.left = False
        self._flight = flight
        self._may_begin = may_begin

    def __call__(self) -> tuple[bool, Any]:
        """Whether it has begun, and what it returned."""
        self._flight.awaits_thread = False
        before = self._flight.begun  # by an attempt before this one
        self._flight.begun = True
        if self.left:
            return False, None
        if not self._may_begin():
            self._flight.begun = before
            return False, None
        return True, self.function()


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives something to await."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - an object with an async __call__


def leave_behind(executor: object, work: StepWork[Any]) -> Callable[[], object]:
    """Count a step that goes on without its run among those that were given up; call what is returned at its end."""
    return executor.leave(work) if isinstance(executor, StepThreads) else _nothing


async def until_over(executor: object, work: StepWork[Any]) -> None:
    """Wait until no thread runs a step any more. Without threads there is none that outlives its attempt."""
    if isinstance(executor, StepThreads):
        await executor.wait_over(work)


def _nothing() -> None:
    """Nothing is counted."""
