"""Ids, enums and frozen values that all floors share."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NewType, final

import attrs

from tenure.errors import InvalidInput, WeakDurability

from .numbers import (
    is_a,
    shown,
)

__all__ = [
    "LAST_TOKEN",
    "RUNTIME_ID_LIMIT",
    "STEP_NAME_LIMIT",
    "TOKEN_RAISE",
    "AbandonReason",
    "DurabilityClass",
    "DurabilityTier",
    "HeldReason",
    "InputId",
    "InputKind",
    "InputPhase",
    "Lane",
    "LogicalRuntimeId",
    "RunApplyBoundary",
    "RunBoundaryReceipt",
    "RunId",
    "RuntimeState",
    "SessionId",
    "check_name",
    "check_runtime_id",
    "check_step_name",
]

LAST_TOKEN: Final = 2**63 - 1
"""The last fence token that a store can mint; afterwards `CounterOverflow`, never a wrap."""

TOKEN_RAISE: Final = 2**32
"""How far the counter of fence tokens is raised where what another store, or a lost part of one, has minted may not recur."""

LogicalRuntimeId = NewType("LogicalRuntimeId", str)
"""A logical agent; it outlives processes. Chosen by the user, see `check_runtime_id`."""

RunId = NewType("RunId", str)
"""One execution of a behaviour over its batch; the same through attempts and crashes."""

InputId = NewType("InputId", str)
"""One message in an inbox."""

SessionId = NewType("SessionId", str)
"""One conversation."""

RUNTIME_ID_LIMIT = 200
"""Most characters (code points) that a runtime id may have."""


def check_runtime_id(value: str) -> LogicalRuntimeId:
    """Return the id, checked: 1 to 200 characters, without NUL, writable as UTF-8.

    NUL is refused because PostgreSQL text cannot hold it, a lone surrogate because no engine can.

    Raises:
        InvalidInput: The id breaks one of these rules.
    """
    return LogicalRuntimeId(check_name(value, "a runtime id", "runtime_id", RUNTIME_ID_LIMIT))


STEP_NAME_LIMIT = 200
"""Most characters (code points) that the name of a step may have."""


def check_step_name(value: str) -> str:
    """Return the name of a step, checked by the same rules as a runtime id.

    Raises:
        InvalidInput: The name breaks one of them.
    """
    return check_name(value, "the name of a step", "name", STEP_NAME_LIMIT)


def check_name(value: str, what: str, field: str, limit: int) -> str:
    """A name: text of 1 to `limit` characters, without NUL, writable as UTF-8, and without what a subclass has made of it.

    Raises:
        InvalidInput: It is not one.
    """
    if type(value) is str and 0 < len(value) <= limit and value.isascii() and "\0" not in value:
        return value  # as nearly all
    plain = str.__str__(value) if is_a(value, str) else ""
    if not plain:
        raise InvalidInput(detail=f"{what} is text, and not empty", field=field)
    if len(plain) > limit:
        raise InvalidInput(detail=f"{len(plain)} characters are more than {limit}", field=field)
    if "\0" in plain:
        raise InvalidInput(detail=f"{what} has no NUL character", field=field)
    try:
        if not plain.isascii():
            plain.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput(detail=f"{what} has no lone surrogate", field=field) from exc
    return plain


@final
class RuntimeState(StrEnum):
    """Where a runtime is in its lifecycle. The arrows are in `lifecycle`.

    `running` and `attached` are true only inside the process that owns the runtime; they are never
    stored.
    """

    INITIALIZING = "initializing"
    IDLE = "idle"
    ATTACHED = "attached"
    RUNNING = "running"
    RETIRED = "retired"
    STOPPED = "stopped"
    DESTROYED = "destroyed"


@final
class InputPhase(StrEnum):
    """How far an input has come. The arrows are in `phases`."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    STAGED = "staged"
    APPLIED = "applied"
    APPLIED_PENDING_CONSUMPTION = "applied_pending_consumption"
    CONSUMED = "consumed"
    SUPERSEDED = "superseded"
    COALESCED = "coalesced"
    ABANDONED = "abandoned"


@final
class Lane(StrEnum):
    """How an input reaches a run: in the queue, or joining the run that is executing at its next checkpoint."""

    QUEUE = "queue"
    STEER = "steer"


@final
class AbandonReason(StrEnum):
    """Why an input was abandoned."""

    RETIRED = "retired"
    RESET = "reset"
    STOPPED = "stopped"
    DESTROYED = "destroyed"
    CANCELLED = "cancelled"
    MAX_ATTEMPTS_EXHAUSTED = "max_attempts_exhausted"
    REJECTED = "rejected"
    DEADLINE_EXCEEDED = "deadline_exceeded"


@final
class HeldReason(StrEnum):
    """Why no run of a runtime starts until a person resumes it."""

    BUDGET_USED_UP = "budget used up"
    CRASH_LOOP = "crash loop"
    NEEDS_ATTENTION = "needs attention"
    STEP_MISMATCH = "step mismatch"
    RESTORED = "restored"
    PAYLOAD = "payload does not fit"


@final
class InputKind(StrEnum):
    """What sort of message an input is: accept makes external events, a send peer messages."""

    PROMPT = "prompt"
    PEER_MESSAGE = "peer_message"
    PEER_REQUEST = "peer_request"
    PEER_RESPONSE_PROGRESS = "peer_response_progress"
    PEER_RESPONSE_TERMINAL = "peer_response_terminal"
    FLOW_STEP = "flow_step"
    EXTERNAL_EVENT = "external_event"
    CONTINUATION = "continuation"
    OPERATION = "operation"


@final
class RunApplyBoundary(StrEnum):
    """Which commit point a receipt proves.

    `immediate` is an input consumed without a run, `run_start` the end of a run's batch,
    `run_checkpoint` a checkpoint inside a run.
    """

    IMMEDIATE = "immediate"
    RUN_START = "run_start"
    RUN_CHECKPOINT = "run_checkpoint"


@final
class DurabilityClass(StrEnum):
    """What an acknowledged commit survives, weakest first.

    `memory` nothing, `os` a killed process, `disk` a power cut, `quorum` the loss of the machine: it is on the disks of so many
    standbys as the server waits for.
    """

    MEMORY = "memory"
    OS = "os"
    DISK = "disk"
    QUORUM = "quorum"

    def covers(self, other: DurabilityClass) -> bool:
        """Whether this class survives all that the other one does.

        The comparison signs are those of strings and say nothing about durability.
        """
        weakest_first = tuple(DurabilityClass)
        return weakest_first.index(self) >= weakest_first.index(other)


def chosen_class(asked: DurabilityClass | str, strongest: DurabilityClass) -> DurabilityClass:
    """The class that was asked for, where a store can have it.

    Raises:
        InvalidInput: There is no such class.
        WeakDurability: It is stronger than that.
    """
    try:
        durability = DurabilityClass(asked)
    except ValueError as exc:
        classes = ", ".join(DurabilityClass)
        raise InvalidInput(detail=f"{shown(asked)} is none of {classes}", field="durability") from exc
    if not strongest.covers(durability):
        raise WeakDurability(asked=durability, given=strongest)
    return durability


@final
class DurabilityTier(StrEnum):
    """Whether what a store acknowledged is there again in another process: `durable`, or `inline` where it is not."""

    INLINE = "inline"
    DURABLE = "durable"


@final
@attrs.frozen(kw_only=True, slots=True)
class RunBoundaryReceipt:
    """The stored proof of one boundary of a run.

    What comes after `sequence` is the store's own: a caller who brings a receipt leaves it out, and the store fills it in.

    Attributes:
        run_id: The run.
        boundary: Which commit point this is.
        contributing_input_ids: The inputs this boundary worked on, in order.
        conversation_digest: Digest of the conversation after it, in hex; None without a session.
        message_count: Messages on the active path after it.
        sequence: Dense from 1 within the run.
        runtime_id: The runtime that ran.
        fence_token: The token it was written under.
        generation: The life of the runtime it belongs to, from 0.
        durability: What its commit survives.
        committed_at: The store's wall clock, in unix seconds.
        group: The number of the group that committed it.
    """

    run_id: RunId
    boundary: RunApplyBoundary
    contributing_input_ids: tuple[InputId, ...]
    conversation_digest: str | None
    message_count: int
    sequence: int
    runtime_id: LogicalRuntimeId = LogicalRuntimeId("")
    fence_token: int = 0
    generation: int = 0
    durability: DurabilityClass = DurabilityClass.MEMORY
    committed_at: float = 0.0
    group: int = 0
