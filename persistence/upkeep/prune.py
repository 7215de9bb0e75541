"""Pruning a store: everything that ended long ago, a page at a time.

Theory of operation. Rows are looked for in reads, which hold no lock, from the oldest on; each page becomes one commit, which
judges its rows again. Whoever writes meanwhile waits for one page at most. Receipts go first, because a run goes with the last
of its receipts; then runs with all that is theirs, then inputs that no run has, then what conversations left behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Commit
from tenure.persistence.contracts.access import Access
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.pruning import (
    Prune,
    Pruned,
    PrunedPage,
    PruneSort,
)

PAGE: Final = 200
"""Rows that one commit looks at."""

KEYS_KEPT_S: Final = 30 * 86_400.0
"""Seconds that an idempotency key outlives its input."""


async def prune(store: Access, now: float, older_than_s: float, *, dead_letters: bool) -> Pruned:
    """See `Store.prune`; `now` is the store's wall clock."""
    if not 0 <= older_than_s < float("inf"):
        raise InvalidInput(detail="an age is a number of seconds, 0 or more", field="older_than_s")
    total: Counter[str] = Counter()
    look = partial(Prune, before=now - older_than_s, keys_before=now - KEYS_KEPT_S, dead_letters=dead_letters)
    for sort in PruneSort:
        await _prune_sort(store, partial(look, sort=sort), total)
    return Pruned(**total)


async def _prune_sort(store: Access, page: Callable[..., Prune], total: Counter[str]) -> None:
    after = 0
    while keys := await store.read(partial(_candidates, page(keys=()), after)):
        pruned: PrunedPage = (await store.commit(Commit(changes=(page(keys=keys),)))).values[0]
        total.update(pruned.counts)
        after = keys[pruned.judged - 1]


def _candidates(look: Prune, after: int, statements: Statements) -> tuple[int, ...]:
    """A page of rows that may be over, behind `after`."""
    wanted: dict[str, int | float] = {"after": after, "before": look.before, "count": PAGE}
    if look.sort is PruneSort.INPUTS:
        wanted |= {"keys_before": look.keys_before, "dead_letters": int(look.dead_letters)}
    return tuple(row[0] for row in statements.all(f"pruning.old_{look.sort}", **wanted))
