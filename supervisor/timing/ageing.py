"""Ageing: output goes when it is older than a `Retention` says, also that of runtimes which say nothing more.

What a runtime says takes its own old entries away with it. For all others one task a host looks now and then at the oldest
output of the store; where that is not too old yet, the look ends with its first row.
"""

from __future__ import annotations

from functools import partial
from typing import final

from attrs import evolve

from tenure.persistence.commits.commit import Commit
from tenure.persistence.commits.upkept import PAGE
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.output.output import PruneOutput
from tenure.persistence.store import Store
from tenure.supervisor.operators.log import HostLog

from .looking import look_for_old


@final
class Ageing:
    """Takes away what is too old."""

    def __init__(self, store: Store, log: HostLog) -> None:
        """Look at nothing yet."""
        self._store = store
        self._log = log

    async def run(self) -> None:
        """Look now and then, for as long as the host lives."""
        retention = self._store.retention
        kept_s = min([retention.output_s, *[each.output_s for each in retention.kinds.values()]])
        await look_for_old(kept_s, self._take_away, self._log)

    async def _take_away(self) -> None:
        ages, after = self._store.retention.ages(self._store.seams.wall_clock()), 0
        change = PruneOutput(chunks=(), before=ages.output_before, kinds=ages.output_of_kinds)
        before = ages.widest.output_before
        while True:
            rows = await self._store.read(partial(_oldest, after=after, before=before))
            old = [each for each in rows if each[1]]
            keys = tuple([chunk for chunk, _, is_over, said_at, kind in old if is_over and change.takes(said_at, kind)])
            if keys:
                await self._store.commit(Commit(changes=(evolve(change, chunks=keys),)))
            if len(old) < PAGE:
                return
            after = old[-1][0]


def _oldest(statements: Statements, after: int, before: float) -> list[tuple[int, bool, bool, object, object]]:
    rows = statements.readable("output.aged", after=after, before=before, count=PAGE)
    return [(chunk, bool(old), bool(over), at, kind) for chunk, old, over, at, kind in rows if isinstance(chunk, int)]
