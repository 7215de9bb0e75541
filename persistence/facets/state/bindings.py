"""Which runtime an execution is bound to, whose fence then guards its snapshot and its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Handler
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.journal.streams import check_bound
from tenure.persistence.facets.records import runtimes
from tenure.persistence.model.contracts.execution import ExecutionId, executions_of, ranges_of
from tenure.persistence.model.values import LogicalRuntimeId

NONE_BOUND: Final = "no execution is bound"
"""The kind, and the key, of the record that says so. `BindExecution` alone ends it: it drops the record in its commit."""


@final
@frozen(kw_only=True, slots=True)
class BindExecution(Change):
    """Bind an execution to a runtime, whose fence guards its snapshot and its keys from then on. Answer: None."""

    execution_id: ExecutionId
    runtime_id: LogicalRuntimeId


def check_execution(tx: Transaction, execution_id: str, fence: int | None) -> None:
    """Raises `StaleFence`, `RuntimeDestroyed`, `InvalidInput` where a token may not write an execution."""
    row = tx.one("state.binding", execution_id=execution_id)
    check_bound(tx, "execution", _runtime_of(row, execution_id), fence)


def check_key(tx: Transaction, key: str, fence: int | None) -> None:
    """The same for a key, of whichever execution it is."""
    for execution_id in executions_of(key):
        row = tx.one("state.binding", execution_id=execution_id)
        if row is not None:
            check_bound(tx, "execution", _runtime_of(row, execution_id), fence)
            return
    check_bound(tx, "key", None, fence)


def check_below(tx: Transaction, execution_id: ExecutionId, fence: int | None) -> None:
    """The same for every execution whose id begins with this one's and a colon: ids may hold colons."""
    first, behind = ranges_of(execution_id)[0]
    for bound_id, runtime_id in tx.all("state.bindings_between", first=first, behind=behind):
        check_row((bound_id, runtime_id), (str, str), "execution binding", bound_id)
        check_bound(tx, "execution", runtime_id, fence)


def is_any_bound(tx: Transaction) -> bool:
    """Whether any execution is bound to a runtime, as this commit has it cached."""
    return tx.record(NONE_BOUND, NONE_BOUND, find_none_bound) is None


def find_none_bound(statements: Statements, _key: str) -> bool | None:
    """True where no execution is bound; None where one is, so that it is asked for again."""
    return True if statements.one("state.any_binding") is None else None


def _runtime_of(row: tuple[object, ...] | None, execution_id: str) -> str | None:
    if row is None:
        return None
    check_row(row, (str,), "execution binding", execution_id)
    return str(row[0])


def _bind(tx: Transaction, change: BindExecution) -> None:
    runtime = runtimes.load(tx, change.runtime_id)
    row = tx.one("state.binding", execution_id=change.execution_id)
    if row is None:
        tx.drop(NONE_BOUND, NONE_BOUND)
        tx.insert("state.bind", execution_id=change.execution_id, runtime=runtime.runtime)
    elif row[0] != change.runtime_id:
        raise InvalidInput(detail="the execution is bound to another runtime", field="execution_id")


HANDLERS: Final[Mapping[type[Change], Handler]] = {BindExecution: Handler(apply=_bind)}
