"""Inputs as the contract verbs bring and give them: one value with everything that is stored of one."""

from __future__ import annotations

import json
from typing import Final, final

import msgspec
from attrs import field, frozen

from tenure.errors import Corrupt, InvalidInput
from tenure.persistence.model.arguments import check_key, check_value
from tenure.persistence.model.codec import check_nesting, digest
from tenure.persistence.model.digests import seal
from tenure.persistence.model.numbers import INT_LIMIT
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    InputKind,
    InputPhase,
    Lane,
    RunId,
)

from .phases import is_terminal
from .policies import InputDurability, PolicyDecision, may_be_derived
from .traceparent import check_traceparent

INPUT_RECORD_VERSION: Final = 1
"""Version of a stored input; another one is refused, never guessed at."""


@final
@frozen(kw_only=True, slots=True)
class InputTransition:
    """One entry of an input's history.

    Attributes:
        at: Unix seconds.
        before: The phase it left; None where many inputs were written at once.
        after: The phase after it.
        reason: Why, where there is more to say.
    """

    at: float
    before: InputPhase | None
    after: InputPhase
    reason: str | None = None


@final
@frozen(kw_only=True, slots=True)
class ReconstructionSource:
    """From what a derived input can be built again: a projection rule over an event, or inputs that were coalesced.

    Attributes:
        rule_id: The projection rule, or None.
        source_event_id: The event it was projected from, or None.
        source_input_ids: The inputs that went into it.
    """

    rule_id: str | None = None
    source_event_id: str | None = None
    source_input_ids: tuple[InputId, ...] = ()


@final
@frozen(kw_only=True, slots=True)
class InputState:
    """Everything that is stored of one input.

    Attributes:
        input_id: Which input.
        kind: What sort of message.
        phase: How far it has come.
        payload: The message, opaque bytes.
        source: Where it came from, as a JSON object with a ``type``.
        durability: What recovery does with it.
        idempotency_key: Unique in the runtime for ever, or None.
        supersession_key: What it shares with inputs that it may replace, or None.
        correlation_id: What it answers, or None.
        traceparent: The context of the request that brought it, or None.
        policy: What was decided about it, or None for the default of its kind.
        recovery_lane: Where it waits; None once it has ended.
        admission_sequence: Its place in the inbox, above -2**63; None lets the store give the next. What goes to the front
            (`QueueMode.PRIORITY`) stands one before the first that waits, which may be below 0.
        history: What has happened to it.
        reason: Why it was abandoned, where it was.
        successor: What it was superseded by or coalesced into, where it was.
        error: The last error of a run over it.
        attempt_count: How many runs over it failed.
        last_run_id: The run that has or had it.
        last_boundary_sequence: The receipt in that run that it contributed to.
        recovery_count: How often recovery found it.
        reconstruction_source: From what it can be built again.
        created_at: Unix seconds; None lets the store say.
        updated_at: Unix seconds of the last write; what a caller brings is not looked at.
    """

    input_id: InputId
    kind: InputKind = InputKind.EXTERNAL_EVENT
    phase: InputPhase = InputPhase.ACCEPTED
    payload: bytes = field(default=b"null", repr=False)
    source: str = '{"type":"external"}'
    durability: InputDurability = InputDurability.DURABLE
    idempotency_key: str | None = None
    supersession_key: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    policy: PolicyDecision | None = None
    recovery_lane: Lane | None = None
    admission_sequence: int | None = None
    history: tuple[InputTransition, ...] = ()
    reason: AbandonReason | None = None
    successor: InputId | None = None
    error: str | None = None
    attempt_count: int = 0
    last_run_id: RunId | None = None
    last_boundary_sequence: int | None = None
    recovery_count: int = 0
    reconstruction_source: ReconstructionSource | None = None
    created_at: float | None = None
    updated_at: float | None = None

    @property
    def payload_digest(self) -> bytes:
        """SHA-256 of the payload."""
        return digest(self.payload)

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return is_terminal(self.phase)


@final
@frozen(kw_only=True, slots=True)
class InputExtra:
    """What is seldom set of an input, stored as one JSON object."""

    correlation_id: str | None = None
    policy: PolicyDecision | None = None
    reconstruction_source: ReconstructionSource | None = None
    traceparent: str | None = None


def origin_of(extra: str | None, key: str) -> InputOrigin:
    """What is stored beside an input of where it came from. Raises `Corrupt`."""
    if extra is None:
        return NO_ORIGIN
    try:
        return msgspec.json.decode(extra, type=InputOrigin)
    except (msgspec.MsgspecError, UnicodeEncodeError) as exc:
        raise Corrupt(record="input", key=key, detail="what stands beside it cannot be read") from exc


@final
class InputOrigin(msgspec.Struct, frozen=True):
    """Of `InputExtra` what is asked for most.

    Attributes:
        correlation_id: See `InputState`.
        traceparent: See `InputState`.
    """

    correlation_id: str | None = None
    traceparent: str | None = None


NO_ORIGIN: Final = InputOrigin()


def encode_extra(extra: InputExtra) -> str | None:
    """The object as it is stored; None where nothing is set."""
    return None if extra == InputExtra() else msgspec.json.encode(extra).decode()


def seal_input(  # noqa: PLR0913 - one for each column
    runtime_id: str,
    input_id: str,
    generation: int,
    *,
    kind: str,
    durability: str,
    source: str,
    idempotency_key: str | None,
    payload_digest: bytes,
    created_at: float,
    lane: str | None,
) -> bytes:
    """One digest over what an input is, in whose inbox; how far it has come is not in it.

    Without a lane it is as rows have it that were written when the lane was in no digest.
    """
    return seal(
        runtime_id,
        input_id,
        generation,
        str(kind),
        str(durability),
        source,
        idempotency_key,
        payload_digest,
        float(created_at) + 0.0,  # SQLite keeps no -0.0
        *(() if lane is None else (str(lane),)),
    )


@final
@frozen(kw_only=True, slots=True)
class StoredInputState:
    """An input as it was read, with the version of its record.

    Attributes:
        state: The input.
        stored_input_state_version: Version of the record it was read from.
    """

    state: InputState
    stored_input_state_version: int = INPUT_RECORD_VERSION


@final
@frozen(kw_only=True, slots=True)
class InputStatePersistenceRecord:
    """An input that was found well-formed and may be stored; made by `of`.

    Attributes:
        state: The input.
    """

    state: InputState

    @classmethod
    def of(cls, state: InputState) -> InputStatePersistenceRecord:
        """Check an input, part by part and as a whole, and wrap it in its plain form: words as members of their enums.

        Raises:
            InvalidInput: A part is not of its type, or the input contradicts itself.
        """
        plain = check_value(state, InputState, "state")
        for name in ("idempotency_key", "supersession_key", "correlation_id"):
            check_key(getattr(plain, name), name)
        check_traceparent(plain.traceparent)
        check_input_state(plain)
        return cls(state=plain)


def check_input_state(state: InputState) -> None:
    """Refuse an input that contradicts itself.

    An end has what it ended with and no lane; what has not ended has neither reason nor successor; an ephemeral input has no
    key, for recovery would drop what the key must remember; what came from outside cannot be built again.

    Raises:
        InvalidInput: A rule is broken; `field` names which part.
    """
    ended_by = (state.reason is not None, state.successor is not None)
    if ended_by != _ENDED_BY.get(state.phase, (False, False)):
        raise _invalid("phase", f"{state.phase} does not go with reason {state.reason} and successor {state.successor}")
    if state.is_terminal and state.recovery_lane is not None:
        raise _invalid("recovery_lane", "an input that has ended waits in no lane")
    if state.reason is AbandonReason.MAX_ATTEMPTS_EXHAUSTED and state.attempt_count < 1:
        raise _invalid("attempt_count", "attempts were used up that were never counted")
    for name in ("attempt_count", "recovery_count", "last_boundary_sequence"):
        if (getattr(state, name) or 0) < 0:
            raise _invalid(name, "it is not below 0")
    if (state.admission_sequence or 0) <= -INT_LIMIT:
        raise _invalid("admission_sequence", "it is above -2**63, so that a page may begin before it")
    if state.durability is InputDurability.EPHEMERAL and state.idempotency_key is not None:
        raise _invalid("idempotency_key", "an ephemeral input may not carry a key")
    source = source_type(state.source)
    if state.durability is InputDurability.DERIVED and not may_be_derived(state.kind, source):
        raise _invalid("durability", f"a {state.kind} from {source} cannot be derived")


_ENDED_BY: Final = {
    InputPhase.ABANDONED: (True, False),
    InputPhase.SUPERSEDED: (False, True),
    InputPhase.COALESCED: (False, True),
}


def source_type(source: str) -> str:
    """The ``type`` of a source.

    Raises:
        InvalidInput: The source is not a JSON object with a ``type``.
    """
    try:
        check_nesting(source.encode())
        value = json.loads(source)["type"]
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise _invalid("source", "it is not a JSON object with a type") from exc
    return str(value)


def _invalid(name: str, detail: str) -> InvalidInput:
    return InvalidInput(detail=detail, field=name)
