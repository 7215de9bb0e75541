"""The record of a runtime: what must be known before anything of it is written.

Its fence, its state, its current run, the head of its receipt chain: one row, loaded by nearly every commit. Other facets
change the record; this one has no changes.
"""

from __future__ import annotations

from typing import Final, final

from attrs import define

from tenure.errors import Corrupt, NotFound, RuntimeDestroyed, SchemaMismatch
from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.rows import (
    OPTIONAL_INT,
    OPTIONAL_TEXT,
    Types,
    check_row,
)
from tenure.persistence.commits.transaction import RUNTIME, Place, Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.lifecycles.lifecycle_record import LIFECYCLE_RECORD_VERSION
from tenure.persistence.model.values import (
    HeldReason,
    LogicalRuntimeId,
    RuntimeState,
)

RECORD: Final = RUNTIME

RUN: Final = "run"
"""The kind of the records of runs; that of a runtime's current run holds as long as the runtime's own."""

SESSION: Final = "session"
"""The kind of the records of conversations; that of a runtime holds as long as the runtime's own."""

CHAIN_START: Final = bytes(32)
"""Head of a receipt chain that has no link yet."""

NO_LIFECYCLE_RECORD: Final = 0
"""Record version of a runtime of which only inputs, receipts or snapshots were written."""

_VERSIONS: Final = (LIFECYCLE_RECORD_VERSION, NO_LIFECYCLE_RECORD)


@final
@define(slots=True)
class RuntimeRecord:
    """One row of ``runtimes``, in the order of ``runtimes.load``."""

    runtime: int
    runtime_id: LogicalRuntimeId
    kind: str | None
    state: RuntimeState
    generation: int
    fence_token: int
    epoch: str | None
    owner: int | None
    held: str | None
    held_detail: str | None
    session: int | None
    run: int | None
    crashes: int
    failures: str
    boundaries: int
    chain: bytes
    record_version: int
    asked: int = 0
    aside: int = 0
    events: int = 0

    @property
    def guards(self) -> tuple[Place, ...]:
        """See `Guarding`."""
        return ((RUN, self.run), (SESSION, self.session))


def find(statements: Statements, runtime_id: LogicalRuntimeId) -> RuntimeRecord | None:
    """The record as it is stored, or None.

    Raises `Corrupt`, or `SchemaMismatch` for one of another version: a bad row blocks its own runtime and no other.
    """
    row = statements.one("runtimes.load", runtime_id=runtime_id)
    return None if row is None else _record(row)


def _record(row: Row) -> RuntimeRecord:
    check_row(row, _TYPES, "runtime", row[1])
    record = RuntimeRecord(*row)
    try:
        record.state = RuntimeState(record.state)
    except ValueError as exc:
        raise Corrupt(record="runtime", key=record.runtime_id, detail="its state is none") from exc
    if record.record_version not in _VERSIONS:
        what, version = f"the record of runtime {record.runtime_id!r}", str(record.record_version)
        raise SchemaMismatch(what=what, expected=LIFECYCLE_RECORD_VERSION, actual=version)
    return record


_TYPES: Final[Types] = (
    int,
    str,
    OPTIONAL_TEXT,
    str,
    int,
    int,
    OPTIONAL_TEXT,
    OPTIONAL_INT,
    OPTIONAL_TEXT,
    OPTIONAL_TEXT,
    OPTIONAL_INT,
    OPTIONAL_INT,
    int,
    str,
    int,
    bytes,
    int,
    int,
    int,
    int,
)


def load(tx: Transaction, runtime_id: LogicalRuntimeId, advice: str = "check the id") -> RuntimeRecord:
    """The record that this commit has cached. Raises `NotFound`, with this advice."""
    record = tx.record(RECORD, runtime_id, find)
    if record is None:
        raise NotFound(what="runtime", key=runtime_id, advice=advice)
    if record.asked:
        tx.asked.add(runtime_id)
    return record


def save(tx: Transaction, record: RuntimeRecord) -> None:
    """Write the record at the end of this commit."""
    tx.write_later(RECORD, record.runtime_id, lambda: _update(tx, record))


def save_progress(tx: Transaction, record: RuntimeRecord) -> None:
    """Write what every run moves (current run, crashes, chain) at the end of this commit. No index has any of it."""
    tx.write_if_nothing_else(RECORD, record.runtime_id, lambda: _update_progress(tx, record))


def _update_progress(tx: Transaction, record: RuntimeRecord) -> None:
    tx.write(
        "runtimes.progress",
        runtime=record.runtime,
        run=record.run,
        crashes=record.crashes,
        boundaries=record.boundaries,
        chain=record.chain,
        now=tx.now,
    )


def _update(tx: Transaction, record: RuntimeRecord) -> None:
    tx.write(
        "runtimes.update",
        runtime=record.runtime,
        kind=record.kind,
        state=record.state,
        generation=record.generation,
        fence_token=record.fence_token,
        epoch=record.epoch,
        owner=record.owner,
        held=record.held,
        held_detail=record.held_detail,
        session=record.session,
        run=record.run,
        crashes=record.crashes,
        failures=record.failures,
        boundaries=record.boundaries,
        chain=record.chain,
        record_version=record.record_version,
        now=tx.now,
    )


def insert(
    tx: Transaction,
    runtime_id: LogicalRuntimeId,
    *,
    kind: str | None = None,
    version: int = LIFECYCLE_RECORD_VERSION,
    fence_token: int = 0,
    epoch: str | None = None,
    owner: int | None = None,
    session: int | None = None,
) -> RuntimeRecord:
    """A new record: idle, generation 0; without an owner no token was minted yet."""
    key = tx.insert(
        "runtimes.insert",
        runtime_id=runtime_id,
        kind=kind,
        record_version=version,
        state=RuntimeState.IDLE,
        fence_token=fence_token,
        epoch=epoch,
        owner=owner,
        session=session,
        chain=CHAIN_START,
        now=tx.now,
    )
    record = RuntimeRecord(
        runtime=key,
        runtime_id=runtime_id,
        kind=kind,
        state=RuntimeState.IDLE,
        generation=0,
        fence_token=fence_token,
        epoch=epoch,
        owner=owner,
        held=None,
        held_detail=None,
        session=session,
        run=None,
        crashes=0,
        failures="[]",
        boundaries=0,
        chain=CHAIN_START,
        record_version=version,
    )
    return tx.record(RECORD, runtime_id, lambda _, __: record)


def charge_crash(tx: Transaction, record: RuntimeRecord, max_crashes: int) -> None:
    """Count one crash of the host against the runtime whose run was in flight; the last one holds it (design §6)."""
    record.crashes += 1
    if record.crashes >= max_crashes and record.held is None:
        record.held = HeldReason.CRASH_LOOP
        record.held_detail = f"in flight at {record.crashes} crashes in a row"
    save(tx, record)


def load_or_create(tx: Transaction, runtime_id: LogicalRuntimeId) -> RuntimeRecord:
    """The record, made where a contract verb is the first to speak of the runtime: it has no lifecycle record then.

    Raises:
        RuntimeDestroyed: The id is taken for ever.
    """
    if runtime_id_is_new(tx, runtime_id):
        return insert(tx, runtime_id, version=NO_LIFECYCLE_RECORD)
    record = load(tx, runtime_id)
    if record.state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=runtime_id)
    return record


def runtime_id_is_new(tx: Transaction, runtime_id: LogicalRuntimeId) -> bool:
    """Whether nothing was ever written of this runtime."""
    return find_cached(tx, runtime_id) is None


def find_cached(tx: Transaction, runtime_id: LogicalRuntimeId) -> RuntimeRecord | None:
    """The record that this commit has cached, or None where there is none."""
    record = tx.record(RECORD, runtime_id, find)
    if record is not None and record.asked:
        tx.asked.add(runtime_id)
    return record


REREAD: Final = "reread"
"""The verb that informs an owner in another process that a store verb has written its runtime under its token."""


def tell_owner(tx: Transaction, record: RuntimeRecord) -> None:
    """Have the owner hear of what this commit writes past it, where it is another host: by a request to read anew."""
    # Once a group: it is read when all of that is on disk.
    request_id = f"{REREAD}:{tx.host}:{tx.group}:{record.runtime}"
    if record.owner in (None, tx.host) or request_id in tx.notes:
        return
    tx.notes[request_id] = True
    tx.run("requests.tell", request_id=request_id, runtime=record.runtime, verb=REREAD, host=tx.host, now=tx.now)


def living_holder(tx: Transaction, owner: int | None) -> str | None:
    """Incarnation of the host that owns a runtime; None where it has closed, was lost, or is not there."""
    incarnation, _, closed_at, lost_at, _ = tx.one("ownership.host", host=owner) or (None, "", 0, 0, None)
    return incarnation if closed_at is None and lost_at is None else None


FACET: Final = Facet(name="runtimes", handlers={})
