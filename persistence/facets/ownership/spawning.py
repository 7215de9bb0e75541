"""Spawning: a run makes a runtime that is its child (design §20, "Children").

The child, whose it is, and the entry of the record land in one commit, with the boundary of the run. What becomes of it when
the run or the parent ends is decided in the commit of that end (`ending`).
"""

from __future__ import annotations

from typing import Final, final

import msgspec
from attrs import evolve, field, frozen

from tenure.errors import Corrupt, Unreadable
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.inbox import newcomers
from tenure.persistence.facets.records import run_records, runtimes
from tenure.persistence.facets.runs import entries
from tenure.persistence.facets.runs.children import OnEnd, Scope, count, read_child, seal_child
from tenure.persistence.model.entries import WAS_THERE, EntryStatus
from tenure.persistence.model.labels import Labels
from tenure.persistence.model.values import LogicalRuntimeId, RunId, RuntimeState, SessionId

from .ending import follow, revive

EXISTS: Final = "exists"
DESTROYED: Final = "destroyed"
OF_KIND: Final = "of another kind"

_encode = msgspec.json.Encoder().encode


@final
@frozen(kw_only=True, slots=True)
class Refused:
    """Why a child was not spawned.

    Attributes:
        why: ``exists``, ``destroyed`` or ``of another kind``.
        child: The id.
        kind: Of which kind it is, where it is of another one.
    """

    why: str
    child: LogicalRuntimeId
    kind: str = ""


def read_refused(error: str | None, key: str) -> Refused:
    """Why a child was not spawned, as its entry says it. Raises `Corrupt`."""
    try:
        why, child, kind = msgspec.json.decode(error or "", type=tuple[str, str, str])
    except (msgspec.MsgspecError, UnicodeEncodeError) as exc:
        raise Corrupt(record="entry", key=key, detail="why it was refused cannot be read") from exc
    return Refused(why=why, child=LogicalRuntimeId(child), kind=kind)


@final
@frozen(kw_only=True, slots=True)
class Spawn(Change):
    """Make a runtime that is a child of this one, for the current run, and record it. Answer: `Refused`, or whether it is new.

    A child of this runtime that is there already is taken as it is, and brought back to life where it is stopped; it ends
    from now on as is said here. What is refused is recorded too, and is refused again where the run enters again.

    Attributes:
        runtime_id: The parent.
        run_id: Its current run.
        child: Id of the child.
        kind: Names the behaviour of the child.
        scope: With what it ends.
        on_end: What becomes of it then.
        session_id: Session of a new one.
        labels: Of a new one; one that is there keeps what it has.
        entry: The entry of the record, as it is where nothing is refused.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    child: LogicalRuntimeId
    kind: str
    scope: Scope
    on_end: OnEnd
    session_id: SessionId
    entry: entries.RecordEntry = field(repr=False)
    labels: Labels = ()

    @property
    def reaches(self) -> LogicalRuntimeId:
        """See `Change.reaches`."""
        return self.child


def _spawn(tx: Transaction, change: Spawn) -> Refused | bool:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    parent = runtimes.load(tx, change.runtime_id)
    brought = _bring(tx, change, parent, run)
    if isinstance(brought, Refused):
        error = _encode((brought.why, brought.child, brought.kind)).decode()
        entries.write(tx, evolve(change.entry, status=EntryStatus.CAUGHT, error=error, result=None))
    else:
        entries.write(tx, change.entry if brought else evolve(change.entry, error=WAS_THERE))
    return brought


def _bring(
    tx: Transaction, change: Spawn, parent: runtimes.RuntimeRecord, run: run_records.RunRecord
) -> Refused | bool:
    try:
        record = runtimes.find_cached(tx, change.child)
        row = None if record is None else tx.one("children.by_child", child=record.runtime)
        known = None if row is None else read_child(row)
    except Unreadable:
        return Refused(
            why=EXISTS, child=change.child
        )  # damage there, which is not the parent's to suffer; it cannot be read as a child of this one
    # Cases: the id is new; it is another's, or no child at all; it never comes back; it is of another kind; it is ours.
    if record is None:
        newcomer = newcomers.Newcomer(kind=change.kind, session_id=change.session_id, labels=change.labels)
        record = newcomers.make(tx, change.child, newcomer)
    elif known is None or known.parent != parent.runtime:
        return Refused(why=EXISTS, child=change.child)
    elif record.state is RuntimeState.DESTROYED:
        return Refused(why=DESTROYED, child=change.child)
    elif record.kind != change.kind:
        return Refused(why=OF_KIND, child=change.child, kind=record.kind or "")
    elif record.state is RuntimeState.STOPPED:
        revive(tx, record)
    written = {
        "run": run.run if change.scope is Scope.RUN else None,
        "scope": change.scope,
        "on_end": change.on_end,
        "digest": seal_child(parent.runtime, record.runtime, change.scope, change.on_end),
    }
    if known is None:
        tx.insert("children.insert", parent=parent.runtime, child=record.runtime, now=tx.now, **written)
    else:
        tx.write("children.spawn_again", child_key=known.child_key, **written)
    if change.scope is Scope.RUN or (known is not None and known.run is not None):
        count(tx, run)
    return known is None


FACET: Final = Facet(name="children", handlers={Spawn: Handler(apply=_spawn)}, follow=follow)
