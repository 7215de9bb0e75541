"""From a behaviour on the asyncio loop to its run in the trio thread: through which portal, and within which scope."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import isawaitable
from typing import Any, Final, TypeVar, final

import trio

from tenure.asyncio.body import Body
from tenure.persistence.model.entries import Repeat
from tenure.persistence.model.texts import comes_of
from tenure.persistence.seams.nursery import background
from tenure.portals.cancelling import wait_shielded
from tenure.portals.portal import Portal, in_loop
from tenure.supervisor.runs.recording.parallel import Sides
from tenure.supervisor.runs.recording.step_terms import StepTerms
from tenure.supervisor.runs.resting.scopes import INSIDE, OpenScope, stands_in
from tenure.supervisor.runs.run import Run as TrioRun, parts_of
from tenure.supervisor.runs.stepping.bounded import is_async

from .steps import is_on_loop, on_loop

T = TypeVar("T")

_PORTAL: Final = ContextVar[Portal]("tenure portal of a run")
"""The way into the innermost scope that the asker stands in."""


@contextmanager
def entered(portal: Portal) -> Generator[None]:
    """What is asked for inside goes through this portal."""
    token = _PORTAL.set(portal)
    try:
        yield
    finally:
        _PORTAL.reset(token)


async def ask(function: Callable[[], Awaitable[T]]) -> T:
    """Have a trio function called in the scope that the caller stands in."""
    return await _PORTAL.get().call(function)


def ask_now(function: Callable[[], T]) -> T:
    """Have a sync function called there."""
    return _PORTAL.get().call_now(function)


def on_this_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a behaviour hands over as a step: an async function runs on the loop, a sync one in a thread.

    What a sync one returns to be awaited, as ``lambda: fetch(1)`` does, is awaited on the loop.
    """
    if is_on_loop(function):
        return function
    if is_async(function):
        return on_loop(function)

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        given: Any = function(*arguments, **named)

        async def wait() -> Any:
            return await given

        return on_loop(wait)() if isawaitable(given) else given

    return call


def _branch(function: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """A side of `gather` or `first`: it runs on the loop, also where it is a lambda that calls what does."""

    async def run() -> Any:
        return await function()

    return function if is_on_loop(function) else on_loop(run)


@final
class CrossedSteps:
    """The steps of a run, asked for from the loop."""

    def __init__(self, run: TrioRun, crosses: Callable[[], None]) -> None:
        """Bind to the run."""
        self._run = run
        self._steps = parts_of(run).steps
        self._crosses = crosses

    async def step(
        self,
        name: str,
        function: Callable[..., Any],
        arguments: tuple[object, ...],
        repeat: Repeat,
        call: str | None,
        terms: StepTerms,
    ) -> Any:
        """See `Run.step`."""

        async def step() -> Any:
            parts_of(self._run).entering.check_open()
            return await self._steps.step(name, on_this_loop(function), arguments, repeat, call, terms)

        self._crosses()
        return await ask(step)

    def sides(
        self, name: str, function: Callable[..., Any], items: Sequence[object], repeat: Repeat, terms: StepTerms
    ) -> Sides:
        """The steps of a map."""
        return self._steps.sides(name, on_this_loop(function), items, repeat, terms)


@final
class CrossedBranches:
    """The branches of a run, asked for from the loop."""

    def __init__(self, run: TrioRun, crosses: Callable[[], None]) -> None:
        """Bind to the run."""
        self._parts = parts_of(run)
        self._crosses = crosses

    async def map(self, name: str, sides: Sides, repeat: Repeat, limit: int | None) -> list[Any]:
        """See `Run.map`."""

        async def work() -> list[Any]:
            self._parts.entering.check_open()
            return await self._parts.parallel.map(name, sides, repeat, limit)

        self._crosses()
        return await ask(work)

    async def gather(self, functions: Sequence[Callable[[], Awaitable[Any]]]) -> tuple[Any, ...]:
        """See `Run.gather`."""

        async def work() -> tuple[Any, ...]:
            self._parts.entering.check_open()
            return await self._parts.parallel.gather([_branch(each) for each in functions])

        self._crosses()
        return await ask(work)

    async def first(self, functions: Sequence[Callable[[], Awaitable[Any]]]) -> Any:
        """See `Run.first`."""

        async def work() -> Any:
            self._parts.entering.check_open()
            return await self._parts.parallel.first([_branch(each) for each in functions])

        self._crosses()
        return await ask(work)


@final
class Cut:
    """The scope of `Run.move_on_after`.

    Attributes:
        cancelled_caught: Whether it has cut off what was inside.
    """

    def __init__(self) -> None:
        """Nothing was cut off."""
        self.cancelled_caught = False


@asynccontextmanager
async def move_on_after(run: TrioRun, seconds: float) -> AsyncGenerator[Cut]:
    """See `tenure.Run.move_on_after`: the scope stands in the trio thread, and what is asked for inside stands in it."""
    scope = _Scope(run, seconds)
    holder = asyncio.ensure_future(ask(scope.hold))
    either: list[asyncio.Future[Any]] = [scope.ready, holder]
    opened = asyncio.ensure_future(asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED))
    if (held := await wait_shielded(opened, on_cancel=holder.cancel)) is not None:
        scope.leave()
        await wait_shielded(holder, on_cancel=holder.cancel)
        raise held.error
    if not scope.ready.done():
        holder.result()
    error: BaseException | None = None
    scope.body.enter()
    try:
        with entered(scope.inner), stands_in(scope.opened):
            yield scope.cut
    except BaseException as exc:  # noqa: BLE001 - raised again below, unless it is ours
        error = exc
    own = await scope.body.leave(error)
    scope.leave(error)
    held = await wait_shielded(holder, on_cancel=holder.cancel)
    if error is not None and not own:
        # Of an error: the scope was cut off before its body came so far, and is again. Of a cancellation: it may have cut off
        # what was awaited before it interrupted the body itself.
        cut_off = not holder.cancelled() and holder.exception() is None and holder.result()
        own = cut_off and (isinstance(error, Exception) or not scope.body.cancelled_by_others)
    if error is not None and not own:
        raise error
    if held is not None:
        raise held.error
    scope.cut.cancelled_caught = holder.result()


class _Raised(Exception):
    """Leaves a scope in the trio thread whose body has left with an error."""


class _Cancelled(BaseException):
    """Leaves one whose body was cancelled, or asks the process to end."""


@final
class _Scope:
    """A scope in the trio thread, and what of it stands on the loop."""

    def __init__(self, run: TrioRun, seconds: float) -> None:
        self._run = run
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._portal = _PORTAL.get()
        self._left = trio.Event()
        self._error: BaseException | None = None
        self._made_of: trio.Cancelled | None = None
        self.opened: OpenScope | None = None
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.body = Body()
        self.cut = Cut()
        self.inner = Portal(what="supervisor", cut=asyncio.CancelledError)

    async def hold(self) -> bool:
        """In the trio thread: hold the scope open until the body has left it; whether it has cut that off."""
        try:
            async with self._run.move_on_after(self._seconds) as scope:
                async with background() as calls:
                    await self._hold(calls.nursery)
                self._raise()
        except (_Raised, _Cancelled):
            return False
        return scope.cancelled_caught

    async def _hold(self, calls: trio.Nursery) -> None:
        self.opened = INSIDE.get()
        self.inner.open(calls)
        in_loop(self._loop, self._begin)
        try:
            await self._left.wait()
        except trio.Cancelled as exc:
            in_loop(self._loop, self.body.interrupt)
            with trio.CancelScope(shield=True):  # until then the body may ask for more, which is cut off at once
                await self._left.wait()
            if not isinstance(self._error, Exception):  # else it leaves with that, as the body of a trio scope does
                raise
            if comes_of(self._error, asyncio.CancelledError):
                self._made_of = exc
        finally:
            self.inner.close(asyncio.CancelledError())

    def _raise(self) -> None:
        # As the body has, so that the end of the scope is that of a trio one: what is in no record may be quicker now.
        if isinstance(self._error, Exception):
            raise _Raised from self._made_of
        if self._error is not None:
            raise _Cancelled

    def leave(self, error: BaseException | None = None) -> None:
        """On the loop: the body has left, by this exception or by none."""
        self._error = error
        self._portal.tell(self._left.set)

    def _begin(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)


@final
class CrossedWork:
    """What a trio run executes, for a behaviour on the loop.

    Attributes:
        asked: How often the trio thread was asked for something.
        check_open: Raises where the run is over.
        entering: What is asked whether it is.
        steps: Its steps.
        parallel: Its branches.
    """

    def __init__(self, run: TrioRun) -> None:
        """Bind to it."""
        self.asked = 0
        self.check_open = parts_of(run).entering.check_open  # which reads, and no more: from any thread
        self.entering = self
        self.steps = CrossedSteps(run, self._crosses)
        self.parallel = CrossedBranches(run, self._crosses)

    async def turn(self) -> None:
        """Let others of the loop run."""
        await asyncio.sleep(0)

    def _crosses(self) -> None:
        self.asked += 1
