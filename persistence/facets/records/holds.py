"""Holds: a person keeps a runtime, or a kind, from beginning anything (design §20).

A hold is its own row, beside the mark of a runtime that is held: it abandons nothing, and ends with the resume that names
it. It is of an id or of a kind, so it holds for runtimes that come later too, on every host: the commit that would begin a run
asks for it. Deadlines wait as well: the end of a hold moves those of what is unfinished by as long as it has lasted.
"""

from __future__ import annotations

from typing import Any, Final, final

from attrs import frozen

from tenure.errors import Corrupt, RuntimeDestroyed
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import OPTIONAL_TEXT, check_row, sound
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import Problem, Subject
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState

from . import runtimes

RECORD: Final = "holds"


@final
@frozen(kw_only=True, slots=True)
class OnHold:
    """What is on hold in a store, each with the time since when, unix seconds.

    Attributes:
        runtimes: Ids.
        kinds: Kinds.
    """

    runtimes: dict[str, float]
    kinds: dict[str, float]

    def keeps(self, runtime_id: str, kind: str | None) -> bool:
        """Whether nothing of this runtime may begin."""
        return runtime_id in self.runtimes or kind in self.kinds


@final
@frozen(kw_only=True, slots=True)
class PlaceHold(Change):
    """Put a runtime, or a kind, on hold. Answer: whether it was not; then the first hold stays as it was.

    Attributes:
        runtime_id: Which runtime, which may come later; None where a kind is given.
        kind: Which kind, or None.
        note: Why, for people.
    """

    ingress = True

    runtime_id: LogicalRuntimeId | None = None
    kind: str | None = None
    note: str = ""


def _place(tx: Transaction, change: PlaceHold) -> bool:
    if change.runtime_id is not None:
        record = runtimes.find_cached(tx, change.runtime_id)
        if record is not None and record.state is RuntimeState.DESTROYED:
            raise RuntimeDestroyed(runtime_id=change.runtime_id)
    if _find(tx, change.runtime_id, change.kind) is not None:
        return False
    tx.insert("holds.place", runtime_id=change.runtime_id, kind=change.kind, note=change.note, now=tx.now)
    tx.drop(RECORD, RECORD)
    return True


@final
@frozen(kw_only=True, slots=True)
class EndHold(Change):
    """End the hold of a runtime, or of a kind, and let its deadlines go on. Answer: whether there was one.

    Attributes:
        runtime_id: Which runtime, or None.
        kind: Which kind, or None.
    """

    ingress = True

    runtime_id: LogicalRuntimeId | None = None
    kind: str | None = None


def _end(tx: Transaction, change: EndHold) -> bool:
    since = _find(tx, change.runtime_id, change.kind)
    if since is None:
        return False
    tx.write("holds.end", runtime_id=change.runtime_id, kind=change.kind)
    tx.drop(RECORD, RECORD)
    # While another hold keeps the runtime too, its deadlines wait on: from when that one began, it is its own to count.
    for runtime, other in tx.all("holds.with_deadlines", runtime_id=change.runtime_id, kind=change.kind):
        until = other if isinstance(other, float) else tx.now
        if until > since:
            tx.write("holds.move_deadlines", runtime=runtime, since=since, until=until)
    return True


def _find(tx: Transaction, runtime_id: str | None, kind: str | None) -> float | None:
    """Since when there is this hold, or None."""
    row = tx.one("holds.find", runtime_id=runtime_id, kind=kind)
    if row is None:
        return None
    # A hold whose time is damaged can be ended all the same; then no deadline moves.
    return row[0] if isinstance(row[0], float) else tx.now


def keeps(tx: Transaction, runtime_id: LogicalRuntimeId, kind: str | None) -> bool:
    """Whether a person keeps this runtime from beginning anything; cached from group to group."""
    found: OnHold = tx.record(RECORD, RECORD, find)
    return bool(found.runtimes or found.kinds) and found.keeps(runtime_id, kind)


def find(statements: Statements, _: str) -> OnHold:
    """See `on_hold`; this is the record that commits have cached."""
    return on_hold(statements)


def on_hold(statements: Statements) -> OnHold:
    """Everything that is on hold; a damaged row holds nothing, and `verify` finds it."""
    found = sound(statements.readable("holds.all"), (int, OPTIONAL_TEXT, OPTIONAL_TEXT, str, float))
    return OnHold(
        runtimes={row[1]: row[4] for row in found if row[1] is not None},
        kinds={row[2]: row[4] for row in found if row[2] is not None},
    )


def of_runtime(statements: Statements, runtime_id: LogicalRuntimeId, kind: str | None) -> list[dict[str, Any]]:
    """The holds that keep one runtime, as JSON objects: of it alone, then of its kind."""
    rows = sound(statements.readable("holds.all"), (int, OPTIONAL_TEXT, OPTIONAL_TEXT, str, float))
    return [
        {"of": "runtime" if of_id is not None else "kind", "note": note, "since": since}
        for _, of_id, of_kind, note, since in rows
        if of_id == runtime_id or (of_kind is not None and of_kind == kind)
    ]


def show(statements: Statements, subject: Subject) -> list[dict[str, Any]]:
    """What `show` says of a runtime."""
    row = statements.one("runtimes.load", runtime_id=subject.runtime_id)
    return of_runtime(statements, subject.runtime_id, None if row is None else row[2])


def verify(statements: Statements) -> list[Problem]:
    """What is wrong with the rows of holds."""
    problems: list[Problem] = []
    rows = statements.readable("holds.all")
    if (statements.one("holds.count") or (0,))[0] != len(rows):
        problems.append(("hold", "", "one cannot be read"))
    for row in rows:
        try:
            check_row(row, (int, OPTIONAL_TEXT, OPTIONAL_TEXT, str, float), "hold", row[0])
        except Corrupt as exc:
            problems.append(("hold", str(row[0]), exc.detail))
            continue
        if (row[1] is None) is (row[2] is None):
            problems.append(("hold", str(row[0]), "it is not of one runtime or one kind"))
    return problems


FACET: Final = Facet(name="holds", handlers={PlaceHold: Handler(apply=_place), EndHold: Handler(apply=_end)})
