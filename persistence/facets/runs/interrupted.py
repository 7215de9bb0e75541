"""A run that was interrupted: charged with a crash, taken off suspicion, or without fault; its batch waits again."""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.inbox import (
    inputs,
)
from tenure.persistence.facets.records import (
    run_records,
    runtimes,
)
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RunId,
)


@final
@frozen(kw_only=True, slots=True)
class ChargeCrash(Change):
    """Charge the current run with taking its host down, and queue its batch again. Answer: crashes in a row.

    Attributes:
        runtime_id: Whose.
        max_crashes: Crashes in a row, this one included, that hold the runtime.
    """

    runtime_id: LogicalRuntimeId
    max_crashes: int


def _charge(tx: Transaction, change: ChargeCrash) -> int:
    record = runtimes.load(tx, change.runtime_id)
    runtimes.charge_crash(tx, record, change.max_crashes)
    inputs.repair(tx, record.runtime)
    return record.crashes


@final
@frozen(kw_only=True, slots=True)
class AcquitRun(Change):
    """Take the current run off suspicion: it waits for a time or for a person, so crashes in a row are 0. Answer: None.

    Without this an agent that waits for days would be held for what other runs did to its host meanwhile. One that takes its
    host down after its wait is charged as ever: when it enters again, that wait is recorded, and it does not wait.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId


def _acquit(tx: Transaction, change: AcquitRun) -> None:
    run_records.current(tx, change.runtime_id, change.run_id)
    record = runtimes.load(tx, change.runtime_id)
    if record.crashes:
        record.crashes = 0
        runtimes.save_progress(tx, record)


@final
@frozen(kw_only=True, slots=True)
class UnstageRun(Change):
    """Queue the batch of a run that is interrupted without fault (shutdown, held); counts no attempt. Answer: None."""

    runtime_id: LogicalRuntimeId


def _unstage(tx: Transaction, change: UnstageRun) -> None:
    inputs.repair(tx, runtimes.load(tx, change.runtime_id).runtime)


@final
@frozen(kw_only=True, slots=True)
class ForgetUnbegun(Change):
    """Say that steps of the current run that never repeat were dispatched and have not begun: no doubt is left. Answer: None.

    Stands in the commit that ends the attempt, before what it says of the rest. What has another status by then stays.

    Attributes:
        runtime_id: Whose.
        run_id: The current run.
        places: Where they stand.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    places: tuple[str, ...]


def _forget(tx: Transaction, change: ForgetUnbegun) -> None:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    for place in change.places:
        tx.run("entries.forget_unbegun", run=run.run, place=place)


HANDLERS: Final = {
    ChargeCrash: Handler(apply=_charge),
    AcquitRun: Handler(apply=_acquit),
    ForgetUnbegun: Handler(apply=_forget),
    UnstageRun: Handler(apply=_unstage),
}
"""As the facet of runs takes them."""
