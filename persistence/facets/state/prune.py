"""What of execution state is over: values whose time has come."""

from __future__ import annotations

from typing import Final

from tenure.persistence.commits.upkept import PAGE, PrunedPage, Pruning
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.lifecycles.retention import Ages

from . import values


def _expired(statements: Statements, _after: int, _count: int, ages: Ages) -> tuple[int, ...]:
    # One key stands for all: the change finds them by their time.
    return (0,) if values.any_expired(statements, ages.now) else ()


def _page(_keys: tuple[int, ...], answer: int) -> PrunedPage:
    return PrunedPage(counts={"state_values": answer}, judged=0)


EXPIRED: Final = Pruning(
    counts=("state_values",),
    look=_expired,
    change=lambda _keys, _ages: values.SweepExpired(count=PAGE),
    page=_page,
)
