"""Giving runtimes back: one at a time, each where it stands still, so that another host goes on with it (design §25)."""

from __future__ import annotations

import math
import operator
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from heapq import nsmallest
from typing import Any, Final, final

import trio

from tenure.actors.commit_channel import once_landed
from tenure.actors.facts import RuntimeFacts
from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Closed, Error, NotFound, RuntimeDestroyed, StaleFence, StoreBroken
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.facets.ownership.ownership import ReleaseOwnership
from tenure.persistence.model.lifecycles.lifecycle import Standing
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import first
from tenure.persistence.store import Store, ground_of
from tenure.supervisor.operators.log import HostLog

from .actors import Actors
from .owned import Owned

ELSEWHERE: Final = (Closed, NotFound, RuntimeDestroyed, StaleFence)
"""What says that a runtime is no longer this host's."""

CLEAN_UP_S: Final = 5.0
"""Seconds that a behaviour has to clean up which is cut off, before its runtime is given back all the same."""


class _GoesOn(Exception):
    """It does not stand still any more."""


@final
class Releases:
    """Gives the runtimes of one host back."""

    def __init__(self, store: Store, owned: Owned, actors: Actors, log: HostLog) -> None:
        """Nothing is given back yet."""
        self._log = log
        self._store = store
        self._owned = owned
        self._actors = actors
        self._left: dict[LogicalRuntimeId, int] = {}  # cut off, with its token, and its row still says that it is ours

    async def once_at_rest(self, facts: RuntimeFacts, deadline: float | None = None) -> None:
        """Wait until a runtime stands still, and give it back; nothing where it is lost meanwhile.

        With a deadline its run may go on to its end: only one that waits for longer is not waited for.
        """
        while self._owned.find(facts.runtime_id) is facts and not facts.is_destroyed:
            try:
                actor = self._actors.of(facts)
                rests: Callable[[], Awaitable[object]] = partial(actor.resting.whole.wait_value, bool)
                if deadline is not None:
                    rests = partial(actor.resting.wait_beyond, deadline)
                await first(partial(actor.standing.wait_value, runs_nothing), rests)
                if deadline is not None and not is_at_rest(actor):
                    return  # one side of it waits for longer: it is cut off with the host
                await self._give_back(actor, partial(is_at_rest, actor))
            except _GoesOn:
                continue
            except StoreBroken:
                raise
            except Error as exc:
                self._not_released(facts.runtime_id, exc)  # it goes with the rest of what is owned
                return

    async def make_room(self, kind: str, count: int = 1) -> None:
        """Give back the runtimes of a kind that have not been used for longest and have nothing to do, as many as there are."""
        idle = [(since, each) for each in self._owned.all if (since := self._idle_since(each, kind)) is not None]
        for _, facts in nsmallest(count, idle, key=operator.itemgetter(0)):
            try:
                await self._give_back(self._actors.of(facts), partial(self._is_idle, facts, kind))
            except StoreBroken:
                raise
            except _GoesOn:
                continue  # it is used again
            except Error as exc:
                self._not_released(facts.runtime_id, exc)

    async def cut(self, facts: RuntimeFacts) -> None:
        """Give a runtime back at once; its run is cut off, and counts no attempt. What it was about to commit does not land.

        Where that cannot be written it is left to `release_left`. Cancellation comes when it is given back: what the row of
        this host alone owned would run nowhere.
        """
        if self._owned.find(facts.runtime_id) is not facts or facts.is_destroyed:
            return
        actor = self._actors.of(facts)
        self._left[facts.runtime_id] = facts.fence_token
        self._owned.give_back(facts)
        with trio.CancelScope(shield=True), suppress(*NOT_NOW):
            with trio.move_on_after(CLEAN_UP_S):
                await actor.working.wait_value(operator.not_)
            await self._release(facts.runtime_id)

    async def release_left(self) -> None:
        """Write what `cut` could not. Raises what says that there is still no way to, such as `DiskFull`."""
        for runtime_id in list(self._left):
            await self._release(runtime_id)

    async def _release(self, runtime_id: LogicalRuntimeId) -> None:
        token = self._left.get(runtime_id)
        if token is None:
            return
        release = ReleaseOwnership(runtime_id=runtime_id)
        try:
            await self._store.commit(Commit(runtime_id=runtime_id, fence_token=token, changes=(release,)))
        except (StoreBroken, *NOT_NOW):
            raise
        except Error as exc:
            self._not_released(runtime_id, exc)  # it goes with the rest
        self._left.pop(runtime_id, None)

    def _not_released(self, runtime_id: LogicalRuntimeId, error: Error) -> None:
        """Where it is another host's by now, or there is no way now, nothing is amiss; else operators hear of it."""
        if not isinstance(error, (*ELSEWHERE, *NOT_NOW)):
            self._log.release_failed(runtime_id, error)

    def _is_idle(self, facts: RuntimeFacts, kind: str) -> bool:
        return self._idle_since(facts, kind) is not None

    def _idle_since(self, facts: RuntimeFacts, kind: str) -> float | None:
        """Since when a runtime of a kind is not used; None where it is, or has something to do."""
        if facts.kind != kind or facts.has_work or facts.aside or facts.is_destroyed:
            return None
        actor = self._owned.actor(facts.runtime_id)
        return -math.inf if actor is None else actor.idle_since()

    async def _give_back(self, actor: RuntimeActor, stands_still: Callable[[], bool]) -> None:
        facts = actor.facts

        def decide() -> tuple[Change, ...]:
            if self._owned.find(facts.runtime_id) is not facts:
                raise Closed(what=f"ownership of runtime {facts.runtime_id}")
            if not stands_still():
                raise _GoesOn
            return (ReleaseOwnership(runtime_id=facts.runtime_id),)

        def publish(_: tuple[Any, ...]) -> None:
            self._owned.give_back(facts)

        ground_of(self._store).check_open()
        await actor.channel.decide_in_turn(decide, once_landed(publish))


def is_at_rest(actor: RuntimeActor) -> bool:
    """Whether no run of a runtime executes, or all of the one that does rests: what it has done is on disk."""
    return runs_nothing(actor.standing.value) or actor.resting.whole.value


def runs_nothing(standing: Standing) -> bool:
    """Whether no run executes."""
    return standing.state is not RuntimeState.RUNNING
