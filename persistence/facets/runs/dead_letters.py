"""Dead letters: abandoned inputs and refused sends, until they are retried or dropped (design §6, §7)."""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.errors import InvalidTransition, NotAccepting, NotFound, RuntimeDestroyed
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    check_row,
    member,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.inbox.history import (
    history_line,
    in_order,
)
from tenure.persistence.facets.records import (
    run_records,
    runtimes,
)
from tenure.persistence.model.codec import digest
from tenure.persistence.model.digests import check_digest
from tenure.persistence.model.inputs.input_state import origin_of
from tenure.persistence.model.inputs.phases import InputEvent, advance
from tenure.persistence.model.lifecycles.lifecycle import Standing, accepts_input
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    InputKind,
    InputPhase,
    LogicalRuntimeId,
    RuntimeState,
)

from . import entries, restarting, sends

IN_DOUBT: Final = "in_doubt"
"""Reason of a dead letter that is a run which ended and abandoned nothing; its id is that of the run."""

REFUSED: Final = "refused"
"""Reason of one that is a send which its target refused."""

FINISHED: Final = "finished"
"""Outcome of a run that ended well: its other members are consumed, so it is never entered again."""


@final
@frozen(kw_only=True, slots=True)
class RetryDeadLetter(Change):
    """Queue an abandoned input again, and with it the batch that was abandoned together; or send again. Answer: `Retried`.

    Its run is reopened: the same run id, its record kept, attempts 0. A fresh one begins a new run that repeats the steps
    which may be repeated; so does an input whose run ended well without it. A refused send goes to its target under its key.

    Attributes:
        runtime_id: Whose inbox, or whose send.
        input_id: Which input.
        fresh: Begin a new run; nothing to a send.
        version: Which version of the behaviour goes on with the run; None changes nothing.
    """

    runtime_id: LogicalRuntimeId
    input_id: InputId
    fresh: bool = False
    version: str | None = None


@final
@frozen(kw_only=True, slots=True)
class Retried:
    """What a retry has queued.

    Attributes:
        runtime_id: In whose inbox: that of the runtime itself, or of the target of a send.
        input_ids: What is queued there, in admission order.
    """

    runtime_id: LogicalRuntimeId
    input_ids: tuple[InputId, ...]


@final
@frozen(kw_only=True, slots=True)
class DropDeadLetter(Change):
    """Let an abandoned input or a refused send go: payload gone, key remembered; or the doubt of a run. Answer: None."""

    runtime_id: LogicalRuntimeId
    input_id: InputId


@final
@frozen(kw_only=True, slots=True)
class _Abandoned:
    """An abandoned input, as stored."""

    input: int
    reason: AbandonReason
    run: int | None
    outcome: str | None


def _find(tx: Transaction, runtime_id: LogicalRuntimeId, input_id: InputId, event: InputEvent) -> _Abandoned:
    record = runtimes.load(tx, runtime_id)
    row = tx.one("dead_letters.find", runtime=record.runtime, input_id=input_id)
    if row is None and tx.one("dead_letters.find_doubt", runtime=record.runtime, run_id=input_id) is not None:
        raise InvalidTransition(runtime_id=runtime_id, state=IN_DOUBT, event=event)
    if row is None or row[4] is not None:
        raise NotFound(what="dead letter", key=input_id)
    key, phase, reason, run, _, outcome = row
    if phase != InputPhase.ABANDONED:
        raise InvalidTransition(runtime_id=runtime_id, state=phase, event=event)
    check_row(row, (int, str, OPTIONAL_TEXT, OPTIONAL_INT, OPTIONAL_NUMBER, OPTIONAL_TEXT), "dead letter", input_id)
    why = member(AbandonReason, reason, "dead letter", input_id)
    return _Abandoned(input=key, reason=why, run=run, outcome=outcome)


def _retry(tx: Transaction, change: RetryDeadLetter) -> Retried:
    record = runtimes.load(tx, change.runtime_id)
    sent = sends.send_again(tx, record.runtime, change.runtime_id, change.input_id)
    if sent is not None and sent.input_id is not None:
        return Retried(runtime_id=sent.target, input_ids=(sent.input_id,))
    if record.state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=change.runtime_id)
    if not accepts_input(Standing(state=record.state)):
        raise NotAccepting(runtime_id=change.runtime_id, state=record.state)
    found = _find(tx, change.runtime_id, change.input_id, InputEvent.RETRY)
    after = advance(InputPhase.ABANDONED, InputEvent.RETRY, runtime_id=change.runtime_id, reason=found.reason)
    line = history_line(tx.now, InputPhase.ABANDONED, after, "retried fresh" if change.fresh else "retried")
    tx.room.pop(record.runtime, None)
    # Cases: a run to be entered again; a batch for a new run; one input that its run spared itself, or that had none.
    together = found.run is not None and found.reason is not AbandonReason.REJECTED
    if found.run is not None and together and found.outcome != FINISHED:
        run_records.forgive(tx, found.run)
        if found.run != record.run:
            run_records.reopen(tx, found.run)
        if change.version is not None:
            restarting.move(tx, record.kind, found.run, change.version)
        if change.fresh:
            restarting.want(tx, found.run, restarting.RESTART)
        rows = tx.all("dead_letters.requeue_batch", run=found.run, reason=found.reason, line=line, now=tx.now)
    elif together:
        rows = tx.all("dead_letters.requeue_batch_fresh", run=found.run, reason=found.reason, line=line, now=tx.now)
    else:
        rows = tx.all("dead_letters.requeue_one", input=found.input, line=line, now=tx.now)
    return Retried(runtime_id=change.runtime_id, input_ids=in_order(rows))


def _drop(tx: Transaction, change: DropDeadLetter) -> None:
    runtime = runtimes.load(tx, change.runtime_id).runtime
    if sends.drop(tx, runtime, change.input_id):
        return
    if tx.run("dead_letters.drop_doubt", runtime=runtime, run_id=change.input_id):
        return
    found = _find(tx, change.runtime_id, change.input_id, InputEvent.ABANDON)
    tx.write("dead_letters.drop_payload", input=found.input)
    tx.write("dead_letters.prune", input=found.input, now=tx.now)


# Reads


@final
@frozen(kw_only=True, slots=True)
class DeadLetter:
    """An abandoned input, or a send that was refused; kept until it is retried or dropped. Or a run in doubt, until then.

    Attributes:
        input_id: Which input; of a send, the input that it was to become; of a run in doubt, the id of the run.
        kind: What sort of message; None of a run in doubt.
        reason: Why it was abandoned; ``refused`` for a send; ``in_doubt`` for a run that ended, and abandoned nothing, after
            a step that must not be done twice was cut off when it had begun. There is nothing to retry then.
        error: The last error of a run over it, or why the send was refused, or None.
        attempts: How many runs over it failed.
        payload: Encoded.
        target: The receiver of a refused send; None for an input of the runtime itself.
        in_doubt: Steps of its run that are not to be done twice, had begun, and have no end: they may have run. Each with its
            name and place.
        correlation_id: What it was to answer, as it was accepted or sent with; None where nothing was said.
    """

    input_id: InputId
    kind: InputKind | None
    reason: str
    error: str | None
    attempts: int
    payload: bytes
    target: LogicalRuntimeId | None = None
    in_doubt: tuple[str, ...] = ()
    correlation_id: str | None = None


def of_runtime(
    statements: Statements, runtime_id: LogicalRuntimeId, after: InputId, count: int
) -> tuple[DeadLetter, ...]:
    """At most `count` dead letters whose id comes after `after`, by id. Raises `Corrupt`."""
    rows = statements.all("dead_letters.page", runtime_id=runtime_id, after=after, count=count)
    return tuple([_decode(statements, row) for row in rows])


_LETTER: Final = (
    *(str, str, str, OPTIONAL_TEXT, int, bytes, OPTIONAL_TEXT, bytes, int, OPTIONAL_INT),
    OPTIONAL_TEXT,
)


def _decode(statements: Statements, row: Row) -> DeadLetter:
    if row[2] == IN_DOUBT:
        check_row((row[0], row[9]), (str, int), "dead letter", row[0])
        in_doubt = _in_doubt(statements, row[9])
        return DeadLetter(
            input_id=row[0],
            kind=None,
            reason=IN_DOUBT,
            error=f"cut off after it had begun: {', '.join(in_doubt)}",
            attempts=0,
            payload=b"null",
            in_doubt=in_doubt,
        )
    check_row(row, _LETTER, "dead letter", row[0])
    input_id, kind, reason, error, attempts, payload, target, payload_digest, scheme, run, beside = row
    check_digest(digest(payload), payload_digest, scheme, "dead letter", input_id)
    return DeadLetter(
        input_id=input_id,
        kind=member(InputKind, kind, "dead letter", input_id),
        reason=reason,
        error=error,
        attempts=attempts,
        payload=payload,
        target=target,
        in_doubt=() if run is None else _in_doubt(statements, run),
        correlation_id=(
            origin_of(beside, input_id) if target is None else sends.terms_of(beside, input_id)
        ).correlation_id,
    )


def _in_doubt(statements: Statements, run: int) -> tuple[str, ...]:
    return tuple([f"{name} at {place}" for place, name in entries.doubtful(statements, run)])


FACET: Final = Facet(
    name="dead_letters",
    handlers={RetryDeadLetter: Handler(apply=_retry), DropDeadLetter: Handler(apply=_drop)},
)
