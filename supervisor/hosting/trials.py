"""Trials: runs that may have taken their host down twice in a row start one after another (design §6).

However a runtime came to this host, by recovery or by a spawn: a run that was in flight at the last two crashes waits for its
turn, while the rest of the host works. So the next crash is charged to the one on trial and to what was started since, and not
to everything that happened to be in flight. Those with the fewest crashes go first: the innocent are through before the
one that kills.
"""

from __future__ import annotations

import heapq
import itertools
import operator
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Final, final

import trio

from tenure.actors.facts import RuntimeFacts
from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Closed
from tenure.persistence.model.lifecycles.lifecycle import Standing
from tenure.persistence.model.values import RuntimeState
from tenure.persistence.seams.nursery import first

from .actors import Actors
from .mending import Mending
from .tasks import Tasks

TRIAL_S: Final = 10.0
"""Seconds at most that a run on trial has for itself before the next one starts; one that waits durably needs no more."""


@final
class Trials:
    """The runs that wait for their turn."""

    def __init__(self, actors: Actors, mending: Mending, tasks: Tasks) -> None:
        """Nothing waits yet."""
        self._actors = actors
        self._mending = mending
        self._tasks = tasks
        self._waiting: list[tuple[int, int, RuntimeFacts]] = []
        self._arrivals = itertools.count()
        self._trying = False
        self._coming = 0

    def add(self, facts: RuntimeFacts, crashes: int) -> None:
        """Let a runtime that is on trial wait for its turn."""
        heapq.heappush(self._waiting, (crashes, next(self._arrivals), facts))
        self._begin()

    @contextmanager
    def in_order(self) -> Generator[None]:
        """What is added in here is tried in the order of its crashes: no trial begins before all of it has come."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
        self._begin()

    def _begin(self) -> None:
        if self._waiting and not (self._trying or self._coming):
            self._trying = True
            self._tasks.start_soon(self._try_all)

    async def _try_all(self) -> None:
        while self._waiting:
            _, _, facts = heapq.heappop(self._waiting)
            with self._mending.net(facts.runtime_id), trio.move_on_after(TRIAL_S):
                await self._try(facts)
        self._trying = False

    async def _try(self, facts: RuntimeFacts) -> None:
        """Start a run, and wait until it has ended, waits durably, or cannot begin."""
        facts.on_trial = False
        try:
            actor = self._actors.of(facts)
        except Closed:
            return  # lost meanwhile: its next owner tries it
        actor.wake()
        # Cases: it has no run to begin, or none that may begin; it has run; it waits durably.
        if actor.working.value:
            await first(partial(actor.working.wait_value, operator.not_), partial(self._wait_through, actor))

    async def _wait_through(self, actor: RuntimeActor) -> None:
        await actor.standing.wait_value(_is_running)
        await first(
            partial(actor.standing.wait_value, lambda standing: not _is_running(standing)),
            actor.resting.wait_any,
        )


def _is_running(standing: Standing) -> bool:
    return standing.state is RuntimeState.RUNNING
