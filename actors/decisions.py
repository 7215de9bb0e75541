"""What a lifecycle event changes, decided on the published standing before anything is written (design §5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, final

from attrs import evolve, frozen

from tenure.errors import InvalidTransition, RuntimeDestroyed
from tenure.persistence.commits.commit import Change
from tenure.persistence.facets.ownership.lifecycle import WriteLifecycle
from tenure.persistence.facets.ownership.ownership import RenewToken
from tenure.persistence.facets.runs.interrupted import DropRun
from tenure.persistence.facets.runs.restarting import AmendRun
from tenure.persistence.model.lifecycles.lifecycle import (
    LifecycleEvent,
    Standing,
    abandons,
    abandons_delayed,
    durable,
    runs_inputs,
    transition,
)
from tenure.persistence.model.values import (
    AbandonReason,
    LogicalRuntimeId,
    RuntimeState,
)

from .facts import (
    RuntimeFacts,
    attached,
)

ENDS_RUN: Final = frozenset({LifecycleEvent.STOP, LifecycleEvent.DESTROY, LifecycleEvent.RESET})
"""Events that drop the current run with its inputs."""


@final
@frozen(kw_only=True, slots=True)
class Decision:
    """One lifecycle event, decided and not yet written.

    Attributes:
        event: What happens.
        after: The standing that follows.
        reason: Why inputs are abandoned with it, every unfinished one or those that are not due; or None.
        changes: What says so; the answer of the first is `LifecycleWritten`, of a second the renewed token.
        epoch: The registration that the renewed token belongs to.
    """

    event: LifecycleEvent
    after: Standing
    reason: AbandonReason | None
    changes: tuple[Change, ...]
    epoch: str

    @property
    def ends_run(self) -> bool:
        """Whether a run that executes is dropped."""
        return self.event in ENDS_RUN


def decide(
    runtime_id: LogicalRuntimeId, standing: Standing, event: LifecycleEvent, epoch: str, *, clear_session: bool = False
) -> Decision | None:
    """Decide an event on a standing; None where it changes nothing.

    `epoch` is used where a new registration begins; `clear_session` empties the conversation in the same commit.

    Raises:
        RuntimeDestroyed: Nothing leaves destroyed.
        InvalidTransition: The table has no such arrow.
    """
    if standing.state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=runtime_id)
    after = transition(standing, event, runtime_id=runtime_id)
    reason = abandons(event)
    if after == standing and reason is None:
        return None
    resets = event is LifecycleEvent.RESET
    changes: list[Change] = [
        WriteLifecycle(
            runtime_id=runtime_id,
            state=durable(after),
            abandon=reason,
            abandon_delayed=abandons_delayed(event),
            end_run=event in ENDS_RUN,
            next_generation=resets,
            clear_session=clear_session,
        )
    ]
    if resets or (event is LifecycleEvent.ATTACH and standing.state is RuntimeState.STOPPED):
        # A token is minted for every life, and for every coming back to it (design §4).
        changes.append(RenewToken(runtime_id=runtime_id, epoch=epoch))
    if resets:
        after = evolve(after, state=attached(after.state))
    reason = reason or abandons_delayed(event)
    return Decision(event=event, after=after, reason=reason, changes=tuple(changes), epoch=epoch)


def catch_up(runtime_id: LogicalRuntimeId, standing: Standing, stored: RuntimeState, epoch: str) -> Decision | None:
    """What an owner does where a store verb has written another state than it has published; None where they are one.

    The store verb that wrote the state has decided, so no arrow is asked for. Stored stop and destroy end the run and the
    inbox, as these events do; a stored retirement lets the run end first; what is stored as idle goes on working.
    """
    if stored is durable(standing):
        return None
    event, after = _CAUGHT_UP.get(stored, (LifecycleEvent.ATTACH, RuntimeState.ATTACHED))
    standing_after, to_store = Standing(state=after), after
    if after is RuntimeState.ATTACHED:
        to_store = RuntimeState.IDLE
    if standing.state is RuntimeState.RUNNING and event not in ENDS_RUN:
        retires = after is RuntimeState.RETIRED
        standing_after = evolve(
            standing, retiring=retires, before=standing.before if retires else RuntimeState.ATTACHED
        )
    reason = abandons(event)
    change = WriteLifecycle(
        runtime_id=runtime_id,
        state=to_store,
        abandon=reason,
        abandon_delayed=abandons_delayed(event),
        end_run=event in ENDS_RUN,
        over=stored,
    )
    reason = reason or abandons_delayed(event)
    return Decision(event=event, after=standing_after, reason=reason, changes=(change,), epoch=epoch)


_CAUGHT_UP: Final[Mapping[RuntimeState, tuple[LifecycleEvent, RuntimeState]]] = {
    RuntimeState.DESTROYED: (LifecycleEvent.DESTROY, RuntimeState.DESTROYED),
    RuntimeState.STOPPED: (LifecycleEvent.STOP, RuntimeState.STOPPED),
    RuntimeState.RETIRED: (LifecycleEvent.RETIRE, RuntimeState.RETIRED),
}


def publish(facts: RuntimeFacts, decision: Decision, answers: tuple[Any, ...]) -> None:
    """Make a decision true in memory, once its changes have landed with these answers."""
    facts.standing = decision.after
    facts.generation = answers[0].generation
    if len(answers) > 1:
        facts.fence_token = answers[1]
    if decision.ends_run:
        facts.run_id, facts.aside = None, False
        facts.not_before = None
    if decision.event is LifecycleEvent.RESET:
        facts.failures = "[]"


def may_begin(facts: RuntimeFacts, *, has_work: bool) -> bool:
    """Whether a run may begin where there is work, as far as it depends on what was committed."""
    return (
        has_work
        and not (facts.held or facts.blocked)
        and facts.not_before is None
        and not facts.on_trial
        and not facts.on_hold
        and runs_inputs(facts.standing)
    )


def check_drops(facts: RuntimeFacts, changes: Iterable[Change]) -> None:
    """Refuse to resume a runtime with a new run, or with another record of its run, while that executes.

    The caller has seen a held runtime; it was resumed meanwhile, and what executes must not be done twice.

    Raises:
        InvalidTransition: One of the changes drops or amends the run.
    """
    state = facts.standing.state
    if state is RuntimeState.RUNNING and any(isinstance(change, DropRun | AmendRun) for change in changes):
        raise InvalidTransition(runtime_id=facts.runtime_id, state=state, event="restart of the run")
