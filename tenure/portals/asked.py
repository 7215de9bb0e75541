"""What is asked of a trio thread from outside: a function that runs in a task there, or a commit that needs none."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, final

import outcome
import trio

from tenure.errors import Error
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.writing.ground import Ground
from tenure.persistence.writing.pending import Pending

OnSettled = Callable[[CommitResult | Error], None]
"""Called in the trio thread with how a commit has ended."""


class Answered(Protocol):
    """Who has asked, as it is seen where the answer is. One of the two is called, once, from any thread; it raises nothing."""

    def give(self, answer: outcome.Outcome[Any], /) -> object:
        """Give the asker an answer, with others that there are for its thread."""
        ...

    def give_alone(self, result: CommitResult, /) -> object:
        """Give it the result of a commit that has come alone, as it is."""
        ...


class Way(Protocol):
    """The way in, as it is seen in the trio thread."""

    @property
    def is_open(self) -> bool:
        """Whether it takes anything. Any thread may ask."""
        ...

    @property
    def why_closed(self) -> BaseException:
        """What a late call gets."""
        ...

    def spawn(self, task: Callable[[], Awaitable[None]]) -> bool:
        """Start a task; False where it is closed."""
        ...


class Asked(Protocol):
    """What is asked of the trio thread."""

    def goes_alone(self) -> bool:
        """From the asker's thread: whether it is on its way by itself, and need not be started."""
        ...

    def start(self) -> None:
        """From the trio thread: begin it. Raises nothing."""
        ...

    def cancel(self) -> None:
        """From the trio thread, after that: end it, if it may end. Raises nothing."""
        ...


@final
class Call:
    """One call on its way: started in the trio thread, answered to the asker."""

    def __init__(
        self,
        way: Way,
        answer: Callable[[outcome.Outcome[Any]], object],
        function: Callable[..., Awaitable[Any]],
        arguments: tuple[Any, ...],
    ) -> None:
        self._scope = trio.CancelScope()
        self._way = way
        self._answer = answer
        self._function = function
        self._arguments = arguments
        self._context = contextvars.copy_context()

    def goes_alone(self) -> bool:
        """Never."""
        return False

    def start(self) -> None:
        """From the trio thread: begin it."""
        if not self._context.run(self._way.spawn, self._run):
            self._answer(outcome.Error(self._way.why_closed))

    def cancel(self) -> None:
        """From the trio thread: cancel the function."""
        self._scope.cancel()

    async def _run(self) -> None:
        # Captured whatever it is, also Cancelled: an exception here would end the trio run, and the asker would wait for ever.
        with self._scope:
            self._answer(await outcome.acapture(self._function, *self._arguments))


@final
class Handed:
    """One commit on its way, which has a task in the trio thread only where it waits for room, or is cancelled."""

    def __init__(
        self, way: Way, answered: Answered, ground: Ground, commit: Commit, on_settled: OnSettled | None
    ) -> None:
        self._way = way
        self._answered = [answered]
        self._alone = False
        self._ground = ground
        self._commit = commit
        self._on_settled = on_settled
        self._pending: Pending | None = None
        self._call: Call | None = None

    def goes_alone(self) -> bool:
        """Past the trio thread, where nothing else is on its way and no owner hears of it; see `Ground.submit_alone`."""
        if self._on_settled is None and self._way.is_open:
            self._alone = True  # first: the answer may be there before this call is back
            self._pending = self._ground.submit_alone(self._commit, self._settled)
            self._alone = self._pending is not None
        return self._alone

    def start(self) -> None:
        """From the trio thread: submit it."""
        if not self._way.is_open:
            self._give(outcome.Error(self._way.why_closed))
            return
        try:
            self._pending = self._ground.submit_where_room(self._commit, self._settled)
        except Exception as exc:  # noqa: BLE001 - raised where it is waited for
            self._give(outcome.Error(exc))
            return
        if self._pending is None:
            self._in_a_task(partial(self._ground.commit, self._commit, self._on_settled))

    def cancel(self) -> None:
        """From the trio thread: withdraw it, or wait for its verdict no longer than a task would.

        Once the portal is closed it is settled with the end of the store, which does not wait for long.
        """
        if self._call is None and self._pending is not None and self._pending.outcome is None and self._way.is_open:
            self._in_a_task(self._pending.wait)
        if self._call is not None:
            self._call.cancel()

    def _in_a_task(self, function: Callable[[], Awaitable[CommitResult]]) -> None:
        self._call = Call(self._way, self._give, function, ())
        self._call.start()

    def _settled(self, settled: CommitResult | Error) -> None:
        if self._alone and type(settled) is CommitResult:  # as `_give`, which is a call for each commit
            try:
                answered = self._answered.pop()
            except IndexError:
                return
            answered.give_alone(settled)
            return
        if self._on_settled is not None:
            self._on_settled(settled)
        self._give(outcome.Value(settled) if type(settled) is CommitResult else outcome.Error(settled))

    def _give(self, answer: outcome.Outcome[Any]) -> None:
        try:  # a list, for of two threads one gives it
            answered = self._answered.pop()
        except IndexError:
            return  # a task that waits for it hears the same
        answered.give(answer)


def start(asked: Asked) -> None:
    """Begin it."""
    asked.start()
