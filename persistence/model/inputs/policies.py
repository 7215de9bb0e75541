"""Policies of inputs: what is done with a message of each kind, as a table (design §6).

A decision is taken once, when the input is accepted, and stored with it: a later version of the table changes nothing that
was accepted before. There is no I/O here and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, final

from attrs import evolve, frozen

from tenure.persistence.model.values import InputKind, InputPhase, Lane

POLICY_VERSION: Final = 1
"""Version of this table, stored with each decision."""


@final
class InputDurability(StrEnum):
    """What recovery does with an input: `ephemeral` ones are dropped; `derived` ones can be built again from others."""

    DURABLE = "durable"
    EPHEMERAL = "ephemeral"
    DERIVED = "derived"


@final
class ApplyMode(StrEnum):
    """When an input reaches the conversation."""

    STAGE_RUN_START = "stage_run_start"
    STAGE_RUN_BOUNDARY = "stage_run_boundary"
    INJECT_NOW = "inject_now"
    IGNORE = "ignore"


@final
class WakeMode(StrEnum):
    """Whether an input starts a run, or asks the current one to yield."""

    WAKE_IF_IDLE = "wake_if_idle"
    INTERRUPT_YIELDING = "interrupt_yielding"
    NONE = "none"


@final
class QueueMode(StrEnum):
    """How an input stands to those of its kind and supersession key that still wait."""

    NONE = "none"
    FIFO = "fifo"
    COALESCE = "coalesce"
    SUPERSEDE = "supersede"
    PRIORITY = "priority"


@final
class ConsumePoint(StrEnum):
    """When an input is consumed."""

    ON_ACCEPT = "on_accept"
    ON_APPLY = "on_apply"
    ON_RUN_START = "on_run_start"
    ON_RUN_COMPLETE = "on_run_complete"
    EXPLICIT_ACK = "explicit_ack"


@final
class DrainPolicy(StrEnum):
    """What a draining runtime does with an input."""

    QUEUE_NEXT_TURN = "queue_next_turn"
    STEER_BATCH = "steer_batch"
    IMMEDIATE = "immediate"
    IGNORE = "ignore"


@final
class Routing(StrEnum):
    """Where an input goes."""

    QUEUE = "queue"
    STEER = "steer"
    IMMEDIATE = "immediate"
    DROP = "drop"


@final
@frozen(kw_only=True, slots=True)
class PolicyDecision:
    """What was decided about one input when it was accepted.

    Attributes:
        apply_mode: When it reaches the conversation.
        wake_mode: Whether it starts a run.
        queue_mode: How it stands to its like.
        consume_point: When it is consumed.
        drain_policy: What a draining runtime does with it.
        routing: Where it goes.
        record_transcript: Whether it belongs into the conversation.
        emit_operator_content: Whether an operator may see it.
        policy_version: Version of the table that decided.
    """

    apply_mode: ApplyMode = ApplyMode.STAGE_RUN_START
    wake_mode: WakeMode = WakeMode.WAKE_IF_IDLE
    queue_mode: QueueMode = QueueMode.FIFO
    consume_point: ConsumePoint = ConsumePoint.ON_RUN_COMPLETE
    drain_policy: DrainPolicy = DrainPolicy.QUEUE_NEXT_TURN
    routing: Routing = Routing.QUEUE
    record_transcript: bool = True
    emit_operator_content: bool = True
    policy_version: int = POLICY_VERSION

    @property
    def lane(self) -> Lane:
        """The lane that the routing leads to."""
        return Lane.STEER if self.routing in {Routing.STEER, Routing.IMMEDIATE} else Lane.QUEUE

    @property
    def consumes_on_accept(self) -> bool:
        """Whether the input is consumed without a run."""
        return self.consume_point is ConsumePoint.ON_ACCEPT


_QUEUED: Final = PolicyDecision()
_PEER: Final = evolve(_QUEUED, wake_mode=WakeMode.INTERRUPT_YIELDING)
_PROGRESS: Final = PolicyDecision(
    apply_mode=ApplyMode.STAGE_RUN_BOUNDARY,
    wake_mode=WakeMode.NONE,
    queue_mode=QueueMode.COALESCE,
    drain_policy=DrainPolicy.STEER_BATCH,
    routing=Routing.STEER,
)
_CONTINUATION: Final = PolicyDecision(
    apply_mode=ApplyMode.STAGE_RUN_BOUNDARY,
    drain_policy=DrainPolicy.IMMEDIATE,
    routing=Routing.STEER,
    record_transcript=False,
)
_OPERATION: Final = PolicyDecision(
    apply_mode=ApplyMode.IGNORE,
    wake_mode=WakeMode.NONE,
    queue_mode=QueueMode.NONE,
    consume_point=ConsumePoint.ON_ACCEPT,
    drain_policy=DrainPolicy.IGNORE,
    routing=Routing.DROP,
    record_transcript=False,
)

DEFAULT_POLICIES: Final[Mapping[InputKind, PolicyDecision]] = MappingProxyType(
    {
        InputKind.PROMPT: _QUEUED,
        InputKind.PEER_MESSAGE: _PEER,
        InputKind.PEER_REQUEST: _PEER,
        InputKind.PEER_RESPONSE_PROGRESS: _PROGRESS,
        InputKind.PEER_RESPONSE_TERMINAL: _QUEUED,
        InputKind.FLOW_STEP: _QUEUED,
        InputKind.EXTERNAL_EVENT: _QUEUED,
        InputKind.CONTINUATION: _CONTINUATION,
        InputKind.OPERATION: _OPERATION,
    }
)
"""What is decided where the caller decides nothing."""

COALESCING_KINDS: Final = (InputKind.EXTERNAL_EVENT, InputKind.PEER_RESPONSE_PROGRESS)
"""Kinds of which a later input may take the place of an earlier one that still waits, under one supersession key."""

_NEVER_DERIVED: Final = (
    InputKind.PROMPT,
    InputKind.PEER_MESSAGE,
    InputKind.PEER_REQUEST,
    InputKind.PEER_RESPONSE_TERMINAL,
    InputKind.FLOW_STEP,
)
_OUTSIDE_SOURCES: Final = ("operator", "peer", "external")


def may_be_derived(kind: InputKind, source_type: str) -> bool:
    """Whether an input may say that it can be built again: never one that came from outside."""
    return kind not in _NEVER_DERIVED and source_type not in _OUTSIDE_SOURCES


def replaced_phase(kind: InputKind, policy: PolicyDecision) -> InputPhase | None:
    """Return how an earlier input of the same kind and supersession key ends; None where both stay.

    The cases: the policy says supersede; it says coalesce, or the kind coalesces and the policy does not say otherwise;
    every other input stands for itself.
    """
    if policy.queue_mode is QueueMode.SUPERSEDE:
        return InputPhase.SUPERSEDED
    if policy.queue_mode is QueueMode.COALESCE or kind in COALESCING_KINDS:
        return InputPhase.COALESCED
    return None
