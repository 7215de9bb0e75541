"""The terms of an accept, checked where it is called."""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypedDict, final

from attrs import fields

from tenure.errors import InvalidInput
from tenure.persistence.facets.inbox.inputs import (
    RESERVED_KEYS,
    AcceptInput,
)
from tenure.persistence.model.annotations import check_of
from tenure.persistence.model.arguments import check_key, check_value
from tenure.persistence.model.codec import digest
from tenure.persistence.model.inputs.delay import check_delay
from tenure.persistence.model.inputs.policies import (
    ConsumePoint,
    InputDurability,
    PolicyDecision,
    Routing,
)
from tenure.persistence.model.inputs.traceparent import check_traceparent
from tenure.persistence.model.numbers import check_seconds
from tenure.persistence.model.values import (
    InputId,
    Lane,
    LogicalRuntimeId,
)
from tenure.persistence.seams.seams import Seams


@final
class AcceptTerms(TypedDict, total=False):
    """On what terms an input is accepted; each may be left out. A value that does not fit is `InvalidInput`.

    Attributes:
        idempotency_key: Unique in its runtime for ever. A known key with the same payload writes nothing and returns the
            ticket of the first input, in every state but destroyed. 1 to 500 characters.
        lane: ``queue``, the default, for a separate run; ``steer`` joins the run that is executing, at its next checkpoint,
            and begins a run where none is.
        supersession_key: Names what the input is about. In the commit that accepts it, those of the same key which still wait
            end as ``coalesced``, or as ``superseded`` where the policy says so; their tickets say so. 1 to 500 characters.
        durability: ``durable``, the default; ``ephemeral`` is dropped by recovery where it was not consumed, and then its
            ticket is not found. An ephemeral input carries no idempotency key.
        policy: What is decided about it, in place of the default: `queue_mode`, `routing` in place of a lane (``queue`` or
            ``steer``), `consume_point` (``on_run_complete``, or ``on_accept`` for an input that no run sees), and the two
            marks for readers, `record_transcript` and `emit_operator_content`. Nothing else of it can be chosen here.
        correlation_id: What it answers; stored and shown. 1 to 500 characters.
        traceparent: The context of the request that brings it, as W3C Trace Context has it; stored, shown, given to its run.
            Where the host is traced (`tenure.otel`) that of the accept's own span stands there, which is below this one.
        deadline_s: Seconds from its accept after which it is abandoned with ``deadline_exceeded`` unless it is done. One that
            waits is abandoned then; a member of a batch at the next boundary of its run; where it is all that is left of its
            batch, the run is cancelled. A known key keeps the deadline of the first. Of a delayed input they count from when it
            is due.
        at: When it comes into the inbox: a time with a time zone, by the store's wall clock. Until then it is ``accepted``, on
            disk, in no inbox, and may be cancelled; then it takes its place after what waits. A time that is over is now. A
            known key keeps the time of the first.
        after_s: The same, in seconds from its accept.
    """

    idempotency_key: str | None
    lane: Lane | str | None
    supersession_key: str | None
    durability: InputDurability | str
    policy: PolicyDecision | None
    correlation_id: str | None
    traceparent: str | None
    deadline_s: float | None
    at: datetime | None
    after_s: float | None


_TERMS: Final = AcceptTerms.__annotations__.keys()


def check_terms(given: AcceptTerms) -> None:
    """Raises `InvalidInput` for a term that no accept has."""
    if unknown := given.keys() - _TERMS:
        detail = f"an accept has no term {min(unknown)!r}; its terms are {', '.join(sorted(_TERMS))}"
        raise InvalidInput(detail=detail, field="terms")


def accept_change(  # noqa: PLR0913 - one for each term
    seams: Seams,
    runtime_id: LogicalRuntimeId,
    data: bytes,
    fitted: str | None = None,
    *,
    idempotency_key: str | None = None,
    lane: Lane | str | None = None,
    supersession_key: str | None = None,
    durability: InputDurability | str = InputDurability.DURABLE,
    policy: PolicyDecision | None = None,
    correlation_id: str | None = None,
    traceparent: str | None = None,
    deadline_s: float | None = None,
    at: datetime | None = None,
    after_s: float | None = None,
) -> AcceptInput:
    """The change that puts an encoded payload into an inbox, under a fresh input id and on these terms; see `AcceptTerms`.

    `fitted` is the version of the behaviour whose class takes the payload; None where no behaviour was asked.

    Raises:
        InvalidInput: A term is none that a user may give.
    """
    idempotency_key = check_key(idempotency_key, "idempotency_key")
    supersession_key = check_key(supersession_key, "supersession_key")
    correlation_id = check_key(correlation_id, "correlation_id")
    if idempotency_key is not None and idempotency_key.startswith(RESERVED_KEYS):
        raise InvalidInput(detail=f"keys that begin with {RESERVED_KEYS} are tenure's own", field="idempotency_key")
    lasting = _durability(durability)
    if lasting is InputDurability.EPHEMERAL and idempotency_key is not None:
        raise InvalidInput(detail="an ephemeral input may not carry a key", field="idempotency_key")
    if lane is not None and policy is not None:
        raise InvalidInput(detail="give a lane or a policy, whose routing says it", field="lane")
    decided = None if policy is None else _policy(policy)
    delay = check_delay(at, after_s)
    return AcceptInput(
        runtime_id=runtime_id,
        input_id=InputId(seams.new_id()),
        lane=_lane(Lane.QUEUE if lane is None else lane, "lane") if decided is None else decided.lane,
        idempotency_key=idempotency_key,
        payload=data,
        payload_digest=digest(data),
        durability=lasting,
        supersession_key=supersession_key,
        correlation_id=correlation_id,
        traceparent=None if traceparent is None else check_traceparent(traceparent),
        policy=decided,
        delay=delay,
        deadline_s=_seconds(deadline_s),
        fitted=fitted,
    )


def plain_change(seams: Seams, runtime_id: LogicalRuntimeId, data: bytes, fitted: str | None = None) -> AcceptInput:
    """As `accept_change` on no terms at all, as most inputs are."""
    return AcceptInput(
        runtime_id=runtime_id,
        input_id=InputId(seams.new_id()),
        payload=data,
        payload_digest=digest(data),
        fitted=fitted,
    )


_lane: Final = check_of(Lane)
_lasting: Final = check_of(InputDurability)


def _seconds(given: float | None) -> float | None:
    if given is None:
        return None
    seconds: float = check_value(given, float, "deadline_s")
    check_seconds(seconds, "deadline_s", zero=False)
    return seconds


def _durability(given: InputDurability | str) -> InputDurability:
    found: InputDurability = _lasting(given, "durability")
    if found is InputDurability.DERIVED:
        raise InvalidInput(detail="what comes from outside cannot be derived", field="durability")
    return found


def _policy(given: PolicyDecision) -> PolicyDecision:
    """The decision with true enums, where it is one that this host carries out."""
    try:
        policy: PolicyDecision = check_value(given, PolicyDecision, "policy")
    except InvalidInput as exc:
        named = "" if exc.field == "policy" else f"{exc.field}: "
        raise InvalidInput(detail=f"{named}{exc.detail}", field="policy") from exc
    if policy.routing not in (Routing.QUEUE, Routing.STEER):
        raise InvalidInput(detail=f"an input from outside is not routed to {policy.routing}", field="policy")
    if policy.consume_point not in (ConsumePoint.ON_ACCEPT, ConsumePoint.ON_RUN_COMPLETE):
        raise InvalidInput(detail=f"an input from outside is not consumed {policy.consume_point}", field="policy")
    fixed = PolicyDecision()
    for name in _FIXED:
        if getattr(policy, name) != getattr(fixed, name):
            raise InvalidInput(detail=f"{name} cannot be chosen", field="policy")
    return policy


_CHOSEN: Final = ("queue_mode", "routing", "consume_point", "record_transcript", "emit_operator_content")
_FIXED: Final = tuple(each.name for each in fields(PolicyDecision) if each.name not in _CHOSEN)
