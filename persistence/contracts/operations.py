"""`store.operations`: the stored snapshot of a runtime's operations."""

from __future__ import annotations

from typing import final

from tenure.persistence.commits.commit import (
    Change,
    Commit,
)
from tenure.persistence.facets import operations
from tenure.persistence.facets.operations import DeleteOperations, PersistOperations
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.contracts.operations import (
    PersistedOpsSnapshot,
    encode_ops,
)
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    check_runtime_id,
)

from .access import Access


@final
@checked
class OperationsContract:
    """The verbs of `store.operations`. `OperationRegistry` keeps one snapshot live over them."""

    def __init__(self, store: Access) -> None:
        """Bind to an open store."""
        self._store = store

    async def persist_ops_lifecycle(
        self, runtime_id: LogicalRuntimeId | str, snapshot: PersistedOpsSnapshot, *, fence: int | None = None
    ) -> None:
        """Write the snapshot; it is on disk when this returns. Raises `StaleFence`, `RuntimeDestroyed`."""
        target = check_runtime_id(runtime_id)
        change = PersistOperations(runtime_id=target, epoch=snapshot.epoch_id, snapshot=encode_ops(snapshot))
        await self._write(target, fence, change)

    async def load_ops_lifecycle(self, runtime_id: LogicalRuntimeId | str) -> PersistedOpsSnapshot | None:
        """The snapshot, or None. Raises `Corrupt` or `SchemaMismatch`: a new one is never made up in its place."""
        target = check_runtime_id(runtime_id)
        return await self._store.read(lambda statements: operations.find(statements, target))

    async def delete_ops_lifecycle(self, runtime_id: LogicalRuntimeId | str, *, fence: int | None = None) -> None:
        """Forget the snapshot, if there is one."""
        target = check_runtime_id(runtime_id)
        await self._write(target, fence, DeleteOperations(runtime_id=target))

    async def _write(self, runtime_id: LogicalRuntimeId, fence: int | None, change: Change) -> None:
        await self._store.commit(Commit(runtime_id=runtime_id, fence_token=fence, changes=(change,)))
