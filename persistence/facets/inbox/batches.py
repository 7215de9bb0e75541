"""Batches: the inputs of a run, from being staged to their end (design §7).

A run's batch is exactly the inputs that it staged when it began and those that joined it at a checkpoint. The rows and the
statements are those of the facet `inputs`; other facets call these functions inside their own commits.
"""

from __future__ import annotations

from typing import Final, final

from attrs import field, frozen

from tenure.errors import Corrupt
from tenure.persistence.commits.rows import (
    OPTIONAL_BYTES,
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    Types,
    check_row,
    member,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, SqlValue
from tenure.persistence.model.codec import digest
from tenure.persistence.model.inputs.input_state import NO_ORIGIN, InputOrigin, origin_of
from tenure.persistence.model.inputs.phases import is_terminal
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    InputKind,
    InputPhase,
)

from .history import (
    abandoned,
    history_line,
    in_order,
)

_ACCEPTED: Final = "accepted"

UNSTAGEABLE_ATTEMPTS: Final = 3
"""Times that a batch may fail to be staged before it is abandoned."""


@final
@frozen(kw_only=True, slots=True)
class BatchMember:
    """One member of a run's batch.

    Attributes:
        input_id: Which input.
        kind: What sort of message.
        source: Where it came from, as JSON.
        idempotency_key: Its key, or None.
        attempts: How many runs over it failed.
        phase: Staged, or how it has ended in this run already.
        joined: Sequence of the checkpoint at which it joined the run to steer it; None for the batch itself.
        fitted: Version of the behaviour whose payload class took it when it came, or None.
        deadline: When it ends with the next boundary unless it is done, unix seconds, or None.
        origin: What it answers, and the context of the request that brought it.
        payload: Encoded.
        history: What has happened to it, where it has just been staged for its first run; else empty.
    """

    input_id: InputId
    kind: InputKind
    source: str
    idempotency_key: str | None
    attempts: int
    phase: InputPhase
    joined: int | None
    fitted: str | None
    deadline: float | None
    origin: InputOrigin
    payload: bytes
    history: str = field(default="", repr=False)


@final
@frozen(kw_only=True, slots=True)
class InputEnded:
    """One input has ended before its run, or without one.

    Attributes:
        input_id: Which input.
        phase: ``consumed`` or ``abandoned``.
        error: Why it was rejected, or None.
        result: Its result, encoded, or None.
    """

    input_id: InputId
    phase: InputPhase
    error: str | None = None
    result: bytes | None = field(default=None, repr=False)


@final
@frozen(kw_only=True, slots=True)
class JustAccepted:
    """An input that this commit has put into its inbox, with nothing but what every input has.

    Attributes:
        input_id: Which.
        runtime: Key of its runtime.
        input: Key of its row.
        alone: Whether the inbox was seen to be empty before it.
        deadline: Until when it may be staged, or None.
        row: It as a member of a batch, as it will be stored.
        history: Its history up to now.
    """

    input_id: InputId
    runtime: int
    input: int
    alone: bool
    deadline: float | None
    row: Row = field(repr=False)
    history: str = field(repr=False)


def note_accepted(tx: Transaction, runtime: int, key: int, row: Row, history: str, *, alone: bool) -> None:
    """Leave what was accepted for the begin of a run in the same commit; see `JustAccepted`."""
    tx.notes[_ACCEPTED] = JustAccepted(
        input_id=row[0], runtime=runtime, input=key, alone=alone, deadline=row[8], row=row, history=history
    )


def just_accepted(tx: Transaction, runtime: int, input_id: InputId) -> JustAccepted | None:
    """That input, where this commit has put it into this inbox, and it may still be staged."""
    found: JustAccepted | None = tx.notes.get(_ACCEPTED)
    if found is None or found.input_id != input_id or found.runtime != runtime:
        return None
    return found if found.deadline is None or found.deadline > tx.now else None


def stage_accepted(tx: Transaction, accepted: JustAccepted, run: int) -> tuple[BatchMember, ...]:
    """Stage one that this commit has accepted: as `stage`, of what is known of it. Raises `Corrupt`."""
    history = accepted.history + history_line(tx.now, InputPhase.QUEUED, InputPhase.STAGED)
    tx.write("inputs.stage_accepted", input=accepted.input, run=run, history=history, now=tx.now)
    return (read_member(accepted.row, history),)


def stage(tx: Transaction, runtime: int, run: int, count: int) -> tuple[BatchMember, ...]:
    """Stage the oldest queued inputs, at most `count`, for a new run."""
    line = history_line(tx.now, InputPhase.QUEUED, InputPhase.STAGED)
    staged = tx.all("inputs.stage_oldest", runtime=runtime, run=run, count=count, line=line, now=tx.now)
    if not staged:
        staged = tx.all("inputs.stage_oldest_of_any_lane", runtime=runtime, run=run, count=count, line=line, now=tx.now)
    if len(staged) > 1:  # what an UPDATE returns comes in no order
        for row in staged:
            check_row(row[-2:-1], (int,), "input", row[0])
        staged.sort(key=lambda row: row[-2])
    return tuple([read_member(row[:-2], row[-1]) for row in staged])


def stage_steered(tx: Transaction, runtime: int, run: int, boundary: int) -> tuple[BatchMember, ...]:
    """Let what waits to steer join the run at this checkpoint."""
    if tx.one("inputs.any_steering", runtime=runtime, now=tx.now) is None:
        return ()
    line = history_line(tx.now, InputPhase.QUEUED, InputPhase.STAGED, "joined")
    tx.write("inputs.stage_steered", runtime=runtime, run=run, joined=boundary, line=line, now=tx.now)
    return tuple([read_member(row) for row in tx.all("inputs.joined", run=run, joined=boundary)])


def restage(tx: Transaction, run: int) -> tuple[BatchMember, ...]:
    """Stage the batch of an interrupted or failed run again, exactly."""
    line = history_line(tx.now, InputPhase.QUEUED, InputPhase.STAGED, "same run")
    tx.write("inputs.restage", run=run, line=line, now=tx.now)
    return batch_of(tx, run)


def batch_of(tx: Transaction, run: int) -> tuple[BatchMember, ...]:
    """The batch of a run, in admission order."""
    return tuple([read_member(row) for row in tx.all("inputs.batch", run=run)])


def read_member(row: Row, history: SqlValue = "") -> BatchMember:
    """A member as it is stored. Raises `Corrupt`."""
    check_row(row, _TYPES, "input", row[0])
    input_id, kind, source, key, attempts, phase, joined, fitted, deadline, extra, payload, payload_digest = row
    found = member(InputPhase, phase, "input", input_id)
    # Of what has ended the payload may have been let go.
    if not is_terminal(found) and (payload is None or digest(payload) != payload_digest):
        raise Corrupt(record="input", key=input_id, detail="its payload is gone, or is not what its digest says")
    return BatchMember(
        input_id=input_id,
        kind=member(InputKind, kind, "input", input_id),
        source=source,
        idempotency_key=key,
        attempts=attempts,
        phase=found,
        joined=joined,
        fitted=fitted,
        deadline=deadline,
        origin=NO_ORIGIN if extra is None else origin_of(extra, input_id),
        payload=payload or b"null",
        history=history if isinstance(history, str) else "",  # for numbers alone: a damaged one holds up nothing
    )


_TYPES: Final[Types] = (
    *(str, str, str, OPTIONAL_TEXT, int, str, OPTIONAL_INT, OPTIONAL_TEXT),
    *(OPTIONAL_NUMBER, OPTIONAL_TEXT, OPTIONAL_BYTES, bytes),
)


def readmit(tx: Transaction, runtime: int, run: int, error: str) -> tuple[InputId, ...]:
    """Send a batch that cannot be staged to the end of the inbox, an attempt poorer; the last one abandons it.

    Returns what it abandoned.
    """
    line = history_line(tx.now, InputPhase.STAGED, InputPhase.QUEUED, "cannot be staged")
    reason = AbandonReason.MAX_ATTEMPTS_EXHAUSTED
    given_up: list[Row] = []
    admission = tx.key("inputs")  # above all that were given, as if the batch came now
    rows = tx.all("inputs.readmit", run=run, admission=admission, error=error, line=line, now=tx.now)
    for input_id, attempts in rows:
        if attempts >= UNSTAGEABLE_ATTEMPTS:
            end = history_line(tx.now, InputPhase.QUEUED, InputPhase.ABANDONED, reason)
            tx.write("inputs.abandon_one", runtime=runtime, input_id=input_id, reason=reason, line=end, now=tx.now)
            given_up.append((input_id, len(given_up)))
    return abandoned(tx, given_up, reason, runtime=runtime)


def has(tx: Transaction, run: int, input_id: InputId) -> bool:
    """Whether an input is in the batch of a run, and has not ended."""
    return tx.one("inputs.unfinished_of_run", run=run, input_id=input_id) is not None


def any_staged(tx: Transaction, run: int) -> bool:
    """Whether the run was executing when its inputs were last written."""
    return tx.one("inputs.any_staged", run=run) is not None


def consume(tx: Transaction, run: int, boundary: int) -> tuple[InputId, ...]:
    """Consume the whole batch of a run at its last boundary."""
    line = history_line(tx.now, InputPhase.STAGED, InputPhase.CONSUMED)
    return in_order(tx.all("inputs.consume", run=run, boundary=boundary, line=line, now=tx.now))


def consume_one(tx: Transaction, run: int, boundary: int, input_id: InputId) -> bool:
    """Consume one member of a batch at a checkpoint that names it; False where it is not staged in this run."""
    line = history_line(tx.now, InputPhase.STAGED, InputPhase.CONSUMED)
    return bool(tx.all("inputs.consume_one", run=run, boundary=boundary, input_id=input_id, line=line, now=tx.now))


def release(tx: Transaction, run: int, input_id: InputId) -> None:
    """Queue again what joined a run and was never handed out; another run may take it."""
    line = history_line(tx.now, InputPhase.STAGED, InputPhase.QUEUED, "not handed out")
    tx.write("inputs.release", run=run, input_id=input_id, line=line, now=tx.now)


def reject(tx: Transaction, run: int, input_id: InputId, error: str) -> bool:
    """Abandon one member of a batch and spare the rest; False where it is not in this run."""
    line = history_line(tx.now, InputPhase.STAGED, InputPhase.ABANDONED, AbandonReason.REJECTED)
    rows = tx.all("inputs.reject", run=run, input_id=input_id, error=error, line=line, now=tx.now)
    return bool(abandoned(tx, rows, AbandonReason.REJECTED, run=run))


def abandon_run(tx: Transaction, run: int, reason: AbandonReason) -> tuple[InputId, ...]:
    """Abandon what is left of a run's batch."""
    line = history_line(tx.now, None, InputPhase.ABANDONED, reason)
    return abandoned(tx, tx.all("inputs.abandon_run", run=run, reason=reason, line=line, now=tx.now), reason, run=run)


def fail(tx: Transaction, run: int, error: str) -> None:
    """Queue the batch of a failed run again and count the attempt."""
    line = history_line(tx.now, InputPhase.STAGED, InputPhase.QUEUED, "run failed")
    tx.write("inputs.fail", run=run, error=error, line=line, now=tx.now)


def exhaust(tx: Transaction, run: int, error: str, reason: AbandonReason) -> tuple[InputId, ...]:
    """Abandon the batch of a run whose last attempt failed; it stays as dead letters."""
    line = history_line(tx.now, InputPhase.STAGED, InputPhase.ABANDONED, reason)
    rows = tx.all("inputs.exhaust", run=run, error=error, reason=reason, line=line, now=tx.now)
    return abandoned(tx, rows, reason, run=run)


def unbind(tx: Transaction, run: int) -> None:
    """Let the batch of a dropped run go; another run may take it."""
    tx.write("inputs.unbind", run=run)
