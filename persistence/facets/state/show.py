"""What is shown of the execution state of a runtime."""

from __future__ import annotations

from tenure.errors import ReadFailed
from tenure.persistence.commits.upkept import Subject
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.contracts.execution import ranges_of

from . import own_state, state


def execution_of(statements: Statements, subject: Subject) -> dict[str, object] | None:
    """Snapshot and keys of the execution with a runtime's id, counted and without content; None where there are none."""
    execution_id: str = subject.runtime_id
    keys = expiring = 0
    for first, behind in ranges_of(execution_id):
        row = statements.one("state.show", first=first, behind=behind) or (0, 0)
        keys, expiring = keys + row[0], expiring + row[1]
    try:
        snapshot = state.find_execution(statements, execution_id)
    except ReadFailed as exc:
        return {"error": str(exc), "keys": keys}
    if snapshot is None and not keys:
        return None
    found = None if snapshot is None else {"state": snapshot.state, "sequence_number": snapshot.sequence_number}
    return {"snapshot": found, "keys": keys, "expiring": expiring}


def own_state_of(statements: Statements, subject: Subject) -> dict[str, object] | None:
    """What a runtime keeps between its runs, counted and without its content; None where that is nothing."""
    try:
        found = own_state.find_head(statements, subject.runtime_id)
    except ReadFailed as exc:
        return {"error": str(exc)}
    return None if found is None else {"revision": found[0], "names": found[1]}
