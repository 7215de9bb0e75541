"""Steps that are asyncio functions, run on the loop of the program."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar, final

import outcome
import trio

from tenure.persistence.model.texts import class_name
from tenure.persistence.seams.interrupts import driven
from tenure.portals.loops import ProgramLoop
from tenure.portals.portal import in_loop

P = ParamSpec("P")
T = TypeVar("T")

LOOP: Final = trio.lowlevel.RunVar[ProgramLoop]("LOOP")
"""The loop of the program around the trio run; each run has its own."""


def on_loop(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make an asyncio function one that `Run.step` can call: it runs on the loop that opened the supervisor.

    Awaited from a task of asyncio, as a test or another asyncio function does, or given to `Supervisor.serve_queue`, it is the
    function itself.

        @tenure.asyncio.on_loop
        async def ask_model(question: str) -> str:
            return await client.ask(question)   # an asyncio client

        async def chat(run: tenure.Run) -> None:
            reply = await run.step("ask", ask_model, run.inputs[0].payload, repeat="freely")

    What it raises comes out of the step as it is.

    Raises:
        RuntimeError: When it is awaited in a trio program that no `tenure.asyncio.open_supervisor` runs.

    Cancellation: where its run is cancelled, by a stop or at the end of the host, so is the asyncio task, and its end is
    waited for. A function that swallows the cancellation keeps the host waiting; one that has a `timeout_s` is given up
    `Behaviour.grace_s` later.
    """

    @functools.wraps(function)
    async def in_program(*args: P.args, **kwargs: P.kwargs) -> T:
        if not trio.lowlevel.in_trio_task():
            return await function(*args, **kwargs)
        result: T = await run_on_loop(loop_of(function), functools.partial(function, *args, **kwargs))
        return result

    _ON_LOOP.add(in_program)
    return in_program


def is_on_loop(function: object) -> bool:
    """Whether it was made by `on_loop`, also under `functools.partial`."""
    while isinstance(function, functools.partial):
        function = function.func
    return function in _ON_LOOP


def loop_of(function: object) -> ProgramLoop:
    """The loop of the program around the trio run that calls this. Raises `RuntimeError` where there is none."""
    try:
        return LOOP.get()
    except LookupError:
        message = f"{function!r} is for the behaviours of a tenure.asyncio.open_supervisor"
        raise RuntimeError(message) from None


async def run_on_loop(program: ProgramLoop, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run an asyncio function in a task of the loop, with the context variables of the caller, and wait for its end."""
    with program.in_use():
        return await _LoopCall(program.loop, function).wait()


_KNOWN: Final = (type(None),)
_FUTURES: Final[tuple[type[Any], ...]] = (asyncio.Future, asyncio.Task)


def _foreign_to_asyncio(asked: object) -> BaseException | None:
    """What is raised in code that hands this up to asyncio; None where it is a future that is awaited."""
    try:
        if getattr(asked, "_asyncio_future_blocking", None) is True and (type(asked) in _FUTURES or repr(asked)):
            return None
    except Exception as exc:  # noqa: BLE001 - asyncio asks it the same, and would leave the task for ever
        return RuntimeError(f"Task got bad yield of class {class_name(asked)}, which raised {class_name(exc)}")
    return RuntimeError(f"Task got bad yield of class {class_name(asked)}")


_ON_LOOP: Final = weakref.WeakSet[Callable[..., Any]]()


@final
class _LoopCall:
    """One asyncio task that a trio task waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, function: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._loop = loop
        self._function = function
        self._waiting = trio.lowlevel.current_task()
        self._token = trio.lowlevel.current_trio_token()
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[Any] | None = None
        self._raise_cancel: Callable[[], object] | None = None

    async def wait(self) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._loop.call_soon_threadsafe(self._start)
        return await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, raise_cancel: Callable[[], object]) -> trio.lowlevel.Abort:
        # Not aborted at once: the task uses what the step was given, and its end is the step's.
        self._raise_cancel = raise_cancel
        in_loop(self._loop, self._cancel)
        return trio.lowlevel.Abort.FAILED

    # In the loop

    def _start(self) -> None:
        self._task = self._loop.create_task(self._call(), context=self._context)
        self._task.add_done_callback(self._done)

    async def _call(self) -> Any:
        # Called in here, so that even a call that does not fit ends as this task's error.
        return await driven(self._function(), _KNOWN, _foreign_to_asyncio, None)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        answer = outcome.Value(task.result()) if error is None else outcome.Error(error)
        try:
            self._token.run_sync_soon(self._wake, answer)
        except trio.RunFinishedError:
            return  # the trio run was torn down; nothing waits

    # In the trio thread

    def _wake(self, answer: outcome.Outcome[Any]) -> None:
        cancelled = isinstance(answer, outcome.Error) and isinstance(answer.error, asyncio.CancelledError)
        if cancelled and self._raise_cancel is not None:
            answer = outcome.capture(self._raise_cancel)
        elif cancelled:
            # Another part of the program cancelled the task. For the run that is a failed step, and not its cancellation.
            answer = outcome.Error(RuntimeError("the asyncio task of a step was cancelled"))
        trio.lowlevel.reschedule(self._waiting, answer)
