"""Ctrl-C: it never stops this library between two of its lines, and leaves as plain `KeyboardInterrupt`.

Theory of operation. Python raises `KeyboardInterrupt` between any two instructions of the main thread: in the writer's task it
would break the store, in a lock it would leave it locked. Trio has the cure: in code that is marked as protected, the signal is
kept, and raised in the main task where that waits. So every function of this library is marked, once for a process, when a
store is opened. Trio judges by the innermost frame that has a mark. What users hand over (behaviours, async steps, hooks) is
called through `unprotected`, so that a behaviour that computes for ever can still be interrupted.

That is also where a loop is spared what it cannot bear of users' code. What a task hands up that is not the loop's, trio and
asyncio print into their error, in the loop itself: a text that raises would end the host, or leave a task that never ends. So
it is refused right there (`driven`), in the code that handed it up.

What is left are the waits of the main task. A wait that must not be cut off stands in a separate task (`to_the_end`), or keeps
the signal for later (`raise_later`) as it does with a cancellation that comes too late.

Rejected: a decorator at each function, since a new one would lack it; SIGINT as a mere cancellation, since a behaviour that
computes would never end.
"""

from __future__ import annotations

import functools
import signal
import sys
import threading
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, ParamSpec, TypeVar, cast

import outcome
import trio

from tenure.errors import Unsupported
from tenure.persistence.entering import EnteredAsync
from tenure.persistence.model.texts import YIELDED, class_name

P = ParamSpec("P")
T = TypeVar("T")

PACKAGE: Final = "tenure."
OUTSIDE: Final = ("tenure.testing", "tenure.cli")
"""Separate programs in this package: Ctrl-C stops them as it stops any."""

_TRIO_HANDLER: Final = "trio._core._ki"

_MARKED: Final[set[str]] = set()  # modules; the marks are trio's, and as much of the whole process as the signal


def protect_library() -> None:
    """Mark every function of the library that is loaded and has no mark yet."""
    for name, module in list(sys.modules.items()):
        if name.startswith(PACKAGE) and not name.startswith(OUTSIDE) and name not in _MARKED:
            _MARKED.add(name)
            for value in list(vars(module).values()):
                _protect(value, name)


def _protect(value: object, module: str) -> None:
    if getattr(value, "__module__", None) != module:
        return
    if isinstance(value, type):
        for each in list(vars(value).values()):
            _protect(_function_of(each), module)
    elif isinstance(value, types.FunctionType):
        # What a decorator of another package has wrapped (a context manager, say) is ours inside.
        inner: Any = value
        while (wrapped := getattr(inner, "__wrapped__", None)) is not None:
            inner = wrapped
        if inner not in (unprotected, driven):
            _protect_code(inner.__code__)


def _function_of(member: object) -> object:
    if isinstance(member, (classmethod, staticmethod)):
        return cast("Any", member).__func__
    return member.fget if isinstance(member, property) else member


def _protect_code(code: types.CodeType) -> None:
    marked: Any = types.SimpleNamespace(__code__=code)  # trio reads nothing else of a function
    trio.lowlevel.enable_ki_protection(marked)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):  # functions inside, and comprehensions
            _protect_code(constant)


@trio.lowlevel.disable_ki_protection
def unprotected(function: Callable[..., Awaitable[T]], *arguments: object) -> Awaitable[T]:
    """Call an async function of the user's, which Ctrl-C may stop between any two of its lines."""
    known, rest = _of_trio()
    return driven(function(*arguments), known, _foreign_to_trio, rest)


@trio.lowlevel.disable_ki_protection
@types.coroutine
def driven(
    code: Awaitable[T], known: Collection[object], judge: Callable[[object], BaseException | None], rest: object
) -> Generator[Any, Any, T]:
    """Await what a user's code has given, and hand up to the loop nothing that the loop does not know.

    Args:
        code: What is awaited.
        known: Classes of what the loop knows by its class alone.
        judge: Asked about all else: what the code is to raise, or None where the loop knows it.
        rest: Handed up in the place of what the loop does not know: it has its turn also where code goes on and on with that.
    """
    given: Any = code
    inner: Any = cast("Any", given if type(given) is types.CoroutineType else _awaited(code))
    step, given = inner.send, None
    while True:
        try:
            asked = step(given)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            given = None  # an exception in it would hold this frame, which holds it
        error = None if type(asked) in known else judge(asked)
        try:
            given = yield asked if error is None else rest
        except BaseException as exc:  # noqa: BLE001 - of the loop's, and raised where the code waits
            step, given = inner.throw, exc
        else:
            step = inner.send
            if error is not None:
                step, given = inner.throw, error
        error = None


async def _awaited(code: Awaitable[T]) -> T:
    return await code


def _foreign_to_trio(asked: object) -> BaseException | None:
    """What is raised in code that hands this up to trio; None where trio knows it."""
    if asked is _of_trio()[1]:
        return None
    # As trio begins it, and with no more of the object than its class.
    said = f"{YIELDED} of class {class_name(asked)}"
    return TypeError(f"{said}. Are you trying to use a library written for some other framework like asyncio?")


@functools.cache
def _of_trio() -> tuple[frozenset[object], object]:
    """The classes of what trio's functions hand up, of which trio has no public name, and what lets others run."""
    home = type(_handed_up(trio.lowlevel.wait_task_rescheduled, _never)).__module__
    values: list[object] = list(vars(sys.modules[home]).values())
    known = frozenset([each for each in values if isinstance(each, type) and each.__module__ == home])
    return known, _handed_up(trio.lowlevel.cancel_shielded_checkpoint)


def _never(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


def _handed_up(function: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> object:
    code = function(*arguments)
    try:
        return code.send(None)
    finally:
        code.close()


def raise_later() -> None:
    """Give a Ctrl-C back that was caught: the main task's next checkpoint raises it."""
    if threading.current_thread() is threading.main_thread() and is_of_trio(signal.getsignal(signal.SIGINT)):
        signal.raise_signal(signal.SIGINT)
    else:
        raise KeyboardInterrupt  # it was no signal: someone raised it


def is_of_trio(handler: object) -> bool:
    """Whether a handler of SIGINT is the one of the trio run."""
    return getattr(handler, "__module__", None) == _TRIO_HANDLER


def came_by_signal(error: KeyboardInterrupt) -> bool:
    """Whether it was raised by SIGINT, and not by a `raise` of the program."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == _TRIO_HANDLER


def interrupt_in(error: BaseException) -> KeyboardInterrupt | None:
    """The Ctrl-C in an exception group, or in groups in it, or None."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return next((found for each in group.exceptions if (found := interrupt_in(each)) is not None), None)
    return error if isinstance(error, KeyboardInterrupt) else None


def in_main_task() -> bool:
    """Whether this is the task in which trio raises Ctrl-C."""
    nursery = trio.lowlevel.current_task().parent_nursery
    return nursery is not None and nursery.parent_task is trio.lowlevel.current_root_task()


async def to_the_end(function: Callable[[], Awaitable[T]]) -> T:
    """Run a function to its end, whatever is cancelled meanwhile: what it holds must not be lost.

    A Ctrl-C is raised at the next checkpoint.
    """
    captured: list[outcome.Outcome[T]] = []

    async def run() -> None:
        with trio.CancelScope(shield=True):
            captured.append(await outcome.acapture(function))

    if not in_main_task():
        await run()
        return captured[0].unwrap()
    try:
        async with trio.open_nursery() as nursery:  # owned by this call: trio raises Ctrl-C in no task but the main one
            nursery.start_soon(run)
    except BaseExceptionGroup as group:
        if interrupt_in(group) is None:
            raise
        raise_later()
    return captured[0].unwrap()


def guarded(
    function: Callable[P, AsyncGenerator[T]],
) -> Callable[P, AbstractAsyncContextManager[T]]:
    """Make a context manager of an async generator: on the way in and out Ctrl-C waits, in the frames of `contextlib` too.

    It is entered on trio: elsewhere that raises `Unsupported`, and nothing is opened.
    """
    make, name = asynccontextmanager(function), function.__name__

    def enter() -> None:
        if not trio.lowlevel.in_trio_task():
            raise Unsupported(
                what=f"{name} outside of trio (tenure.asyncio and tenure.sync have it for other programs)"
            )
        protect_library()

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> AbstractAsyncContextManager[T]:
        return EnteredAsync(name, make(*args, **kwargs), enter)

    return call
