"""Ends of runs that are not good, on disk: a run that failed, one that a person must look at, one that is charged with a crash.

Cases: the behaviour raised, and the attempt is counted; it did something else than its journal says, or reached a step whose
outcome is not known, and the runtime is held; it asked the process to end, or came upon a defect of this library, and is
charged with a crash; the host lost its authority or its store, and nothing is counted.
"""

from __future__ import annotations

from functools import partial
from typing import final

import trio

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Closed, Error, InvalidTransition, RunEnded, StaleFence, StepMismatch, StoreBroken
from tenure.persistence.commits.commit import Change, CommitResult
from tenure.persistence.facets.ownership.lifecycle import Hold
from tenure.persistence.facets.runs.entries import DoubtEntries
from tenure.persistence.facets.runs.interrupted import ChargeCrash, UnstageRun
from tenure.persistence.facets.runs.runs import FailRun, RunBegun
from tenure.persistence.model.entries import add_doubts
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent
from tenure.persistence.model.texts import last_frames, named, storable
from tenure.persistence.model.values import HeldReason
from tenure.persistence.store import Store
from tenure.persistence.writing.group import Outcome
from tenure.supervisor.operators.log import HostLog
from tenure.supervisor.output.saying import Saying

from .asking import Publisher
from .behaviour import Behaviour
from .recording.attention import NeedsAttention, Unstorable, find_leaf, find_loss
from .recording.entering import Entering
from .recording.restart import Decision, RestartPolicy, decide, describe, wait_left


@final
class BadEnds:
    """Ends the runs of a host that do not end well."""

    def __init__(self, store: Store, publisher: Publisher, log: HostLog) -> None:
        """Bind to the store, to the tickets, and to the log."""
        self._store = store
        self._publisher = publisher
        self._log = log

    async def end(
        self,
        actor: RuntimeActor,
        begun: RunBegun,
        behaviour: Behaviour,
        error: BaseException,
        entering: Entering | None,
        saying: Saying | None,
    ) -> None:
        """Write how a run has failed: an attempt is counted, or its runtime is held, or this host has lost it.

        What it said and has not landed goes along. `entering` and `saying` are None where it did not come that far.
        """
        said = () if saying is None else saying.changes()
        said = said if entering is None else (*said, *entering.unbegun())
        mismatch = find_leaf(error, (StepMismatch,))
        try:
            if (lost := await find_loss(self._store, actor, error)) is not None:
                actor.close(lost)
            elif not actor.executes(begun.run_id):
                return  # the run was dropped by a verb that committed first
            elif (attention := find_leaf(error, (NeedsAttention,))) is not None:
                await self._hold(actor, begun, attention.reason, error, *said)
            elif mismatch is not None and mismatch.run_id == begun.run_id:
                await self._hold(actor, begun, HeldReason.STEP_MISMATCH, error, *said)
            else:
                echoed = None if entering is None else entering.echoed(error)
                await self._fail(actor, begun, behaviour, error, echoed, said)
            if saying is not None and saying.speech is not None:
                saying.speech.ended()
        except (StaleFence, StoreBroken, Closed) as exc:
            actor.close(exc)
        except InvalidTransition:
            # As above, but by a verb that passed the actor by: on disk it is not the current run any more.
            if actor.executes(begun.run_id):
                actor.publish_run(LifecycleEvent.CANCEL_RUN)
                actor.facts.has_work = True
        except Error as exc:
            # How it failed cannot be written: this runtime is blocked until the next open, and no other (design §5).
            actor.publish_unended(str(exc))

    async def charge(self, actor: RuntimeActor, behaviour: Behaviour) -> None:
        """Charge a run with a crash, as its behaviour asked the process to end."""
        # Shielded: the exception that ends the host is on its way, and without this the run would end it at every boot.
        charge = ChargeCrash(runtime_id=actor.facts.runtime_id, max_crashes=behaviour.restart.max_crashes)
        with trio.CancelScope(shield=True) as scope:
            scope.relative_deadline = self._store.limits.verdict_wait_s
            try:
                await actor.channel.commit_in_turn(charge)
            except Error as exc:
                actor.close(exc)

    async def charge_defect(
        self, actor: RuntimeActor, begun: RunBegun, behaviour: Behaviour, defect: Exception
    ) -> None:
        """Charge the run with a defect of ours that it has come upon, as with a crash (design §3, "Whose failure").

        Its batch is queued again and waits; the last defect in a row holds the runtime. No attempt is counted.
        """
        self._log.defect(actor.facts.runtime_id, defect)
        runtime_id, most = actor.facts.runtime_id, behaviour.restart.max_crashes

        def decide_if_current() -> tuple[Change, ...]:
            if not actor.executes(begun.run_id):
                raise RunEnded(run_id=begun.run_id)
            return (ChargeCrash(runtime_id=runtime_id, max_crashes=most),)

        def settled(outcome: Outcome) -> None:
            if isinstance(outcome, CommitResult):
                crashes: int = outcome.values[0]
                actor.publish_charged(crashes, most, storable(named(defect)))

        try:
            await actor.channel.decide_in_turn(decide_if_current, settled)
        except RunEnded:
            return  # it was dropped meanwhile, or its end is on disk: nothing is charged
        except (StaleFence, StoreBroken, Closed) as exc:
            actor.close(exc)
        except Error as exc:
            actor.publish_unended(str(exc))

    async def _hold(
        self, actor: RuntimeActor, begun: RunBegun, reason: HeldReason, error: BaseException, *first: Change
    ) -> None:
        detail, runtime_id = describe(error), actor.facts.runtime_id
        # Whatever it is for, it lists all that is in doubt: a person looks at the world once.
        doubts = DoubtEntries(runtime_id=runtime_id, run_id=begun.run_id)

        def settled(outcome: Outcome) -> None:
            if isinstance(outcome, CommitResult):
                actor.publish_run(LifecycleEvent.FAIL_RUN)
                actor.publish_held(reason, add_doubts(detail, outcome.answer(doubts)))

        await actor.channel.commit_in_turn(
            *first,
            UnstageRun(runtime_id=runtime_id),
            Hold(runtime_id=runtime_id, reason=reason, detail=detail),
            doubts,
            on_settled=settled,
        )

    async def _fail(
        self,
        actor: RuntimeActor,
        begun: RunBegun,
        behaviour: Behaviour,
        error: BaseException,
        echoed: str | None,
        said: tuple[Change, ...],
    ) -> None:
        seams = self._store.seams
        decision = decide(
            behaviour.restart,
            attempts=begun.attempts,
            failures=actor.facts.failures,
            now=seams.wall_clock(),
            source=seams.random,
            last=echoed is not None or find_leaf(error, (Unstorable,)) is not None,  # the next would end the same
        )
        summary, trace = describe(error), last_frames(error)
        failed = FailRun(
            runtime_id=actor.facts.runtime_id,
            run_id=begun.run_id,
            error=f"{summary}\n{trace}" if trace else summary,
            retry_at=decision.retry_at,
            failures=decision.failures,
            held=decision.held,
            held_detail=summary,
            echoed=echoed,
        )
        await actor.channel.commit_in_turn(
            *said, failed, on_settled=partial(self._failed, actor, behaviour.restart, decision, failed)
        )
        wait_s = (
            None if decision.retry_at is None else wait_left(behaviour.restart, decision.retry_at, seams.wall_clock())
        )
        self._log.attempt_failed(actor.facts.runtime_id, begun.run_id, begun.attempts + 1, error, wait_s)

    def _failed(
        self, actor: RuntimeActor, policy: RestartPolicy, decision: Decision, failed: FailRun, outcome: Outcome
    ) -> None:
        if not isinstance(outcome, CommitResult):
            return
        actor.facts.failures = decision.failures
        actor.publish_run(LifecycleEvent.FAIL_RUN)
        actor.publish_held(decision.held, failed.held_detail if decision.held else None)
        if decision.retry_at is not None:
            actor.wake_after(wait_left(policy, decision.retry_at, self._store.seams.wall_clock()))
        self._publisher.inputs_exhausted(actor, outcome.answer(failed), failed.error)
