"""Inputs that end without having been worked on: one that waits is cancelled, or all go with the life of their runtime."""

from __future__ import annotations

from typing import final

from attrs import frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.records import runtimes
from tenure.persistence.model.values import AbandonReason, InputId, InputPhase, LogicalRuntimeId

from .history import abandoned, history_line


@final
@frozen(kw_only=True, slots=True)
class CancelInput(Change):
    """Abandon one input that no run has, with ``cancelled``. Answer: whether it was there to be cancelled."""

    runtime_id: LogicalRuntimeId
    input_id: InputId


def cancel(tx: Transaction, change: CancelInput) -> bool:
    """Abandon it, queued or delayed; one that a run has, or that has ended, is left as it is."""
    record = runtimes.load(tx, change.runtime_id)
    line = history_line(tx.now, InputPhase.QUEUED, InputPhase.ABANDONED, AbandonReason.CANCELLED)
    accepted = history_line(tx.now, InputPhase.ACCEPTED, InputPhase.ABANDONED, AbandonReason.CANCELLED)
    found = tx.all(
        "inputs.cancel_queued",
        runtime=record.runtime,
        input_id=change.input_id,
        line=line,
        from_accepted=accepted,
        now=tx.now,
    )
    return bool(abandoned(tx, found, AbandonReason.CANCELLED, runtime=record.runtime))


def abandon_all(tx: Transaction, runtime: int, reason: AbandonReason) -> tuple[InputId, ...]:
    """Abandon every unfinished input of a runtime; but for its destruction, what follows abandoned batches stays."""
    line, whole = history_line(tx.now, None, InputPhase.ABANDONED, reason), int(reason is AbandonReason.DESTROYED)
    rows = tx.all("inputs.abandon_all", runtime=runtime, reason=reason, line=line, whole=whole, now=tx.now)
    return abandoned(tx, rows, reason, runtime=runtime)


def any_unfinished(tx: Transaction, runtime: int) -> bool:
    """Whether a runtime has unfinished inputs that are not delayed."""
    return tx.one("inputs.any_unfinished", runtime=runtime) is not None


def any_to_abandon(tx: Transaction, runtime: int) -> bool:
    """Whether a runtime has unfinished inputs that a stop abandons."""
    return tx.one("inputs.any_to_abandon", runtime=runtime) is not None
