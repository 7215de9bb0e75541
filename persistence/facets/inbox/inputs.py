"""Inputs: the inbox of a runtime (design §6).

An input is accepted and queued by the commit that makes it durable. From then on its phase changes only together with the
run or the lifecycle event that changes it, by the functions below, which other facets call inside their own commits.
"""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.errors import (
    IdempotencyConflict,
    InboxFull,
    InvalidInput,
    LimitReached,
    NotAccepting,
    PayloadTooLarge,
    RuntimeDestroyed,
)
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    OPTIONAL_TEXT,
    check_row,
    member,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row
from tenure.persistence.facets.records import asides, became, run_records, runtimes
from tenure.persistence.model.inputs.delay import Delay
from tenure.persistence.model.inputs.input_state import (
    InputExtra,
    encode_extra,
    seal_input,
    source_type,
)
from tenure.persistence.model.inputs.policies import (
    DEFAULT_POLICIES,
    InputDurability,
    PolicyDecision,
    QueueMode,
    may_be_derived,
    replaced_phase,
)
from tenure.persistence.model.lifecycles.lifecycle import Standing, accepts_input
from tenure.persistence.model.values import (
    InputId,
    InputKind,
    InputPhase,
    Lane,
    LogicalRuntimeId,
    RunId,
    RuntimeState,
)

from . import batches, newcomers, receipts
from .cancelling import CancelInput, cancel
from .history import (
    history_line,
    in_order,
)

RESERVED_KEYS: Final = "tenure:"
"""Idempotency keys that begin so are derived by tenure itself; a user's key may not."""


@final
@frozen(kw_only=True, slots=True)
class AcceptInput(Change):
    """Put one input into a runtime's inbox. Answer: `AcceptedInput`.

    A known idempotency key with the same digest writes nothing and answers with its input, in every state but destroyed.

    Attributes:
        runtime_id: Whose inbox.
        input_id: UUIDv7 of the new input.
        kind: What sort of message.
        lane: Queue, or steer for the run that is executing.
        source: Where it came from, as JSON.
        idempotency_key: Unique in the runtime for ever, or None.
        payload: Encoded; at most `Limits.payload_bytes`.
        payload_digest: SHA-256 of the payload.
        bound_by_inbox: Whether `Limits.inbox_inputs` refuses it; accept says yes, a send says no.
        durability: What recovery does with it.
        supersession_key: Inputs of this kind and key that still wait may be replaced by it.
        correlation_id: What it answers.
        traceparent: The context of the request that brings it.
        policy: What is decided about it; None takes the default of its kind, and the lane as given.
        fitted: Version of the behaviour whose payload class took it, ``""`` for one without; None where it was not checked.
        delay: When it is due; None: now.
        deadline_s: Seconds after which it is abandoned unless it is done, from this commit or from when it is due.
        newcomer: What the runtime is, where it is made in this commit if it is not there; None refuses with `NotFound`.
        misfit: What its class says against the payload: then a known key is answered, and all else `InvalidInput`. Or None.
    """

    ingress = True

    runtime_id: LogicalRuntimeId
    input_id: InputId
    kind: InputKind = InputKind.EXTERNAL_EVENT
    lane: Lane = Lane.QUEUE
    source: str = '{"type":"external"}'
    idempotency_key: str | None = None
    payload: bytes
    payload_digest: bytes
    bound_by_inbox: bool = True
    durability: InputDurability = InputDurability.DURABLE
    supersession_key: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    policy: PolicyDecision | None = None
    fitted: str | None = None
    delay: Delay | None = None
    deadline_s: float | None = None
    newcomer: newcomers.Newcomer | None = None
    misfit: str | None = None

    @property
    def decision(self) -> PolicyDecision:
        """What is decided about it."""
        return self.policy or DEFAULT_POLICIES[self.kind]

    @property
    def stored_lane(self) -> Lane:
        """The lane that it comes into: what a policy decides goes before what was asked."""
        return self.lane if self.policy is None else self.policy.lane

    @property
    def is_plain(self) -> bool:
        """Whether it has nothing but what every input has."""
        named = self.supersession_key is not None or self.correlation_id is not None
        return not named and self.policy is None and self.traceparent is None

    @property
    def reaches(self) -> LogicalRuntimeId:
        """See `Change.reaches`."""
        return self.runtime_id

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.payload)


@final
@frozen(kw_only=True, slots=True)
class AcceptedInput:
    """Which input an accept led to.

    Attributes:
        input_id: The new one, or the one that the key already named.
        phase: Where it stands now.
        reason: Why it was abandoned, where it was.
        deduplicated: Whether the key was known and nothing was written.
        replaced: The inputs that it superseded, or that were coalesced into it, in admission order.
        replaced_phase: How these have ended.
    """

    input_id: InputId
    phase: InputPhase
    reason: str | None = None
    deduplicated: bool = False
    replaced: tuple[InputId, ...] = ()
    replaced_phase: InputPhase = InputPhase.SUPERSEDED


def _replay(tx: Transaction, change: AcceptInput) -> AcceptedInput | None:
    record = newcomers.find(tx, change.runtime_id, change.newcomer)
    if record is None:
        return None
    if record.state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=change.runtime_id)
    if change.idempotency_key is None:
        return None
    row = tx.one("inputs.by_key", runtime=record.runtime, idempotency_key=change.idempotency_key)
    if row is None:
        return None
    check_row(row, (str, bytes, str, OPTIONAL_TEXT), "input", change.idempotency_key)
    input_id, digest, phase, reason = row
    if digest != change.payload_digest:
        raise IdempotencyConflict(runtime_id=change.runtime_id, key=change.idempotency_key)
    found = member(InputPhase, phase, "input", change.idempotency_key)
    return AcceptedInput(input_id=input_id, phase=found, reason=reason, deduplicated=True)


def _accept(tx: Transaction, change: AcceptInput, *, own: bool = False) -> AcceptedInput:
    if change.misfit is not None:
        raise InvalidInput(detail=change.misfit, field="payload")
    record = _target(tx, change)
    if len(change.payload) > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=len(change.payload), limit=tx.limits.payload_bytes)
    if not own and not accepts_input(Standing(state=record.state)):
        raise NotAccepting(runtime_id=change.runtime_id, state=record.state)
    due_at = None if change.delay is None else change.delay.due_at(tx.now)
    alone = False
    if due_at is None:
        alone = _take_room(tx, record, bound=change.bound_by_inbox)
        phase = InputPhase.QUEUED
    else:
        _check_delayed(tx, record)
        phase = InputPhase.ACCEPTED
    deadline = None if change.deadline_s is None else (due_at or tx.now) + change.deadline_s
    history = history_line(tx.now, InputPhase.ACCEPTED, phase)
    key = tx.insert(
        "inputs.insert",
        input_id=change.input_id,
        runtime=record.runtime,
        generation=record.generation,
        kind=change.kind,
        lane=change.stored_lane,
        durability=change.durability,
        source=change.source,
        idempotency_key=change.idempotency_key,
        payload_digest=change.payload_digest,
        seal=seal_input(
            change.runtime_id,
            change.input_id,
            record.generation,
            kind=change.kind,
            durability=change.durability,
            source=change.source,
            idempotency_key=change.idempotency_key,
            payload_digest=change.payload_digest,
            created_at=tx.now,
            lane=change.stored_lane,
        ),
        phase=phase,
        fitted=change.fitted,
        deadline=deadline,
        due_at=due_at,
        history=history,
        now=tx.now,
    )
    tx.write("inputs.insert_payload", input=key, payload=change.payload)
    if record.aside and due_at is None and change.stored_lane is Lane.STEER:
        asides.wake(tx, record, steered=True)
    if change.is_plain and not change.decision.consumes_on_accept:
        if due_at is None:
            batches.note_accepted(tx, record.runtime, key, _as_member(change, deadline), history, alone=alone)
        return AcceptedInput(input_id=change.input_id, phase=phase)
    if due_at is not None:
        return _describe_delayed(tx, change, key)
    return _admit_with_policy(tx, record, change, key)


def _as_member(change: AcceptInput, deadline: float | None) -> Row:
    """It as a member of a batch, as it will be stored."""
    return (
        *(change.input_id, change.kind.value, change.source, change.idempotency_key, 0, InputPhase.STAGED.value, None),
        *(change.fitted, deadline, None, change.payload, change.payload_digest),
    )


def _target(tx: Transaction, change: AcceptInput) -> runtimes.RuntimeRecord:
    if change.newcomer is None:
        return newcomers.load_target(tx, change.runtime_id)
    record = newcomers.find(tx, change.runtime_id, change.newcomer)
    if record is None:
        return newcomers.make(tx, change.runtime_id, change.newcomer)
    newcomers.give_kind(tx, record, change.newcomer)
    return record


def _admit_with_policy(tx: Transaction, record: runtimes.RuntimeRecord, change: AcceptInput, key: int) -> AcceptedInput:
    policy = change.decision
    consumed = policy.consumes_on_accept
    phase = InputPhase.CONSUMED if consumed else InputPhase.QUEUED
    _describe(tx, change, key, phase, finished_at=tx.now if consumed else None)
    if consumed:
        # Its own id names the run that there was none of: one input, one boundary, one receipt.
        receipt = receipts.mint_immediate(tx, record, RunId(change.input_id), change.input_id)
        run = run_records.open_by_id(tx, record.runtime, receipt.run_id)
        tx.write("inputs.bind", input=key, run=run.run, boundary=receipt.sequence)
    elif policy.queue_mode is QueueMode.PRIORITY:
        tx.write("inputs.to_front", input=key)
    ending = replaced_phase(change.kind, change.decision)
    if ending is None or change.supersession_key is None:
        return AcceptedInput(input_id=change.input_id, phase=phase)
    replaced = replace(tx, record.runtime, change.kind, change.supersession_key, key, change.input_id, ending)
    return AcceptedInput(input_id=change.input_id, phase=phase, replaced=replaced, replaced_phase=ending)


def _describe_delayed(tx: Transaction, change: AcceptInput, key: int) -> AcceptedInput:
    # What its policy does with others of the inbox is done when it comes there.
    _describe(tx, change, key, InputPhase.ACCEPTED, finished_at=None)
    return AcceptedInput(input_id=change.input_id, phase=InputPhase.ACCEPTED)


def _describe(tx: Transaction, change: AcceptInput, key: int, phase: InputPhase, *, finished_at: float | None) -> None:
    tx.write(
        "inputs.describe",
        input=key,
        supersession_key=change.supersession_key,
        extra=encode_extra(
            InputExtra(correlation_id=change.correlation_id, policy=change.decision, traceparent=change.traceparent)
        ),
        phase=phase,
        finished_at=finished_at,
        history=history_line(tx.now, InputPhase.ACCEPTED, phase),
    )


def replace(
    tx: Transaction,
    runtime: int,
    kind: InputKind,
    supersession_key: str,
    key: int,
    input_id: InputId,
    ending: InputPhase,
) -> tuple[InputId, ...]:
    """End those of a kind and key that wait, in the commit of the one that takes their place.

    A crash between the two would bring both back.
    """
    rows = tx.all(
        "inputs.replace",
        runtime=runtime,
        kind=kind,
        supersession_key=supersession_key,
        input=key,
        phase=ending,
        successor=input_id,
        line=history_line(tx.now, InputPhase.QUEUED, ending, input_id),
        now=tx.now,
    )
    replaced = in_order(rows)
    became.have_ended(tx, replaced, ending, runtime=runtime, successor=input_id)
    return replaced


def _check(_tx: Transaction, change: AcceptInput) -> None:
    if change.durability is InputDurability.EPHEMERAL and change.idempotency_key is not None:
        raise InvalidInput(detail="an ephemeral input may not carry a key", field="idempotency_key")
    if change.durability is InputDurability.DERIVED and not may_be_derived(change.kind, source_type(change.source)):
        raise InvalidInput(detail=f"a {change.kind} from outside cannot be derived", field="durability")
    if change.delay is not None:
        if change.durability is InputDurability.EPHEMERAL:
            raise InvalidInput(detail="an ephemeral input may not be delayed: recovery drops it", field="durability")
        if change.decision.consumes_on_accept:
            raise InvalidInput(detail="an input that is consumed on accept may not be delayed", field="policy")


def _take_room(tx: Transaction, record: runtimes.RuntimeRecord, *, bound: bool) -> bool:
    """Take a place of the inbox; whether it was seen to be empty."""
    # A count costs what the inbox has grown to. Inside a group no other host writes, so what one count has shown to be free
    # stays free until this group has filled it: a hundred accepts of one runtime count once.
    room = tx.room.get(record.runtime, 0)
    limit = tx.limits.inbox_inputs
    empty = False
    if room == 0 and bound:
        row = tx.one("inputs.count_unfinished_to", runtime=record.runtime, count=limit)
        room = limit - (row[0] if row else 0)
        empty = room == limit
        if room <= 0:
            raise InboxFull(runtime_id=record.runtime_id, limit=limit)
    if room > 0:
        tx.room[record.runtime] = room - 1
    return empty


def _check_delayed(tx: Transaction, record: runtimes.RuntimeRecord) -> None:
    limit = tx.limits.delayed_inputs
    row = tx.one("inputs.count_delayed_to", runtime=record.runtime, count=limit)
    if row is not None and row[0] >= limit:
        raise LimitReached(what=f"delayed inputs of runtime {record.runtime_id!r}", limit=limit)


def admit(tx: Transaction, change: AcceptInput) -> AcceptedInput:
    """Accept inside another facet's commit, replay first."""
    known = _replay(tx, change)
    if known is None:
        _check(tx, change)
    return known or _accept(tx, change)


def admit_own(tx: Transaction, change: AcceptInput) -> AcceptedInput:
    """Accept what a run of this runtime gives it: also where that is retired, and takes nothing from outside."""
    return _replay(tx, change) or _accept(tx, change, own=True)


def repair(tx: Transaction, runtime: int, why: str = "owner gone") -> None:
    """Queue what was staged when the last owner went away; it stays bound to its run (design §7)."""
    line = history_line(tx.now, InputPhase.STAGED, InputPhase.QUEUED, why)
    tx.write("inputs.requeue_staged", runtime=runtime, line=line, now=tx.now)


FACET: Final = Facet(
    name="inputs",
    handlers={AcceptInput: Handler(apply=_accept, replay=_replay, check=_check), CancelInput: Handler(apply=cancel)},
)
