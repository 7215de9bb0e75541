"""Execution state: snapshots of executions and their working memory (design §13).

Time is the store's wall clock, and never earlier than the stored high-water mark: whatever was judged expired stays so, even
where the clock is set back. A reader that finds an expired value has it deleted before it answers that there is none.
"""

from __future__ import annotations

from typing import Final, final

from attrs import field, frozen

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import NUMBER, OPTIONAL_NUMBER, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.journal.streams import check_bound
from tenure.persistence.facets.records import runtimes
from tenure.persistence.model.contracts.execution import (
    EncodedSnapshot,
    ExecutionId,
    ExecutionSnapshot,
    TenantId,
    decode_execution,
    executions_of,
    ranges_of,
)
from tenure.persistence.model.digests import SHA_256, check_digest, seal
from tenure.persistence.model.values import LogicalRuntimeId

SWEPT_WITH_A_SET: Final = 8
"""Expired values that each set with a time to live takes along, so that what expires does not pile up."""


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


@final
@frozen(kw_only=True, slots=True)
class SetValue(Change):
    """Store a value under a key. Answer: None.

    Attributes:
        key: Which key.
        value: The bytes.
        ttl_s: Seconds until it expires; None for never, also where the value before it would have expired.
        fence: The token of the runtime that its execution is bound to.
    """

    key: str
    value: bytes = field(repr=False)
    ttl_s: float | None = None
    fence: int | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.value)


@final
@frozen(kw_only=True, slots=True)
class DeleteValue(Change):
    """Delete a key, if it is there. Answer: None."""

    key: str
    fence: int | None = None


@final
@frozen(kw_only=True, slots=True)
class ExpireValue(Change):
    """A reader saw at `seen` that a value has expired: raise the mark, and delete it. Answer: None."""

    ingress = True  # it takes only what no read finds any more

    key: str
    seen: float


@final
@frozen(kw_only=True, slots=True)
class SweepExpired(Change):
    """Delete at most `count` expired values. Answer: how many went."""

    ingress = True  # as above

    count: int


@final
@frozen(kw_only=True, slots=True)
class BindExecution(Change):
    """Bind an execution to a runtime, whose fence guards its snapshot and its keys from then on. Answer: None."""

    execution_id: ExecutionId
    runtime_id: LogicalRuntimeId


def _check_execution(tx: Transaction, execution_id: str, fence: int | None) -> None:
    row = tx.one("state.binding", execution_id=execution_id)
    check_bound(tx, "execution", _runtime_of(row, execution_id), fence)


def _check_key(tx: Transaction, key: str, fence: int | None) -> None:
    if tx.one("state.any_binding") is not None:
        for execution_id in executions_of(key):
            row = tx.one("state.binding", execution_id=execution_id)
            if row is not None:
                check_bound(tx, "execution", _runtime_of(row, execution_id), fence)
                return
    check_bound(tx, "key", None, fence)


def _runtime_of(row: tuple[object, ...] | None, execution_id: str) -> str | None:
    if row is None:
        return None
    check_row(row, (str,), "execution binding", execution_id)
    return str(row[0])


def _check_save(tx: Transaction, change: SaveExecution) -> None:
    _check_execution(tx, change.snapshot.execution_id, change.fence)


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
    _check_execution(tx, change.execution_id, change.fence)
    if change.keys:  # ids may hold colons: an execution below this one may be bound too
        first, behind = ranges_of(change.execution_id)[0]
        for execution_id, runtime_id in tx.all("state.bindings_between", first=first, behind=behind):
            check_row((execution_id, runtime_id), (str, str), "execution binding", execution_id)
            check_bound(tx, "execution", runtime_id, change.fence)


def _delete_execution(tx: Transaction, change: DeleteExecution) -> int:
    tx.write("state.delete_snapshot", execution_id=change.execution_id)
    if not change.keys:
        return 0
    ranges = ranges_of(change.execution_id)
    return sum([tx.run("state.delete_between", first=first, behind=behind) for first, behind in ranges])


def _check_set(tx: Transaction, change: SetValue) -> None:
    _check_key(tx, change.key, change.fence)


def _set(tx: Transaction, change: SetValue) -> None:
    deadline = None
    if change.ttl_s is not None:
        now = raise_mark(tx, tx.now)
        deadline = now + change.ttl_s
        _sweep_expired(tx, now, SWEPT_WITH_A_SET)
    digest = _value_digest(change.key, change.value, deadline)
    row = tx.one("state.entry", value_key=change.key)
    if row is None:
        tx.insert(
            "state.insert", value_key=change.key, value=change.value, deadline=deadline, digest=digest, now=tx.now
        )
    else:
        tx.write(
            "state.update",
            entry=row[0],
            value=change.value,
            deadline=deadline,
            digest=digest,
            scheme=SHA_256,
            now=tx.now,
        )


def _value_digest(key: str, value: bytes, deadline: float | None) -> bytes:
    return seal(key, deadline, value)


def _check_delete(tx: Transaction, change: DeleteValue) -> None:
    _check_key(tx, change.key, change.fence)


def _delete(tx: Transaction, change: DeleteValue) -> None:
    tx.write("state.delete", value_key=change.key)


def _expire(tx: Transaction, change: ExpireValue) -> None:
    now = raise_mark(tx, change.seen)
    tx.write("state.delete_expired", value_key=change.key, now=now)


def _sweep(tx: Transaction, change: SweepExpired) -> int:
    return _sweep_expired(tx, raise_mark(tx, tx.now), change.count)


def _sweep_expired(tx: Transaction, now: float, count: int) -> int:
    entries = tx.all("state.expired", now=now, count=count)
    return sum([tx.run("state.delete_entry", entry=entry) for (entry,) in entries])


def raise_mark(tx: Transaction, seen: float) -> float:
    """The time that values are judged by: the mark, raised to what was seen."""
    mark = high_water(tx)
    now = float(max(tx.now, seen))
    if mark is None:
        tx.write("state.begin_clock", now=now, digest=seal(now))
    elif mark < now:
        tx.write("state.raise_mark", now=now, digest=seal(now), scheme=SHA_256)
    return now if mark is None else max(mark, now)


def _bind(tx: Transaction, change: BindExecution) -> None:
    runtime = runtimes.load(tx, change.runtime_id)
    row = tx.one("state.binding", execution_id=change.execution_id)
    if row is None:
        tx.insert("state.bind", execution_id=change.execution_id, runtime=runtime.runtime)
    elif row[0] != change.runtime_id:
        raise InvalidInput(detail="the execution is bound to another runtime", field="execution_id")


# Reads


@final
@frozen(kw_only=True, slots=True)
class FoundValue:
    """A value as it is stored.

    Attributes:
        value: The bytes.
        deadline: When it expires, unix seconds; None for never.
        mark: The high-water mark; 0 before there is one.
    """

    value: bytes = field(repr=False)
    deadline: float | None
    mark: float

    def expired(self, now: float) -> bool:
        """Whether it has expired when the wall clock shows `now`."""
        return self.deadline is not None and (now >= self.deadline or self.mark >= self.deadline)


def high_water(statements: Statements) -> float | None:
    """The highest time that a value was judged by, or None. Raises `Corrupt`."""
    row = statements.one("state.clock")
    if row is None:
        return None
    check_row(row, (NUMBER, bytes, int), "state clock", "high_water")
    mark = float(row[0])
    check_digest(seal(mark), row[1], row[2], "state clock", "high_water")  # moved on, it would take every value along
    return mark


def any_expired(statements: Statements, now: float) -> bool:
    """Whether a value has expired when the wall clock shows `now`."""
    mark = high_water(statements) or now
    return bool(statements.all("state.expired", now=max(mark, now), count=1))


def find_value(statements: Statements, key: str) -> FoundValue | None:
    """The value under a key, expired or not, or None. Raises `Corrupt`."""
    row = statements.one("state.value", value_key=key)
    if row is None:
        return None
    check_row(row, (bytes, OPTIONAL_NUMBER, bytes, int), "state value", key)
    value, deadline, digest, scheme = row
    check_digest(_value_digest(key, value, deadline), digest, scheme, "state value", key)
    mark = high_water(statements) or 0.0
    return FoundValue(value=value, deadline=deadline, mark=mark)


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
        SetValue: Handler(apply=_set, check=_check_set),
        DeleteValue: Handler(apply=_delete, check=_check_delete),
        ExpireValue: Handler(apply=_expire),
        SweepExpired: Handler(apply=_sweep),
        BindExecution: Handler(apply=_bind),
    },
)
