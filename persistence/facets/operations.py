"""Operations: the stored snapshot of a runtime's registry (design §14)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, final

from attrs import field, frozen

from tenure.errors import ReadFailed
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import Problem, Subject, failing
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.contracts.operations import (
    OPS_RECORD_VERSION,
    PersistedOpsSnapshot,
    decode_ops,
)
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.values import LogicalRuntimeId

from .records import runtimes


@final
@frozen(kw_only=True, slots=True)
class PersistOperations(Change):
    """Write the snapshot of a runtime's registry. Answer: None.

    Attributes:
        runtime_id: Whose.
        epoch: Its registration.
        snapshot: Encoded by `encode_ops`.
    """

    may_create = True

    runtime_id: LogicalRuntimeId
    epoch: str
    snapshot: bytes = field(repr=False)

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.snapshot)


@final
@frozen(kw_only=True, slots=True)
class DeleteOperations(Change):
    """Forget the snapshot of a runtime's registry, if there is one. Answer: None."""

    may_create = True

    runtime_id: LogicalRuntimeId


def _persist(tx: Transaction, change: PersistOperations) -> None:
    record = runtimes.load_or_create(tx, change.runtime_id)
    tx.write(
        "operations.save",
        runtime=record.runtime,
        record_version=OPS_RECORD_VERSION,
        epoch=change.epoch,
        snapshot=change.snapshot,
        digest=seal(change.runtime_id, change.epoch, change.snapshot),
        now=tx.now,
    )


def _delete(tx: Transaction, change: DeleteOperations) -> None:
    record = runtimes.find_cached(tx, change.runtime_id)
    if record is not None:
        tx.write("operations.delete", runtime=record.runtime)


def find(statements: Statements, runtime_id: LogicalRuntimeId) -> PersistedOpsSnapshot | None:
    """The stored snapshot, or None. Raises `Corrupt` or `SchemaMismatch` where it cannot be given."""
    row = statements.one("operations.load", runtime_id=runtime_id)
    if row is None:
        return None
    version, snapshot, epoch, digest, scheme = row
    found = decode_ops(snapshot, version, runtime_id)
    check_digest(seal(runtime_id, epoch, snapshot), digest, scheme, "operations", runtime_id)
    return found


def _check(statements: Statements, subject: Subject) -> Iterator[Problem]:
    yield from failing("operations", subject.runtime_id, partial(find, statements, subject.runtime_id))


def _show(statements: Statements, subject: Subject) -> dict[str, str] | None:
    """The status of each operation by its id; None where there are none."""
    try:
        found = find(statements, subject.runtime_id)
    except ReadFailed as exc:
        return {"error": str(exc)}
    return None if found is None else {each.operation_id: each.status for each in found.operations}


FACET: Final = Facet(
    name="operations",
    handlers={PersistOperations: Handler(apply=_persist), DeleteOperations: Handler(apply=_delete)},
    verify_runtime=_check,
    show={"operations": _show},
)
