"""The phases of an input, as a table.

Theory of operation. An input goes one way, from accepted to one of four ends, and each commit may
take it several arrows further. `ARROWS` says which event leads where; what has no arrow raises
`InvalidTransition` and changes nothing.

    accepted -> queued -> staged -> applied -> applied_pending_consumption -> consumed
                  ^  ^      |
        retry     |  +------+ roll_back (the run failed or was interrupted)
    abandoned ----+

    superseded, coalesced: from queued
    abandoned:             from every phase that is no end
    consumed:              from accepted too, for what is consumed without a run

Only two arrows lead back. A run that fails queues what it had staged; what a checkpoint of it
applied is past that, and only recovery, which sees whether the receipt exists, may queue it
(`repaired`). And retry opens an abandoned input again, whatever abandoned it, but not when its
runtime was destroyed.

Staging counts no attempt. The commit that fails the run counts one, and then `after_failed_run`
decides between another try and the end: a host that dies, shuts down or loses its runtime fails no
run. An input that is already at its end stays in the store, since its idempotency key must still be
known. There is no I/O here and no clock.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, final

from tenure.errors import Internal, InvalidTransition

from .values import (
    AbandonReason,
    InputPhase,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ARROWS",
    "InputEvent",
    "advance",
    "after_failed_run",
    "is_terminal",
    "repaired",
    "ways_to_consumed",
]


@final
class InputEvent(StrEnum):
    """What can happen to an input."""

    QUEUE = "queue"
    STAGE = "stage"
    ROLL_BACK = "roll_back"
    APPLY = "apply"
    AWAIT_CONSUMPTION = "await_consumption"
    CONSUME = "consume"
    SUPERSEDE = "supersede"
    COALESCE = "coalesce"
    ABANDON = "abandon"
    RETRY = "retry"


# One row per phase; an event that a row does not name is refused there. Left out on purpose, though
# an early Meerkat had them: accepted -> superseded, coalesced (admission queues first) and
# staged -> superseded (a run's batch never changes under it).
ARROWS: Final[Mapping[InputPhase, Mapping[InputEvent, InputPhase]]] = MappingProxyType(
    {
        InputPhase.ACCEPTED: MappingProxyType(
            {
                InputEvent.QUEUE: InputPhase.QUEUED,
                InputEvent.CONSUME: InputPhase.CONSUMED,
                InputEvent.ABANDON: InputPhase.ABANDONED,
            }
        ),
        InputPhase.QUEUED: MappingProxyType(
            {
                InputEvent.STAGE: InputPhase.STAGED,
                InputEvent.SUPERSEDE: InputPhase.SUPERSEDED,
                InputEvent.COALESCE: InputPhase.COALESCED,
                InputEvent.ABANDON: InputPhase.ABANDONED,
            }
        ),
        InputPhase.STAGED: MappingProxyType(
            {
                InputEvent.APPLY: InputPhase.APPLIED,
                InputEvent.ROLL_BACK: InputPhase.QUEUED,
                InputEvent.ABANDON: InputPhase.ABANDONED,
            }
        ),
        InputPhase.APPLIED: MappingProxyType(
            {
                InputEvent.AWAIT_CONSUMPTION: InputPhase.APPLIED_PENDING_CONSUMPTION,
                InputEvent.ABANDON: InputPhase.ABANDONED,
            }
        ),
        InputPhase.APPLIED_PENDING_CONSUMPTION: MappingProxyType(
            {
                InputEvent.CONSUME: InputPhase.CONSUMED,
                InputEvent.ABANDON: InputPhase.ABANDONED,
            }
        ),
        InputPhase.CONSUMED: MappingProxyType({}),
        InputPhase.SUPERSEDED: MappingProxyType({}),
        InputPhase.COALESCED: MappingProxyType({}),
        InputPhase.ABANDONED: MappingProxyType({InputEvent.RETRY: InputPhase.QUEUED}),
    }
)


def advance(
    phase: InputPhase,
    event: InputEvent,
    *,
    runtime_id: str,
    reason: AbandonReason | None = None,
) -> InputPhase:
    """Return the phase that follows.

    The runtime id only names the runtime in the error. The reason is that of an abandoned input,
    and is asked for by retry alone.

    Raises:
        InvalidTransition: There is no such arrow, or the runtime of the input was destroyed.
        Internal: An abandoned input is retried without saying why it was abandoned.
    """
    following = ARROWS[phase].get(event)
    if following is None or (event is InputEvent.RETRY and reason is AbandonReason.DESTROYED):
        raise InvalidTransition(runtime_id=runtime_id, state=phase, event=event)
    if event is InputEvent.RETRY and reason is None:
        raise Internal(detail="retry needs the reason the input was abandoned with")
    return following


def is_terminal(phase: InputPhase) -> bool:
    """Tell whether the input has ended. Only retry leads out of an end, and only of abandoned."""
    return phase in _TERMINAL


_TERMINAL: Final = (
    InputPhase.CONSUMED,
    InputPhase.SUPERSEDED,
    InputPhase.COALESCED,
    InputPhase.ABANDONED,
)


def ways_to_consumed(phase: InputPhase) -> tuple[InputEvent, ...]:
    """Return the events that a run which ends well sends an input of its batch through, in order.

    Empty where the input is no longer, or not yet, in the run's hands.
    """
    return _WAYS_TO_CONSUMED.get(phase, ())


_WAYS_TO_CONSUMED: Final[Mapping[InputPhase, tuple[InputEvent, ...]]] = MappingProxyType(
    {
        InputPhase.STAGED: (InputEvent.APPLY, InputEvent.AWAIT_CONSUMPTION, InputEvent.CONSUME),
        InputPhase.APPLIED: (InputEvent.AWAIT_CONSUMPTION, InputEvent.CONSUME),
        InputPhase.APPLIED_PENDING_CONSUMPTION: (InputEvent.CONSUME,),
    }
)


def after_failed_run(*, attempts: int, max_attempts: int) -> InputEvent:
    """Return what a failed run does to a staged input: roll back, or at the last attempt abandon.

    `attempts` includes the one that failed just now, `max_attempts` is that of the store's limits.
    The reason of the abandoned ones is `max_attempts_exhausted`.
    """
    return InputEvent.ABANDON if attempts >= max_attempts else InputEvent.ROLL_BACK


def repaired(phase: InputPhase, *, has_receipt: bool, ephemeral: bool) -> InputPhase | None:
    """Return the phase in which recovery leaves an input; None when it drops the row.

    `has_receipt` says that its run finished: the receipt of that end is stored, not merely one of a
    checkpoint. The cases, in this order:

    - an input at its end stays there, an ephemeral one too, since nothing is pruned unasked;
    - applied or pending with the receipt: consumed, for its effects are committed;
    - ephemeral: dropped;
    - everything else: queued, bound to its run by the caller.
    """
    if is_terminal(phase):
        return phase
    if has_receipt and phase in _APPLIED:
        return InputPhase.CONSUMED
    return None if ephemeral else InputPhase.QUEUED


_APPLIED: Final = (InputPhase.APPLIED, InputPhase.APPLIED_PENDING_CONSUMPTION)
