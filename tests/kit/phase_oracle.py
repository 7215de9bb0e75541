"""What the SQL of the inbox must do to a phase, as functions: the second place where these rules stand, to check the first."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tenure.persistence.model.inputs.phases import InputEvent, is_terminal
from tenure.persistence.model.values import InputPhase


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

    `attempts` includes the one that failed just now, `max_attempts` is the behaviour's.
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
