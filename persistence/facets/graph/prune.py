"""What of sessions is over: turns that nobody commits again, as long as the keys of inputs are kept."""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements


@final
@frozen(kw_only=True, slots=True)
class PruneTurns(Change):
    """Forget those of some turns that were committed before a time. Answer: how many."""

    ingress = True  # judged again in the commit

    turns: tuple[int, ...]
    before: float


def old_turns(statements: Statements, after: int, before: float, count: int) -> tuple[int, ...]:
    """A page of turns that were committed before a time."""
    return tuple([row[0] for row in statements.all("graph_pruning.old_turns", after=after, before=before, count=count)])


def _prune(tx: Transaction, change: PruneTurns) -> int:
    return sum([tx.run("graph_pruning.delete_turn", turn=turn, before=change.before) for turn in change.turns])


FACET: Final = Facet(name="turns", handlers={PruneTurns: Handler(apply=_prune)})
