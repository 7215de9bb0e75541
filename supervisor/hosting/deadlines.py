"""Deadlines of inputs, kept by the host that owns their runtime, or by any where no host does (design §20).

One task sleeps until the next deadline that is stored, and looks again when inputs or runtimes come; while there is a deadline
anywhere in the store also every `LOOK_S`, for runtimes change hands. What is late is decided by the commit that ends it.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Final, final

import trio

from tenure.errors import Closed, StoreBroken
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
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import is_for_others
from tenure.persistence.store import Store, ground_of
from tenure.supervisor.accepting.publishing import Publishing
from tenure.supervisor.operators.log import HostLog

from .actors import Actors
from .mending import Mending
from .owned import Owned

LOOK_S: Final = 5.0
"""Most seconds between two looks, while there is a deadline."""


@final
class Deadlines:
    """Ends what is late, for as long as the host lives."""

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
        self._came = trio.Event()

    def hear(self) -> None:
        """An input may have come with a deadline, or a runtime with some."""
        self._came.set()

    async def watch(self) -> None:
        """End what is late, whenever there is some. Ends with the host."""
        while True:
            self._came = trio.Event()
            try:
                wait_s = await self._look()
            except NOT_NOW:
                wait_s = LOOK_S
            except (StoreBroken, Closed):
                raise
            except BaseException as exc:
                if is_for_others(exc):
                    raise
                self._log.look_failed(exc)
                wait_s = LOOK_S
            with trio.move_on_after(wait_s):
                await self._came.wait()

    async def _look(self) -> float:
        """End what is late now; seconds until the next look."""
        now = self._store.seams.wall_clock()
        late, coming = await self._store.read(partial(_read, ground_of(self._store).host, now))
        for found in late:
            with self._mending.net(found.runtime_id):  # gone, another host's, or damaged: those of others go on
                await self._end(found)
        if coming is None and not late:
            return math.inf
        return LOOK_S if coming is None else min(max(coming - now, 0.0), LOOK_S)

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
