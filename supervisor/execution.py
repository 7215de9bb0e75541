"""The execution of runs: from a staged batch to the commit that ends it, well or not.

Cases at the end of a behaviour: it returned, and its batch is consumed; it raised, and the attempt is counted; it did
something else than its journal says, or reached a step whose outcome nobody knows, and the runtime is held; the host lost its
authority or its store, and nothing is counted; it was cancelled from outside, and whoever did it has committed why.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Protocol, TypeVar, cast, final

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Closed, Error, InvalidTransition, StaleFence, StepMismatch, StoreBroken
from tenure.persistence.commits import CommitResult
from tenure.persistence.executors import Executor
from tenure.persistence.facets.lifecycle import Hold
from tenure.persistence.facets.runs import FailRun, RunBegun, UnstageRun
from tenure.persistence.group import Outcome
from tenure.persistence.lifecycle import LifecycleEvent
from tenure.persistence.store import Store
from tenure.persistence.values import HeldReason

from .behaviour import Behaviour
from .journal import empty_journal, load_journal
from .restart import Decision, decide, describe
from .run import Run
from .steps import NeedsAttention, Steps

E = TypeVar("E", bound=BaseException)


class Publisher(Protocol):
    """Who must hear what a run came to, when its commit has landed."""

    def run_committed(self, actor: RuntimeActor, result: CommitResult, /) -> None:
        """A boundary has landed: sends in it wake their targets."""
        ...

    def run_finished(self, actor: RuntimeActor, result: CommitResult, /) -> None:
        """The batch is consumed."""
        ...

    def run_exhausted(self, actor: RuntimeActor, result: CommitResult, error: str, /) -> None:
        """The batch is abandoned, or will be tried again: the answer of `FailRun` tells."""
        ...


@final
class Execution:
    """Executes the runs of every actor of a host."""

    def __init__(
        self, store: Store, behaviours: Mapping[str, Behaviour], steps: Executor, publisher: Publisher
    ) -> None:
        """Bind to the store, the user's code, and the threads its sync steps run in."""
        self._store = store
        self._behaviours = behaviours
        self._step_executor = steps
        self._publisher = publisher

    async def execute(self, actor: RuntimeActor, begun: RunBegun) -> None:
        """Execute one run and commit its end. Cancelled where the runtime is stopped; then nothing more is committed."""
        behaviour = self._behaviours[actor.kind]
        try:
            await self._run(actor, begun, behaviour)
        except Exception as exc:  # noqa: BLE001 - whatever a behaviour raises is a failure of its own run alone
            await self._end_badly(actor, begun, behaviour, exc)

    async def _run(self, actor: RuntimeActor, begun: RunBegun, behaviour: Behaviour) -> None:
        journal = empty_journal()
        if begun.again:
            journal = await self._store.read(lambda statements: load_journal(statements, begun.run))
        steps = Steps(
            self._store,
            actor.channel,
            self._step_executor,
            actor.runtime_id,
            begun.run_id,
            behaviour.version,
            journal.steps,
        )
        run = Run(self._store, actor, begun, journal, steps, partial(self._committed, actor))
        try:
            await behaviour.function(run)
        finally:
            run.end()
        await run.finish(partial(self._finished, actor))

    async def _end_badly(self, actor: RuntimeActor, begun: RunBegun, behaviour: Behaviour, error: Exception) -> None:
        try:
            if find_leaf(error, (StaleFence, StoreBroken, Closed)) is not None:
                actor.close(_as_error(error))
            elif find_leaf(error, (InvalidTransition,)) is not None and begun.run_id != actor.current_run:
                return  # the run was dropped by a lifecycle event that committed first
            elif find_leaf(error, (NeedsAttention,)) is not None:
                await self._hold(actor, HeldReason.NEEDS_ATTENTION, error)
            elif find_leaf(error, (StepMismatch,)) is not None:
                await self._hold(actor, HeldReason.STEP_MISMATCH, error)
            else:
                await self._fail(actor, begun, behaviour, error)
        except (StaleFence, StoreBroken, Closed) as exc:
            actor.close(exc)

    async def _hold(self, actor: RuntimeActor, reason: HeldReason, error: Exception) -> None:
        def settled(outcome: Outcome) -> None:
            if isinstance(outcome, CommitResult):
                actor.held = reason
                actor.publish(LifecycleEvent.FAIL_RUN)

        await actor.channel.commit_in_turn(
            UnstageRun(runtime_id=actor.runtime_id),
            Hold(runtime_id=actor.runtime_id, reason=reason, detail=describe(error)),
            on_settled=settled,
        )

    async def _fail(self, actor: RuntimeActor, begun: RunBegun, behaviour: Behaviour, error: Exception) -> None:
        seams = self._store.seams
        decision = decide(
            behaviour.restart,
            attempts=begun.attempts,
            failures=actor.failures,
            now=seams.wall_clock(),
            source=seams.random,
        )
        text = describe(error)
        await actor.channel.commit_in_turn(
            FailRun(
                runtime_id=actor.runtime_id,
                run_id=begun.run_id,
                error=text,
                retry_at=decision.retry_at,
                failures=decision.failures,
                held=decision.held,
            ),
            on_settled=partial(self._failed, actor, decision, text),
        )

    # Called when a commit has settled

    def _committed(self, actor: RuntimeActor, outcome: Outcome) -> None:
        if isinstance(outcome, CommitResult):
            self._publisher.run_committed(actor, outcome)

    def _finished(self, actor: RuntimeActor, outcome: Outcome) -> None:
        if isinstance(outcome, CommitResult):
            actor.publish(LifecycleEvent.FINISH_RUN)
            self._publisher.run_committed(actor, outcome)
            self._publisher.run_finished(actor, outcome)

    def _failed(self, actor: RuntimeActor, decision: Decision, error: str, outcome: Outcome) -> None:
        if isinstance(outcome, CommitResult):
            actor.failures = decision.failures
            actor.held = decision.held
            actor.publish(LifecycleEvent.FAIL_RUN)
            if decision.retry_at is not None:
                actor.wake_at(decision.retry_at)
            self._publisher.run_exhausted(actor, outcome, error)


def find_leaf(error: BaseException, wanted: tuple[type[E], ...]) -> E | None:
    """The first leaf of an exception, or of a group of them, that is one of these."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return next((leaf for each in group.exceptions if (leaf := find_leaf(each, wanted)) is not None), None)
    return error if isinstance(error, wanted) else None


def _as_error(error: BaseException) -> Error:
    found = find_leaf(error, (StaleFence, StoreBroken, Closed))
    return found if found is not None else Closed(what="runtime")
