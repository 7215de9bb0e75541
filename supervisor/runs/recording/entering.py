"""One entering of a run: what every entry of its record goes through (design §18).

An entry is asked for, matched with the record, committed with what stands on it, and cut off where a scope of the behaviour
ends it. In which branch it stands, a context variable says: tasks that a branch starts are of that branch.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property, partial
from typing import Final, final

import trio

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import InvalidInput, LimitReached, RunEnded, StepMismatch
from tenure.persistence.commits.commit import Change, CommitResult
from tenure.persistence.facets.runs.entries import RecordEntry
from tenure.persistence.facets.runs.interrupted import ForgetUnbegun
from tenure.persistence.model.entries import branch_of
from tenure.persistence.model.texts import leaves
from tenure.persistence.model.values import LogicalRuntimeId, RunId
from tenure.persistence.store import Store
from tenure.persistence.writing.group import Outcome
from tenure.supervisor.output.saying import Saying
from tenure.supervisor.runs.resting.waits import Wait

from .asked import Asked, Differs, Found, is_in_doubt, list_entries
from .attention import Fault
from .branch import BRANCH, NOTHING, Branch, Standing, after_its_end, check_outside_of_steps
from .cutting.kept import RAISED, as_seen, ends_early, found_past, keep, mark_cut
from .flight import Flight
from .matching import Record
from .occupancy import Occupancy
from .step_terms import cut_in, is_cut

LOOK_S: Final = 1.0
"""Seconds between two looks of what waits for the record to be reached."""


@final
class Entering:
    """The record of one run while its behaviour executes, and the way of its commits.

    Attributes:
        record: What is recorded, and how much of it is reached.
        executing: Functions of steps that execute at this moment; `executed`: how many have begun.
        read: Errors that the behaviour was given from the record, each with the place of its entry.
        calls: Steps with a call id that are in flight.
        looked_for: Whether it is looked at already, at some time, whether it still rests.
        asks: How often something was asked of another runtime; `flights`: what is in flight, by place.
        saying: What it says.
        ended: Whether the behaviour has returned: from then on every use of the run is `RunEnded`.
    """

    def __init__(  # noqa: PLR0913 - one for each thing that it meets
        self,
        store: Store,
        actor: RuntimeActor,
        run_id: RunId,
        record: Record,
        version: str,
        replay_s: float,
        saying: Saying,
        *,
        landed: Callable[[CommitResult], None],
        deadline: float,
        on_half: Callable[[LogicalRuntimeId, RunId, int], None],
        on_rest: Callable[[Entering], None] | None = None,
    ) -> None:
        """Nothing is asked for yet, by a behaviour of this version.

        `replay_s` bounds the waits for entries that are not reached. `deadline` is the host's: a scope of the behaviour ends
        before. `landed` hears of commits of `write`; `on_half` is called, once, when half of `Limits.run_steps` is recorded;
        `on_rest` where all of the run waits durably: None where no one asks.
        """
        self.store = store
        self.actor = actor
        self.run_id = run_id
        self.runtime_id = actor.facts.runtime_id
        self.record = record
        self.version = version
        self._fault = Fault()
        self.executing = self.executed = self.calls = self.asks = 0
        self.read: tuple[tuple[Exception, str], ...] = ()
        self.looked_for = self.ended = False
        self._on_rest, self._on_half = on_rest, on_half
        self._landed = landed
        self._deadline = deadline
        self.flights: dict[str, Flight] = {}
        self.saying = saying
        self._replay_s = replay_s
        self._late_calls: dict[str, RecordEntry] = {}
        self._unbegun: tuple[str, ...] = ()
        self._broken: BaseException | None = None
        self._moved: trio.Event | None = None
        self._watched = 0  # how many wait for it

    def echoed(self, error: BaseException) -> str | None:
        """The place of an error that this attempt only read from the record again, having executed nothing itself; or None.

        Each further attempt would end the same (design §19).
        """
        if self.executed:
            return None
        return next((place for leaf in leaves(error) for given, place in self.read if given is leaf), None)

    @property
    def fault(self) -> BaseException | None:
        """The first mismatch or doubt that was raised; it decides the run's end even where the behaviour swallows it."""
        return self._fault.error

    def fail(self, error: BaseException) -> BaseException:
        """Let the attempt end with this error, or with that which was before it; it is returned."""
        return self._fault.set(error)

    @cached_property
    def occupancy(self) -> Occupancy:
        """What of the run executes, and its slot. Made where the run first waits or does a step."""
        return Occupancy(self.actor, None if self._on_rest is None else partial(self._on_rest, self))

    def check_open(self) -> None:
        """Raises `RunEnded` where the run is over, and what has ended it where it is about to be."""
        if self.ended:
            raise RunEnded(run_id=self.run_id)
        if self.actor.facts.run_id != self.run_id:
            raise self._fault.refuse(RunEnded(run_id=self.run_id))
        if self._fault.error is not None:
            raise self._fault.refuse(self._fault.error)  # a behaviour may have caught it; nothing lands after it

    @property
    def asked(self) -> int:
        """How many things the run has asked for."""
        return self.record.asked

    async def turn(self) -> None:
        """Let others of the host run."""
        await trio.lowlevel.checkpoint()

    # Branches

    @property
    def branch(self) -> Branch:
        """The branch that the calling task works in. Raises `InvalidInput` inside a step, and after the end of the branch."""
        check_outside_of_steps(self.saying)
        found = BRANCH.get()
        branch = self.record.main if found is None or found[0] is not self.record else found[1]
        if branch.over:
            raise after_its_end(branch)
        return as_seen(branch) if branch.past is not None else branch

    def only_main(self, what: str) -> None:
        """Raises `InvalidInput` in a branch of `gather`, `map` or `first`, which has none of this."""
        if (branch := self.branch) is not self.record.main and branch.stands_for is not self.record.main:
            raise InvalidInput(detail=f"{what} has no place in a branch of gather, map or first", field="run")

    def buffers(self, what: str, said: object = None) -> Branch:
        """The branch that this lands with, where it is `said`. Raises `InvalidInput` beside a call in flight: no order."""
        branch = self.branch
        if self.calls and branch is self.record.main:
            raise InvalidInput(detail=f"{what} has no order beside a step with call= that is in flight", field="run")
        return branch if not branch.scopes or said is None else keep(self.record, branch, what, said)

    # Asking

    def ask(self, asked: Asked) -> tuple[Branch, Found]:
        """Match what is asked for with the record.

        Raises:
            StepMismatch: It is not what is recorded.
            InvalidInput: It has no place there; see `Record.ask`.
            LimitReached: The run has asked for too much.
        """
        self.check_open()
        branch, limit = self.branch, self.store.limits.run_steps
        if self.record.asked >= limit:
            raise LimitReached(what="steps of one run", limit=limit)
        if branch.scopes and self.record.ends and (past := found_past(self, branch, asked)) is not None:
            return branch, past
        try:
            found = self.record.ask(branch, asked)
        except Differs as exc:
            raise self.mismatch(exc) from exc
        if found.entry is None and self.record.asked == limit // 2:
            self._on_half(self.runtime_id, self.run_id, limit)
        self.record.time_scopes(branch, found.entry)
        self.poke()
        return branch, found

    @contextmanager
    def in_flight(self, branch: Branch, asked: Asked, found: Found) -> Generator[Flight]:
        """Hold the place of an entry until it has its answer; where a scope cuts it off, the next commit says so."""
        flight = Flight(self, branch, asked, found)
        if asked.call is None:
            branch.in_flight = f"{asked.kind} {asked.name}"
        else:
            self.calls += 1
            self.occupancy.call_begins(branch)
        self.flights[found.place] = flight
        try:
            yield flight
        except BaseException as exc:
            if flight.dispatched and not flight.begun:
                self._unbegun += (flight.place,)
            if self.fault is not None or (cut := cut_in(exc)) is None:  # nothing is recorded after it
                raise
            if not flight.is_answered:
                late = self._late_calls if asked.call is not None and branch is self.record.main else branch.late
                late[found.place] = entry = flight.cut(None if is_cut(exc) else exc)
                self.record.leaves_doubt |= is_in_doubt(entry)
            raise cut from (None if cut is exc else exc)
        finally:
            del self.flights[found.place]
            if asked.call is None:
                branch.in_flight = None
            else:
                self.calls -= 1
                self.occupancy.call_ended(branch)

    def mismatch(self, found: Differs) -> StepMismatch:
        """The error of a run that does something else than its record says."""
        error = StepMismatch(
            runtime_id=self.runtime_id,
            run_id=self.run_id,
            name=found.place,
            recorded=found.recorded,
            given=found.given,
        )
        self.fail(error)
        self.poke()
        return error

    def unbegun(self) -> tuple[Change, ...]:
        """What the commit that ends an attempt badly says of steps that were dispatched and did not begin."""
        forget = ForgetUnbegun(runtime_id=self.runtime_id, run_id=self.run_id, places=self._unbegun)
        return (forget,) if self._unbegun else ()

    # Waiting for the record

    def poke(self) -> None:
        """Something was reached, or cannot be any more: who waits for it looks again."""
        if self._watched and self._moved is not None:
            self._moved.set()
            self._moved = None

    def has_raised(self, branch: Branch, error: BaseException) -> None:
        """A branch ends with an error: what waits for what it has not reached waits in vain."""
        if self.record.left_inside(branch.path):
            self._broken = error if self._broken is None else self._broken
            self.poke()

    async def admit(self, asked: Asked, found: Found) -> None:
        """Wait until every recorded entry is reached: as long as one is not, this may be the same under another name.

        Raises:
            StepMismatch: They were not reached in `replay_s`; or the same is recorded, and was given to another.
            Exception: What a branch raised before it had reached them; the attempt fails with it.
        """
        await self._admit(
            lambda: not self.record.unreached,
            lambda: Differs(found.place, list_entries(self.record.unreached.values()), str(asked)),
        )
        try:
            self.record.check_new(found.place, asked)
        except Differs as exc:
            raise self.mismatch(exc) from exc

    async def wait_for_scope(self, asked: Asked, found: Found) -> None:
        """Execute nothing: a scope of the behaviour cut this off before, and will again. Raises `StepMismatch`."""
        self.record.pass_over(branch_of(found.place, 1).rpartition(".")[0])
        await self._until_cut(found.place, f"{asked}, cut off by its scope", f"{asked}, not cut off")

    async def admit_messages(self, place: str, given: Callable[[], str]) -> None:
        """Wait until the messages that a restart took over are reached: a new one may be one of them in other words.

        Raises as `admit`.
        """
        left = self.record.messages_left
        await self._admit(lambda: not left(), lambda: Differs(place, list_entries(left()), given()))

    async def _admit(self, reached: Callable[[], bool], differs: Callable[[], Differs]) -> None:
        deadline = trio.current_effective_deadline()
        try:
            await self._wait(reached, differs)
        except trio.Cancelled:
            # The time of its scope is over, and nothing executes that could reach the rest: recorded as cut off, it would be
            # left out in silence. A scope that is cancelled otherwise has its own reason, such as an error beside it.
            if trio.current_time() >= deadline and not self.executing and not reached():
                self.mismatch(differs())
            raise
        if self.fault is not None:
            raise self.fault  # what it waited for was reached, and is in doubt: nothing is dispatched any more

    async def _wait(
        self, reached: Callable[[], bool], differs: Callable[[], Differs], not_before: float = -1.0
    ) -> None:
        waited = 0.0
        while not reached():
            if self.fault is not None:
                raise self.fault
            if self._broken is not None:
                raise self.fail(self._broken)
            began = trio.current_time()
            self._watched += 1
            self._moved = moved = trio.Event() if self._moved is None else self._moved
            try:
                with trio.move_on_after(LOOK_S):
                    await moved.wait()
            finally:
                self._watched -= 1
            passed = trio.current_time() - began
            # Not counted: time in which a step executes, and in which the loop was too late to reach anything.
            if not self.executing and passed < 2 * LOOK_S and (began >= not_before or not_before == float("inf")):
                waited += passed
            if waited >= self._replay_s and not reached():
                raise self.mismatch(differs())

    @property
    def rests_since(self) -> float | None:
        """Since when all of the run waits durably, by the clock of trio; None where some of it does not."""
        return self.occupancy.rests_since

    @property
    def waits(self) -> tuple[Wait, ...]:
        """What it waits for."""
        return tuple(self.occupancy.waits)

    @asynccontextmanager
    async def rest(self, seconds: float = math.inf, wait: Wait | None = None) -> AsyncGenerator[None]:
        """Wait durably inside; without an end for a person. While all of the run does so, its slot is another's.

        With `wait` it may be put aside: unless a scope round it has an end, which is in memory alone.
        """
        if trio.current_effective_deadline() < self._deadline:
            wait = None
        with self._fault.ends():
            async with self.occupancy.rest(wait):
                with self.actor.resting.rest(seconds):
                    yield

    async def record_cut(self, branch: Branch, scopes: list[str]) -> None:
        """Record which scope was cut off, and with it what it has cut off."""
        mark_cut(self, branch, scopes)
        if branch.late or self._late_calls:
            await self.write(self.standing_on(branch))
            await self.occupancy.hold()

    def record_raised(self, branch: Branch, scopes: list[str]) -> None:
        """Record that the body of a scope has made an error of its cancellation, with the next commit of its branch."""
        mark_cut(self, branch, scopes, RAISED)

    async def stay_cut(self, branch: Branch, scope: str, *, raised: bool) -> None:
        """Wait for the end of a scope whose body ends where it was cut off before. Raises `StepMismatch`."""
        if ends_early(self, branch, scope, raised=raised):
            await self.stay_past(branch)

    async def stay_past(self, branch: Branch) -> None:
        """Wait for the end of a scope past whose cut a task has come. Raises `StepMismatch`."""
        await self._until_cut(branch.next_cut, "a scope that was cut off", "its end")

    async def _until_cut(self, *differs: str) -> None:
        await self._wait(lambda: False, lambda: Differs(*differs), not_before=trio.current_effective_deadline())

    # Committing

    def standing_on(self, branch: Branch) -> Standing:
        """What an entry that is asked for now stands on: it is on disk with the first commit of that entry."""
        if not (branch.failed or branch.late or self._late_calls):
            return NOTHING
        return Standing(branch, dict(branch.failed), dict(branch.late), dict(self._late_calls), self._late_calls)

    async def write(self, standing: Standing, *changes: Change) -> CommitResult:
        """Commit changes of an entry, and what it stands on."""
        beside = standing.changes(self.runtime_id, self.run_id)
        result = await self.commit(lambda: (*beside, *changes))
        standing.landed()
        if len(result.changes) > 1:  # asks may have been given up
            self._landed(result)
        return result

    async def commit(
        self, decide: Callable[[], Sequence[Change]], on_settled: Callable[[Outcome], None] | None = None
    ) -> CommitResult:
        """Commit for the run, in its turn.

        Raises:
            RunEnded: The run was dropped while this waited for its turn, and nothing is written.
        """

        def decide_if_open() -> Sequence[Change]:
            if self.actor.facts.run_id != self.run_id:
                raise RunEnded(run_id=self.run_id)
            return decide() if self.saying.speech is None else (*self.saying.changes(), *decide())

        result = await self.actor.channel.decide_in_turn(decide_if_open, on_settled)
        if self.saying.speech is not None:
            self.saying.settled(result)
        return result
