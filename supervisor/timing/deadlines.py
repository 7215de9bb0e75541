"""Deadlines of inputs, kept by the host that owns their runtime, or by any where no host does (design §20).

What is late is decided by the commit that ends it.
"""

from __future__ import annotations

from functools import partial
from typing import final

from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.runs.deadlines import (
    LATE,
    DropLateRun,
    ExpireInputs,
    LateInputs,
    find_late,
    find_next,
)
from tenure.persistence.model.values import InputId
from tenure.persistence.store import Store, ground_of
from tenure.supervisor.accepting.publishing import Publishing
from tenure.supervisor.hosting.actors import Actors
from tenure.supervisor.hosting.mending import Mending
from tenure.supervisor.hosting.owned import Owned
from tenure.supervisor.operators.log import HostLog

from .looking import wait_until


@final
class Deadlines:
    """Ends what is late."""

    def __init__(
        self, store: Store, owned: Owned, actors: Actors, publishing: Publishing, mending: Mending, log: HostLog
    ) -> None:
        """Nothing is late yet."""
        self._store = store
        self._owned = owned
        self._actors = actors
        self._publishing = publishing
        self._mending = mending
        self._log = log

    async def look(self) -> float:
        """End what is late now; seconds until the next look."""
        now = self._store.seams.wall_clock()
        late, coming = await self._store.read(partial(_read, ground_of(self._store).host, now))
        for found in late:
            with self._mending.net(found.runtime_id):  # gone, another host's, or damaged: those of others go on
                await self._end(found)
        return wait_until(coming, now, left=bool(late))

    async def _end(self, found: LateInputs) -> None:
        if found.wait:
            expire = ExpireInputs(runtime_id=found.runtime_id)
            ended: tuple[InputId, ...] = (await self._store.commit(Commit(changes=(expire,)))).values[0]
            self._publishing.abandoned(found.runtime_id, ended, LATE)
            self._log.dead(found.runtime_id, ended, LATE, None)
        facts = self._owned.find(found.runtime_id)
        if found.of_run and facts is not None:
            drop = DropLateRun(runtime_id=found.runtime_id)
            ended = await self._actors.of(facts).drop_run(drop, LATE)
            self._log.dead(found.runtime_id, ended, LATE, None)


def _read(host: int, now: float, statements: Statements) -> tuple[list[LateInputs], float | None]:
    return find_late(statements, host, now), find_next(statements, now)
