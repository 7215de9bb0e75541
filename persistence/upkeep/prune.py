"""Pruning a store: everything that ended long ago, a page at a time; and shrinking it, by what is free in it then.

Theory of operation. Each facet says what of it is over (`Facet.prune`). Rows are looked for in reads, which hold no lock, from
the oldest on; each page becomes one commit, which judges its rows again. A writer waits for one page at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import final

from attrs import frozen

from tenure.persistence.commits.commit import Commit
from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import PAGE, Pruning
from tenure.persistence.contracts.access import Access
from tenure.persistence.engines.engine import Statements, WriteConnection
from tenure.persistence.facets.catalog import FACETS
from tenure.persistence.model.lifecycles.retention import Ages
from tenure.persistence.writing.ground import Ground


async def prune(store: Access, ages: Ages, facets: Sequence[Facet] = FACETS) -> Counter[str]:
    """See `Store.prune`. What was deleted, by the names of `Pruned`."""
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


@final
@frozen(kw_only=True, slots=True)
class Shrunk:
    """What came of it.

    Attributes:
        written: Whether the file was written anew.
        before_bytes: How large the database was.
        after_bytes: How large it is.
    """

    written: bool
    before_bytes: int
    after_bytes: int


async def shrink(ground: Ground, most_bytes: int) -> Shrunk:
    """See `Store.shrink`."""
    return await ground.between_groups(partial(_shrink, most_bytes=most_bytes))


def _shrink(connection: WriteConnection, most_bytes: int) -> Shrunk:
    keeping = connection.housekeeping
    if keeping is None:
        return Shrunk(written=False, before_bytes=0, after_bytes=0)
    before = keeping.size_bytes
    written = keeping.rewrite(most_bytes)
    if written:
        keeping.empty_log()
    return Shrunk(written=written, before_bytes=before, after_bytes=keeping.size_bytes)
