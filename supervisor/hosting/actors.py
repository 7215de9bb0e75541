"""Actors: made when a runtime is used, and dropped when it is not (design §4)."""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, final
from weakref import WeakValueDictionary

import trio
from trio_util import periodic

from tenure.actors.commit_channel import once_landed
from tenure.actors.facts import Begins, RuntimeFacts
from tenure.actors.listener import Listener
from tenure.actors.runtime_actor import RuntimeActor
from tenure.actors.slots import Slots
from tenure.actors.worker import Bench, Worker
from tenure.errors import Closed, RuntimeDestroyed
from tenure.persistence.commits.commit import Change
from tenure.persistence.facets.ownership.ownership import ReleaseOwnership
from tenure.persistence.facets.runs.runs import RunBegun
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.store import Store
from tenure.supervisor.runs.behaviour import Behaviours

from .mending import Mending
from .owned import Owned
from .tasks import Tasks

FIRST_TOLD_S: Final = 5.0
"""Seconds after which a host that ends says for what it waits; the next line comes after twice as long, and so on."""

LONGEST_TOLD_S: Final = 3600.0

PAGE: Final = 1_000
"""So many facts are looked at before others run."""


@final
class Actors:
    """Makes those of one host.

    A passivated runtime stays owned under its token, and nothing is written; what is left of it in memory are its facts, as a
    row where they say little.
    """

    def __init__(
        self,
        store: Store,
        behaviours: Behaviours,
        owned: Owned,
        execute: Callable[[RuntimeActor, RunBegun], Awaitable[None]],
        listener: Listener,
        tasks: Tasks,
        mending: Mending,
    ) -> None:
        """No actor yet. `execute` executes the runs of each, and `listener` hears what becomes of its inputs without one."""
        self._store = store
        self._behaviours = behaviours
        self._owned = owned
        self._execute = execute
        self._listener = listener
        self._tasks = tasks
        self._mending = mending
        self._slots = {
            kind: Slots(behaviour.max_running)
            for kind, behaviour in behaviours.items()
            if behaviour.max_running is not None
        }
        self._bench = Bench(tasks.context)
        self._stay: Callable[[RuntimeActor], None] | None = None
        # Of the actors that live, and of those before them whose behaviours still clean up.
        self._workers: WeakValueDictionary[LogicalRuntimeId, Worker] = WeakValueDictionary()

    def of(self, facts: RuntimeFacts) -> RuntimeActor:
        """The actor of an owned runtime; a passivated one wakes up.

        Raises:
            Closed: It is owned no longer.
            RuntimeDestroyed: It was destroyed; nothing is kept of it but what its handles have.
            StoreBroken: The store has stopped.
        """
        runtime_id = facts.runtime_id
        if self._owned.find(runtime_id) is not facts:
            lost = self._owned.why_lost(runtime_id)
            raise RuntimeDestroyed(runtime_id=runtime_id) if facts.is_destroyed else lost
        return self._owned.actor(runtime_id) or self._make(facts)

    def has_let_go(self, facts: RuntimeFacts) -> bool:
        """Whether a runtime was let go of, because its run was put aside or it was given back, and has not come back."""
        return (facts.aside or facts.given_back) and self._owned.find(facts.runtime_id) is not facts

    def _make(self, facts: RuntimeFacts) -> RuntimeActor:
        defect = partial(self._mending.distrust, facts.runtime_id)
        start_soon = partial(self._tasks.start_soon, defect=defect)
        worker = self._workers.setdefault(facts.runtime_id, Worker(start_soon, self._bench))
        kind = facts.kind
        begins = Begins(
            batch=self._behaviours[kind].batch,
            offers=self._behaviours.offers(kind),
            slots=self._slots.get(kind),
            follows=self._behaviours[kind].on_abandoned is not None,
            events=self._behaviours[kind].events,
        )
        actor = RuntimeActor(self._store, facts, begins, self._execute, self._listener, start_soon, worker)
        if self._stay is not None:
            self._stay(actor)
        self._owned.activate(actor)
        if facts.has_work:
            start_soon(actor.begin)
        return actor

    def stay(self, *, runs: bool, steps: bool) -> None:
        """Let no actor begin a run, or a step, from now on; or let them go on."""
        stay = self._stay = partial(RuntimeActor.stay, runs=runs, steps=steps)
        for actor in self._owned.actors:
            with self._mending.net(actor.facts.runtime_id):
                stay(actor)

    async def tell_waiting(self, say: Callable[[Sequence[LogicalRuntimeId], float], None]) -> None:
        """While the host ends: say which runtimes it waits for, whose code was cancelled and goes on; until there is none."""
        began, wait_s = trio.current_time(), FIRST_TOLD_S
        with trio.CancelScope(shield=True):
            while busy := [(name, worker) for name, worker in list(self._workers.items()) if worker.busy.value]:
                with trio.move_on_after(wait_s) as scope:
                    for _, worker in busy:
                        await worker.busy.wait_value(operator.not_)
                if scope.cancelled_caught:
                    left = sorted([name for name, worker in busy if worker.busy.value])
                    say(left, trio.current_time() - began)
                    wait_s = min(2 * wait_s, LONGEST_TOLD_S)

    async def passivate_idle(self) -> None:
        """Look through the actors for as long as the host lives; see `Limits.passivate_s`."""
        idle_s = self._store.limits.passivate_s
        async for _ in periodic(idle_s / 2):
            now = trio.current_time()
            for actor in self._owned.actors:
                with self._mending.net(actor.facts.runtime_id):
                    idle_since = actor.idle_since()
                    if idle_since is None or now - idle_since < idle_s:
                        continue
                    if actor.facts.aside:
                        await self._let_go(actor)
                    else:
                        self._owned.passivate(actor)
            await self._let_rest()

    async def _let_rest(self) -> None:
        for count, facts in enumerate(self._owned.in_use, 1):
            self._owned.rest(facts)
            if not count % PAGE:
                await trio.lowlevel.checkpoint()
        self._owned.shrink()

    async def _let_go(self, actor: RuntimeActor) -> None:
        """Give a runtime up again whose run is aside, and which was taken for something else, that is done."""

        def decide() -> tuple[Change, ...]:
            if actor.idle_since() is None or not actor.facts.aside:
                raise Closed(what=f"actor of {actor.facts.runtime_id}")  # it is used again, or is not aside any more
            return (ReleaseOwnership(runtime_id=actor.facts.runtime_id),)

        def publish(_: tuple[Any, ...]) -> None:
            actor.publish_aside()
            self._listener.put_aside(actor)

        await actor.channel.decide_in_turn(decide, once_landed(publish))
