"""The actor that owns one runtime.

Theory of operation. A lifecycle event is carried out in its caller's task: it waits for its turn, which the run's commit in
flight may have, is decided by the table on the state that is published then, committed, and published when its commit has
settled. What is accepted does not pass here: it goes straight to the writer, and wakes the actor when it has landed. Beside
them, at most one task works the inbox off: it begins a run, has it executed by the floor above, and begins the next, until
nothing waits.

Nothing here is true before it is on disk: facts change when a commit has settled. An actor that is not in use may be dropped at
any time; its facts stay with the supervisor, and a new actor goes on from them.

A run that is dropped, by a cancel, a stop or the loss of the runtime, ends at once for its `Run`, which refuses every further
call; its behaviour may still clean up, and the next run begins after that (`worker`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from functools import partial
from typing import Any, TypeVar, final

import trio

from tenure.errors import Closed, Error, StaleFence, StoreBroken
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.facets.ownership.lifecycle import Hold
from tenure.persistence.facets.ownership.ownership import find_holding
from tenure.persistence.facets.runs.deadlines import DropLateRun
from tenure.persistence.facets.runs.interrupted import CancelledInputs
from tenure.persistence.facets.runs.runs import BeginRun, RunBegun
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent, durable
from tenure.persistence.model.texts import as_defect
from tenure.persistence.model.values import AbandonReason, InputId, RunId, RuntimeState
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import first
from tenure.persistence.store import Store, ground_of

from .commit_channel import RETRY_S, CommitChannel, once_landed
from .company import Begun, Company
from .decisions import Decision, catch_up, check_drops, decide, may_begin
from .facts import Begins, RuntimeFacts
from .listener import Listener
from .published import UNREADABLE, Published
from .resting import Resting
from .watched import Watched
from .worker import Worker

T = TypeVar("T")


@final
class RuntimeActor(Published):
    """One owned runtime.

    Attributes:
        working: Whether it works the inbox off now, run after run, or its last run has not ended.
        resting: Which tasks of its run wait durably now.
        channel: The way of its commits.
        at_work: Says what its run does at a time, where one executes; in memory alone.
        slot: That of its run at the slots of its kind; None where any number executes.
        stays: Whether its run begins no step: its host hands it over.
        steered: Counts the accepts that steer; a run that waits for one watches it.
        closed: Set when the actor has ended.
    """

    def __init__(
        self,
        store: Store,
        facts: RuntimeFacts,
        begins: Begins,
        execute: Callable[[RuntimeActor, RunBegun], Awaitable[None]],
        listener: Listener,
        start_soon: Callable[[Callable[[], Awaitable[None]]], None],
        worker: Worker,
    ) -> None:
        """Go on from these facts. `start_soon` starts what this actor needs beside its callers.

        `worker` is that of the runtime, which may still be busy for an actor before this one.
        `execute` executes one run and commits its end through the actor's channel; it is cancelled when the runtime is stopped.
        """
        super().__init__(facts, listener, worker)
        self.working = worker.busy
        self.resting = Resting()
        self.channel = CommitChannel(store, facts, listener.defect)
        self._is_beginning = False
        self._company = Company(self, self.channel, self._change_to_begin, self._look)
        self.at_work: Callable[[float], str | None] | None = None
        self.slot = None if begins.slots is None else begins.slots.slot()
        self.steered = Watched(0)
        # States that store verbs wrote past this actor, and those of them that it has read.
        self._heard = self._read = 0
        self.closed = trio.Event()
        self._store = store
        self._begins = begins
        self._execute = execute
        self._start_soon = start_soon
        worker.ended, worker.lingers = self.worker_ended, self.worker_lingers
        self.stays = Watched(False)
        self._draining = False
        self._users = 0
        self._used_at = trio.current_time()
        self._closed: Error | None = None

    # What others ask

    async def apply(self, event: LifecycleEvent, *also: Change, clear_session: bool = False) -> None:
        """Carry out one lifecycle event, and other changes in the same commit; on disk when this returns."""
        await self._in_turn(partial(self._apply, event, also, clear_session=clear_session))

    async def reread(self, *also: Change) -> None:
        """Publish what a store verb has written past this actor; on disk, other changes too, when this returns."""
        await self._in_turn(partial(self._reread, also))

    def hear(self, stored: RuntimeState | None, *brought: Change) -> None:
        """A store verb here has landed: inputs came or ended, the state is as stored where it was written; `brought` queues."""
        if stored is not None and stored is not durable(self.facts.standing):
            if stored in (RuntimeState.STOPPED, RuntimeState.DESTROYED):
                self.facts.run_id = None  # its `Run` does nothing more
                self.worker.stop()
            self._heard += 1
            self._start_soon(self._reread_patiently)
        if brought:
            self._start_soon(partial(self._reread_patiently, *brought))
        self.wake()

    @property
    def unread(self) -> bool:
        """Whether a store verb has written a state past this actor that it has not read yet."""
        return self._heard != self._read

    async def hold(self, reason: str | None, detail: str | None = None, *first: Change) -> None:
        """Mark the runtime held, or resume it with None, after other changes of the same commit."""
        await self._in_turn(partial(self._hold, reason, detail, first))

    async def drop_run(self, change: Change, reason: AbandonReason) -> tuple[InputId, ...]:
        """End the current run and abandon its batch, by a change that answers as `DropRun`. Returns what was abandoned."""
        return await self._in_turn(partial(self._drop_run, change, reason))

    async def cancel_input(self, input_id: InputId, change: Change) -> bool:
        """Abandon one queued input, by a change that answers as `CancelInput`; False where a run has it, or there is none."""
        return await self._in_turn(partial(self._cancel_input, input_id, change))

    async def cancel_with_run(self, change: Change) -> CancelledInputs:
        """Abandon one input, with the run that has it, by a change that answers as `CancelWithRun`."""
        return await self._in_turn(partial(self._cancel_with_run, change))

    async def commit(self, *changes: Change) -> tuple[Any, ...]:
        """Commit other changes of this runtime between those of its run and its lifecycle; their answers."""
        return (await self._in_turn(partial(self.channel.commit, *changes))).values

    async def wait_for(self, watched: Watched[T], reached: Callable[[T], bool]) -> T:
        """Wait for a value of `standing` or `held`. Raises why the actor has ended, where it ends first."""
        found: list[T] = []

        async def wait() -> None:
            found.append(await watched.wait_value(reached))

        self._users += 1
        try:
            await first(wait, self.closed.wait)
        finally:
            self._users -= 1
        if not found and not reached(watched.value):  # its end may come in the same turn as the value
            raise self._why_closed()
        return found[0] if found else watched.value

    # Its life

    async def begin(self) -> None:
        """Go on with what was left; in a separate task, so that the maker of the actor can say first what its run waits for."""
        self._look()

    def close(self, error: Error) -> None:
        """End the actor: no run goes on, and everyone who waits for it gets the error."""
        if self._closed is None:
            self._closed = error
            self.worker.stop()  # once: later the worker may be another actor's
            self.closed.set()
            self.listener.closed(self)

    def stay(self, *, runs: bool, steps: bool) -> None:
        """Begin no run, and no step, from now on; or go on."""
        self._draining, self.stays.value = runs, steps
        self._look()

    def idle_since(self) -> float | None:
        """Since when (trio's clock) the actor was not used, or None where it is in use or a run may come up."""
        busy = self._users or self.worker.busy.value or self._company.on_its_way
        return None if busy or self.facts.not_before is not None else self._used_at

    def wake(self) -> None:
        """Something has come into the inbox, or waits there again: work it off, unless something stands against it."""
        self.facts.has_work = True
        self._look()

    def _look(self) -> None:
        """Work the inbox off if it is known to hold something: to begin a run for nothing costs a flush."""
        if self.worker.busy.value or self._company.on_its_way:
            return  # when that has ended it looks itself
        if self._closed is None and (self._company.begun or self._may_run()):
            self.worker.start(self._work)
        else:
            self._used_at = trio.current_time()

    def join(self, commit: Commit) -> tuple[Commit, Company] | None:
        """An accept that the writer takes now, with the begin of its run, unless something else comes first."""
        facts = self.facts
        # A worker whose run has ended well goes on with it, or is gone by then.
        works = self.worker.busy.value and (facts.run_id is not None or self._is_beginning or self.worker.stopped)
        busy = (
            works
            or not self.channel.is_free
            or self._company.begun
            or facts.has_work
            or facts.aside
            or self._heard != self._read
            or self._draining
        )
        may = self._closed is None and self.slot is None and may_begin(facts, has_work=True)
        return (self._company.join(commit), self._company) if may and not busy else None

    def wake_after(self, wait_s: float) -> None:
        """Begin no run for so long, and look again then. Measured by trio's clock: the wall clock may be set meanwhile."""
        self.facts.not_before = trio.current_time() + wait_s
        self._start_soon(partial(self._sleep_until, self.facts.not_before))

    # Lifecycle events, one after another

    async def _in_turn(self, perform: Callable[[], Awaitable[T]]) -> T:
        """Carry out what must not meet a commit of the run in flight.

        Cancellation: before its commit is taken nothing happened; afterwards the answer is returned, and the cancellation
        comes at the next checkpoint.
        """
        self._users += 1
        try:
            self._check_open()
            # Not in turn: what ends the run needs no room, and must not wait for it.
            await ground_of(self._store).wait_for_room()
            async with self.channel.turn:
                self._check_open()
                answer = await perform()
        except (StoreBroken, StaleFence) as exc:
            self.close(exc)
            raise
        except Error:
            raise
        except Exception as exc:  # a mistake of ours: it costs this runtime its trust
            self.listener.defect(self.facts.runtime_id, exc)
            raise as_defect(exc) from exc
        finally:
            self._users -= 1
            self._used_at = trio.current_time()
        self._look()
        return answer

    def _check_open(self) -> None:
        if self._closed is not None:
            raise self._why_closed()

    def _why_closed(self) -> Error:
        return copy(self._closed) or Closed(what=f"runtime {self.facts.runtime_id}")  # tracebacks grow with each raise

    async def _apply(self, event: LifecycleEvent, also: tuple[Change, ...], *, clear_session: bool) -> None:
        epoch = self._store.seams.new_id()
        decision = decide(self.facts.runtime_id, self.facts.standing, event, epoch, clear_session=clear_session)
        if decision is not None:
            await self._commit_event(decision, also)
        elif also:
            await self.channel.commit(*also)
        else:
            await trio.lowlevel.checkpoint()  # nothing changes

    async def _commit_event(self, decision: Decision, also: tuple[Change, ...]) -> None:
        def publish(answers: tuple[Any, ...]) -> None:
            if answers[0].done:
                self.publish_event(decision, answers[: len(decision.changes)])

        await self.channel.commit(*decision.changes, *also, on_settled=once_landed(publish))

    async def _reread(self, also: tuple[Change, ...]) -> None:
        heard = self._heard
        while (decision := await self._find_past()) is not None:  # again: yet another state may have been written since
            await self._commit_event(decision, also)
            also, self.facts.has_work = (), True  # the inbox is as the store verb has left it
        if also:
            await self.channel.commit(*also)
        self._read = heard

    async def _find_past(self) -> Decision | None:
        holding, facts = await self._store.read(partial(find_holding, runtime_id=self.facts.runtime_id)), self.facts
        if holding is None or holding.fence_token != facts.fence_token:
            return None  # the next commit finds that out
        return catch_up(facts.runtime_id, facts.standing, holding.state, self._store.seams.new_id())

    async def _reread_patiently(self, *also: Change) -> None:
        while self._closed is None:
            try:
                await self.reread(*also)
            except NOT_NOW:
                await trio.sleep(RETRY_S)  # nothing happened
            except Error:
                return  # the actor has ended, or hears of it with its next commit
            else:
                if also:
                    self.steered.value += 1  # in whichever lane it came
                    self.wake()
                return

    async def _hold(self, reason: str | None, detail: str | None, first: tuple[Change, ...]) -> None:
        check_drops(self.facts, first)

        def publish(_: tuple[Any, ...]) -> None:
            if reason is None:
                # What it was held for, or a run that waited for its retry, is in the inbox still.
                self.facts.has_work = self.facts.has_work or self.facts.is_kept_from_work
                self.facts.failures, self.facts.not_before = "[]", None
            self.publish_held(reason, detail)

        hold = Hold(runtime_id=self.facts.runtime_id, reason=reason, detail=detail)
        await self.channel.commit(*first, hold, on_settled=once_landed(publish))

    async def _drop_run(self, change: Change, reason: AbandonReason) -> tuple[InputId, ...]:
        def publish(answers: tuple[Any, ...]) -> None:
            if isinstance(change, DropLateRun) and not answers[0]:
                return  # it goes on
            self.publish_dropped(answers[0], reason)

        return tuple((await self.channel.commit(change, on_settled=once_landed(publish))).values[0])

    async def _cancel_with_run(self, change: Change) -> CancelledInputs:
        settled = once_landed(lambda answers: self.publish_cancelled(answers[0]))
        answer: CancelledInputs = (await self.channel.commit(change, on_settled=settled)).values[0]
        return answer

    async def _cancel_input(self, input_id: InputId, change: Change) -> bool:
        def publish(answers: tuple[Any, ...]) -> None:
            self.publish_cancelled(CancelledInputs(input_ids=(input_id,) if answers[0] else ()))

        return bool((await self.channel.commit(change, on_settled=once_landed(publish))).values[0])

    # Runs, one after another

    def _may_run(self) -> bool:
        facts = self.facts
        if facts.not_before is not None and facts.not_before <= trio.current_time():
            facts.not_before, facts.has_work, facts.has_begun = None, True, True
        if not facts.has_work or self._closed is not None or self._draining or self._company.on_its_way:
            return False
        return may_begin(facts, has_work=True)

    async def _work(self) -> None:
        # One that has begun with its input first; where another has, the worker calls this again, with a fresh context.
        if (begun := self._company.take()) is not None:
            await self._execute(self, begun)
            self.worker.refresh()
        while self._may_run() and not self.worker.stopped:
            if self.slot is None:
                await self._begin_and_execute()
            else:
                async with self.slot.held(begun=self.facts.has_begun):
                    if self._may_run():  # else it was held, retired or emptied meanwhile
                        await self._begin_and_execute()
            self.worker.refresh()  # a begin waits for the writer, and so is followed by another step of the task

    async def _begin_and_execute(self) -> None:
        self.facts.has_work = False  # whatever comes from here on sets it again
        self._is_beginning = True
        try:
            begun = await self._begin()
        except BaseException:
            self.facts.has_work = True  # the begin was withdrawn, or is not understood
            raise
        finally:
            self._is_beginning = False
        if begun is not None:
            await self._execute(self, begun)

    def _change_to_begin(self, accepted: InputId | None = None) -> BeginRun:
        return self._begins.change(self.facts.runtime_id, RunId(self._store.seams.new_id()), accepted)

    async def _begin(self) -> RunBegun | None:
        try:
            result = await self.channel.commit_in_turn(
                self._change_to_begin(), on_settled=once_landed(lambda answers: self.publish_begun(answers[0]))
            )
        except (StaleFence, StoreBroken, Closed) as exc:
            self.close(exc)
            return None
        except Error as exc:
            self.publish_unreadable(exc)
            return None
        begun: Begun = result.values[0]
        return begun if isinstance(begun, RunBegun) else None

    async def _sleep_until(self, not_before: float) -> None:
        await trio.sleep_until(not_before)
        self.unblock(UNREADABLE)
        self._look()
