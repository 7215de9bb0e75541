"""What an owner knows of its runtime: small, and kept while the runtime is passivated."""

from __future__ import annotations

import sys
from typing import Final, final

from attrs import define, fields, frozen

from tenure.persistence.facets.ownership.ownership import Ownership
from tenure.persistence.facets.runs.runs import BeginRun
from tenure.persistence.model.lifecycles.lifecycle import Standing
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    RunId,
    RuntimeState,
)
from tenure.persistence.model.versions import Offer

from .slots import Slots


@final
@define(kw_only=True, slots=True)
class RuntimeFacts:
    """One owned runtime as last committed. Changed by its actor alone, in callbacks of settled commits.

    Attributes:
        runtime_id: Which runtime.
        kind: Names its behaviour.
        generation: Which life, from 0.
        fence_token: The token of this ownership; a reset replaces it.
        standing: Lifecycle state.
        held: The stored mark: why no run may start until a person resumes the runtime, or None.
        held_detail: More about it, for people.
        blocked: Why no run may start although nothing of it is stored: its rows cannot be read or written, or the last
            behaviour has not ended; or None. Gone with the host, and with a resume.
        blocked_detail: More about it, for people.
        failures: Times of failures of the current period, as stored.
        run_id: The run that was begun last and has not ended, or None.
        not_before: When a failed run may be tried again, by the clock of trio, or None.
        has_work: Whether an unfinished input may be waiting.
        aside: Whether its run is put aside, as last known: nothing but its time, or what it waits for, begins it.
        given_back: Whether its host has given it back, and has not taken it since.
        has_begun: Whether the run that it begins next has begun before, and so does not wait for a slot after new ones.
        on_trial: Whether its run was in flight at two crashes in a row, and now waits for its turn to be tried alone.
        on_hold: Whether a person kept it from beginning a run, when it last would have.
    """

    runtime_id: LogicalRuntimeId
    kind: str
    generation: int
    fence_token: int
    standing: Standing
    held: str | None = None
    held_detail: str | None = None
    failures: str = "[]"
    blocked: str | None = None
    blocked_detail: str | None = None
    run_id: RunId | None = None
    not_before: float | None = None
    has_work: bool = False
    on_trial: bool = False
    on_hold: bool = False
    has_begun: bool = False
    aside: bool = False
    given_back: bool = False

    def become(self, other: RuntimeFacts) -> None:
        """Say what these others say: the runtime is owned anew, and its handles have this."""
        for name in _NAMES:
            setattr(self, name, getattr(other, name))

    @property
    def is_destroyed(self) -> bool:
        """Whether its tombstone is on disk."""
        return self.standing.state is RuntimeState.DESTROYED

    @property
    def is_kept_from_work(self) -> bool:
        """Whether it is held, or a run of it waits to be tried again."""
        return self.why_held is not None or self.not_before is not None

    @property
    def why_held(self) -> str | None:
        """Why no run may start, stored or not, or None."""
        return self.held or self.blocked


_NAMES: Final = tuple([each.name for each in fields(RuntimeFacts)])

AtRest = tuple[str, int, int, str]
"""Facts that say no more than kind, generation, token and a state: a quarter of their bytes, and nothing to the collector."""


def at_rest(facts: RuntimeFacts) -> AtRest | None:
    """The same as a row, where they can be made again of it; None where they say more."""
    kept = sys.intern(facts.kind), facts.generation, facts.fence_token, facts.standing.state.value
    return kept if facts_at_rest(facts.runtime_id, kept) == facts else None


def facts_at_rest(runtime_id: LogicalRuntimeId, kept: AtRest) -> RuntimeFacts:
    """The facts of which the row was made."""
    kind, generation, fence_token, state = kept
    standing = Standing(state=RuntimeState(state))
    return RuntimeFacts(
        runtime_id=runtime_id, kind=kind, generation=generation, fence_token=fence_token, standing=standing
    )


@final
@frozen(kw_only=True, slots=True)
class Begins:
    """How a runtime begins its runs.

    Attributes:
        batch: Most inputs of one.
        offers: The versions of its behaviour that the host has.
        slots: How many of the kind execute at the same time; None for any number.
        follows: Whether its behaviour executes what follows an abandoned batch.
        events: Whether what becomes of its inputs and runs is written into its output.
    """

    batch: int
    offers: tuple[Offer, ...]
    slots: Slots | None = None
    follows: bool = False
    events: bool = False

    def change(self, runtime_id: LogicalRuntimeId, run_id: RunId, accepted: InputId | None) -> BeginRun:
        """What begins the next run, under this id where it is a new one; `accepted` as there."""
        return BeginRun(
            runtime_id=runtime_id,
            run_id=run_id,
            batch=self.batch,
            offers=self.offers,
            follows=self.follows,
            events=self.events,
            accepted=accepted,
        )


def facts_of(ownership: Ownership) -> RuntimeFacts:
    """The facts of an ownership commit's answer."""
    return RuntimeFacts(
        runtime_id=ownership.runtime_id,
        kind=ownership.kind,
        generation=ownership.generation,
        fence_token=ownership.fence_token,
        standing=Standing(state=attached(ownership.state)),
        held=ownership.held,
        held_detail=ownership.held_detail,
        failures=ownership.failures,
        has_work=ownership.has_work,
        has_begun=ownership.in_flight or ownership.aside,
        aside=ownership.aside,
        on_trial=ownership.in_flight and ownership.crashes > 1 and ownership.held is None,
    )


def attached(state: RuntimeState) -> RuntimeState:
    """How a stored state reads in the host that owns the runtime."""
    return RuntimeState.ATTACHED if state is RuntimeState.IDLE else state
