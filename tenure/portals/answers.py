"""Answers that are waited for: by a task of asyncio, which is not woken to hear that it is cancelled, or by a thread.

Theory of operation. A future of asyncio has its loop call what wakes its task in a turn after the one in which it got its
result. Who has the answer is in another thread, and wakes the loop all the same: so it leaves the answer there, and has the
loop call what gives the result and wakes the task at once. What is called is noted in a list, for of two threads one has it
called: the one that gives the answer, or the one in which the task begins to wait when that is there.

The future is not done before that turn, and the task has one in any case: scopes of anyio leave a task alone whose future is
done, for it is about to go on. One whose answers are each there before the loop looks would never hear that a scope is over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any, Generic, TypeVar, final

import outcome

from tenure.persistence.commits.commit import CommitResult

from .cancelling import Held, cancelling
from .loop_bell import bell_of

T = TypeVar("T")


@final
class Unbroken(asyncio.Future[T]):
    """A future whose task waits to the end: a cancellation of that task is noted, and is not felt by it before.

    One task waits for it, and one thread gives its answer; see `Answered`.
    """

    def __init__(
        self,
        gather: Callable[[Unbroken[T], T], object],
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Made in the task. `gather` has `give_in_loop` called, for all answers that there are for the loop."""
        super().__init__(loop=loop)
        self._gather = gather
        self._on_cancel: Callable[[], object] = _nothing
        self._held: Held | None = None
        self._before = cancelling()
        self._answer: list[T] = []
        self._bell = bell_of(loop)
        self._wakes: list[tuple[Callable[..., object], Context | None]] = []

    async def wait(self, on_cancel: Callable[[], object]) -> Held | None:
        """Wait for the result; at the first cancellation of the waiting task call `on_cancel`. What is held, or None."""
        self._on_cancel = on_cancel
        while not self.done():
            try:
                await self
            except asyncio.CancelledError as exc:  # thrown in by what does not ask whether it may
                self._hold(exc)
        return self._held

    def give(self, answer: T, /) -> None:
        """Have the task go on with an answer, with others of its loop. From any thread."""
        self._gather(self, answer)

    def give_alone(self, answer: T, /) -> None:
        """Have the task go on with an answer. From any thread. A loop that was closed has no task left that waits."""
        self._answer.append(answer)
        bell = self._bell
        if bell is not None:
            self._wake(bell.ring)
            return
        loop = self.get_loop()
        try:
            self._wake(loop.call_soon_threadsafe)
        except RuntimeError:
            if not loop.is_closed():
                raise

    def give_in_loop(self, answer: T) -> None:
        """Have the task go on with an answer, from the thread of its loop."""
        self._answer.append(answer)
        self._wake(self.get_loop().call_soon)

    def add_done_callback(self, fn: Callable[..., object], /, *, context: Context | None = None) -> None:
        """For the task, which begins to wait: `fn` wakes it."""
        self._wakes.append((fn, context))
        if self._answer:
            self._wake(self.get_loop().call_soon)

    def _wake(self, call_soon: Callable[..., object]) -> None:
        try:
            wake, context = self._wakes.pop()
        except IndexError:
            return  # the task has not begun to wait, or the other thread has it woken
        call_soon(self._come, wake, context=context)

    def _come(self, wake: Callable[..., object]) -> None:
        self.set_result(self._answer[0])
        wake(self)

    def cancel(self, msg: Any | None = None) -> bool:
        """Note it. The task that waits asks this when it is cancelled, and waits on where it is true."""
        if self.done():
            return False
        self._hold(asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg))
        return True

    def _hold(self, error: asyncio.CancelledError) -> None:
        if self._held is not None:
            self._held.again()
            return
        self._held = Held(error, self._before)
        if not self._answer:  # else it came between the answer and the task, which is cancelled all the same
            self._on_cancel()


@final
class Answer(Generic[T]):
    """An answer that one thread waits for.

    Attributes:
        given: The answer, the result of a commit as it is, or None while there is none.
    """

    def __init__(self) -> None:
        """There is none yet."""
        self.given: outcome.Outcome[T] | CommitResult | None = None
        self._lock = threading.Lock()
        self._lock.acquire()

    def give(self, answer: outcome.Outcome[T] | CommitResult, /) -> None:
        """Let the thread that waits go on."""
        self.given = answer
        self._lock.release()

    def give_alone(self, result: CommitResult, /) -> None:
        """As `give`."""
        self.give(result)

    def wait(self, seconds: float) -> None:
        """Wait for so long at most."""
        self._lock.acquire(timeout=seconds)


def _nothing() -> None:
    return
