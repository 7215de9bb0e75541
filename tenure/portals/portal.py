"""The portal: calls into the trio thread, from asyncio with cancellation both ways, or from a thread that stands still.

Theory of operation. To wake another thread costs more than most of what is asked for, so calls that are asked for before the
trio thread has looked wake it once, and so do answers to one loop. A commit needs no task over there: it is submitted as the
trio thread looks, and answered as it is settled; one that is alone does not go there at all. What becomes of a call that was
cancelled wakes its task; see `answers`.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from copy import copy
from functools import partial, wraps
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, final
from weakref import WeakKeyDictionary

import outcome
import trio

from tenure.errors import Closed
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.model.texts import leaves
from tenure.persistence.writing.ground import Ground

from .answers import Answer, Unbroken
from .asked import Answered, Asked, Call, Handed, OnSettled, start
from .cancelling import DUE, raise_what_is_due
from .gathered import Gathered

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)
P = ParamSpec("P")
T = TypeVar("T")

_LOOK_S: Final = 1.0
"""How often a call that waits for a moment looks whether the trio run is still there."""


IN_A_CHILD: Final = "in this forked process"
"""Where it is closed: a fork copies neither threads nor what they have open."""


@final
class Portal:
    """The way into one trio run, good from `open` to `close`. Its calls may come from any other thread.

    What is called there has the context variables of the caller.
    """

    def __init__(self, *, what: str, cut: Callable[[], BaseException] | None = None) -> None:
        """Closed until the trio run opens it.

        Args:
            what: What `Closed` names where a call comes too late.
            cut: What a call raises that was cancelled over there and not here; None: why the portal was closed.
        """
        self._token: trio.lowlevel.TrioToken | None = None
        self._nursery: trio.Nursery | None = None
        self._what = what
        self._why_closed: BaseException = Closed(what=what)
        self._cut = cut
        self._pid = os.getpid()
        self._asked: Gathered[Asked] = Gathered(start)
        self._answers: WeakKeyDictionary[asyncio.AbstractEventLoop, Gathered[_Gathered]] = WeakKeyDictionary()

    def open(self, nursery: trio.Nursery) -> None:
        """From the trio thread: calls run in this nursery from now on."""
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()

    def close(self, error: BaseException) -> None:
        """From the trio thread: refuse further calls. Those on their way go on, until the nursery is cancelled."""
        self._nursery = None
        self._why_closed = error

    async def call(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Run a trio function in the trio thread, and return what it returns or raise what it raises.

        Raises:
            Closed: The trio run has ended, or ends with the call on its way; or this process was forked since.

        Cancellation: the function is cancelled, and waited for. Where it had a result or an error all the same, that
        is delivered, and the cancellation comes at the next await: where that is a call, before it asks for anything.
        """
        answer: T = await self._ask(lambda answered: Call(self, answered.give, function, arguments))
        return answer

    async def call_to_leave(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """As `call`, of what leaves something that was entered: it is asked for also where a cancellation is due."""
        answer: T = await self._ask(lambda answered: Call(self, answered.give, function, arguments), leaves=True)
        return answer

    def commit(
        self, ground: Ground, commit: Commit, on_settled: OnSettled | None = None
    ) -> Coroutine[Any, Any, CommitResult]:
        """Have a commit written; see `Ground.commit`. Errors and cancellation as `call`, of what that does."""
        return self._ask(lambda answered: Handed(self, answered, ground, commit, on_settled))

    async def _ask(self, make: Callable[[Answered], Asked], *, leaves: bool = False) -> Any:
        if DUE and not leaves:
            raise_what_is_due()
        token = self._token
        if token is None or os.getpid() != self._pid:
            raise self._why_not_here()
        answered: Unbroken[_Answer] = Unbroken(self._gather, loop=asyncio.get_running_loop())
        asked = make(answered)
        try:
            self._hand_over(asked, token)
        except trio.RunFinishedError:
            raise copy(self._why_closed) from None
        held = await answered.wait(on_cancel=lambda: in_trio(token, asked.cancel))
        answer = answered.result()
        if isinstance(answer, outcome.Error) and _is_cut(answer.error):
            # Cases: our asker was cancelled, and nothing happened; the trio run, or the scope, has ended under the call.
            if held is not None:
                raise held.error
            raise copy(self._why_closed) if self._cut is None else self._cut()
        if held is not None:
            held.come_at_next_await()
        return answer if type(answer) is CommitResult else answer.unwrap()

    def call_blocking(self, function: Callable[[], Awaitable[T]], *, deadline: float = math.inf) -> T:
        """Run a trio function in the trio thread, and wait for it in this one.

        Args:
            function: What to run.
            deadline: When it is cancelled, by `time.monotonic`.

        Raises:
            Closed: The trio run has ended, or ends with the call on its way; or this process was forked since.
            TimeoutError: It was cancelled at the deadline.
            RuntimeError: Called from the trio thread itself, which would wait for itself for ever.

        Cancellation: what a handler of a signal raises meanwhile, such as `KeyboardInterrupt`, cancels the function, is
        held until that has ended, and leaves in place of what it returned or raised.
        """
        answer: T = self._stand_for(lambda answered: Call(self, answered.give, function, ()), deadline)
        return answer

    def commit_blocking(
        self, ground: Ground, commit: Commit, on_settled: OnSettled | None = None, *, deadline: float = math.inf
    ) -> CommitResult:
        """Have a commit written, and wait for it in this thread; see `Ground.commit` and `call_blocking`."""
        answer: CommitResult = self._stand_for(
            lambda answered: Handed(self, answered, ground, commit, on_settled), deadline
        )
        return answer

    def _stand_for(self, make: Callable[[Answered], Asked], deadline: float) -> Any:
        token = self._token
        if trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token:
            message = "this is the thread of the supervisor, which would wait for itself: await the verb of `tenure`"
            raise RuntimeError(message)
        if token is None or os.getpid() != self._pid:
            raise self._why_not_here()
        answered: Answer[Any] = Answer()
        asked = make(answered)
        interrupt: BaseException | None = None
        late = False
        try:
            self._hand_over(asked, token)
            while answered.given is None:
                interrupt = _stand_still(answered, math.inf if late else deadline) or interrupt
                if answered.given is not None:
                    break
                late = time.monotonic() >= deadline
                # A trio run that has ended answers nothing any more: then this raises.
                token.run_sync_soon(_nothing if interrupt is None and not late else asked.cancel)
        except trio.RunFinishedError:
            if answered.given is None:
                raise copy(self._why_closed) from interrupt
        if interrupt is not None:
            raise interrupt
        answer = answered.given
        if isinstance(answer, outcome.Error) and _is_cut(answer.error):
            raise TimeoutError if late else copy(self._why_closed)
        return answer if type(answer) is CommitResult else answer.unwrap()

    def _hand_over(self, asked: Asked, token: trio.lowlevel.TrioToken) -> None:
        # What comes alone keeps its place: after what is on its way to the trio thread, and is not submitted yet.
        if not self._asked.is_empty or not asked.goes_alone():
            self._asked.add(asked, token.run_sync_soon)

    def call_now(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a sync function in the trio thread and wait for it, from another thread: for what reads or notes something.

        The caller's loop stands still for that moment, which the trio thread spends on no disk.

        Raises:
            Closed: The trio run has ended, or the portal was closed before it; or this process was forked since.
        """
        answered: list[outcome.Outcome[T]] = []
        done = threading.Event()
        context = contextvars.copy_context()

        def answer() -> None:
            closed = self._nursery is None
            answered.append(
                outcome.Error(copy(self._why_closed))
                if closed
                else outcome.capture(partial(context.run, function), *arguments)
            )
            done.set()

        token = self._token
        if trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token:
            return function(*arguments)  # a hook of the caller's, which that thread calls
        try:
            if token is None or os.getpid() != self._pid:
                raise self._why_not_here()
            token.run_sync_soon(answer)
            while not done.wait(_LOOK_S):
                token.run_sync_soon(_nothing)  # a trio run that has ended answers nothing any more
        except trio.RunFinishedError:
            if not done.is_set():
                raise copy(self._why_closed) from None
        return answered[0].unwrap()

    def _why_not_here(self) -> BaseException:
        forked = os.getpid() != self._pid
        return Closed(what=f"{self._what} {IN_A_CHILD}") if forked else copy(self._why_closed)

    def _gather(self, answered: Unbroken[_Answer], answer: _Answer) -> None:
        """From any thread: give a task of a loop its answer. Those that come at the same time wake the loop once."""
        loop = answered.get_loop()
        gathered = self._answers.get(loop)
        if gathered is None:
            gathered = self._answers[loop] = Gathered(_settle)
        gathered.add((answered, answer), partial(in_loop, loop))

    def tell(self, function: Callable[[], object]) -> None:
        """Have a function called in the trio thread, and wait for nothing. Where the trio run has ended, nothing is called."""
        if self._token is not None:
            in_trio(self._token, function)

    def spawn(self, task: Callable[[], Awaitable[None]]) -> bool:
        """From the trio thread: start the task of a call; False where the portal is closed."""
        if self._nursery is None:
            return False
        self._nursery.start_soon(task)
        return True

    @property
    def is_open(self) -> bool:
        """Whether it takes anything."""
        return self._nursery is not None

    @property
    def why_closed(self) -> BaseException:
        """What a late call gets."""
        return self._why_closed


class Front(ABC, Generic[C_co]):
    """An asyncio object whose verbs are those of an object of the trio thread."""

    behind: C_co

    @abstractmethod
    async def _reach(self, function: Callable[[], Awaitable[T]]) -> T:
        """Have a trio function called in the trio thread."""


class Near(Generic[C_co]):
    """An object with a contract whose verbs run outside of the trio thread; see `outside`."""

    near: C_co


def here(
    method: Callable[Concatenate[C, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Near[C], P], Coroutine[Any, Any, T]]:
    """The same method of the contract on this side."""

    @wraps(method)
    async def call(self: Near[C], /, *arguments: P.args, **named: P.kwargs) -> T:
        return await method(self.near, *arguments, **named)

    return call


def verb(
    method: Callable[Concatenate[C, P], Awaitable[T]],
) -> Callable[Concatenate[Front[C], P], Coroutine[Any, Any, T]]:
    """The same method, awaited from asyncio."""

    @wraps(method)
    async def call(self: Front[C], /, *arguments: P.args, **named: P.kwargs) -> T:
        reach = self._reach  # pyright: ignore[reportPrivateUsage] - of this module; a public name would be a verb
        return await reach(partial(method, self.behind, *arguments, **named))

    return call


_Answer = outcome.Outcome[Any] | CommitResult
_Gathered = tuple[Unbroken[_Answer], _Answer]


def _settle(gathered: _Gathered) -> None:
    answered, answer = gathered
    answered.give_in_loop(answer)


def settle(future: asyncio.Future[T], value: T) -> None:
    """Give a future its result, where it has none yet."""
    if not future.done():
        future.set_result(value)


def in_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: Any) -> None:
    """Have a function called in the loop, from any thread; a loop that was closed has no task left that waits."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        if not loop.is_closed():
            raise


def in_trio(token: trio.lowlevel.TrioToken, function: Callable[[], object]) -> None:
    """Have a function called in the trio thread, from any thread; a trio run that has ended has no task left that waits."""
    try:
        token.run_sync_soon(function)
    except trio.RunFinishedError:
        return  # then the answer is on its way


def _stand_still(answered: Answer[Any], deadline: float) -> BaseException | None:
    """Wait a moment for a call. What the handler of a signal raised meanwhile."""
    try:
        answered.wait(max(min(_LOOK_S, deadline - time.monotonic()), 0.0))
    except BaseException as exc:  # noqa: BLE001 - raised when the call has ended
        return exc
    return None


def _is_cut(error: BaseException) -> bool:
    return all(isinstance(each, trio.Cancelled) for each in leaves(error))


def _nothing() -> None:
    return
