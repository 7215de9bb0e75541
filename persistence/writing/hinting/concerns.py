"""Whom commits that have landed concern at other hosts: pure, and after the commits.

Three kinds of others may look at once: who owns a runtime that was reached without its token; who awaits what becomes of a
runtime; and all, where something was written that none of them can be named for. What is left out here costs a look that comes
a second later, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.engines.listeners import Elsewhere
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.ownership.draining import AskDrain, DescribeHost
from tenure.persistence.facets.ownership.lifecycle import Hold, PersistState, WriteLifecycle
from tenure.persistence.facets.ownership.ownership import CloseHost, MarkLost, ReleaseOwnership, TakeOwnership
from tenure.persistence.facets.ownership.requests import AnswerRequest, FinishRequest, RequestLifecycle
from tenure.persistence.facets.ownership.spawning import Spawn
from tenure.persistence.facets.queue.queue import AbandonClaim, CancelBatch, CompleteClaim, EnqueueBatch
from tenure.persistence.facets.queue.serving import FailClaim, RetryBatch, ServeNext
from tenure.persistence.facets.records.holds import EndHold, PlaceHold
from tenure.persistence.facets.runs.asking.asks import Ask
from tenure.persistence.facets.runs.dead_letters import DropDeadLetter, RetryDeadLetter
from tenure.persistence.facets.runs.deadlines import DropLateRun, ExpireInputs, ExpireMembers
from tenure.persistence.facets.runs.interrupted import CancelWithRun, DropRun
from tenure.persistence.facets.runs.results import AnswerInput
from tenure.persistence.facets.runs.runs import ConsumeInput, FailRun, FinishRun, RejectInput
from tenure.persistence.facets.schedules.schedules import DeleteSchedule, PauseSchedule, TriggerSchedule, WriteSchedule

AWAITING: Final[frozenset[type[Change]]] = frozenset({AcceptInput, Ask, RequestLifecycle})
"""After these the host awaits something of the runtime that was reached: an outcome, or an answer."""

ANSWERING: Final[frozenset[type[Change]]] = frozenset(
    {
        AnswerInput,
        AnswerRequest,
        CancelInput,
        CancelWithRun,
        ConsumeInput,
        DropDeadLetter,
        DropLateRun,
        DropRun,
        ExpireInputs,
        ExpireMembers,
        FailRun,
        FinishRequest,
        FinishRun,
        Hold,
        PersistState,
        RejectInput,
        ReleaseOwnership,
        RetryDeadLetter,
        WriteLifecycle,
    }
)
"""What may bring what another host awaits of a runtime."""

FOR_ALL: Final[frozenset[type[Change]]] = frozenset(
    {
        AbandonClaim,
        AskDrain,
        CancelBatch,
        CloseHost,
        CompleteClaim,
        DeleteSchedule,
        DescribeHost,
        EndHold,
        EnqueueBatch,
        FailClaim,
        MarkLost,
        PauseSchedule,
        PlaceHold,
        ReleaseOwnership,
        RetryBatch,
        ServeNext,
        TriggerSchedule,
        WriteSchedule,
    }
)
"""What every host may have something to do with."""


@final
@frozen(kw_only=True, slots=True)
class Concerned:
    """Whom a group concerns.

    Attributes:
        owners: Hosts that own what was reached, each with the runtimes of which this host awaits something now.
        ownerless: Runtimes that were reached and that no host owns.
        taken: Runtimes that this host has taken over.
        answered: Runtimes of which something may have come that others await.
        all: Whether it concerns every host.
    """

    owners: Mapping[int, frozenset[str]]
    ownerless: frozenset[str]
    taken: frozenset[str]
    answered: frozenset[str]
    all: bool


def concerned(commits: Iterable[Commit], elsewhere: Elsewhere) -> Concerned:
    """Whom commits concern that have landed in one group; `elsewhere` as the engine has found it under its locks."""
    owners: dict[int, set[str]] = {}
    ownerless: set[str] = set()
    taken: set[str] = set()
    answered: set[str] = set()
    kinds: set[type[Change]] = set()
    for commit in commits:
        for change in commit.changes:
            kind = type(change)
            kinds.add(kind)
            if kind in ANSWERING:
                answered.add(_runtime_of(commit, change))
            elif kind is TakeOwnership:
                taken.add(_runtime_of(commit, change))
            reached = change.reaches
            if reached is None or change.moves or reached not in elsewhere:
                continue
            owner = elsewhere[reached]
            if owner is not None:
                owners.setdefault(owner, set()).update([reached] if kind in AWAITING else ())
            elif kind is not Spawn:
                ownerless.add(reached)
    return Concerned(
        owners={owner: frozenset(awaited) for owner, awaited in owners.items()},
        ownerless=frozenset(ownerless - taken),
        taken=frozenset(taken),
        answered=frozenset(answered),
        all=not kinds.isdisjoint(FOR_ALL),
    )


def _runtime_of(commit: Commit, change: Change) -> str:
    return str(getattr(change, "runtime_id", commit.runtime_id))
