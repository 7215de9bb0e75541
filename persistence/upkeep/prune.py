"""Pruning a store: everything that ended long ago, a page at a time.

Theory of operation. Each facet says what of it is over (`Facet.prune`). Rows are looked for in reads, which hold no lock, from
the oldest on; each page becomes one commit, which judges its rows again. A writer waits for one page at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Commit
from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import PAGE, Ages, Pruning
from tenure.persistence.contracts.access import Access
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.catalog import FACETS

KEYS_KEPT_S: Final = 30 * 86_400.0
"""Seconds that an idempotency key outlives its input."""


async def prune(
    store: Access, now: float, older_than_s: float, *, dead_letters: bool, facets: Sequence[Facet] = FACETS
) -> Counter[str]:
    """See `Store.prune`; `now` is the store's wall clock. What was deleted, by the names of `Pruned`."""
    if not 0 <= older_than_s < float("inf"):
        raise InvalidInput(detail="an age is a number of seconds, 0 or more", field="older_than_s")
    ages = Ages(now=now, before=now - older_than_s, keys_before=now - KEYS_KEPT_S, dead_letters=dead_letters)
    total: Counter[str] = Counter()
    for facet in facets:
        for pruning in facet.prune:
            await _prune(store, pruning, ages, total)
    return total


async def _prune(store: Access, pruning: Pruning, ages: Ages, total: Counter[str]) -> None:
    at: int | None = 0
    while at is not None:
        at = await store.read(partial(_sound, pruning, at))
    after = 0
    while keys := await store.read(partial(_look, pruning, after, ages)):
        result = await store.commit(Commit(changes=(pruning.change(keys, ages),)))
        page = pruning.page(keys, result.values[0])
        total.update(page.counts)
        # A page of which nothing is done with yet is looked for again: a stream that is cleared in slices.
        if page.judged:
            after = keys[page.judged - 1]


def _sound(pruning: Pruning, after: int, statements: Statements) -> int | None:
    return None if pruning.sound is None else pruning.sound(statements, after, PAGE)


def _look(pruning: Pruning, after: int, ages: Ages, statements: Statements) -> tuple[int, ...]:
    return pruning.look(statements, after, PAGE, ages)
