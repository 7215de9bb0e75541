"""Hearing: what this process has written past the owner of a runtime, where that is this host."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from tenure.persistence.commits.commit import Change, Commit, CommitResult
from tenure.persistence.facets.inbox.input_records import PersistInputs
from tenure.persistence.facets.inbox.repair import QueueBrought
from tenure.persistence.facets.ownership.lifecycle import PersistState
from tenure.persistence.model.values import InputPhase
from tenure.supervisor.accepting.doubts import Doubts

from .actors import Actors
from .mending import Mending
from .owned import Owned
from .takeovers import Takeovers
from .tasks import Tasks


@final
class Hearing:
    """Lets actors and tickets hear of it."""

    def __init__(
        self,
        owned: Owned,
        actors: Actors,
        takeovers: Takeovers,
        doubts: Doubts,
        mending: Mending,
        tasks: Tasks,
        due: Callable[[], None],
    ) -> None:
        """Bind to who must hear; `due` that a run which was put aside may be due."""
        self._owned = owned
        self._actors = actors
        self._takeovers = takeovers
        self._doubts = doubts
        self._mending = mending
        self._tasks = tasks
        self._due = due

    def hear(self, commit: Commit, result: CommitResult) -> None:
        """A store verb of this process has landed: its actor and its tickets hear of it now. Raises nothing."""
        brings = [isinstance(change, PersistInputs) and bool(change.states) for change in commit.changes]
        answered = zip(commit.changes, result.values, strict=False)  # a repeat answers for its first change alone
        states = [value for change, value in answered if isinstance(change, PersistState)]
        if commit.runtime_id is None or self._tasks.closed or not (any(brings) or states):
            return
        with self._mending.net(commit.runtime_id):
            self._doubts.doubt(commit.runtime_id)
            facts = self._owned.find(commit.runtime_id)
            if facts is None:
                self._takeovers.begin_for(commit.runtime_id)
            else:
                accepted = any(map(_brings_accepted, commit.changes))
                brought = (QueueBrought(runtime_id=commit.runtime_id),) if accepted else ()
                self._actors.of(facts).hear(states[-1] if states else None, *brought)

    def hear_past(self, result: CommitResult) -> None:
        """A commit has written runtimes past their owner: children, as a rule, or what is aside. Raises nothing."""
        if self._tasks.closed:
            return
        self._due()
        for runtime_id, state in result.past:
            with self._mending.net(runtime_id):
                self._doubts.doubt(runtime_id)  # of one that no host owns it has ended the inbox
                facts = self._owned.find(runtime_id)
                if facts is not None:
                    self._actors.of(facts).hear(state)


def _brings_accepted(change: Change) -> bool:
    return isinstance(change, PersistInputs) and any(each.phase is InputPhase.ACCEPTED for each in change.states)
