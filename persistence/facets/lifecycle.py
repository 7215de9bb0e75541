"""The lifecycle written on a runtime's record, and the held mark beside it (design §5).

Whoever writes here has decided first, with the table in `tenure.persistence.lifecycle`; state and inputs change in one
commit.
"""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.persistence.commits import Change
from tenure.persistence.facet import Facet, Handler
from tenure.persistence.transaction import Transaction
from tenure.persistence.values import AbandonReason, InputId, LogicalRuntimeId, RuntimeState

from . import inputs, runs, runtimes


@final
@frozen(kw_only=True, slots=True)
class WriteLifecycle(Change):
    """Write the durable state that a lifecycle event led to, and abandon inputs with it where the event does.

    Answer: `LifecycleWritten`.

    Attributes:
        runtime_id: Whose.
        state: The durable state (never running or attached).
        abandon: Reason for every unfinished input; None keeps them.
        end_run: Drop the current run, its counts and its timer.
        next_generation: Begin a new life: generation + 1 (reset).
    """

    always_synced = True

    runtime_id: LogicalRuntimeId
    state: RuntimeState
    abandon: AbandonReason | None = None
    end_run: bool = False
    next_generation: bool = False


@final
@frozen(kw_only=True, slots=True)
class LifecycleWritten:
    """What `WriteLifecycle` did.

    Attributes:
        generation: The life that goes on.
        abandoned: The inputs it abandoned, in admission order.
    """

    generation: int
    abandoned: tuple[InputId, ...]


def _write_lifecycle(tx: Transaction, change: WriteLifecycle) -> LifecycleWritten:
    record = runtimes.load(tx, change.runtime_id)
    abandoned: tuple[InputId, ...] = ()
    if change.abandon is not None:
        abandoned = inputs.abandon_all(tx, record.runtime, change.abandon)
    if change.end_run and record.run is not None:
        runs.end(tx, record.run, outcome=change.abandon or "dropped")
        record.run = None
    if change.next_generation:
        record.generation += 1
        record.crashes = 0
        record.failures = "[]"
    record.state = change.state
    if change.state is RuntimeState.DESTROYED:
        record.owner = None
    runtimes.save(tx, record)
    return LifecycleWritten(generation=record.generation, abandoned=abandoned)


@final
@frozen(kw_only=True, slots=True)
class Hold(Change):
    """Mark the runtime held: no run starts until a person resumes it. `reason` None resumes it and forgives its counts.

    Answer: None.
    """

    runtime_id: LogicalRuntimeId
    reason: str | None
    detail: str | None = None


def _hold(tx: Transaction, change: Hold) -> None:
    record = runtimes.load(tx, change.runtime_id)
    record.held = change.reason
    record.held_detail = change.detail
    if change.reason is None:
        record.crashes = 0
        record.failures = "[]"
    runtimes.save(tx, record)


FACET: Final = Facet(
    name="lifecycle",
    handlers={WriteLifecycle: Handler(apply=_write_lifecycle), Hold: Handler(apply=_hold)},
)
