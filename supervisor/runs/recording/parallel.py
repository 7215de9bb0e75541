"""Work side by side in one run: `gather`, `map` and `first`, each branch with its own order (design §18, R3)."""

from __future__ import annotations

import inspect
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, final

import trio

from tenure.errors import InvalidInput, LimitReached
from tenure.persistence.commits.commit import Change, CommitResult
from tenure.persistence.facets.runs.asking.asks import GiveUpAsks
from tenure.persistence.model.codec import (
    decode,
    digest,
    encode,
)
from tenure.persistence.model.entries import (
    EntryKind,
    EntryStatus,
    Repeat,
    branch_of,
    place_of,
)
from tenure.persistence.model.numbers import shown
from tenure.persistence.seams.nursery import contained, is_for_others

from .asked import Asked, Differs, has_ended
from .branch import Branch, within
from .chance import keep_drawn
from .cutting.kept import keep
from .entering import Entering
from .flight import Flight, check_ends
from .occupancy import Fork
from .step_terms import cut_in

Side = Callable[[], Awaitable[Any]]

Sides = Sequence[tuple[str, Side]]
"""The steps of a map: what the arguments of each are known by, and the step."""


class Lands(Protocol):
    """What lands, or replays, what stood before the branches; see `Boundaries`."""

    async def land(self, flight: Flight, /, *last: Change) -> CommitResult:
        """Land it, with the entry."""
        ...

    def pass_by(self, flight: Flight, /) -> None:
        """Replay it."""
        ...

    def take_over(self) -> None:
        """Branches of the behaviour itself have ended: what they took is handed out."""
        ...


@final
class _End:
    """How one branch has ended."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error


@final
class Parallel:
    """Runs the branches of one run."""

    def __init__(self, entering: Entering, boundaries: Lands) -> None:
        """Bind to the run."""
        self._entering = entering
        self._boundaries = boundaries

    async def gather(self, functions: Sequence[Side]) -> tuple[Any, ...]:
        """See `Run.gather`."""
        _check_functions(functions)
        entering = self._entering
        asked = Asked(kind=EntryKind.GATHER, name="gather", arguments=_counted(len(functions)))
        self._check_fits(len(functions))
        branch, found = entering.ask(asked)
        with entering.in_flight(branch, asked, found) as flight:
            await self._begin(asked, flight)
            writers = dict[str, str]()
            inner = [
                branch.inner(branch_of(found.place, number), writers=writers) for number in range(1, len(functions) + 1)
            ]
            ends: list[_End] = [_End() for _ in inner]
            fork = entering.occupancy.fork(len(functions))
            with branch.giving_back(inner):
                async with trio.open_nursery() as nursery:  # owned by this gather
                    for number, each in enumerate(functions):
                        nursery.start_soon(self._run, inner[number], each, ends, number, fork)
        return self._joined(branch, inner, ends)

    async def first(self, functions: Sequence[Side]) -> Any:
        """See `Run.first`."""
        _check_functions(functions)
        entering = self._entering
        asked = Asked(kind=EntryKind.FIRST, name="first", arguments=_counted(len(functions)))
        branch, found = entering.ask(asked)
        with entering.in_flight(branch, asked, found) as flight:
            await self._begin(asked, flight)
            inner = [branch.inner(branch_of(found.place, number)) for number in range(1, len(functions) + 1)]
            recorded = None if found.entry is None else found.entry.result
            if recorded is not None:
                winner: int = decode(recorded, "first", f"{entering.run_id}/{found.place}")
                self._pass_over(inner, winner)
                ends = [_End() for _ in inner]
                await self._run(inner[winner], functions[winner], ends, winner)
            else:
                with branch.giving_back(inner):
                    winner, ends = await self._race(inner, functions)
                await self._record_winner(flight, branch, inner, winner, ends[winner])
            branch.take_over(inner[winner])
            self._boundaries.take_over()
        return _value(ends[winner])

    async def map(
        self,
        name: str,
        sides: Sides,
        repeat: Repeat,
        limit: int | None,
    ) -> list[Any]:
        """See `Run.map`."""
        entering, digests = self._entering, [known_by for known_by, _ in sides]
        # Which items, in whatever order: an item is found by its digest.
        arguments = digest(encode(sorted(digests), "arguments"))
        asked = Asked(kind=EntryKind.MAP, name=name, repeat=repeat, arguments=arguments)
        self._check_fits(len(sides))
        branch, found = entering.ask(asked)
        with entering.in_flight(branch, asked, found) as flight:
            self._boundaries.pass_by(flight)
            if found.entry is not None and found.entry.status is EntryStatus.CANCELLED:
                await entering.wait_for_scope(asked, found)
            known: list[str] = []
            if found.entry is not None:
                known = decode(found.entry.result or b"[]", "map", f"{entering.run_id}/{found.place}")
            numbers, named, gone = _number(known, digests)
            items = flight.record(EntryStatus.SUCCEEDED, result=encode(named, "result"))
            if found.entry is None:
                await self._boundaries.land(flight, items)
                flight.begun = True
            elif len(named) > len(known):
                await flight.write(items)
            if repeat is Repeat.FREELY:
                for number in gone:
                    entering.record.pass_over(branch_of(found.place, number))
            inner = [branch.inner(branch_of(found.place, number), open_ended=True) for number in numbers]
            ends = [_End() for _ in inner]
            await self._items(name, inner, sides, ends, limit)
        return list(self._joined(branch, inner, ends))

    # Inside

    def _check_fits(self, branches: int) -> None:
        # A branch asks for one thing at least; what it asks for beyond that is not known yet.
        most = self._entering.store.limits.run_steps
        if self._entering.record.asked + branches >= most:
            raise LimitReached(what="steps of one run", limit=most)

    async def _begin(self, asked: Asked, flight: Flight) -> None:
        entry = flight.found.entry
        self._boundaries.pass_by(flight)
        if entry is None:
            await self._boundaries.land(flight, flight.record(EntryStatus.SUCCEEDED))
            flight.begun = True
        elif entry.status is EntryStatus.CANCELLED:
            await self._entering.wait_for_scope(asked, flight.found)

    async def _items(
        self, name: str, inner: Sequence[Branch], sides: Sides, ends: list[_End], limit: int | None
    ) -> None:
        # What is recorded is answered before another begins; the limit counts what executes. What is recorded and has not
        # ended goes before what is new: that waits for it, and would do so with all workers.
        record, recorded, new = self._entering.record, deque[int](), deque[int]()
        for number, (known_by, side) in enumerate(sides):
            entry = record.unreached.get(place_of(inner[number].path, 1)) or record.carried_step(name, known_by)
            if entry is not None and has_ended(entry) and entry.status is not EntryStatus.CANCELLED:
                await self._run(inner[number], side, ends, number)
            else:
                (new if entry is None else recorded).append(number)

        waiting = recorded + new
        workers = len(waiting) if limit is None else min(limit, len(waiting))
        fork = self._entering.occupancy.fork(workers)

        async def work() -> None:
            try:
                while waiting:
                    number = waiting.popleft()
                    await self._run(inner[number], sides[number][1], ends, number)
            finally:
                fork.ended()

        async with trio.open_nursery() as nursery:  # owned by this map
            for _ in range(workers):
                nursery.start_soon(work)

    async def _run(
        self, branch: Branch, function: Side, ends: list[_End], number: int, fork: Fork | None = None
    ) -> None:
        """One branch to its end: what it returned or raised, unless it was cancelled."""
        entering = self._entering
        try:
            with within(entering.record, branch):
                value = await contained(function)
            entering.record.end(branch)
            check_ends(branch, entering.flights.values())
            ends[number] = _End(value)
        except Differs as exc:
            ends[number] = _End(error=entering.mismatch(exc))
        except BaseException as exc:
            # Raised when all have ended. It may not leave the task by itself, whatever it is: trio asks for its text.
            if is_for_others(exc):
                raise
            entering.has_raised(branch, exc)
            ends[number] = _End(error=exc)
        finally:
            branch.over = True
            keep_drawn(entering, branch)
            if fork is not None:
                fork.ended()

    async def _race(self, inner: Sequence[Branch], functions: Sequence[Side]) -> tuple[int, list[_End]]:
        ends: list[_End] = [_End() for _ in inner]
        order: list[int] = []
        fork = self._entering.occupancy.fork(len(functions))

        async def run(number: int, scope: trio.CancelScope) -> None:
            try:
                await self._run(inner[number], functions[number], ends, number, fork)
            except BaseExceptionGroup as exc:
                # What a loser's own nursery raises beside its cancellation does not end this, as what it raises alone does not.
                if not order or (cut := cut_in(exc)) is None:
                    raise
                raise cut from exc
            order.append(number)
            scope.cancel()

        async with trio.open_nursery() as nursery:  # owned by this first
            for number in range(len(functions)):
                nursery.start_soon(run, number, nursery.cancel_scope)
        if not order:
            # Cancelled from outside at once with its own end: the verb that did it goes on with that.
            await trio.lowlevel.checkpoint_if_cancelled()
        return order[0], ends

    async def _record_winner(
        self, flight: Flight, branch: Branch, inner: Sequence[Branch], winner: int, end: _End
    ) -> None:
        if self._entering.fault is not None:
            raise self._entering.fault  # a loser has swallowed it; its work would be passed over by a mere resume
        self._pass_over(inner, winner)
        for number, each in enumerate(inner):
            if number == winner:
                branch.take_seen(each)  # it has ended so, and what it gave lands where this is on disk
            else:
                branch.take_over(each, keeps=False)
        ended = flight.record(EntryStatus.SUCCEEDED, result=encode(winner, "result"))
        if end.error is None:
            flight.standing = self._entering.standing_on(branch)
            await flight.write(ended, *self._give_up_asks(inner, winner))
        else:
            # Its error is the end of this; where the attempt ends with it, all enter again.
            branch.late[flight.place] = ended

    def _give_up_asks(self, inner: Sequence[Branch], winner: int) -> tuple[GiveUpAsks, ...]:
        entering = self._entering
        if not entering.asks:
            return ()
        lost = tuple([each.path for number, each in enumerate(inner) if number != winner])
        return (GiveUpAsks(runtime_id=entering.runtime_id, run_id=entering.run_id, branches=lost),)

    def _pass_over(self, inner: Sequence[Branch], winner: int) -> None:
        for number, each in enumerate(inner):
            if number != winner:
                self._entering.record.pass_over(each.path)
        self._entering.poke()

    def _joined(self, branch: Branch, inner: Sequence[Branch], ends: Sequence[_End]) -> tuple[Any, ...]:
        if branch.scopes:  # their end is in no record: a scope that had it before it was cut off has it again
            branch = keep(self._entering.record, branch, "the end of", [each.path for each in inner])
        for each in inner:
            branch.take_over(each)
        self._boundaries.take_over()
        if self._entering.fault is not None:
            raise self._entering.fault
        errors = [end.error for end in ends if end.error is not None]
        if errors:
            raise _with_others(errors[0], errors[1:])
        return tuple([end.value for end in ends])


def _value(end: _End) -> Any:
    if end.error is not None:
        raise end.error
    return end.value


def _with_others(error: BaseException, others: Sequence[BaseException]) -> BaseException:
    try:
        error.others = tuple(others)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    except AttributeError:
        error.add_note(f"and {len(others)} other branches failed")
    return error


def _counted(branches: int) -> bytes:
    return digest(encode([branches], "arguments"))


def _number(known: Sequence[str], given: Sequence[str]) -> tuple[list[int], list[str], list[int]]:
    """The number of each item, the items by number, and the numbers of those that are gone.

    An item is found by its digest, the n-th of equals by its use; a new one takes the next free number.
    """
    free: defaultdict[str, deque[int]] = defaultdict(deque)
    for number, each in enumerate(known, 1):
        free[each].append(number)
    named, numbers = list(known), list[int]()
    for each in given:
        if free[each]:
            numbers.append(free[each].popleft())
        else:
            named.append(each)
            numbers.append(len(named))
    return numbers, named, sorted(number for left in free.values() for number in left)


def _check_functions(functions: Sequence[object]) -> None:
    """Raises `InvalidInput` for what is not a function, before a branch begins; a coroutine in its place is closed."""
    wrong = [each for each in functions if not callable(each)]
    for each in wrong:
        if inspect.iscoroutine(each):
            each.close()
    if wrong:
        detail = f"{shown(wrong[0])} is not a function; write lambda: run.step(...), and not run.step(...)"
        raise InvalidInput(detail=detail, field="functions")
