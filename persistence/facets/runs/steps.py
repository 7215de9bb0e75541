"""Steps: recorded pieces of work inside a run (design §7).

A step is known by its run, its name and how often the name was used before in the run. Its result is on disk before anyone
sees it; a step that must never run twice is on disk before it runs. A step that failed runs again when its run enters again,
until something stands on its error: from then on it is caught, and fails in the same way.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, final

from attrs import frozen

from tenure.errors import NotFound, PayloadTooLarge
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    OPTIONAL_BYTES,
    OPTIONAL_TEXT,
    check_row,
    member,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records import (
    run_records,
    runtimes,
)
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.values import (
    HeldReason,
    LogicalRuntimeId,
    RunId,
)

SLEEP: Final = "tenure.sleep"
"""Name of the steps that are durable sleeps."""


@final
class Repeat(StrEnum):
    """How a step may be repeated when nobody knows whether it ran. There is no default."""

    FREELY = "freely"
    KEYED = "keyed"
    NEVER = "never"


@final
class StepStatus(StrEnum):
    """How far a step has come."""

    DISPATCHED = "dispatched"
    IN_DOUBT = "in_doubt"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CAUGHT = "caught"


@final
@frozen(kw_only=True, slots=True)
class RecordStep(Change):
    """Record that a step is dispatched, or how it ended. Answer: None.

    Attributes:
        runtime_id: Whose run.
        run_id: The current run.
        name: Name of the step.
        ordinal: Which use of the name in the run, from 1.
        arguments_digest: SHA-256 of the encoded arguments.
        version: Version of the behaviour; shown, never compared.
        repeat: How it may be repeated.
        status: How far it has come.
        result: Encoded result of a step that succeeded, at most `Limits.payload_bytes`.
        error: What it raised, for people.
        started_at: Unix seconds.
        ended_at: Unix seconds; None while dispatched.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    name: str
    ordinal: int
    arguments_digest: bytes
    version: str
    repeat: Repeat
    status: StepStatus
    result: bytes | None = None
    error: str | None = None
    started_at: float
    ended_at: float | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.result or b"")


def _record(tx: Transaction, change: RecordStep) -> None:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    if change.result is not None:
        _check_size(tx, change.result)
    tx.run(
        "steps.record",
        run=run.run,
        name=change.name,
        ordinal=change.ordinal,
        arguments_digest=change.arguments_digest,
        version=change.version,
        repeat=change.repeat,
        status=change.status,
        result=change.result,
        error=change.error,
        result_digest=_seal(change.run_id, change.name, change.ordinal, change.result, change.error),
        started_at=change.started_at,
        ended_at=change.ended_at,
    )


def _seal(run_id: str, name: str, ordinal: int, result: bytes | None, error: str | None) -> bytes:
    """What a step came to, and which step of which run that was: a result in the place of another is found out too."""
    return seal(run_id, name, ordinal, result, error)


@final
@frozen(kw_only=True, slots=True)
class RecordedStep:
    """A step as it is stored; fields as in `RecordStep`."""

    name: str
    ordinal: int
    arguments_digest: bytes
    version: str
    repeat: Repeat
    status: StepStatus
    result: bytes | None
    error: str | None


def of_run(statements: Statements, run: int) -> list[RecordedStep]:
    """The steps of a run, in the order in which they were first recorded. Raises `Corrupt`."""
    return [_decode(row) for row in statements.all("steps.of_run", run=run)]


def _decode(row: Row) -> RecordedStep:
    key = f"{row[0]} #{row[1]}"
    check_row(row, (str, int, bytes, str, str, str, OPTIONAL_BYTES, OPTIONAL_TEXT, bytes, int, str), "step", key)
    name, ordinal, digest, version, repeat, status, result, error, result_digest, scheme, run_id = row
    check_digest(_seal(run_id, name, ordinal, result, error), result_digest, scheme, "step", key)
    return RecordedStep(
        name=name,
        ordinal=ordinal,
        arguments_digest=digest,
        version=version,
        repeat=member(Repeat, repeat, "step", key),
        status=member(StepStatus, status, "step", key),
        result=result,
        error=error,
    )


@final
@frozen(kw_only=True, slots=True)
class CatchStep(Change):
    """Say that the current run has caught the error of a step: it stands in the commit of whatever the run records behind it.

    From then on the step does not run again, and raises the same. Answer: None.

    Attributes:
        runtime_id: Whose.
        run_id: The current run.
        name: Name of the step.
        ordinal: Which use of the name in the run.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    name: str
    ordinal: int


def _catch(tx: Transaction, change: CatchStep) -> None:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    tx.run("steps.catch", run=run.run, name=change.name, ordinal=change.ordinal)


@final
@frozen(kw_only=True, slots=True)
class DoubtStep(Change):
    """Say that a dispatched step of the current run may have run: its runtime is held for it in the same commit.

    Answer: None. Refused with `NotFound` where no such step is dispatched.

    Attributes:
        runtime_id: Whose.
        run_id: The current run.
        name: Name of the step.
        ordinal: Which use of the name in the run.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    name: str
    ordinal: int


def _doubt(tx: Transaction, change: DoubtStep) -> None:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    if not tx.run("steps.doubt", run=run.run, name=change.name, ordinal=change.ordinal):
        raise _not_in_doubt(change.name, change.ordinal)


@final
@frozen(kw_only=True, slots=True)
class SettleStep(Change):
    """Say what became of a step in doubt. Answer: None. Refused with `NotFound` where there is none.

    Two may say so. The run that has entered again, before it goes on. And a person, for the very step for which the runtime
    is held: otherwise the step may be executed at this moment, and must not be forgotten.

    Attributes:
        runtime_id: Whose.
        run_id: The run that says so itself, which must be the current one; None where a person does.
        name: Name of the step.
        ordinal: Which use of the name in its current run.
        ran: Whether it ran; if it did not, it will be dispatched again.
        result: Encoded result, where it ran, at most `Limits.payload_bytes`.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId | None = None
    name: str
    ordinal: int
    ran: bool
    result: bytes = b"null"

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.result)


def _settle(tx: Transaction, change: SettleStep) -> None:
    _check_size(tx, change.result)
    record = runtimes.load(tx, change.runtime_id)
    run = None if record.run is None else run_records.load(tx, record.run)
    if change.run_id is not None:
        run_records.current(tx, change.runtime_id, change.run_id)
    elif record.held != HeldReason.NEEDS_ATTENTION:
        raise _not_in_doubt(change.name, change.ordinal)
    which = {"run": record.run, "name": change.name, "ordinal": change.ordinal}
    own = {"or_status": StepStatus.IN_DOUBT if change.run_id is None else StepStatus.DISPATCHED}
    if run is None:
        raise _not_in_doubt(change.name, change.ordinal)
    if change.ran:
        sealed = _seal(run.run_id, change.name, change.ordinal, change.result, None)
        settled = tx.run("steps.settle", result=change.result, result_digest=sealed, now=tx.now, **which, **own)
    else:
        settled = tx.run("steps.forget", **which, **own)
    if not settled:
        raise _not_in_doubt(change.name, change.ordinal)


def _not_in_doubt(name: str, ordinal: int) -> NotFound:
    return NotFound(what="step in doubt", key=f"{name} #{ordinal}")


def _check_size(tx: Transaction, result: bytes) -> None:
    if len(result) > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=len(result), limit=tx.limits.payload_bytes)


FACET: Final = Facet(
    name="steps",
    handlers={
        RecordStep: Handler(apply=_record),
        CatchStep: Handler(apply=_catch),
        DoubtStep: Handler(apply=_doubt),
        SettleStep: Handler(apply=_settle),
    },
)
