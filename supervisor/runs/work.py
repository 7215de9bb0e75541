"""The work that a behaviour asks for: steps, alone and side by side, with the types of what they return."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar, Unpack, overload

from tenure.errors import InvalidInput
from tenure.persistence.model.arguments import check_value
from tenure.persistence.model.entries import Repeat
from tenure.persistence.model.numbers import (
    check_count,
    shown,
)
from tenure.persistence.model.values import check_step_name

from .recording.parallel import Sides
from .recording.step_terms import (
    StepTerms,
    Terms,
    read_terms,
)
from .resting.turns import Opens, awaited, overloaded

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")

Side = Callable[[], Awaitable[T]]
"""One side of `gather` or `first`."""


class DoesSteps(Protocol):
    """What does the steps of a run; `Steps` says more."""

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
        ...

    def sides(
        self, name: str, function: Callable[..., Any], items: Sequence[object], repeat: Repeat, terms: StepTerms
    ) -> Sides:
        """The steps of a map. Raises `InvalidInput`."""
        ...


class DoesBranches(Protocol):
    """What runs the branches of a run; `Parallel` says more."""

    async def map(self, name: str, sides: Sides, repeat: Repeat, limit: int | None) -> list[Any]:
        """See `Run.map`."""
        ...

    async def gather(self, functions: Sequence[Callable[[], Awaitable[Any]]]) -> tuple[Any, ...]:
        """See `Run.gather`."""
        ...

    async def first(self, functions: Sequence[Callable[[], Awaitable[Any]]]) -> Any:
        """See `Run.first`."""
        ...


class DoesWork(Protocol):
    """A run, as far as it executes functions."""

    @property
    def entering(self) -> Opens:
        """Its entering."""
        ...

    @property
    def steps(self) -> DoesSteps:
        """Its steps."""
        ...

    @property
    def parallel(self) -> DoesBranches:
        """Its branches."""
        ...


class Work:
    """What of a run executes functions of its behaviour."""

    # Async functions first, and as coroutines and not as awaitables: else mypy takes a result with `Any` in it for either.

    def __init__(self, parts: DoesWork) -> None:
        """Bind to the run."""
        self._work = parts
        self._opens: Opens = parts.entering

    @overload
    async def step(
        self,
        name: str,
        function: Callable[..., Coroutine[Any, Any, T]],
        *arguments: object,
        repeat: Repeat | str,
        call: str | None = None,
        **terms: Unpack[Terms],
    ) -> T: ...

    @overload
    async def step(
        self,
        name: str,
        function: Callable[..., T],
        *arguments: object,
        repeat: Repeat | str,
        call: str | None = None,
        **terms: Unpack[Terms],
    ) -> T: ...

    @overloaded
    async def step(
        self,
        name: str,
        function: Callable[..., Any],
        *arguments: object,
        repeat: Repeat | str,
        call: str | None = None,
        **terms: Unpack[Terms],
    ) -> Any:
        """Do a piece of work whose result is on disk before it is seen.

        The n-th thing that a run asks for is the n-th that it recorded: a step that is recorded there gives its result without
        calling `function`. Arguments and result are JSON values, or instances of attrs classes, dataclasses and pydantic
        models; what is given back has always gone through JSON. Where the function's annotation names such a class as its
        result, that is an instance again, else an object.

        Args:
            name: Name of the step, 1 to 200 characters.
            function: Async, or sync and then run in a worker thread. What a sync one returns to be awaited, as
                ``lambda: fetch(1)`` does, is awaited where an async one would be, as part of the step.
            *arguments: Given to `function`; their digest is compared with the recorded one.
            repeat: ``freely``: may run again when it is not known whether it ran. ``keyed``: may too, and gets a keyword
                ``key``, always the same, to pass on. ``never``: its dispatch is on disk before it runs; in doubt after a
                crash, the behaviour's `in_doubt` hook or a person gives the verdict. The last two begin only when every
                recorded entry of the run is reached, so that no step is done twice under another name.
            call: An id of this step in the run, such as that of a model's tool call. Steps that have one may be in flight side
                by side, and are found by it, in whatever order they are asked for.
            **terms: How it is tried, each with a default: `attempts`, `backoff_s`, `backoff_limit_s`, `timeout_s`, `retry_on`,
                `on_timeout`, `overlap`, `compare`; the class `Terms` says of each what it is.

        Raises:
            StepMismatch: The record has something else there. Holds the runtime.
            InvalidInput: The arguments have no JSON form, a name or a term does not fit; another entry of this branch is in
                flight and this has no `call`; the call id was used before; or it is asked for inside a step.
            StepFailed: It raised, whatever that is but a cancellation of trio's, KeyboardInterrupt and SystemExit; or its
                result has no JSON form, or is over `Limits.payload_bytes`. `detail` is what is recorded of it.
                A step that was caught, and on whose error the run has recorded something, and a ``never`` step are not
                executed again: they raise the same where the run enters again.
            LimitReached: Too many steps in one run.
            RunEnded: The run is over.

        Cancellation: a thread that runs on is not waited for and its result is dropped. A step that a scope of the behaviour
        cuts off is recorded as cancelled with what the run records next, and is not executed again.
        """
        result: Any = await self._work.steps.step(name, function, arguments, _repeat(repeat), call, read_terms(terms))
        return result

    @overload
    async def map(
        self,
        name: str,
        function: Callable[..., Coroutine[Any, Any, T]],
        items: Iterable[object],
        *,
        repeat: Repeat | str,
        limit: int | None = None,
        **terms: Unpack[Terms],
    ) -> list[T]: ...

    @overload
    async def map(
        self,
        name: str,
        function: Callable[..., T],
        items: Iterable[object],
        *,
        repeat: Repeat | str,
        limit: int | None = None,
        **terms: Unpack[Terms],
    ) -> list[T]: ...

    @overloaded
    async def map(
        self,
        name: str,
        function: Callable[..., Any],
        items: Iterable[object],
        *,
        repeat: Repeat | str,
        limit: int | None = None,
        **terms: Unpack[Terms],
    ) -> list[Any]:
        """Do one step for each item, side by side, and return the results in the order of the items.

        Items are found by what they are, not by where they stand. Where the run enters again, what is recorded is answered
        before anything else begins. Under the same version of the behaviour the items must be the same; under another one
        new ones are done, and what is gone is passed over where the map is ``freely``, and a mismatch otherwise.

        Args:
            name: Name of the step.
            function: Called with one item.
            items: JSON values.
            repeat: As in `step`.
            limit: How many execute at once; None: all.
            **terms: How each step is tried; those of `step`.

        Raises:
            StepFailed: Of the first item that failed, when all have ended; `others` has those of the rest.
            StepMismatch, InvalidInput, LimitReached, RunEnded: As in `step`.
        """
        how, read = _repeat(repeat), read_terms(terms)
        if limit is not None:
            check_count(limit, "limit")

        given = check_value(items, Iterable[object], "items")
        sides = self._work.steps.sides(check_step_name(name), function, given, how, read)
        return await self._work.parallel.map(name, sides, how, limit)

    @overload
    async def gather(self) -> tuple[()]: ...

    @overload
    async def gather(self, f1: Side[T1], /) -> tuple[T1]: ...

    @overload
    async def gather(self, f1: Side[T1], f2: Side[T2], /) -> tuple[T1, T2]: ...

    @overload
    async def gather(self, f1: Side[T1], f2: Side[T2], f3: Side[T3], /) -> tuple[T1, T2, T3]: ...

    @overload
    async def gather(self, f1: Side[T1], f2: Side[T2], f3: Side[T3], f4: Side[T4], /) -> tuple[T1, T2, T3, T4]: ...

    @overload
    async def gather(
        self, f1: Side[T1], f2: Side[T2], f3: Side[T3], f4: Side[T4], f5: Side[T5], /
    ) -> tuple[T1, T2, T3, T4, T5]: ...

    @overload
    async def gather(
        self, f1: Side[T], f2: Side[T], f3: Side[T], f4: Side[T], f5: Side[T], f6: Side[T], /, *more: Side[T]
    ) -> tuple[T, ...]: ...

    @overloaded
    async def gather(self, *functions: Callable[[], Awaitable[Any]]) -> tuple[Any, ...]:
        """Run async functions side by side, each in its own branch, and return what they return, in their order.

        What was appended, sent, rejected and answered before lands before a branch begins. Within a branch the order is its
        own. What it sends lands with what it asks or spawns next; all else takes its place when all have ended, in the order
        of the functions. A branch has no checkpoint and no lifecycle verbs.

        Raises:
            Exception: Of the first function that raised, in their order, when all have ended; `others` has those of the rest.
            StepMismatch, InvalidInput, LimitReached, RunEnded: As in `step`.
        """
        return await self._work.parallel.gather(functions)

    @awaited
    async def first(self, *functions: Callable[[], Awaitable[T]]) -> T:
        """Run async functions side by side, each in its own branch, until one has ended: what it returns or raises.

        Which one it was is recorded, the others are cancelled, and nothing that they appended, sent or rejected lands. Where
        the run enters again, only that one is entered.

        Raises:
            StepMismatch, InvalidInput, LimitReached, RunEnded: As in `step`.
        """
        if not functions:
            raise InvalidInput(detail="the first of no functions never ends", field="functions")
        found: T = await self._work.parallel.first(functions)
        return found


_REPEATS: Final[Mapping[Repeat | str, Repeat]] = {each: each for each in Repeat}
"""Also by their words, which are equal to them and faster found here than by the enum."""


def _repeat(repeat: Repeat | str) -> Repeat:
    try:
        return _REPEATS.get(repeat) or Repeat(repeat)
    except (ValueError, TypeError) as exc:
        raise InvalidInput(
            detail=f"a step repeats freely, keyed or never, not {shown(repeat)}", field="repeat"
        ) from exc
