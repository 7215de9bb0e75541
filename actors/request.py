"""Requests: what is asked of an actor, and the way back of the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, cast, final

import trio

from tenure.persistence.seams.interrupts import raise_later
from tenure.persistence.writing.writer import Pending

T = TypeVar("T")


@final
class Request(Generic[T]):
    """One question on its way through a mailbox. Exactly one task waits for its answer.

    It is *mailed*, then *taken* by the actor, then *answered*. While it is mailed, or its commit still waits for the writer,
    a cancelled asker withdraws it and nothing happened; afterwards the answer is waited for (design §3, cancellation).
    """

    __slots__ = ("_answer", "_error", "_parked", "_state", "pending", "perform")

    def __init__(self, perform: Callable[[Request[T]], object]) -> None:
        """`perform` is what the actor calls with this request when its turn comes."""
        self.perform = perform
        self.pending: Pending | None = None
        self._state = "mailed"
        self._answer: T | None = None
        self._error: BaseException | None = None
        self._parked: trio.lowlevel.Task | None = None

    def take(self) -> bool:
        """The actor's: begin to carry it out; False where it was withdrawn."""
        if self._state != "mailed":
            return False
        self._state = "taken"
        return True

    def answer(self, value: T) -> None:
        """Answer with a value."""
        self._answer = value
        self._settle()

    def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        if self._state not in ("answered", "withdrawn"):
            self._error = error
        self._settle()

    async def wait(self, bound_s: float, doubt: Callable[[], BaseException]) -> T:
        """Wait for the answer. Once taken, a cancelled wait goes on for at most `bound_s` seconds, then raises `doubt()`."""
        try:
            await self._park()
        except (trio.Cancelled, KeyboardInterrupt) as exc:
            if self._withdraw():
                raise
            # Shielded: the actor is carrying it out and this task is the one that must know how it ended.
            with trio.CancelScope(shield=True) as scope:
                scope.relative_deadline = bound_s
                await self._park()
            if isinstance(exc, KeyboardInterrupt):
                raise_later()
            if self._state != "answered":
                raise doubt() from None
        if self._error is not None:
            raise self._error
        return cast("T", self._answer)

    def _withdraw(self) -> bool:
        if self._state == "mailed" or (self.pending is not None and self.pending.withdraw()):
            self._state = "withdrawn"
            return True
        return False

    def _settle(self) -> None:
        if self._state in ("answered", "withdrawn"):
            return
        self._state = "answered"
        if self._parked is not None:
            trio.lowlevel.reschedule(self._parked)
            self._parked = None

    async def _park(self) -> None:
        if self._state == "answered":
            await trio.lowlevel.checkpoint()
            return

        def abort(_: object) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._parked = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)
