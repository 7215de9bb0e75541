"""The rows of children: whose child a runtime is, and with what it ends."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, final

from attrs import frozen

from tenure.errors import ReadFailed
from tenure.persistence.commits.rows import OPTIONAL_INT, OPTIONAL_TEXT, Types, check_row, member
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import BELOW_ALL, PAGE, Subject
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records import run_records
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.values import LogicalRuntimeId

RECORD: Final = "child"


@final
class Scope(StrEnum):
    """With what a child ends: with its parent, when that is destroyed, or with the run that spawned it."""

    RUNTIME = "runtime"
    RUN = "run"


@final
class OnEnd(StrEnum):
    """What becomes of a child then."""

    LEAVE = "leave"
    STOP = "stop"
    DESTROY = "destroy"


@final
@frozen(kw_only=True, slots=True)
class Child:
    """One child of a runtime.

    Attributes:
        runtime_id: Which runtime it is.
        kind: Names its behaviour.
        scope: ``run`` where it ends with the run that spawned it, ``runtime`` where it ends when its parent is destroyed.
        on_end: What becomes of it then: ``leave``, ``stop`` or ``destroy``.
    """

    runtime_id: LogicalRuntimeId
    kind: str
    scope: Scope
    on_end: OnEnd


@final
@frozen(kw_only=True, slots=True)
class ChildRow:
    """One child, as it is stored, by the keys of its rows."""

    child_key: int
    parent: int
    child: int
    run: int | None
    scope: Scope
    on_end: OnEnd


_TYPES: Final[Types] = (int, int, int, OPTIONAL_INT, str, str, bytes, int)


def read_child(row: Row) -> ChildRow:
    """A child as it is stored. Raises `Corrupt`."""
    key = f"{row[2]} of runtime {row[1]}"
    check_row(row, _TYPES, RECORD, key)
    child_key, parent, child, run, scope, on_end, kept, scheme = row
    check_digest(seal_child(parent, child, scope, on_end), kept, scheme, RECORD, key)
    return ChildRow(
        child_key=child_key,
        parent=parent,
        child=child,
        run=run,
        scope=member(Scope, scope, RECORD, key),
        on_end=member(OnEnd, on_end, RECORD, key),
    )


def seal_child(parent: int, child: int, scope: str, on_end: str) -> bytes:
    """Whose child it is, and with what it ends; a restart moves it to another run, so that this is not in it."""
    return seal(parent, child, scope, on_end)


def count(tx: Transaction, run: run_records.RunRecord) -> None:
    """Say anew how many children end with a run."""
    (run.children,) = tx.one("children.count", run=run.run) or (0,)


def carry(tx: Transaction, old: run_records.RunRecord, new: run_records.RunRecord) -> None:
    """Let what ends with a run end with the one that takes its place."""
    if old.children:
        tx.write("children.carry", run=old.run, into=new.run)
        count(tx, old)
        count(tx, new)
        if ("run", old.run) in tx.ended:
            tx.ended.remove(("run", old.run))


def of_runtime(statements: Statements, runtime_id: LogicalRuntimeId) -> tuple[Child, ...]:
    """Every child that a runtime ever spawned, in that order, those that have ended too. Raises `Corrupt`."""
    found: list[Child] = []
    after = BELOW_ALL
    while rows := statements.all("children.of_runtime", runtime_id=runtime_id, after=after, count=PAGE):
        found += [_child(row) for row in rows]
        after = rows[-1][0]
    return tuple(found)


def _child(row: Row) -> Child:
    stored = read_child(row[:8])
    check_row(row[8:], (str, OPTIONAL_TEXT), RECORD, row[0])
    runtime_id, kind = row[8:]
    return Child(runtime_id=LogicalRuntimeId(runtime_id), kind=kind or "", scope=stored.scope, on_end=stored.on_end)


def shown(statements: Statements, subject: Subject) -> dict[str, object] | None:
    """Whose child a runtime is, and how many children it has; None where both are none."""
    parent, children = statements.one("children.shown", runtime=subject.runtime) or (None, 0)
    if parent is None and not children:
        return None
    try:
        row = statements.one("children.by_child", child=subject.runtime)
        own = None if row is None else read_child(row)
    except ReadFailed as exc:
        return {"error": str(exc), "children": children}
    ends = None if own is None else {"scope": own.scope, "on_end": own.on_end}
    return {"parent": parent, "ends": ends, "children": children}
