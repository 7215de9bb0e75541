"""The record of a run: what must be known before anything of it is written.

Changed by several facets within one commit, like the record of a runtime; the statements are those of the facet `runs`.
"""

from __future__ import annotations

from typing import Final, final

from attrs import define

from tenure.errors import Corrupt, InvalidTransition
from tenure.persistence.commits.rows import (
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    Types,
    check_row,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RunId,
    RuntimeState,
)

from . import became, runtimes, spoken

RECORD: Final = runtimes.RUN


@final
@define(slots=True)
class RunRecord:
    """One row of ``runs``, in the order of ``runs.load``.

    `error` is that of the last attempt that failed, and is kept until the run ends well.
    `ways`: how a person has said that it goes on, in words (`restarting`).
    `version`: see `RunVersion`.
    `said`: the first chunk of output that it has written, or None.
    `boundaries` is not a column: it is the sequence of the run's last receipt.
    `children`: how many runtimes end with it; written by the facet `children`.
    `follows`: 1 where it follows an abandoned batch.
    """

    run: int
    run_id: RunId
    attempts: int
    base: int | None
    base_count: int
    boundaries: int
    retry_at: float | None
    error: str | None = None
    ways: str = ""
    version: str = ""
    children: int = 0
    said: int | None = None
    follows: int = 0


def load(tx: Transaction, run: int) -> RunRecord:
    """The record that this commit has cached."""
    return tx.record(RECORD, run, find)


def find(statements: Statements, run: int) -> RunRecord:
    """The record as it is stored. Raises `Corrupt`."""
    row = statements.one("runs.load", run=run)
    if row is None:
        raise Corrupt(record=RECORD, key=str(run), detail="a runtime names a run that has no row")
    return _decode(row)


def _decode(row: Row) -> RunRecord:
    check_row(row, _TYPES, RECORD, row[0])
    return RunRecord(*row)


_TYPES: Final[Types] = (
    int,
    str,
    int,
    OPTIONAL_INT,
    int,
    int,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    str,
    str,
    int,
    OPTIONAL_INT,
    int,
)


def find_by_id(tx: Transaction, runtime: int, run_id: RunId) -> RunRecord | None:
    """A run by its id, as this commit has it cached; None where nothing was ever written of it."""
    row = tx.one("runs.by_id", run_id=run_id, runtime=runtime)
    return None if row is None else tx.record(RECORD, row[0], lambda _, __: _decode(row))


def open_by_id(tx: Transaction, runtime: int, run_id: RunId) -> RunRecord:
    """A run by its id, made where a contract verb is the first to speak of it."""
    found = find_by_id(tx, runtime, run_id)
    if found is not None:
        return found
    return load(tx, tx.insert("runs.insert", run_id=run_id, runtime=runtime, now=tx.now))


def begin(tx: Transaction, runtime: int, run_id: RunId, base: int | None, base_count: int, version: str) -> RunRecord:
    """A new run over a conversation that has this head now."""
    run = tx.insert(
        "runs.begin", run_id=run_id, runtime=runtime, base=base, base_count=base_count, now=tx.now, version=version
    )
    return tx.record(RECORD, run, lambda _, __: RunRecord(run, run_id, 0, base, base_count, 0, None, version=version))


def mark_following(tx: Transaction, run: int) -> None:
    """Say of a run that it follows an abandoned batch."""
    tx.write("runs.mark_following", run=run)
    tx.drop(RECORD, run)


def delete(tx: Transaction, record: RunRecord) -> None:
    """Take away a run that never began. Its key may come again."""
    tx.write("runs.delete", run=record.run)
    tx.drop(RECORD, record.run)


def reopen(tx: Transaction, run: int) -> None:
    """Let a run that has ended, or was left, be entered again when it is the runtime's turn."""
    tx.write("runs.reopen", run=run, now=tx.now)
    tx.drop(RECORD, run)


def forgive(tx: Transaction, run: int) -> None:
    """Forget the failed attempts of a run."""
    tx.write("runs.forgive", run=run)
    tx.drop(RECORD, run)


def save(tx: Transaction, record: RunRecord) -> None:
    """Write the record at the end of this commit."""

    def write() -> None:
        tx.write(
            "runs.update",
            run=record.run,
            attempts=record.attempts,
            retry_at=record.retry_at,
            error=record.error,
            ways=record.ways,
            version=record.version,
        )

    tx.write_later(RECORD, record.run, write)


def current(tx: Transaction, runtime_id: LogicalRuntimeId, run_id: RunId) -> RunRecord:
    """The run that one of its changes names; it must be the runtime's current one.

    Raises:
        InvalidTransition: The run has ended, or another one has begun, or the runtime was stopped or destroyed meanwhile.
    """
    record = runtimes.load(tx, runtime_id)
    if record.run is not None and record.state not in (RuntimeState.STOPPED, RuntimeState.DESTROYED):
        run = load(tx, record.run)
        if run.run_id == run_id:
            return run
    raise InvalidTransition(runtime_id=runtime_id, state=record.state, event=f"write of run {run_id}, which has ended")


def end(
    tx: Transaction,
    of: runtimes.RuntimeRecord,
    run: int,
    outcome: str,
    error: str | None = None,
    *,
    in_doubt: bool = False,
) -> None:
    """End a run; it stays as the proof of what it did, `in_doubt` as a dead letter too, and is cached no longer."""
    record = load(tx, run)
    record.error = error or record.error
    if record.children:
        tx.ended.append(("run", run))
    if record.said is not None:
        spoken.end(tx, run, outcome)
    became.run_is(tx, of, record.run_id, "ended", outcome=outcome)

    def write() -> None:
        tx.write(
            "runs.end",
            run=run,
            attempts=record.attempts,
            error=record.error,
            outcome=outcome,
            now=tx.now,
            version=record.version,
            in_doubt=int(in_doubt),
        )
        tx.drop(RECORD, run)

    tx.write_later(RECORD, run, write)
