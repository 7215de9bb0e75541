"""Ageing: output goes when it is older than `Limits.output_s`, also that of runtimes which say nothing any more.

What a runtime says takes its own old entries away with it. For all others one task a host looks now and then at the oldest
output of the store; where that is not too old yet, the look ends with its first row.
"""

from __future__ import annotations

from functools import partial
from typing import final

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
        await look_for_old(self._store.limits.output_s, self._take_away, self._log)

    async def _take_away(self) -> None:
        before, after = self._store.seams.wall_clock() - self._store.limits.output_s, 0
        while True:
            rows = await self._store.read(partial(_oldest, after=after, before=before))
            old = [(chunk, over) for chunk, is_old, over in rows if is_old]
            keys = tuple([chunk for chunk, over in old if over])
            if keys:
                await self._store.commit(Commit(changes=(PruneOutput(chunks=keys, before=before),)))
            if len(old) < PAGE:
                return
            after = old[-1][0]


def _oldest(statements: Statements, after: int, before: float) -> list[tuple[int, bool, bool]]:
    rows = statements.readable("output.aged", after=after, before=before, count=PAGE)
    return [(chunk, bool(is_old), bool(is_over)) for chunk, is_old, is_over in rows if isinstance(chunk, int)]
