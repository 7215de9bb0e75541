"""What a run addresses to another runtime, sends and asks alike: on what terms, and how it becomes an input there."""

from __future__ import annotations

from typing import Final, final

import msgspec
from attrs import field, frozen

from tenure.errors import (
    Corrupt,
    IdempotencyConflict,
    KindMismatch,
    LimitReached,
    NotAccepting,
    NotFound,
    PayloadTooLarge,
    RuntimeDestroyed,
)
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.inbox import inputs, newcomers
from tenure.persistence.model.codec import digest
from tenure.persistence.model.inputs.delay import Delay
from tenure.persistence.model.values import (
    InputId,
    InputKind,
    Lane,
    LogicalRuntimeId,
    RunId,
    SessionId,
)

_encode = msgspec.json.Encoder().encode


@final
@frozen(kw_only=True, slots=True)
class SendTerms:
    """On what terms a message is sent.

    Attributes:
        lane: Queue, or steer for the run that the target executes.
        correlation_id: What it answers, or None.
        kind: Of which kind a target is made that is not there; None refuses the message then.
        delay: When it is due; None: at once.
    """

    lane: Lane = Lane.QUEUE
    correlation_id: str | None = None
    kind: str | None = None
    delay: Delay | None = None

    def stored(self) -> str | None:
        """As text; None where nothing is said, as in most."""
        if self == PLAIN:
            return None
        said: list[str | float | None] = [self.lane, self.correlation_id, self.kind]
        if self.delay is not None:
            said += [self.delay.at, self.delay.after_s]
        return _encode(said).decode()


class _Stored(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """As they stand beside a send: the last two where it is delayed."""

    lane: Lane
    correlation_id: str | None
    kind: str | None
    at: float | None = None
    after_s: float | None = None


def read_terms(stored: str | None) -> SendTerms:
    """The terms as they were stored. Raises `msgspec.MsgspecError`, `UnicodeEncodeError`."""
    if stored is None:
        return PLAIN
    found = msgspec.json.decode(stored, type=_Stored)
    delay = None if found.at is None and found.after_s is None else Delay(at=found.at, after_s=found.after_s)
    return SendTerms(lane=found.lane, correlation_id=found.correlation_id, kind=found.kind, delay=delay)


PLAIN: Final = SendTerms()
"""Where nothing is said."""


def content_digest(payload_digest: bytes, terms: SendTerms) -> bytes:
    """What a message is known by where a restart has taken it over: its payload, and the terms where there are any."""
    stored = terms.stored()
    return payload_digest if stored is None else digest(payload_digest + stored.encode())


@frozen(kw_only=True, slots=True)
class Addressed(Change):
    """One message from the current run of a runtime to another.

    Attributes:
        runtime_id: Whose run.
        run_id: Its current run.
        target: The receiver.
        input_id: Id of the input that it becomes.
        payload: Encoded.
        payload_digest: SHA-256 of the payload.
        fits: Kinds whose payload class takes it, each with the version of its behaviour.
        terms: On what terms.
        session_id: Session of a target that is made with it.
        traceparent: The context of the run that sends it; not part of what is compared.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    target: LogicalRuntimeId
    input_id: InputId
    payload: bytes = field(repr=False)
    payload_digest: bytes
    fits: tuple[tuple[str, str], ...] = ()
    terms: SendTerms = PLAIN
    session_id: SessionId | None = None
    traceparent: str | None = None

    @property
    def reaches(self) -> LogicalRuntimeId:
        """See `Change.reaches`."""
        return self.target

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.payload)


REFUSALS: Final = (
    NotFound,
    NotAccepting,
    RuntimeDestroyed,
    PayloadTooLarge,
    KindMismatch,
    # Damage at the target, which is not the sender's to suffer.
    Corrupt,
    IdempotencyConflict,
    LimitReached,
)
"""Why a target does not take a message."""


def address(tx: Transaction, message: Addressed, kind: InputKind, key: str) -> InputId:
    """Make it an input of its target, under an idempotency key. Raises one of `REFUSALS` where the target does not take it."""
    terms, of_kind = message.terms, message.terms.kind
    if of_kind is None and message.fits:
        of_kind = newcomers.load_target(tx, message.target).kind
    newcomer: newcomers.Newcomer | None = None  # what the target is made as where it is not there
    if terms.kind is not None and message.session_id is not None:
        newcomer = newcomers.Newcomer(kind=terms.kind, session_id=message.session_id)
    accept = inputs.AcceptInput(
        runtime_id=message.target,
        input_id=message.input_id,
        kind=kind,
        source=_encode({"type": "peer", "runtime_id": message.runtime_id, "run_id": message.run_id}).decode(),
        idempotency_key=key,
        payload=message.payload,
        payload_digest=message.payload_digest,
        bound_by_inbox=False,
        lane=terms.lane,
        correlation_id=terms.correlation_id,
        traceparent=message.traceparent,
        fitted=None if of_kind is None else dict(message.fits).get(of_kind),
        newcomer=newcomer,
        delay=terms.delay,
    )
    return inputs.admit(tx, accept).input_id
