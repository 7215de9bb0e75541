"""Responses: the outcome of an asked input goes back to the run that asked, in the commit that ends it (design §20)."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import msgspec

from tenure.errors import Unreadable
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row
from tenure.persistence.facets.inbox.history import history_line
from tenure.persistence.facets.records import asides, runtimes
from tenure.persistence.facets.runs import results
from tenure.persistence.model.codec import digest
from tenure.persistence.model.inputs.input_state import InputExtra, encode_extra, seal_input
from tenure.persistence.model.inputs.policies import InputDurability
from tenure.persistence.model.values import AbandonReason, InputKind, InputPhase, Lane, LogicalRuntimeId, RuntimeState

from .asked import (
    ABANDONED,
    ANSWERED,
    ERASED,
    REJECTED,
    Answer,
    Asked,
    keep,
    read_ask,
)

NO_CHECKPOINT: Final = 0
"""In place of the checkpoint at which an input joined: it came back to an ask, and no run is given it."""

_encode = msgspec.json.Encoder().encode


def settle(tx: Transaction, runtime_id: LogicalRuntimeId) -> None:
    """Give their answers to who asks a runtime for what has ended in this commit, whatever ended it."""
    record = runtimes.load(tx, runtime_id)
    destroyed = int(record.state is RuntimeState.DESTROYED)
    rows = tx.all("asks.ended", target=record.runtime, destroyed=destroyed)
    for row in rows:
        with suppress(
            Unreadable
        ):  # damage at who asks, which is not the asked one's to suffer; who waits finds it there
            _respond(tx, record, read_ask(row[:14]), row[14:])
    if rows:
        record.asked = (tx.one("asks.count_open", target=record.runtime) or (0,))[0]
        tx.write("asks.count", runtime=record.runtime, asked=record.asked)


def _respond(tx: Transaction, target: runtimes.RuntimeRecord, found: Asked, ended: Row) -> None:
    asked_id, phase, reason, error, run, boundary, asker, asker_id, run_over = ended
    check_row((asker, asker_id), (int, str), "run", found.run)
    receiver = None if run_over else runtimes.load(tx, LogicalRuntimeId(asker_id))
    result: bytes | None = None
    if phase is None:
        answer = Answer(status=ERASED)
    elif phase == InputPhase.CONSUMED:
        answer = Answer(status=ANSWERED, phase=phase, begun=True)
        try:
            own = tx.one("asks.result", run=run, boundary=boundary, input=found.input)
            result = b"null" if own is None else results.read_result(own)
        except Unreadable as exc:
            answer = Answer(status=ABANDONED, phase=phase, error=str(exc), begun=True)
    else:
        finished = phase in (InputPhase.ABANDONED, InputPhase.SUPERSEDED, InputPhase.COALESCED)
        why = reason if finished else AbandonReason.DESTROYED
        status = REJECTED if why == AbandonReason.REJECTED else ABANDONED
        shown = phase if finished else InputPhase.ABANDONED
        answer = Answer(status=status, phase=shown, reason=why, error=error, begun=run is not None)
    keep(tx, found, answer)
    if receiver is not None:
        payload = _encode({"failed": answer.status}) if result is None else result
        asides.wake(tx, receiver)
        _insert_response(tx, found, receiver, target.runtime_id, str(asked_id), payload)


def _insert_response(
    tx: Transaction,
    found: Asked,
    receiver: runtimes.RuntimeRecord,
    target_id: LogicalRuntimeId,
    asked_id: str,
    payload: bytes,
) -> None:
    source = _encode({"type": "peer", "runtime_id": target_id, "input_id": asked_id}).decode()
    kind, durability = InputKind.PEER_RESPONSE_TERMINAL, InputDurability.DURABLE
    line = history_line(tx.now, InputPhase.ACCEPTED, InputPhase.CONSUMED)
    sealed = seal_input(
        receiver.runtime_id,
        found.response_id,
        receiver.generation,
        kind=kind,
        durability=durability,
        source=source,
        idempotency_key=None,
        payload_digest=digest(payload),
        created_at=tx.now,
        lane=Lane.QUEUE,
    )
    key = tx.insert(
        "inputs.insert",
        input_id=found.response_id,
        runtime=receiver.runtime,
        generation=receiver.generation,
        kind=kind,
        lane=Lane.QUEUE,
        durability=durability,
        source=source,
        idempotency_key=None,
        payload_digest=digest(payload),
        seal=sealed,
        phase=InputPhase.CONSUMED,
        fitted=None,
        deadline=None,
        due_at=None,
        history=line,
        now=tx.now,
    )
    tx.write("inputs.insert_payload", input=key, payload=payload)
    extra = encode_extra(InputExtra(correlation_id=found.correlation_id))
    tx.write("asks.came_back", input=key, run=found.run, joined=NO_CHECKPOINT, extra=extra, now=tx.now)
