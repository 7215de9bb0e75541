"""Checkpoints of one run, and what joins it there: inputs that were sent to steer it."""

from __future__ import annotations

import math
import operator
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, final

import trio
from attrs import frozen

from tenure.persistence.facets.inbox.batches import BatchMember
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.facets.runs.interrupted import AcquitRun
from tenure.persistence.facets.runs.runs import ConsumeInput
from tenure.persistence.model.arguments import check_value
from tenure.persistence.model.codec import decode, digest, encode
from tenure.persistence.model.entries import (
    EntryKind,
    EntryStatus,
    place_of_taken,
)
from tenure.persistence.model.lifecycles.lifecycle import Standing
from tenure.persistence.model.values import (
    InputId,
    RunBoundaryReceipt,
    RuntimeState,
)

from .boundaries import (
    Boundaries,
    asks,
)
from .inputs.batch import Batch
from .inputs.run_input import RunInput
from .recording.asked import Asked, was_cut_before_it_began
from .recording.attention import NeedsAttention
from .recording.branch import Branch
from .recording.cutting.kept import keep
from .recording.entering import Entering
from .recording.flight import mark
from .recording.matching import TAKEN
from .resting.holding import is_on_hold, wait_out_hold
from .resting.waits import Wait

LATE: Final = "late"
RETIRING: Final = "retiring"


@final
@frozen(kw_only=True, slots=True)
class _End:
    """How a wait ends where nothing comes.

    Attributes:
        until: When it gives up, unix seconds, or None.
        why: Why it ends with this look, whether something has come or not; empty where it goes on.
    """

    until: float | None = None
    why: str = ""

    def stored(self) -> bytes | None:
        """As the entry of the look keeps it; None where there is nothing to say, as in most."""
        return None if self == _End() else encode([self.until, self.why], "result")


def _read_end(entry: RecordedEntry) -> _End:
    if entry.result is None:
        return _End()
    until, why = decode(entry.result, "wait", entry.place)
    return _End(until=until, why=why)


def _asked(timeout_s: float | None, correlation_id: str | None) -> Asked:
    if timeout_s is None and correlation_id is None:
        return asks(EntryKind.WAIT)
    arguments = digest(encode([timeout_s, correlation_id], "arguments"))
    return Asked(kind=EntryKind.WAIT, name=str(EntryKind.WAIT), arguments=arguments)


def _given_back(branch: Branch) -> list[RunInput]:
    """What branches have given back in a branch, and in those around it."""
    found, around = list[RunInput](), branch.around
    found += branch.given_back
    while around is not None:
        found += around.given_back
        around = around.around
    return found


def _is_retiring(standing: Standing) -> bool:
    return standing.retiring or standing.state is RuntimeState.RETIRED


@final
class Steering:
    """Lets what was sent to steer join one run, and hands it out.

    Attributes:
        retiring: Whether a wait of this run has ended because its runtime retires.
    """

    def __init__(self, entering: Entering, boundaries: Boundaries, batch: Batch) -> None:
        """Nothing has joined yet."""
        self._entering = entering
        self._boundaries = boundaries
        self._batch = batch
        self._joined: list[RunInput] = []
        self._order: dict[InputId, int] = {}
        self._clock = entering.store.seams.wall_clock
        self.retiring = False

    @property
    def unseen(self) -> tuple[InputId, ...]:
        """What has joined and was not handed out."""
        self._take_back()
        return tuple([each.input_id for each in self._joined]) if self._joined else ()

    def take(self) -> tuple[RunInput, ...]:
        """See `Run.steered`."""
        # Not in a step: that is not executed where the run enters again, and takes nothing then.
        branch = self._entering.branch
        self._take_back()
        if branch.around is not None:
            return self._take_in_branch(branch)
        if self._joined and not self._takes(branch, self._joined):
            return ()
        steered, self._joined = tuple(self._joined), []
        self._batch.hand_out(steered)
        return steered

    def _take_in_branch(self, branch: Branch) -> tuple[RunInput, ...]:
        # Cases: past a cut; nothing has joined that a branch may take, or has taken, in whatever entering; what this one took
        # is recorded, so it takes that, though another asks first now; it is not, and what is recorded of others stays theirs.
        handed = set(self._batch.contributing)
        if branch.stands_for is not None or not any(each not in handed for each in self._order):
            return ()
        record, reached = self._entering.record, branch.reached
        before = branch.taken_at[1] if branch.taken_at[0] == reached else 0
        place = place_of_taken(branch.path, reached, before)
        known, others = record.taken.get(place), [each for taken in record.taken.values() for each in taken]
        pool = sorted([*self._joined, *_given_back(branch)], key=lambda each: self._order[each.input_id])
        given = [each for each in pool if (each.input_id not in others if known is None else each.input_id in known)]
        if not self._takes(branch, given):
            return ()
        branch.taken_at = reached, before + 1
        ids = [each.input_id for each in given]
        if known is None:
            branch.late[place] = mark(self._entering, place, TAKEN, ids)
        else:
            del record.taken[place]
        self._joined = [each for each in self._joined if each.input_id not in ids]
        around: Branch | None = branch
        while around is not None:
            around.given_back = tuple([each for each in around.given_back if each.input_id not in ids])
            around = around.around
        branch.taken += tuple(given)  # it may lose
        return tuple(given)

    def _takes(self, branch: Branch, taken: Sequence[RunInput]) -> bool:
        """Whether a branch takes this: what it would take past the cut of a scope stays for what comes after that."""
        if branch.scopes:
            branch = keep(self._entering.record, branch, "what steers", [each.input_id for each in taken])
        return branch.stands_for is None

    async def checkpoint(self, consume: tuple[RunInput, ...]) -> RunBoundaryReceipt:
        """See `Run.checkpoint`."""
        entering = self._entering
        entering.only_main("a checkpoint")
        asked = asks(EntryKind.CHECKPOINT)
        branch = entering.branch
        named = [self._batch.check(each, "consume") for each in check_value(consume, tuple[Any, ...], "consume")]
        consumed = [
            ConsumeInput(runtime_id=entering.runtime_id, run_id=entering.run_id, input_id=each)
            for each in named
            if each not in self._batch.ended and each not in dict(branch.ended) and not self._batch.is_over(each)
        ]
        branch, found = entering.ask(asked)
        with entering.in_flight(branch, asked, found) as flight:
            if found.entry is not None and was_cut_before_it_began(found.entry):
                await entering.wait_for_scope(asked, found)
            receipt, joined = await self._boundaries.checkpoint(flight, *consumed)
            if found.entry is None:
                self._batch.landed(named)
            elif found.entry.status is EntryStatus.CANCELLED:
                await entering.wait_for_scope(asked, found)
        self._join(joined)
        return receipt

    async def wait(self, timeout_s: float | None, correlation_id: str | None) -> tuple[RunInput, ...]:
        """See `Run.wait_steered`."""
        branch = self._entering.branch
        reached = branch.reached
        await self._wait(timeout_s, correlation_id)
        taken = self._matching(correlation_id)
        if taken and branch.reached == reached and not self._takes(branch, taken):  # else its entry says so
            await self._entering.stay_past(branch)
        self._joined = [each for each in self._joined if each not in taken]
        self._batch.hand_out(taken)
        return taken

    async def sleep(self, seconds: float) -> None:
        """See `Run.sleep`: one that ends with what joins, and leaves it there."""
        await self._wait(seconds, None)

    async def _wait(self, timeout_s: float | None, correlation_id: str | None) -> None:
        entering, actor = self._entering, self._entering.actor
        entering.only_main("a wait for what steers")
        acquit = AcquitRun(runtime_id=entering.runtime_id, run_id=entering.run_id)
        asked = _asked(timeout_s, correlation_id)
        end = _End()
        if self._matching(correlation_id):
            await trio.lowlevel.checkpoint()  # a loop may sleep until something joins, and leave there what has
        while not self._matching(correlation_id) and not end.why:
            seen = actor.steered.value
            branch, found = entering.ask(asked)
            with entering.in_flight(branch, asked, found) as flight:
                entry = found.entry
                end = await self._next_end(end.until, timeout_s) if entry is None else _read_end(entry)
                if entry is None or not was_cut_before_it_began(entry):
                    _, joined = await self._boundaries.checkpoint(flight, acquit, result=end.stored())
                    self._join(joined)
                if entry is not None and entry.status is EntryStatus.CANCELLED:
                    await entering.wait_for_scope(asked, found)
                # A replayed checkpoint has looked into the inbox of long ago: more may be recorded, or lie there by now.
                if entry is None and not self._matching(correlation_id) and not end.why:
                    left = math.inf if end.until is None else max(end.until - self._clock(), 0.0)
                    async with entering.rest(left, Wait(until=end.until, steerable=True)):
                        await self._woken(seen, end.until)
        self.retiring = self.retiring or end.why == RETIRING

    def _take_back(self) -> None:
        main = self._entering.record.main
        if main.given_back:
            self._joined = sorted([*main.given_back, *self._joined], key=lambda each: self._order[each.input_id])
            main.given_back = ()

    def _matching(self, correlation_id: str | None) -> tuple[RunInput, ...]:
        self._take_back()
        if correlation_id is None:
            return tuple(self._joined)
        return tuple([each for each in self._joined if each.correlation_id == correlation_id])

    async def _next_end(self, until: float | None, timeout_s: float | None) -> _End:
        """When the wait gives up, and whether it does so now unless something has come: on disk with its next look."""
        if until is None and timeout_s is not None:
            until = self._clock() + timeout_s
        if _is_retiring(self._entering.actor.standing.value):
            return _End(until=until, why=RETIRING)
        late = until is not None and self._clock() >= until and not await is_on_hold(self._entering)
        return _End(until=until, why=LATE if late else "")

    async def _woken(self, seen: int, until: float | None) -> None:
        """Wait until something may have come, nothing can come any more, or the time is over."""
        actor, seams = self._entering.actor, self._entering.store.seams
        async with trio.open_nursery() as nursery:  # owned by this wait

            async def wake(wait: Callable[[], Awaitable[object]]) -> None:
                await wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(wake, partial(actor.steered.wait_value, partial(operator.ne, seen)))
            nursery.start_soon(wake, partial(actor.standing.wait_value, _is_retiring))
            if until is not None:

                async def give_up(at: float) -> None:
                    await seams.sleep_until(at, at_most_s=max(at - self._clock(), 0.0))
                    await wait_out_hold(self._entering)

                nursery.start_soon(wake, partial(give_up, until))

    def _join(self, members: tuple[BatchMember, ...]) -> None:
        try:
            joined = self._batch.join(members)
            self._joined += joined
            self._order.update({each.input_id: len(self._order) + number for number, each in enumerate(joined)})
        except NeedsAttention as exc:
            self._entering.fail(exc)  # also where the behaviour swallows it
            raise
