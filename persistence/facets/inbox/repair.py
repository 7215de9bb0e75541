"""Repair: what recovery does with the inbox of a runtime whose owner is gone (design §7).

Applied or pending with the receipt of a finished run become consumed, ephemeral inputs are dropped, all others are queued and
stay bound to their run. Every row that is changed says so in its history. It is part of the commit that takes the runtime over.

What a store verb writes as accepted under a living owner is queued by that owner (`QueueBrought`): it does not die for it.
"""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.records import (
    asides,
    run_records,
    runtimes,
)
from tenure.persistence.facets.records.runtimes import RuntimeRecord
from tenure.persistence.model.values import InputPhase, Lane, LogicalRuntimeId

from . import inputs
from .history import history_line

COMMITTED: Final = "boundary receipt already committed"
MISSING: Final = "missing boundary receipt"


def repair_inbox(tx: Transaction, record: RuntimeRecord) -> None:
    """Bring every unfinished input of a runtime to where it can be run again, or to its end."""
    inputs.repair(tx, record.runtime)
    if tx.one("repair.any_unusual", runtime=record.runtime) is None:
        return
    consumed = {"from_applied": InputPhase.APPLIED, "from_pending": InputPhase.APPLIED_PENDING_CONSUMPTION}
    lines = {name: history_line(tx.now, before, InputPhase.CONSUMED, COMMITTED) for name, before in consumed.items()}
    tx.write("repair.consume_committed", runtime=record.runtime, now=tx.now, **lines)
    tx.write("repair.drop_payloads", runtime=record.runtime)
    tx.write("repair.drop_ephemeral", runtime=record.runtime)
    lines = {name: history_line(tx.now, before, InputPhase.QUEUED, MISSING) for name, before in consumed.items()}
    accepted = history_line(tx.now, InputPhase.ACCEPTED, InputPhase.QUEUED, "owner gone")
    tx.write("repair.requeue", runtime=record.runtime, now=tx.now, from_accepted=accepted, **lines)
    tx.write("repair.reopen", runtime=record.runtime, current=record.run or 0, now=tx.now)
    if record.run is not None and tx.one("repair.any_of_run", run=record.run) is None:
        run_records.end(tx, record, record.run, outcome="emptied")  # every member of its batch was ephemeral
        record.run = None
        asides.end(tx, record)
        runtimes.save(tx, record)


@final
@frozen(kw_only=True, slots=True)
class QueueBrought(Change):
    """Queue what a store verb has written as accepted, and what waits for no time. Answer: None.

    For the host that owns the runtime; each keeps the place that its caller gave it.
    """

    runtime_id: LogicalRuntimeId


def _queue_brought(tx: Transaction, change: QueueBrought) -> None:
    record = runtimes.load(tx, change.runtime_id)
    line = history_line(tx.now, InputPhase.ACCEPTED, InputPhase.QUEUED, "brought")
    lanes = [lane for (lane,) in tx.all("repair.queue_brought", runtime=record.runtime, line=line, now=tx.now)]
    if Lane.STEER in lanes:
        asides.wake(tx, record, steered=True)


FACET: Final = Facet(name="repair", handlers={QueueBrought: Handler(apply=_queue_brought)})
