"""The lifecycle verbs that a run asks for, of the runtime that it is a run of: they are written with its final commit."""

from __future__ import annotations

from typing import final

from tenure.actors.decisions import ENDS_RUN, Decision, decide
from tenure.persistence.commits.commit import Change
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent, transition
from tenure.supervisor.runs.recording.entering import Entering


@final
class OwnVerbs:
    """What one run asks for.

    Attributes:
        decisions: As decided in the final commit.
    """

    def __init__(self, entering: Entering) -> None:
        """Nothing is asked for."""
        self._entering = entering
        self._events: list[LifecycleEvent] = []
        self.decisions: tuple[Decision, ...] = ()

    def ask(self, event: LifecycleEvent) -> None:
        """Ask for one more. Raises `InvalidTransition` where it is refused by now."""
        self._decided([*self._events, event])
        self._events.append(event)

    @property
    def ends_run(self) -> bool:
        """Whether one of them abandons whatever its runtime would go on with."""
        return not ENDS_RUN.isdisjoint(self._events)

    def changes(self) -> list[Change]:
        """The changes that carry them out, decided in the turn of the final commit."""
        if not self._events:
            return []
        self.decisions = self._decided(self._events)
        return [change for decision in self.decisions for change in decision.changes]

    def _decided(self, events: list[LifecycleEvent]) -> tuple[Decision, ...]:
        """These events decided for after the run, on the standing of this moment: it may have been retired from outside."""
        entering = self._entering
        runtime_id = entering.runtime_id
        decisions: list[Decision] = []
        standing = transition(entering.actor.facts.standing, LifecycleEvent.FINISH_RUN, runtime_id=runtime_id)
        for event in events:
            decision = decide(runtime_id, standing, event, entering.store.seams.new_id())
            if decision is not None:
                decisions.append(decision)
                standing = decision.after
        return tuple(decisions)
