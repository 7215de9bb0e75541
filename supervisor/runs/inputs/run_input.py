"""The inputs of a run, as its behaviour sees them."""

from __future__ import annotations

from typing import Any, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.facets.inbox.batches import BatchMember
from tenure.persistence.model.codec import decode, message_of
from tenure.persistence.model.values import (
    InputId,
    InputKind,
    InputPhase,
)
from tenure.supervisor.accepting.payloads import PayloadType


@final
@frozen(kw_only=True, slots=True)
class RunInput:
    """One member of a run's batch.

    Attributes:
        input_id: Which input.
        kind: ``external_event`` for an accept, ``peer_message`` for a send.
        payload: Decoded; an instance of the behaviour's payload class where it has one.
        source: Where it came from, e.g. ``{"type": "peer", "runtime_id": ...}``.
        idempotency_key: Its key, or None.
        attempts: How many runs over it failed.
        correlation_id: What it answers, or None: of an accept or a send.
        traceparent: The context of the request that brought it, as W3C Trace Context has it, or None.
        phase: ``staged``, or ``consumed`` or ``abandoned`` where this run ended it before it was interrupted; ``abandoned``
            where the run follows it (`Behaviour.on_abandoned`).
    """

    input_id: InputId
    kind: InputKind
    payload: Any
    source: Any
    idempotency_key: str | None
    attempts: int
    correlation_id: str | None
    traceparent: str | None
    phase: InputPhase


def read_input(member: BatchMember, payload_type: PayloadType) -> RunInput:
    """A member of a batch, decoded. Raises `InvalidInput` where its payload does not fit the behaviour's class."""
    return _read(member, payload_type.decode(member.payload, member.input_id))


def read_input_anyhow(member: BatchMember, payload_type: PayloadType) -> RunInput:
    """As `read_input`; what does not fit stays a JSON value, or bytes: that may be why the input was abandoned."""
    try:
        return read_input(member, payload_type)
    except InvalidInput:
        return _read(member, message_of(member.payload))


def _read(member: BatchMember, payload: Any) -> RunInput:
    return RunInput(
        input_id=member.input_id,
        kind=member.kind,
        payload=payload,
        source=decode(member.source.encode(), "source", member.input_id),
        idempotency_key=member.idempotency_key,
        attempts=member.attempts,
        correlation_id=member.origin.correlation_id,
        traceparent=member.origin.traceparent,
        phase=member.phase,
    )
