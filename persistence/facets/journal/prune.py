"""What of journals is over: facts that nothing refers to, and what a deletion that was cut short has left."""

from __future__ import annotations

from typing import Final

from tenure.persistence.commits.upkept import PAGE, PrunedPage, Pruning, counted
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.lifecycles.retention import Ages

from . import facts, journal


def _forgotten(statements: Statements, after: int, count: int, _ages: Ages) -> tuple[int, ...]:
    """Streams that were deleted, and whose events are not gone yet."""
    return tuple([row[0] for row in statements.all("journal.forgotten_streams", after=after, count=count)])


def _unreferenced(statements: Statements, after: int, count: int, ages: Ages) -> tuple[int, ...]:
    """Facts that were stored before a time, and that no stored event or snapshot refers to."""
    rows = statements.all("facts.unreferenced", after=after, before=ages.before, count=count)
    return tuple([row[0] for row in rows])


def _cleared(_keys: tuple[int, ...], answer: journal.Cleared) -> PrunedPage:
    return PrunedPage(counts={"events": answer.events}, judged=int(answer.gone))


STREAMS: Final = Pruning(
    counts=("events",),
    look=_forgotten,
    change=lambda keys, _ages: journal.ClearStream(stream=keys[0], count=PAGE),
    page=_cleared,
)
"""Before the facts: what a stream refers to is free after it."""

FACTS: Final = Pruning(
    counts=("facts",),
    look=_unreferenced,
    change=lambda keys, ages: facts.PruneFacts(facts=keys, before=ages.before),
    page=counted("facts"),
)
