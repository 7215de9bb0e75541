"""Results: what came of inputs, stored by the commit that ends them (design §20, "Result").

What a behaviour returns is stored once, for all that its run consumes with its end; one member of a batch may have its own
result. A result is read with the outcome of its input, from any host, as long as its run is not pruned.
"""

from __future__ import annotations

from typing import Final, final

from attrs import field, frozen

from tenure.errors import NotFound, PayloadTooLarge
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import Types, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.inbox import batches
from tenure.persistence.facets.records import run_records
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.values import InputId, InputPhase, LogicalRuntimeId, RunId

RECORD: Final = "result"

OF_ALL: Final = 0
"""In place of the key of an input: the result of all that its run consumed at that boundary."""


@final
@frozen(kw_only=True, slots=True)
class StoreResult(Change):
    """Store what the behaviour of the current run returned. Stands between its last receipt and its `FinishRun`.

    Answer: None.

    Attributes:
        runtime_id: Whose.
        run_id: The current run.
        result: Encoded; at most `Limits.payload_bytes`.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    result: bytes = field(repr=False)

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.result)


@final
@frozen(kw_only=True, slots=True)
class AnswerInput(Change):
    """Consume one member of the current run's batch, with this result. Stands after the receipt of its boundary.

    Answer: `InputEnded`. Refused with `NotFound` where the run has no such unfinished input.

    Attributes:
        runtime_id: Whose.
        run_id: The current run.
        input_id: Which member.
        result: Encoded; at most `Limits.payload_bytes`.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    input_id: InputId
    result: bytes = field(repr=False)

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.result)


def _check(tx: Transaction, change: StoreResult | AnswerInput) -> None:
    limit = tx.limits.payload_bytes
    if len(change.result) > limit:
        raise PayloadTooLarge(size=len(change.result), limit=limit)


def _store(tx: Transaction, change: StoreResult) -> None:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    _insert(tx, run, OF_ALL, change.result)


def _answer(tx: Transaction, change: AnswerInput) -> batches.InputEnded:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    row = tx.one("results.member", run=run.run, input_id=change.input_id)
    if row is None or not batches.consume_one(tx, run.run, run.boundaries, change.input_id):
        raise NotFound(what="input of this run", key=change.input_id)
    check_row(row, (int,), "input", change.input_id)
    _insert(tx, run, row[0], change.result)
    return batches.InputEnded(input_id=change.input_id, phase=InputPhase.CONSUMED, result=change.result)


def _insert(tx: Transaction, run: run_records.RunRecord, input_key: int, result: bytes) -> None:
    where = {"run": run.run, "boundary": run.boundaries, "input": input_key}
    tx.insert("results.insert", result=result, digest=seal(*where.values(), result), **where)


_ROW: Final[Types] = (int, int, int, bytes, bytes, int)


def read_result(row: Row) -> bytes:
    """A result as it is stored. Raises `Corrupt`."""
    key = f"of run {row[0]}"
    check_row(row, _ROW, RECORD, key)
    run, boundary, input_key, result, digest, scheme = row
    check_digest(seal(run, boundary, input_key, result), digest, scheme, RECORD, key)
    found: bytes = result
    return found


def find(statements: Statements, runtime_id: LogicalRuntimeId, input_id: InputId) -> bytes | None:
    """The result of an input: its own, else that of its run; None where it has none. Raises `Corrupt`."""
    row = statements.one("results.of_input", runtime_id=runtime_id, input_id=input_id)
    return None if row is None else read_result(row)


def of_run(statements: Statements, run: int) -> list[bytes]:
    """Every result of a run. Raises `Corrupt`."""
    return [read_result(row) for row in statements.all("results.of_run", run=run)]


FACET: Final = Facet(
    name="results",
    handlers={
        StoreResult: Handler(apply=_store, check=_check),
        AnswerInput: Handler(apply=_answer, check=_check),
    },
)
