"""Retaining: what has ended goes by itself when it is older than a `Retention` keeps it, while a host lives.

One task a host looks now and then. Each page of what may go is one commit, which judges each of its rows again; between two
pages every other commit has its turn. Several hosts that look at once take nothing twice.
"""

from __future__ import annotations

from typing import Final, final

import trio

from tenure.errors import Closed, Error, StoreBroken
from tenure.persistence.model.lifecycles.retention import Retention
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.store import Store
from tenure.persistence.upkeep.prune import prune
from tenure.supervisor.operators.log import HostLog

LOOKS_S: Final = 3600.0
"""Longest time between two looks, in seconds; what is over is late by a twelfth of the shortest time at most, or by this."""

SHARE: Final = 12


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
        while True:
            await trio.sleep(min(LOOKS_S, self._retention.shortest_s / SHARE))
            try:
                await prune(self._store, self._retention.ages(self._store.seams.wall_clock()))
            except (StoreBroken, Closed):
                raise
            except NOT_NOW:
                continue  # the next look goes on
            except Error as exc:  # what is stored there is damaged: it stays, for verify
                self._log.look_failed(exc)
