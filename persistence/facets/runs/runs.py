"""Runs: executions of a behaviour over a staged batch (design §7).

A run keeps its id and its batch over attempts and crashes until it ends. What it recorded on the way (boundaries, steps,
appended messages, sends) is its journal, from which a run that enters again is replayed.
"""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.errors import Corrupt, NotFound
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox import batches
from tenure.persistence.facets.records import asides, became, holds, run_records, runtimes, versions
from tenure.persistence.model.lifecycles.lifecycle import Standing, runs_inputs
from tenure.persistence.model.values import AbandonReason, InputId, InputPhase, LogicalRuntimeId, RunId
from tenure.persistence.model.versions import UNVERSIONED, Offer

from . import entries, interrupted, restarting
from .following import follow_ups, reopened


@final
@frozen(kw_only=True, slots=True)
class BeginRun(Change):
    """Stage a batch: that of the interrupted or failed run if there is one, else the oldest queued inputs.

    Answer: `RunBegun`; `NothingBegun` where nothing waits or the runtime is held; or `RunLeft` where none of these versions
    can go on with the run: its runtime is given up then.

    Attributes:
        runtime_id: Whose inbox.
        run_id: Id of a new run; not used where a run enters again.
        batch: Most inputs of a new run.
        offers: The versions of the behaviour that the host has; the first is for what begins.
        follows: Whether the host executes what follows an abandoned batch.
        events: Whether what becomes of its inputs and runs is written into its output from now on.
        accepted: The input whose `AcceptInput` stands just before it in the same commit, where one does: what is known of that
            is not asked for.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    batch: int
    offers: tuple[Offer, ...] = UNVERSIONED
    follows: bool = False
    events: bool = False
    accepted: InputId | None = None


@final
@frozen(kw_only=True, slots=True)
class RunBegun:
    """A run with its batch staged.

    Attributes:
        run: Key of its row; journals are read by it.
        run_id: Its id.
        again: Whether it entered before, or takes over what another run recorded.
        attempts: How many attempts of it failed.
        inputs: Its batch, in admission order.
        base: Key of the head node when it first began, or None for an empty conversation.
        base_count: Messages on the active path then.
        more: Whether inputs may wait after this batch; False spares the owner a commit that would find none.
        abandoned: What could not be staged for the last time, and so has ended.
        take_recorded: Whether a person has said that it goes on with what is recorded, whatever its arguments are now.
        version: Which version of the behaviour executes it.
        said: The first chunk of output that it has written; None where it has said nothing.
        runtime: Key of its runtime.
        follows: Whether it follows an abandoned batch; its one input says which.
    """

    run: int
    run_id: RunId
    again: bool
    attempts: int
    inputs: tuple[batches.BatchMember, ...]
    base: int | None
    base_count: int
    more: bool
    abandoned: tuple[batches.InputEnded, ...] = ()
    take_recorded: bool = False
    version: str = ""
    said: int | None = None
    runtime: int = 0
    follows: bool = False


@final
@frozen(kw_only=True, slots=True)
class NothingBegun:
    """There is nothing to run.

    Attributes:
        abandoned: As in `RunBegun`.
        on_hold: Whether a person keeps it from beginning anything.
    """

    abandoned: tuple[batches.InputEnded, ...] = ()
    on_hold: bool = False


def _begin(tx: Transaction, change: BeginRun) -> RunBegun | NothingBegun | versions.RunLeft:
    record = runtimes.load(tx, change.runtime_id)
    if record.held is not None or not runs_inputs(Standing(state=record.state)) or asides.keeps(tx, record):
        return NothingBegun()  # a store verb may have stopped it, and its owner not have heard of it
    if holds.keeps(tx, record.runtime_id, record.kind):
        return NothingBegun(on_hold=True)
    became.want(tx, record, events=change.events)
    if not change.follows:
        follow_ups.leave(tx, record)
    waiting = 0
    accepted = None if change.accepted is None else batches.just_accepted(tx, record.runtime, change.accepted)
    if record.run is None:
        if accepted is not None and accepted.alone:
            waiting = 1  # a run that could be entered in its place would have an unfinished input
        else:
            waiting = reopened.enter_next(tx, record, change.batch + 1, follows=change.follows)
    current = record.run
    if current is not None:
        run = run_records.load(tx, current)
        if (offer := versions.goes_on(tx, record.kind, run, change.offers)) is None:
            return versions.leave(tx, record, run)
        asides.end(tx, record)
        again = not restarting.wanted(tx, current) or restarting.restart(tx, record, change.run_id)
        if record.run is not None:
            return _enter_again(tx, record, record.run, again=again, version=offer.version, follows=change.follows)
        waiting = reopened.what_waits(tx, record.runtime, change.batch + 1)[1]
    return _begin_new(tx, record, change, waiting, accepted)


def _begin_new(
    tx: Transaction,
    record: runtimes.RuntimeRecord,
    change: BeginRun,
    waiting: int,
    accepted: batches.JustAccepted | None,
) -> RunBegun | NothingBegun:
    abandoned: list[batches.InputEnded] = []
    while waiting:
        session = sessions.own(tx, record)
        base, base_count = (None, 0) if session is None else (session.head, session.message_count)
        run = run_records.begin(tx, record.runtime, change.run_id, base, base_count, change.offers[0].version)
        try:
            if accepted is not None and waiting == 1:  # then it is the one that waits
                batch = batches.stage_accepted(tx, accepted, run.run)
            else:
                batch = batches.stage(tx, record.runtime, run.run, change.batch)
        except Corrupt as exc:
            # Out of the way, so that it starves no other; after its last attempt it is a dead letter. The loop ends there.
            given_up = batches.readmit(tx, record.runtime, run.run, str(exc))
            abandoned += [
                batches.InputEnded(input_id=each, phase=InputPhase.ABANDONED, error=str(exc)) for each in given_up
            ]
            run_records.delete(tx, run)
            waiting = reopened.what_waits(tx, record.runtime, change.batch + 1)[1]
            accepted = None
            continue
        record.run = run.run
        runtimes.save_progress(tx, record)
        more, ended = waiting > len(batch), tuple(abandoned)
        return _begun(tx, record, run, batch, again=False, more=more, version=run.version, abandoned=ended)
    return NothingBegun(abandoned=tuple(abandoned))


def _enter_again(
    tx: Transaction, record: runtimes.RuntimeRecord, key: int, *, again: bool, version: str, follows: bool
) -> RunBegun:
    run = run_records.load(tx, key)
    run.retry_at = None
    run_records.save(tx, run)
    batch = batches.restage(tx, key)
    reopened_run, waiting = reopened.what_waits(tx, record.runtime, 1, follows=follows)
    more = waiting > 0 or reopened_run is not None
    return _begun(tx, record, run, batch, again=again, more=more, version=version)


def _begun(
    tx: Transaction,
    record: runtimes.RuntimeRecord,
    run: run_records.RunRecord,
    batch: tuple[batches.BatchMember, ...],
    *,
    again: bool,
    more: bool,
    version: str,
    abandoned: tuple[batches.InputEnded, ...] = (),
) -> RunBegun:
    became.run_is(tx, record, run.run_id, "again" if again else "begun", inputs=[each.input_id for each in batch])
    return RunBegun(
        run=run.run,
        run_id=run.run_id,
        again=again,
        attempts=run.attempts,
        inputs=batch,
        base=run.base,
        base_count=run.base_count,
        more=more,
        abandoned=abandoned,
        take_recorded=restarting.TAKE_RECORDED in run.ways.split(),
        version=version,
        said=run.said,
        runtime=record.runtime,
        follows=bool(run.follows),
    )


@final
@frozen(kw_only=True, slots=True)
class FinishRun(Change):
    """End a run whose behaviour returned: consume its batch. Stands after the `MintReceipt` of its last boundary.

    Answer: the ids of the consumed inputs, in admission order.

    Attributes:
        runtime_id: Whose.
        run_id: Which run; must be the current one.
        unseen: What joined to steer the run and was never handed out: it is queued again, for a later run.
        in_doubt: Whether a step of it that never repeats was cut off after it had begun: the run is a dead letter too.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    unseen: tuple[InputId, ...] = ()
    in_doubt: bool = False


def _finish(tx: Transaction, change: FinishRun) -> tuple[InputId, ...]:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    for input_id in change.unseen:
        batches.release(tx, run.run, input_id)
    consumed = batches.consume(tx, run.run, run.boundaries)
    run.error = None
    record = runtimes.load(tx, change.runtime_id)
    became.inputs_are(tx, record, run.run_id, consumed, InputPhase.CONSUMED)
    run_records.end(tx, record, run.run, outcome="finished", in_doubt=change.in_doubt)
    record.run = None
    record.crashes = 0
    runtimes.save_progress(tx, record)
    return consumed


@final
@frozen(kw_only=True, slots=True)
class FailRun(Change):
    """Count a failed attempt: queue the batch again, or abandon it where it was the last.

    Answer: the ids of the abandoned inputs; empty where the run will be tried again.

    Attributes:
        runtime_id: Whose.
        run_id: Which run; must be the current one.
        error: What the behaviour raised, for people.
        retry_at: When it may be tried again, unix seconds; None abandons the batch and ends the run.
        failures: Times of the failures of the current period, as JSON, this one included.
        held: Reason to hold the runtime with this failure (budget used up), or None.
        held_detail: More about that, for people.
        echoed: Place of a recorded error that ended this attempt again. A retry forgets it, where that may be repeated.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    error: str
    retry_at: float | None
    failures: str
    held: str | None = None
    held_detail: str | None = None
    echoed: str | None = None


def _fail(tx: Transaction, change: FailRun) -> tuple[InputId, ...]:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    run.attempts += 1
    run.error = change.error
    record = runtimes.load(tx, change.runtime_id)
    record.failures = change.failures
    record.held = change.held
    record.held_detail = change.held_detail if change.held else None
    record.crashes = 0  # it ended by itself: no crash
    runtimes.save(tx, record)
    if change.retry_at is not None:
        batches.fail(tx, run.run, change.error)
        run.retry_at = change.retry_at
        run_records.save(tx, run)
        became.run_failed(tx, record, run.run_id, change.error, change.retry_at)
        return ()
    if change.echoed:
        tx.write("entries.forget_caught", run=run.run, place=change.echoed)
    abandoned = batches.exhaust(tx, run.run, change.error, AbandonReason.MAX_ATTEMPTS_EXHAUSTED)
    in_doubt = not abandoned and bool(entries.doubtful(tx, run.run))
    run_records.end(tx, record, run.run, outcome="failed", error=change.error, in_doubt=in_doubt)
    record.run = None
    return abandoned


@final
@frozen(kw_only=True, slots=True)
class RejectInput(Change):
    """Abandon one member of the current run's batch with ``rejected``, and spare the rest. Answer: `InputEnded`.

    Refused with `NotFound` where the run has no such unfinished input.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    input_id: InputId
    error: str


def _reject(tx: Transaction, change: RejectInput) -> batches.InputEnded:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    if not batches.reject(tx, run.run, change.input_id, change.error):
        raise NotFound(what="input of this run", key=change.input_id)
    return batches.InputEnded(input_id=change.input_id, phase=InputPhase.ABANDONED, error=change.error)


@final
@frozen(kw_only=True, slots=True)
class ConsumeInput(Change):
    """Consume one member of the current run's batch at the checkpoint whose receipt stands before this; as `RejectInput`."""

    runtime_id: LogicalRuntimeId
    run_id: RunId
    input_id: InputId


def _consume(tx: Transaction, change: ConsumeInput) -> batches.InputEnded:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    if not batches.consume_one(tx, run.run, run.boundaries, change.input_id):
        raise NotFound(what="input of this run", key=change.input_id)
    record = runtimes.load(tx, change.runtime_id)
    became.inputs_are(tx, record, run.run_id, (change.input_id,), InputPhase.CONSUMED)
    return batches.InputEnded(input_id=change.input_id, phase=InputPhase.CONSUMED)


@final
@frozen(kw_only=True, slots=True)
class StageSteered(Change):
    """Let what was sent to steer join the current run, at the checkpoint whose receipt stands before this.

    Answer: the inputs that joined, a tuple of `BatchMember`.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId


def _stage_steered(tx: Transaction, change: StageSteered) -> tuple[batches.BatchMember, ...]:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    record = runtimes.load(tx, change.runtime_id)
    joined = batches.stage_steered(tx, record.runtime, run.run, run.boundaries)
    if joined:
        became.run_is(tx, record, run.run_id, "joined", inputs=[each.input_id for each in joined])
    return joined


FACET: Final = Facet(
    name="runs",
    handlers={
        BeginRun: Handler(apply=_begin),
        FinishRun: Handler(apply=_finish),
        FailRun: Handler(apply=_fail),
        RejectInput: Handler(apply=_reject),
        ConsumeInput: Handler(apply=_consume),
        StageSteered: Handler(apply=_stage_steered),
        **interrupted.HANDLERS,
    },
)
