"""A run that was interrupted: charged with a crash, taken off suspicion, put aside, or without fault; its batch waits again.

Or one that is ended without its behaviour, which hears nothing of it: cancelled, late, or begun anew.
"""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.inbox import batches, cancelling, inputs
from tenure.persistence.facets.records import (
    asides,
    run_records,
    runtimes,
)
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    LogicalRuntimeId,
    RunId,
    RuntimeState,
)

from . import entries
from .following import follow_ups


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


@final
@frozen(kw_only=True, slots=True)
class PutAside(Change):
    """Put the current run aside until its wait ends, and let go of its runtime. Answer: whether it did, or it stays.

    It stays where what it waits for has come: then it goes on by itself. And where something that recovery would drop is in
    the inbox: an ephemeral input lives as long as its owner.

    Attributes:
        runtime_id: Whose.
        run_id: Its current run.
        wake_at: When the first of its waits ends by the clock, unix seconds; None: none does.
        steerable: Whether one of them ends with what is sent to steer.
    """

    moves = True

    runtime_id: LogicalRuntimeId
    run_id: RunId
    wake_at: float | None
    steerable: bool


def _put_aside(tx: Transaction, change: PutAside) -> bool:
    run, record = run_records.current(tx, change.runtime_id, change.run_id), runtimes.load(tx, change.runtime_id)
    if _has_come(tx, change, record, run.run):
        return False
    inputs.repair(tx, record.runtime, "put aside")
    # An input that is late ends with its run, or with the next boundary of that: so it is entered then.
    (deadline,) = tx.one("asides.deadline", run=run.run, now=tx.now) or (None,)
    times = [float(each) for each in (change.wake_at, deadline) if isinstance(each, int | float)]
    asides.put(tx, record, wake_at=min(times, default=None), steerable=change.steerable)
    record.owner = None
    runtimes.save(tx, record)
    return True


def _has_come(tx: Transaction, change: PutAside, record: runtimes.RuntimeRecord, run: int) -> bool:
    """Whether a run has something to go on with, or is late; or something in its inbox lives as long as its owner."""
    steered = change.steerable and (
        record.state is RuntimeState.RETIRED
        or tx.one("inputs.any_steering", runtime=record.runtime, now=tx.now) is not None
    )
    late = change.wake_at is not None and change.wake_at <= tx.now
    return (
        steered
        or late
        or tx.one("asides.answered", run=run) is not None
        or tx.one("deadlines.all_late", run=run, now=tx.now) is not None
        or tx.one("asides.any_ephemeral", runtime=record.runtime) is not None
    )


@final
@frozen(kw_only=True, slots=True)
class DropRun(Change):
    """End the current run without its behaviour: abandon its batch, or queue it for a new run.

    Answer: the ids of the abandoned inputs; empty where they are queued again, or where there is no run.

    Attributes:
        runtime_id: Whose.
        reason: Why its batch is abandoned; None queues it again, for a run with a new id and no steps.
    """

    runtime_id: LogicalRuntimeId
    reason: AbandonReason | None


def drop(tx: Transaction, change: DropRun) -> tuple[InputId, ...]:
    """End the current run inside another facet's commit; see `DropRun`."""
    record = runtimes.load(tx, change.runtime_id)
    if record.run is None:
        return ()
    abandoned: tuple[InputId, ...] = ()
    if change.reason is None:
        inputs.repair(tx, record.runtime)
        if run_records.load(tx, record.run).follows:
            follow_ups.begin_again(tx, record)
        else:
            batches.unbind(tx, record.run)
    else:
        abandoned = batches.abandon_run(tx, record.run, change.reason)
    in_doubt = change.reason is not None and not abandoned and bool(entries.doubtful(tx, record.run))
    run_records.end(tx, record, record.run, outcome=change.reason or "restarted", in_doubt=in_doubt)
    record.run = None
    asides.end(tx, record)
    record.crashes = 0
    runtimes.save_progress(tx, record)
    return abandoned


@final
@frozen(kw_only=True, slots=True)
class CancelledInputs:
    """What was cancelled with an input.

    Attributes:
        input_ids: It, and what was abandoned with it, in admission order; empty where it had ended or was never there.
        ended_run: Whether the current run has ended with it.
    """

    input_ids: tuple[InputId, ...] = ()
    ended_run: bool = False


@final
@frozen(kw_only=True, slots=True)
class CancelWithRun(Change):
    """Abandon one input wherever it is, with ``cancelled``: alone where it waits, or with the current run, which has it.

    Answer: a `CancelledInputs`. A run that does not have it goes on.
    """

    runtime_id: LogicalRuntimeId
    input_id: InputId


def _cancel_with_run(tx: Transaction, change: CancelWithRun) -> CancelledInputs:
    waited = cancelling.CancelInput(runtime_id=change.runtime_id, input_id=change.input_id)
    if cancelling.cancel(tx, waited):
        return CancelledInputs(input_ids=(change.input_id,))
    record = runtimes.load(tx, change.runtime_id)
    if record.run is None or not batches.has(tx, record.run, change.input_id):
        return CancelledInputs()
    dropped = drop(tx, DropRun(runtime_id=change.runtime_id, reason=AbandonReason.CANCELLED))
    return CancelledInputs(input_ids=dropped, ended_run=True)


HANDLERS: Final = {
    ChargeCrash: Handler(apply=_charge),
    AcquitRun: Handler(apply=_acquit),
    ForgetUnbegun: Handler(apply=_forget),
    UnstageRun: Handler(apply=_unstage),
    PutAside: Handler(apply=_put_aside),
    DropRun: Handler(apply=drop),
    CancelWithRun: Handler(apply=_cancel_with_run),
}
"""As the facet of runs takes them."""
