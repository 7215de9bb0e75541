"""Where an input stands, and which input a key names: read, and never written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.rows import (
    OPTIONAL_INT,
    OPTIONAL_TEXT,
    check_row,
    member,
    sound,
)
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.inputs.phases import is_terminal
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    InputPhase,
    LogicalRuntimeId,
    RunId,
    RuntimeState,
)

TOGETHER: Final = 100
"""Inputs that are asked for in one statement."""

_OPEN: Final = frozenset({phase.value for phase in InputPhase if not is_terminal(phase)})


@final
@frozen(kw_only=True, slots=True)
class InputOutcome:
    """Where an input stands, as stored.

    Attributes:
        phase: Its phase.
        reason: Why it was abandoned, where it was.
        error: The last error of a run over it, where one failed.
        attempts: How many runs over it failed.
        run_id: The run that has or had it.
        boundary: Sequence of the receipt in that run that consumed it.
    """

    phase: InputPhase
    reason: str | None
    error: str | None
    attempts: int
    run_id: RunId | None
    boundary: int | None


def find_outcome(statements: Statements, runtime_id: LogicalRuntimeId, input_id: InputId) -> InputOutcome | None:
    """Where an input stands, or None where the runtime has no such input. Raises `Corrupt`."""
    row = statements.one("inputs.outcome", runtime_id=runtime_id, input_id=input_id)
    if row is None:
        return None
    check_row(row, (str, OPTIONAL_TEXT, OPTIONAL_TEXT, int, OPTIONAL_INT, OPTIONAL_TEXT, str), "input", input_id)
    phase, reason, error, attempts, boundary, run_id, state = row
    found = member(InputPhase, phase, "input", input_id)
    if state == RuntimeState.DESTROYED and not is_terminal(found):
        # A store verb wrote the tombstone, and said nothing of this input: it never runs, and its waiters may know.
        found, reason = InputPhase.ABANDONED, AbandonReason.DESTROYED
    return InputOutcome(
        phase=found,
        reason=reason,
        error=error,
        attempts=attempts,
        run_id=run_id,
        boundary=boundary,
    )


def not_open(
    statements: Statements, inputs: Sequence[tuple[LogicalRuntimeId, InputId]]
) -> list[tuple[LogicalRuntimeId, InputId]]:
    """These inputs but for those that have not ended, asked for together. What is gone or damaged is among them."""
    found: list[tuple[LogicalRuntimeId, InputId]] = []
    for at in range(0, len(inputs), TOGETHER):
        page = inputs[at : at + TOGETHER]
        width = max(len(input_id) for _, input_id in page)
        names = "".join([input_id.ljust(width) for _, input_id in page])
        asked = statements.readable("inputs.open_among", input_ids=names, width=width, count=len(page))
        rows = sound(asked, (str, str, str))
        still_open = {(runtime_id, input_id) for runtime_id, input_id, phase in rows if phase in _OPEN}
        found += [each for each in page if each not in still_open]
    return found


def find_by_key(statements: Statements, runtime_id: LogicalRuntimeId, idempotency_key: str) -> InputId | None:
    """The input that a key names, or None."""
    row = statements.one("inputs.id_of_key", runtime_id=runtime_id, idempotency_key=idempotency_key)
    return None if row is None else InputId(row[0])


def payload_of_key(statements: Statements, runtime_id: LogicalRuntimeId, idempotency_key: str | None) -> bytes | None:
    """The payload of the input that a key names; None where there is none, or where it was let go. Raises `Corrupt`."""
    row = statements.one("inputs.payload_of_key", runtime_id=runtime_id, idempotency_key=idempotency_key)
    if row is None:
        return None
    check_row(row, (bytes,), "payload", idempotency_key)
    payload: bytes = row[0]
    return payload
