"""The phases of an input, as a table.

Theory of operation. An input goes one way, from accepted to one of four ends, and each commit may
take it several arrows further. `ARROWS` says which event leads where. The SQL of the inbox moves
phases by its own guards; tests compare every statement with this table. Only retry asks the table
itself, by `advance`.

    accepted -> queued -> staged -> applied -> applied_pending_consumption -> consumed
                  ^  ^      |
        retry     |  +------+ roll_back (the run failed or was interrupted)
    abandoned ----+

    superseded, coalesced: from queued
    abandoned:             from every phase that is not an end
    consumed:              from accepted too, for what is consumed without a run

Only two arrows lead back. A run that fails queues what it had staged; what a checkpoint of it
applied is past that, and only recovery, which sees whether the receipt exists, may queue it.
And retry opens an abandoned input again, whatever abandoned it, but not when its
runtime was destroyed.

Staging counts no attempt. The commit that fails the run counts one: a host that dies, shuts down or loses its runtime fails no
run. An input that is already at its end stays in the store, since its idempotency key must still be
known. There is no I/O here and no clock.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, final

from tenure.errors import Internal, InvalidTransition
from tenure.persistence.model.values import AbandonReason, InputPhase

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ARROWS",
    "InputEvent",
    "advance",
    "is_terminal",
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
    """Whether the input has ended. Only retry leads out of an end, and only of abandoned."""
    return phase in _TERMINAL


_TERMINAL: Final = (
    InputPhase.CONSUMED,
    InputPhase.SUPERSEDED,
    InputPhase.COALESCED,
    InputPhase.ABANDONED,
)
