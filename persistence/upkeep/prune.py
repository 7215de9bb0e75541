"""Pruning a store: everything that ended long ago, a page at a time.

Theory of operation. Rows are looked for in reads, which hold no lock, from the oldest on; each page becomes one commit, which
judges its rows again. Whoever writes meanwhile waits for one page at most. Receipts go first, because a run goes with the last
of its receipts; then runs with all that is theirs, then inputs that no run has, then what conversations left behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.contracts.access import Access
from tenure.persistence.contracts.collecting import collect_unreachable
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.graph.prune import PruneTurns, old_turns
from tenure.persistence.facets.journal.facts import PruneFacts
from tenure.persistence.facets.journal.journal import ClearStream
from tenure.persistence.facets.journal.prune import forgotten_streams, old_facts
from tenure.persistence.facets.pruning import (
    Prune,
    Pruned,
    PrunedPage,
    PruneSort,
)
from tenure.persistence.facets.state.state import SweepExpired, any_expired

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
    await _prune_journals(store, now - older_than_s, total)
    total["state_values"] += await _sweep(store, now)
    await _prune_sessions(store, min(now - older_than_s, now - KEYS_KEPT_S), total)
    return Pruned(**total)


async def _prune_journals(store: Access, before: float, total: Counter[str]) -> None:
    """Streams first: what they refer to is free behind them."""
    after = 0
    while streams := await store.read(partial(forgotten_streams, after=after, count=PAGE)):
        for stream in streams:
            while not (cleared := await _written(store, ClearStream(stream=stream, count=PAGE))).gone:
                total["events"] += cleared.events
            total["events"] += cleared.events
        after = streams[-1]
    after = 0
    while facts := await store.read(partial(old_facts, after=after, before=before, count=PAGE)):
        total["facts"] += await _written(store, PruneFacts(facts=facts, before=before))
        after = facts[-1]


async def _prune_sessions(store: Access, before: float, total: Counter[str]) -> None:
    """Turns are known as long as keys of inputs are; the bytes of parts go when no checkpoint has them any more."""
    after = 0
    while turns := await store.read(partial(old_turns, after=after, before=before, count=PAGE)):
        total["turns"] += await _written(store, PruneTurns(turns=turns, before=before))
        after = turns[-1]
    total["parts"] += (await collect_unreachable(store)).deleted_blob_count


async def _sweep(store: Access, now: float) -> int:
    total = 0
    while await store.read(partial(any_expired, now=now)):
        total += await _written(store, SweepExpired(count=PAGE))
    return total


async def _written(store: Access, change: Change) -> Any:
    return (await store.commit(Commit(changes=(change,)))).values[0]


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
