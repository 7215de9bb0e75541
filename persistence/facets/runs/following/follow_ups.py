"""Follow-ups: the run that follows an abandoned batch, for refunds and messages (design §20, "Abandoned").

Theory of operation. Where the behaviour of a kind has an `on_abandoned`, the store knows that kind. Whatever abandons inputs of
such a runtime, the same commit gives it one input more for each run that had some of them, and one for each that no run had:
its payload says which they are, and why they ended. That input has its own run from the start, which waits to be entered
as one that a retry has reopened does: before the inbox, also in a retired runtime. So it has its own record and its own
attempts, and where they are used up it is a dead letter like any other, which nothing follows.

A stop or a reset ends everything but these: a stopped runtime has them when it lives again. Destroyed, it has nothing.
"""

from __future__ import annotations

from typing import Final, final
from uuid import UUID

import msgspec
from attrs import frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import sound
from tenure.persistence.commits.transaction import Abandoned, Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox import inputs
from tenure.persistence.facets.inbox.history import history_line
from tenure.persistence.facets.records import asides, run_records, runtimes
from tenure.persistence.model.codec import digest
from tenure.persistence.model.inputs.input_state import seal_input
from tenure.persistence.model.inputs.policies import InputDurability
from tenure.persistence.model.values import InputId, InputKind, InputPhase, Lane, LogicalRuntimeId, RunId

from .followed import Batch

_encode = msgspec.json.Encoder().encode


@final
@frozen(kw_only=True, slots=True)
class FollowKinds(Change):
    """Let runs follow the abandoned batches of some kinds from now on, and of others no longer. Answer: None.

    Attributes:
        kinds: Whose batches are followed.
        without: Whose are not.
    """

    ingress = True

    kinds: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def _follow_kinds(tx: Transaction, change: FollowKinds) -> None:
    known = followed_kinds(tx)
    for kind in change.kinds:
        if kind not in known:
            tx.insert("follow_ups.follow_kind", kind=kind)
    for kind in change.without:
        tx.write("follow_ups.leave_kind", kind=kind)


def followed_kinds(statements: Statements | Transaction) -> frozenset[str]:
    """The kinds whose abandoned batches are followed."""
    return frozenset(row[0] for row in sound(statements.readable("follow_ups.kinds"), (str,)))


def follow(tx: Transaction) -> None:
    """Let a run follow each batch that this commit has abandoned."""
    while tx.abandoned:
        each = tx.abandoned.pop(0)
        key = {"run": each.run} if each.run is not None else {"runtime": each.runtime}
        row = tx.one("follow_ups.followed_run" if each.run is not None else "follow_ups.followed_runtime", **key)
        if row is not None:
            _follow(tx, runtimes.load(tx, LogicalRuntimeId(row[0])), each)


def _follow(tx: Transaction, record: runtimes.RuntimeRecord, gone: Abandoned) -> None:
    together: dict[str, list[InputId]] = {}
    for input_id in gone.input_ids:
        run_id, follows = tx.one("follow_ups.run_of", runtime=record.runtime, input_id=input_id) or (None, 0)
        if follows:
            continue  # nothing follows what follows
        if run_id is None:
            _begin(tx, record, Batch(reason=gone.reason, run_id=None, input_ids=(input_id,)))
        else:
            together.setdefault(run_id, []).append(input_id)
    for run_id, input_ids in together.items():
        _begin(tx, record, Batch(reason=gone.reason, run_id=RunId(run_id), input_ids=tuple(input_ids)))
    # Not its state was written: its owner looks into the inbox.
    tx.past.append((record.runtime_id, record.state))


def _begin(tx: Transaction, record: runtimes.RuntimeRecord, batch: Batch) -> None:
    payload = _encode(batch)
    # Drawn from what is here: a commit that abandons brings no ids for this.
    drawn = digest(_encode([record.runtime_id, batch, tx.host, tx.group, tx.now]))
    input_id, run_id = InputId(str(UUID(bytes=drawn[:16]))), RunId(str(UUID(bytes=drawn[16:])))
    source = _encode({"type": "abandoned", "run_id": batch.run_id, "reason": batch.reason}).decode()
    key = f"{inputs.RESERVED_KEYS}abandoned:{input_id}"
    sealed = seal_input(
        record.runtime_id,
        input_id,
        record.generation,
        kind=InputKind.CONTINUATION,
        durability=InputDurability.DURABLE,
        source=source,
        idempotency_key=key,
        payload_digest=digest(payload),
        created_at=tx.now,
        lane=Lane.QUEUE,
    )
    row = tx.insert(
        "inputs.insert",
        input_id=input_id,
        runtime=record.runtime,
        generation=record.generation,
        kind=InputKind.CONTINUATION,
        lane=Lane.QUEUE,
        durability=InputDurability.DURABLE,
        source=source,
        idempotency_key=key,
        payload_digest=digest(payload),
        seal=sealed,
        phase=InputPhase.QUEUED,
        fitted=None,
        deadline=None,
        due_at=None,
        history=history_line(tx.now, InputPhase.ACCEPTED, InputPhase.QUEUED, batch.reason),
        now=tx.now,
    )
    tx.write("inputs.insert_payload", input=row, payload=payload)
    tx.write("follow_ups.bind", input=row, run=_new_run(tx, record, run_id))


def _new_run(tx: Transaction, record: runtimes.RuntimeRecord, run_id: RunId) -> int:
    run = run_records.begin(tx, record.runtime, run_id, None, 0, "").run
    run_records.mark_following(tx, run)
    run_records.reopen(tx, run)
    return run


def begin_from_here(tx: Transaction, record: runtimes.RuntimeRecord, run: run_records.RunRecord) -> None:
    """Let a follow-up that is entered for the first time see its runtime as that stands now."""
    session = sessions.own(tx, record)
    base, base_count = (None, 0) if session is None else (session.head, session.message_count)
    tx.write("runs.begin_from_here", run=run.run, base=base, base_count=base_count, now=tx.now)
    tx.drop(run_records.RECORD, run.run)


def leave(tx: Transaction, record: runtimes.RuntimeRecord) -> None:
    """Put back the current run where it is a follow-up, for a host that executes it."""
    if record.run is not None and run_records.load(tx, record.run).follows:
        put_back(tx, record)


def put_back(tx: Transaction, record: runtimes.RuntimeRecord) -> None:
    """Let the current run, a follow-up, wait again with what it has recorded; the runtime has no current run then."""
    inputs.repair(tx, record.runtime)
    run_records.reopen(tx, record.run or 0)
    record.run = None
    asides.end(tx, record)
    runtimes.save(tx, record)


def begin_again(tx: Transaction, record: runtimes.RuntimeRecord) -> None:
    """Give what the current run, a follow-up, is over to a new one, without its record."""
    drawn = digest(_encode([record.runtime_id, record.run, tx.host, tx.group, tx.now]))
    new = _new_run(tx, record, RunId(str(UUID(bytes=drawn[:16]))))
    tx.write("restarting.rebind", run=record.run, into=new)


FACET: Final = Facet(name="follow_ups", handlers={FollowKinds: Handler(apply=_follow_kinds)}, follow=follow)
