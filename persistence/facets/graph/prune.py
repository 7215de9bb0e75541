"""What of sessions is over: turns, which are known as long as keys of inputs are, and bytes of parts that no checkpoint has."""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import Pruning, counted
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.lifecycles.retention import Ages

from . import checkpoints


@final
@frozen(kw_only=True, slots=True)
class PruneTurns(Change):
    """Forget those of some turns that were committed before a time. Answer: how many."""

    ingress = True  # judged again in the commit

    turns: tuple[int, ...]
    before: float


def turns_before(statements: Statements, before: float, after: int, count: int) -> tuple[int, ...]:
    """A page of turns that were committed before a time."""
    return tuple([row[0] for row in statements.all("graph_pruning.old_turns", after=after, before=before, count=count)])


def _old_turns(statements: Statements, after: int, count: int, ages: Ages) -> tuple[int, ...]:
    return turns_before(statements, _oldest_kept(ages), after, count)


def _oldest_kept(ages: Ages) -> float:
    return min(ages.before, ages.keys_before)


def _prune(tx: Transaction, change: PruneTurns) -> int:
    return sum([tx.run("graph_pruning.delete_turn", turn=turn, before=change.before) for turn in change.turns])


def _unreachable(statements: Statements, after: int, count: int, _ages: Ages) -> tuple[int, ...]:
    return checkpoints.unreachable(statements, after, count)


TURNS: Final = Pruning(
    counts=("turns",),
    look=_old_turns,
    change=lambda keys, ages: PruneTurns(turns=keys, before=_oldest_kept(ages)),
    page=counted("turns"),
)

PARTS: Final = Pruning(
    counts=("parts",),
    look=_unreachable,
    change=lambda keys, _ages: checkpoints.CollectBlobs(blobs=keys),
    page=counted("parts"),
    sound=lambda statements, after, count: checkpoints.mark(statements, after, count)[0],
)
"""Every checkpoint is read before the bytes of any part go: what a damaged one refers to cannot be known."""

FACET: Final = Facet(name="turns", handlers={PruneTurns: Handler(apply=_prune)})
