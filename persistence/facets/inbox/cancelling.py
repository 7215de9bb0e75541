"""Cancelling an input that waits: its owner may abandon it for as long as no run has it, queued or delayed."""

from __future__ import annotations

from typing import final

from attrs import frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.records import runtimes
from tenure.persistence.model.values import AbandonReason, InputId, InputPhase, LogicalRuntimeId

from .history import history_line


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
    return bool(found)
