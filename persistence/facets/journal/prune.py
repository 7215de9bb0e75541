"""What of journals is over: facts that nothing refers to, and what a deletion that was cut short has left."""

from __future__ import annotations

from tenure.persistence.engines.engine import Statements


def old_facts(statements: Statements, after: int, before: float, count: int) -> tuple[int, ...]:
    """A page of facts that were stored before a time, and that no stored event or snapshot refers to."""
    return tuple([row[0] for row in statements.all("facts.unreferenced", after=after, before=before, count=count)])


def forgotten_streams(statements: Statements, after: int, count: int) -> tuple[int, ...]:
    """A page of streams that were deleted, and whose events are not gone yet."""
    return tuple([row[0] for row in statements.all("journal.forgotten_streams", after=after, count=count)])
