"""Own state: what a runtime keeps between its runs, JSON values by name (design §20, "State").

Theory of operation. Every write has a revision, one for each commit that writes. A run sees the state at the revision that
stood when it first began, so nothing that lands later changes what it reads where it enters again. Its own writes land with
its boundaries, and which boundary wrote a revision is noted until the run ends: from there they are replayed and compared, and
a restart takes them back, by a further revision with what stood there before. What was replaced is deleted once no run that
may be entered again has written it, or sees it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final, final

from attrs import define, field, frozen

from tenure.errors import Corrupt, CounterOverflow, LimitReached, PayloadTooLarge, RuntimeDestroyed, StateConflict
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import OPTIONAL_BYTES, Types, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records import run_records, runtimes
from tenure.persistence.model.digests import SHA_256, check_digest, seal
from tenure.persistence.model.numbers import (
    INT_LIMIT,
)
from tenure.persistence.model.values import LogicalRuntimeId, RunId, RuntimeState

RECORD: Final = "own value"

NOTHING_YET: Final = 0
"""The revision of a state that nothing was written to, and what a run sees that began before there was one."""

Written = Mapping[str, bytes | None]
"""Encoded values by name; None where a name was deleted."""


@final
@frozen(kw_only=True, slots=True)
class WriteOwnState(Change):
    """Set and delete values of a runtime's own state. Answer: the revision that it has then.

    Attributes:
        runtime_id: Whose.
        values: Name and encoded value of each; None deletes.
        run_id: The current run, for its replay: stands before the receipt of the boundary. None outside a run.
        expected: Refuse with `StateConflict` unless this is the revision; None does not ask.
    """

    runtime_id: LogicalRuntimeId
    values: tuple[tuple[str, bytes | None], ...] = field(repr=False)
    run_id: RunId | None = None
    expected: int | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return sum([len(value or b"") for _, value in self.values])


@final
@frozen(kw_only=True, slots=True)
class SettleOwnState(Change):
    """What the current run wrote is replayed no more: the run ends with this commit. Answer: None.

    Attributes:
        runtime_id: Whose.
        run_id: The current run.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId


@final
@define(slots=True)
class _Head:
    """The revision of a state, and how many names have a value."""

    revision: int = NOTHING_YET
    names: int = 0
    is_new: bool = True


def _check(tx: Transaction, change: WriteOwnState) -> None:
    for _, value in change.values:
        if value is not None and len(value) > tx.limits.payload_bytes:
            raise PayloadTooLarge(size=len(value), limit=tx.limits.payload_bytes)
    record = runtimes.load(tx, change.runtime_id)
    if record.state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=change.runtime_id)
    if change.expected is not None:
        actual = _head(tx, record.runtime).revision
        if actual != change.expected:
            raise StateConflict(runtime_id=change.runtime_id, expected=change.expected, actual=actual)


def _write(tx: Transaction, change: WriteOwnState) -> int:
    runtime = runtimes.load(tx, change.runtime_id).runtime
    head = _head(tx, runtime)
    if change.run_id is not None:
        run = run_records.current(tx, change.runtime_id, change.run_id)
        _add(tx, runtime, head, dict(change.values))
        which = {"run": run.run, "boundary": run.boundaries + 1, "revision": head.revision}
        tx.insert("own_state.note", runtime=runtime, digest=_write_seal(runtime, **which, taken_back=0), **which)
    else:
        _add(tx, runtime, head, dict(change.values))
        _trim(tx, runtime, [name for name, _ in change.values], ending=0)
    return head.revision


def _add(tx: Transaction, runtime: int, head: _Head, values: Written) -> None:
    """Write a further revision."""
    if head.revision >= INT_LIMIT - 1:
        raise CounterOverflow(counter="the revision of a state")
    head.revision += 1
    for name, value in values.items():
        row = tx.one("own_state.newest", runtime=runtime, name=name)
        if row is not None:
            check_row(row, (int, int), RECORD, f"{name} of runtime {runtime}")
            if row[1] >= head.revision:
                detail = f"it is lower than the revision {row[1]} of a value"
                raise Corrupt(record="own state", key=str(runtime), detail=detail)
        head.names += (value is not None) - bool(row is not None and row[0])
        digest = _value_seal(runtime, name, head.revision, value)
        tx.insert("own_state.insert", runtime=runtime, name=name, revision=head.revision, value=value, digest=digest)
    if head.names > tx.limits.state_names:
        raise LimitReached(what="names in the state of one runtime", limit=tx.limits.state_names)
    tx.write(
        "own_state.begin" if head.is_new else "own_state.advance",
        runtime=runtime,
        revision=head.revision,
        names=head.names,
        digest=_head_seal(runtime, head.revision, head.names),
        scheme=SHA_256,
    )
    head.is_new = False


def _settle(tx: Transaction, change: SettleOwnState) -> None:
    forget_run(tx, run_records.current(tx, change.runtime_id, change.run_id).run)


def forget_run(tx: Transaction, run: int) -> None:
    """What a run wrote is not part of a record any more: it ends with this commit, or is pruned."""
    found = tx.all("own_state.names_of_run", run=run)
    tx.write("own_state.forget_writes", run=run)
    if found:
        _trim(tx, found[0][0], [name for _, name in found], ending=run)


def _trim(tx: Transaction, runtime: int, names: list[str], *, ending: int) -> None:
    for name in names:
        tx.write("own_state.trim", runtime=runtime, name=name, ending=ending)
        tx.write("own_state.trim_deleted", runtime=runtime, name=name)


def take_back(tx: Transaction, runtime: int, run: int) -> None:
    """Let every value that a run wrote last be what it was without it, by a further revision."""
    names: list[str] = []
    for row in tx.all("own_state.replaced", run=run):
        check_row(row, (str,), RECORD, f"of run {run}")
        names.append(row[0])
    if names:
        before = {name: tx.one("own_state.before_run", runtime=runtime, name=name, run=run) for name in names}
        _add(
            tx,
            runtime,
            _head(tx, runtime),
            {name: None if row is None else read_value(row) for name, row in before.items()},
        )
    for row in tx.all("own_state.writes_of_run", run=run):
        _, _, boundary, revision = _noted(row)[:4]
        digest = _write_seal(runtime, run=run, boundary=boundary, revision=revision, taken_back=1)
        tx.write("own_state.take_back", run=run, boundary=boundary, digest=digest, scheme=SHA_256)


def _head(statements: Statements, runtime: int) -> _Head:
    row = statements.one("own_state.head", runtime=runtime)
    return _Head() if row is None else _read_head(row)


def _read_head(row: Row) -> _Head:
    check_row(row, (int, int, int, bytes, int), "own state", row[0])
    runtime, revision, names, digest, scheme = row
    check_digest(_head_seal(runtime, revision, names), digest, scheme, "own state", runtime)
    return _Head(revision=revision, names=names, is_new=False)


def _head_seal(runtime: int, revision: int, names: int) -> bytes:
    return seal(runtime, revision, names)


def _value_seal(runtime: int, name: str, revision: int, value: bytes | None) -> bytes:
    return seal(runtime, name, revision, value)


def _write_seal(runtime: int, *, run: int, boundary: int, revision: int, taken_back: int) -> bytes:
    return seal(runtime, run, boundary, revision, taken_back)


# Reads


@final
@frozen(kw_only=True, slots=True)
class OwnState:
    """The own state of a runtime as it is stored.

    Attributes:
        revision: That of the last write; rises with each.
        values: Encoded, by name.
    """

    revision: int
    values: Mapping[str, bytes] = field(repr=False)


def find(statements: Statements, runtime_id: LogicalRuntimeId) -> OwnState | None:
    """The state of a runtime as it is now; None where there is no such runtime. Raises `Corrupt`."""
    row = statements.one("own_state.runtime", runtime_id=runtime_id)
    if row is None:
        return None
    head = _Head() if row[1] is None else _read_head(row[1:])
    found = {each[1]: read_value(each) for each in statements.all("own_state.now", runtime=row[0])}
    return OwnState(revision=head.revision, values={name: value for name, value in found.items() if value is not None})


def find_head(statements: Statements, runtime_id: LogicalRuntimeId) -> tuple[int, int] | None:
    """The revision of a state and how many names have a value; None where nothing was written. Raises `Corrupt`."""
    row = statements.one("own_state.runtime", runtime_id=runtime_id)
    if row is None or row[1] is None:
        return None
    head = _read_head(row[1:])
    return head.revision, head.names


def find_seen(statements: Statements, run: int, name: str) -> bytes | None:
    """The value that a run sees under a name, beside what it wrote; None where there is none. Raises `Corrupt`."""
    row = statements.one("own_state.seen", run=run, name=name)
    return None if row is None else read_value(row)


def all_seen(statements: Statements, run: int) -> Written:
    """Every value that a run sees, beside what it wrote, by name. Raises `Corrupt`."""
    return {row[1]: read_value(row) for row in statements.all("own_state.all_seen", run=run)}


def written_by(statements: Statements, run: int) -> Mapping[int, Written]:
    """What a run wrote, by boundary. Raises `Corrupt`."""
    for row in statements.all("own_state.writes_of_run", run=run):
        _noted(row)
    found: defaultdict[int, dict[str, bytes | None]] = defaultdict(dict)
    for boundary, *value in statements.all("own_state.written", run=run):
        if value[0] is None:
            raise Corrupt(record=RECORD, key=f"of run {run}", detail="what a boundary wrote is not there")
        found[boundary][str(value[1])] = read_value(tuple(value))
    return found


_VALUE: Final[Types] = (int, str, int, OPTIONAL_BYTES, bytes, int)


def read_value(row: Row) -> bytes | None:
    """A value as it is stored. Raises `Corrupt`."""
    key = f"{row[1]} of runtime {row[0]}"
    check_row(row, _VALUE, RECORD, key)
    runtime, name, revision, _, digest, scheme = row
    value: bytes | None = row[3]
    check_digest(_value_seal(runtime, name, revision, value), digest, scheme, RECORD, key)
    return value


def _noted(row: Row) -> Row:
    key = f"of run {row[1]}"
    check_row(row, (int, int, int, int, int, bytes, int), "own write", key)
    runtime, run, boundary, revision, taken_back, digest, scheme = row
    sealed = _write_seal(runtime, run=run, boundary=boundary, revision=revision, taken_back=taken_back)
    check_digest(sealed, digest, scheme, "own write", key)
    return row


def check_written(row: Row) -> None:
    """Raises `Corrupt` where what a boundary wrote is not what its digest says, or is not there; for `verify`."""
    _noted(row[1:8])
    if not row[8]:
        raise Corrupt(record="own write", key=f"of run {row[2]}", detail="what it wrote is not there")


def check_head(row: Row) -> None:
    """Raises `Corrupt` where a state is not what its digest says, or its values are others; for `verify`."""
    head = _read_head(row[:5])
    newest, names, seen = row[5:]
    if newest > head.revision or seen > head.revision or names != head.names:
        detail = f"it is at revision {head.revision} with {head.names} names; there are {names}, up to {newest}"
        raise Corrupt(record="own state", key=str(row[0]), detail=detail)


FACET: Final = Facet(
    name="own_state",
    handlers={WriteOwnState: Handler(apply=_write, check=_check), SettleOwnState: Handler(apply=_settle)},
)
