"""Execution state (design §13): snapshots of executions, beside their working memory and what they are bound to."""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.contracts.execution import (
    EncodedSnapshot,
    ExecutionId,
    ExecutionSnapshot,
    TenantId,
    decode_execution,
    ranges_of,
)
from tenure.persistence.model.digests import check_digest, seal

from . import bindings, values
from .bindings import check_below, check_execution


@final
@frozen(kw_only=True, slots=True)
class SaveExecution(Change):
    """Keep a snapshot of an execution, unless a newer one is kept. Answer: whether it was kept."""

    snapshot: EncodedSnapshot
    fence: int | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.snapshot.data)


@final
@frozen(kw_only=True, slots=True)
class DeleteExecution(Change):
    """Forget an execution's snapshot, and where it says so the keys of its ranges. Answer: how many keys went."""

    execution_id: ExecutionId
    keys: bool
    fence: int | None = None


def _check_save(tx: Transaction, change: SaveExecution) -> None:
    check_execution(tx, change.snapshot.execution_id, change.fence)


def _save(tx: Transaction, change: SaveExecution) -> bool:
    snapshot = change.snapshot
    row = tx.one("state.snapshot", execution_id=snapshot.execution_id)
    if row is not None:
        check_row(row, (int, str, int, bytes, bytes, int), "execution snapshot", snapshot.execution_id)
        if row[1] != snapshot.tenant_id:
            raise InvalidInput(detail="the execution is another tenant's", field="tenant_id")
        if row[2] > snapshot.sequence:
            return False
        tx.write("state.delete_snapshot", execution_id=snapshot.execution_id)
    # Under a new key, so that the newest stands last.
    tx.insert(
        "state.save_snapshot",
        execution_id=snapshot.execution_id,
        tenant_id=snapshot.tenant_id,
        sequence=snapshot.sequence,
        snapshot=snapshot.data,
        digest=_snapshot_digest(snapshot.execution_id, snapshot.tenant_id, snapshot.sequence, snapshot.data),
        now=tx.now,
    )
    return True


def _snapshot_digest(execution_id: str, tenant_id: str, sequence: int, data: bytes) -> bytes:
    return seal(execution_id, tenant_id, sequence, data)


def _check_delete_execution(tx: Transaction, change: DeleteExecution) -> None:
    check_execution(tx, change.execution_id, change.fence)
    if change.keys:
        check_below(tx, change.execution_id, change.fence)


def _delete_execution(tx: Transaction, change: DeleteExecution) -> int:
    tx.write("state.delete_snapshot", execution_id=change.execution_id)
    if not change.keys:
        return 0
    ranges = ranges_of(change.execution_id)
    return sum([tx.run("state.delete_between", first=first, behind=behind) for first, behind in ranges])


# Reads


def find_execution(statements: Statements, execution_id: str) -> ExecutionSnapshot | None:
    """The snapshot of an execution, or None. Raises `Corrupt`."""
    row = statements.one("state.snapshot", execution_id=execution_id)
    if row is None:
        return None
    check_row(row, (int, str, int, bytes, bytes, int), "execution snapshot", execution_id)
    _, tenant_id, sequence, data, digest, scheme = row
    computed = _snapshot_digest(execution_id, tenant_id, sequence, data)
    check_digest(computed, digest, scheme, "execution snapshot", execution_id)
    return decode_execution(data, execution_id)


def list_executions(statements: Statements, tenant_id: TenantId, limit: int) -> list[ExecutionId]:
    """The executions of a tenant that have a snapshot, the one that was saved last first."""
    rows = statements.all("state.of_tenant", tenant_id=tenant_id, count=limit)
    for row in rows:
        check_row(row, (str,), "execution snapshot", tenant_id)
    return [ExecutionId(row[0]) for row in rows]


FACET: Final = Facet(
    name="state",
    handlers={
        SaveExecution: Handler(apply=_save, check=_check_save),
        DeleteExecution: Handler(apply=_delete_execution, check=_check_delete_execution),
        **values.HANDLERS,
        **bindings.HANDLERS,
    },
)
