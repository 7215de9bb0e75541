"""Runs and steps, as the hooks of a host hear of them. Made only where there are hooks."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, final

from tenure.actors.runtime_actor import RuntimeActor
from tenure.persistence.facets.inbox.history import waited_s
from tenure.persistence.facets.runs.runs import RunBegun
from tenure.persistence.model.events.happenings import (
    RunEntered,
    RunExited,
    RunOutcome,
    StepEntered,
    StepExited,
    StepOutcome,
)
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent
from tenure.persistence.model.values import RunId
from tenure.persistence.seams.hooks import Hooks


@final
class InstrumentedRun:
    """One execution of a run: ``with`` around it."""

    def __init__(self, hooks: Hooks, actor: RuntimeActor, begun: RunBegun) -> None:
        """It is about to begin."""
        self._hooks = hooks
        self._actor = actor
        self._begun = begun
        self._since = time.perf_counter()

    def __enter__(self) -> None:
        """Call the hooks with its begin."""
        actor, begun = self._actor, self._begun
        actor.left_by = None
        waited = [waited_s(each.history) for each in begun.inputs if each.history]
        if self._hooks.call is not None:
            self._hooks.call(
                RunEntered(
                    runtime_id=actor.facts.runtime_id,
                    kind=actor.facts.kind,
                    run_id=begun.run_id,
                    attempt=begun.attempts + 1,
                    again=begun.again,
                    input_ids=tuple([each.input_id for each in begun.inputs]),
                    waited_s=tuple([each for each in waited if each is not None]),
                    fence_token=actor.facts.fence_token,
                    generation=actor.facts.generation,
                    traceparents=tuple([each.origin.traceparent for each in begun.inputs if each.origin.traceparent]),
                )
            )

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """Call them with how it was left."""
        if self._hooks.call is not None:
            self._hooks.call(
                RunExited(
                    runtime_id=self._actor.facts.runtime_id,
                    kind=self._actor.facts.kind,
                    run_id=self._begun.run_id,
                    outcome=outcome_of(self._actor),
                    seconds=time.perf_counter() - self._since,
                )
            )


def outcome_of(actor: RuntimeActor) -> RunOutcome:
    """How the run was left that this actor executed last."""
    facts = actor.facts
    if actor.left_by is None:
        return RunOutcome.ASIDE if facts.aside else RunOutcome.CUT
    if actor.left_by is LifecycleEvent.FINISH_RUN:
        return RunOutcome.FINISHED
    if actor.left_by is not LifecycleEvent.FAIL_RUN:
        return RunOutcome.CANCELLED
    if facts.why_held is not None:
        return RunOutcome.HELD
    return RunOutcome.FAILED if facts.not_before is None else RunOutcome.RETRIED


class Named(Protocol):
    """What was asked for."""

    @property
    def name(self) -> str:
        """The name of the step."""
        ...

    @property
    def call(self) -> str | None:
        """The id of a call, or None."""
        ...


class Step(Protocol):
    """A step in flight.

    Attributes:
        place: Its place in the record of the run.
        attempt: Which attempt, from 1.
    """

    place: str
    attempt: int

    @property
    def asked(self) -> Named:
        """What was asked for."""
        ...


@final
class InstrumentedStep:
    """One attempt of a step: ``with`` around it."""

    def __init__(self, hooks: Hooks, actor: RuntimeActor, run_id: RunId, step: Step) -> None:
        """It is about to begin."""
        self._hooks = hooks
        self._actor = actor
        self._run_id = run_id
        self._name, self._place, self._attempt = step.asked.name, step.place, step.attempt
        self._call = step.asked.call
        self._since = time.perf_counter()

    def __enter__(self) -> None:
        """Call the hooks with its begin."""
        if self._hooks.call is not None:
            self._hooks.call(
                StepEntered(
                    runtime_id=self._actor.facts.runtime_id,
                    kind=self._actor.facts.kind,
                    run_id=self._run_id,
                    name=self._name,
                    place=self._place,
                    attempt=self._attempt,
                    call=self._call,
                )
            )

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> None:
        """Call them with its end."""
        if self._hooks.call is not None:
            failed = StepOutcome.FAILED if isinstance(error, Exception) else StepOutcome.CUT
            self._hooks.call(
                StepExited(
                    runtime_id=self._actor.facts.runtime_id,
                    kind=self._actor.facts.kind,
                    run_id=self._run_id,
                    name=self._name,
                    place=self._place,
                    attempt=self._attempt,
                    outcome=StepOutcome.SUCCEEDED if error is None else failed,
                    reason="" if error is None else type(error).__name__,
                    seconds=time.perf_counter() - self._since,
                )
            )
