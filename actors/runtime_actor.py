"""The actor that owns one runtime.

Theory of operation. One task takes requests out of the mailbox, one after another. An accept is submitted and not waited
for: several share a group and land in their order. A lifecycle event waits for the run's commit in flight, is decided by the
table on the state that is published then, committed, and published when its commit has settled. Beside it, at most one task
works the inbox off: it begins a run, has it executed by the floor above, and begins the next, until nothing waits.

Nothing here is true before it is on disk: every change of `standing` happens in a callback of a settled commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar, final

import trio
from trio_util import AsyncValue

from tenure.errors import Closed, Error, RuntimeDestroyed, StaleFence, StoreBroken
from tenure.persistence.commits import Commit, CommitResult
from tenure.persistence.facets.inputs import AcceptedInput, AcceptInput
from tenure.persistence.facets.lifecycle import Hold, LifecycleWritten, WriteLifecycle
from tenure.persistence.facets.ownership import Ownership, RenewToken
from tenure.persistence.facets.runs import BeginRun, RunBegun
from tenure.persistence.group import Outcome
from tenure.persistence.lifecycle import LifecycleEvent, Standing, abandons, durable, runs_inputs, transition
from tenure.persistence.store import Store
from tenure.persistence.values import AbandonReason, InputId, LogicalRuntimeId, RunId, RuntimeState

from .commit_channel import CommitChannel
from .mailbox import Mailbox, MailboxStatistics
from .request import Request

T = TypeVar("T")

ENDS_RUN = frozenset({LifecycleEvent.STOP, LifecycleEvent.DESTROY, LifecycleEvent.RESET})
"""Events that drop the current run with its inputs."""


class Owner(Protocol):
    """What an actor needs from the floor above."""

    async def execute(self, actor: RuntimeActor, begun: RunBegun, /) -> None:
        """Execute one run and commit its end through the actor's channel. Cancelled when the runtime is stopped."""
        ...

    def abandoned(self, runtime_id: LogicalRuntimeId, input_ids: tuple[InputId, ...], reason: AbandonReason, /) -> None:
        """A lifecycle event has abandoned inputs."""
        ...


@final
class RuntimeActor:
    """One owned runtime. Public attributes are what was last committed.

    Attributes:
        runtime_id: Which runtime.
        kind: Names its behaviour.
        generation: Which life.
        held: Why no run may start, or None.
        standing: Lifecycle state as published; wait on it for a state.
        channel: The way of its commits.
        current_run: The run that was begun last and not dropped since, or None.
    """

    def __init__(self, store: Store, owner: Owner, ownership: Ownership, batch: int, nursery: trio.Nursery) -> None:
        """Take over what an ownership commit returned; `serve` must then be started in `nursery`."""
        self.runtime_id = ownership.runtime_id
        self.kind = ownership.kind
        self.generation = ownership.generation
        self.epoch = ownership.epoch
        self.held = ownership.held
        self.crashes = ownership.crashes
        self.failures = ownership.failures
        self.standing = AsyncValue(Standing(state=_attached(ownership.state)))
        self.channel = CommitChannel(store, ownership.runtime_id, ownership.fence_token)
        self._store = store
        self._owner = owner
        self._batch = batch
        self._nursery = nursery
        self._mailbox = Mailbox[Request[Any]](store.limits.mailbox_messages)
        self._not_before = ownership.retry_at
        self._has_work = ownership.unfinished > 0
        self._worker: trio.CancelScope | None = None
        self._draining = False
        self.current_run: RunId | None = None
        self._closed: Error | None = None

    # What others ask

    async def accept(self, change: AcceptInput, issue: Callable[[AcceptedInput], T]) -> T:
        """Put an input into the inbox; on disk when this returns. Waits while the mailbox is full.

        Returns what `issue` makes of the landed accept; it is called before anything later is published.
        """
        return await self._ask(Request(partial(self._accept, change, issue)))

    async def apply(self, event: LifecycleEvent) -> None:
        """Carry out one lifecycle event; on disk when this returns."""
        await self._ask(Request(partial(self._apply, event)))

    async def hold(self, reason: str | None, detail: str | None = None) -> None:
        """Mark the runtime held, or resume it with None; on disk when this returns."""
        await self._ask(Request(partial(self._hold, reason, detail)))

    def statistics(self) -> MailboxStatistics:
        """How full the mailbox is."""
        return self._mailbox.statistics()

    # The task

    async def serve(self) -> None:
        """Serve requests until cancelled or the store has stopped; then answer everybody who still waits."""
        self.wake()
        try:
            while self._closed is None:
                try:
                    request = await self._mailbox.receive()
                except (trio.EndOfChannel, trio.ClosedResourceError):
                    break  # `close` was called while this task waited
                if request.take():
                    outcome = request.perform(request)
                    if isinstance(outcome, Awaitable):
                        await outcome
        finally:
            self.close(self._why_closed())

    async def drain(self) -> None:
        """Begin no further run, and wait until none is executing."""
        self._draining = True
        await self.standing.wait_value(lambda standing: standing.state is not RuntimeState.RUNNING)

    def close(self, error: Error) -> None:
        """End the actor: no run goes on, and everybody who waits for it gets the error."""
        if self._closed is None:
            self._closed = error
        self._stop_worker()
        for request in self._mailbox.close():
            request.fail(self._closed)

    def wake(self) -> None:
        """Work the inbox off if there is reason to; called whenever one may have come up."""
        self._has_work = True
        if self._worker is None and self._may_run():
            self._worker = trio.CancelScope()
            self._nursery.start_soon(self._work, self._worker)

    def wake_at(self, retry_at: float) -> None:
        """Begin no run before `retry_at` (unix seconds), and look again then."""
        self._not_before = retry_at
        self._nursery.start_soon(self._sleep_until, retry_at)

    def publish(self, event: LifecycleEvent) -> None:
        """The floor above: a commit with this event of a run has settled."""
        self.standing.value = transition(self.standing.value, event, runtime_id=self.runtime_id)

    # Inside

    async def _ask(self, request: Request[T]) -> T:
        if self._closed is not None:
            raise self._closed
        try:
            await self._mailbox.send(request)
        except (trio.ClosedResourceError, trio.BrokenResourceError) as exc:
            raise self._why_closed() from exc
        return await request.wait(self._store.limits.verdict_s, lambda: self._store.stop_in_doubt("no verdict in time"))

    def _why_closed(self) -> Error:
        return self._closed or Closed(what=f"runtime {self.runtime_id}")

    def _accept(self, change: AcceptInput, issue: Callable[[AcceptedInput], T], request: Request[T]) -> None:
        try:
            settled = partial(self._accepted, issue, request)
            request.pending = self._store.submit(Commit(changes=(change,)), on_settled=settled)
        except Error as exc:
            request.fail(exc)

    def _accepted(self, issue: Callable[[AcceptedInput], T], request: Request[T], outcome: Outcome) -> None:
        if isinstance(outcome, Error):
            request.fail(outcome)
            return
        accepted: AcceptedInput = outcome.values[0]
        request.answer(issue(accepted))
        if not accepted.deduplicated:
            self.wake()

    async def _apply(self, event: LifecycleEvent, request: Request[None]) -> None:
        try:
            async with self.channel.turn:
                await self._commit_event(event)
        except Error as exc:
            request.fail(exc)
            if isinstance(exc, StoreBroken):
                self._closed = exc
            return
        request.answer(None)
        self.wake()

    async def _commit_event(self, event: LifecycleEvent) -> None:
        before = self.standing.value
        if before.state is RuntimeState.DESTROYED:
            raise RuntimeDestroyed(runtime_id=self.runtime_id)
        after = transition(before, event, runtime_id=self.runtime_id)
        reason = abandons(event)
        if after == before and reason is None:
            return
        resets = event is LifecycleEvent.RESET
        changes = [
            WriteLifecycle(
                runtime_id=self.runtime_id,
                state=durable(after),
                abandon=reason,
                end_run=event in ENDS_RUN,
                next_generation=resets,
            )
        ]
        result = await self.channel.commit(*changes, *([RenewToken(runtime_id=self.runtime_id)] if resets else []))
        written: LifecycleWritten = result.values[0]
        if resets:
            self.channel.fence_token = result.values[1]
            self._not_before = None
        self.generation = written.generation
        self.standing.value = Standing(state=_attached(after.state)) if resets else after
        if event in ENDS_RUN:
            self.current_run = None
            self._stop_worker()
        if reason is not None:
            self._owner.abandoned(self.runtime_id, written.abandoned, reason)

    async def _hold(self, reason: str | None, detail: str | None, request: Request[None]) -> None:
        try:
            async with self.channel.turn:
                await self.channel.commit(Hold(runtime_id=self.runtime_id, reason=reason, detail=detail))
        except Error as exc:
            request.fail(exc)
            return
        self.held = reason
        if reason is None:
            self.crashes, self.failures, self._not_before = 0, "[]", None
        request.answer(None)
        self.wake()

    def _may_run(self) -> bool:
        waits = self._not_before is not None and self._not_before > self._store.seams.wall_clock()
        return (
            self._closed is None
            and not self._draining
            and self.held is None
            and not waits
            and self._has_work
            and runs_inputs(self.standing.value)
        )

    async def _work(self, scope: trio.CancelScope) -> None:
        """Run after run until nothing waits. At most one of these lives for an actor."""
        with scope:
            while self._may_run():
                self._has_work = False  # whatever comes from here on sets it again
                begun = await self._begin()
                if begun is None:
                    continue
                self._has_work = True
                await self._owner.execute(self, begun)
        if self._worker is scope:
            self._worker = None
            if self._has_work:
                self.wake()

    async def _begin(self) -> RunBegun | None:
        run_id = RunId(self._store.seams.new_id())
        change = BeginRun(runtime_id=self.runtime_id, run_id=run_id, batch=self._batch)
        try:
            result = await self.channel.commit_in_turn(change, on_settled=self._begun)
        except (StaleFence, StoreBroken, Closed) as exc:
            self.close(exc)
            return None
        except Error as exc:
            # Its rows cannot be read or written: this runtime is blocked, and no other (design §5).
            self.held = f"cannot begin a run: {exc}"
            return None
        begun: RunBegun | None = result.values[0]
        return begun

    def _begun(self, outcome: Outcome) -> None:
        if isinstance(outcome, CommitResult) and outcome.values[0] is not None:
            self.current_run = outcome.values[0].run_id
            self.publish(LifecycleEvent.BEGIN_RUN)

    def _stop_worker(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None

    async def _sleep_until(self, retry_at: float) -> None:
        await trio.sleep(max(0.0, retry_at - self._store.seams.wall_clock()))
        self.wake()


def _attached(state: RuntimeState) -> RuntimeState:
    return RuntimeState.ATTACHED if state is RuntimeState.IDLE else state
