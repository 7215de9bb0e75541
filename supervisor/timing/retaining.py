"""Retaining: what has ended goes by itself when it is older than a `Retention` keeps it, while a host lives.

One task a host looks now and then. Each page of what may go is one commit, which judges each of its rows again; between two
pages every other commit has its turn. Several hosts that look at once take nothing twice.
"""

from __future__ import annotations

from typing import final

from tenure.persistence.model.lifecycles.retention import Retention
from tenure.persistence.store import Store
from tenure.persistence.upkeep.prune import prune
from tenure.supervisor.operators.log import HostLog

from .looking import look_for_old


@final
class Retaining:
    """Takes away what is kept no longer."""

    def __init__(self, store: Store, log: HostLog, retention: Retention) -> None:
        """Look at nothing yet."""
        self._store = store
        self._log = log
        self._retention = retention

    async def run(self) -> None:
        """Look now and then, for as long as the host lives."""
        await look_for_old(self._retention.shortest_s, self._take_away, self._log)

    async def _take_away(self) -> None:
        await prune(self._store, self._retention.ages(self._store.seams.wall_clock()))
