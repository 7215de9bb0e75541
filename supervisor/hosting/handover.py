"""Handing over: a host that drains gives its runtimes back, and takes none (design §25).

Cases of a runtime: it has nothing to do, and is given back at once; its run rests for a time, and is put aside; its run
executes, and is given back when it has ended, or when all of it has reached its next step, which it does not begin; it reaches
neither in time, and is cut off. What a run has recorded is on disk in each case, and its next owner goes on after that.
Queued work that is claimed here is done, or given back when the time is over.

While a host says in its row that it drains, the others look at each of their looks for what is there to be taken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, final

import trio

from tenure.errors import Closed, StoreBroken
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership.draining import DescribeHost, Drain
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import together
from tenure.persistence.store import Store
from tenure.supervisor.runs.resting.sleepers import Sleepers
from tenure.supervisor.serving.shift import Shift

from .actors import Actors
from .owned import Owned
from .releases import Releases, runs_nothing
from .room import Room
from .takeovers import Takeovers
from .tasks import Tasks

RETRY_S: Final = 1.0
"""Seconds after which what found no room, or no way to the file, is tried again."""

PAGE: Final = 500
"""Runtimes with nothing to do that are given back at a time."""


@final
class Handover:
    """That of one host.

    Attributes:
        drain_s: Seconds that runs have to end or to reach a step, where nothing else is said.
        said: What the row of the host says.
    """

    def __init__(
        self,
        *,
        store: Store,
        owned: Owned,
        actors: Actors,
        takeovers: Takeovers,
        releases: Releases,
        room: Room,
        shift: Shift,
        sleepers: Sleepers,
        tasks: Tasks,
    ) -> None:
        """The host takes what there is."""
        self.drain_s = 0.0
        self.said: Drain | None = None
        self._store = store
        self._owned = owned
        self._actors = actors
        self._takeovers = takeovers
        self._releases = releases
        self._room = room
        self._shift = shift
        self._sleepers = sleepers
        self._tasks = tasks
        self._hears: Drain | None = None
        self._draining = trio.CancelScope()
        self._turn = trio.Lock()

    async def begin(self) -> None:
        """Say in the row of the host of which kinds it has behaviours, and the bounds of these."""
        if self._room.bounds:
            await self._say(None)

    async def rejoined(self) -> None:
        """The host has another row: say there what the one before said."""
        if self.said is not None or self._room.bounds:
            await _patiently(lambda: self._say(self.said))

    async def drain(self, drain_s: float | None = None) -> None:
        """See `Supervisor.drain`."""
        within_s = self.drain_s if drain_s is None else drain_s
        async with self._turn:
            self._begin_to_stay(steps=True)
            if self.said is Drain.DRAINED:
                await self._say(Drain.DRAINED)  # its row may say that it was asked to
                return
            with trio.CancelScope() as self._draining:
                await self._say(Drain.DRAINS)
                with trio.move_on_after(within_s):
                    await together(self._hand_over, self._shift.wait_idle)
                await self._shift.give_back()
                await self._room.wait_come()
                await together(*(partial(self._releases.cut, each) for each in self._owned.all))
                await self._releases.release_left()
                await self._say(Drain.DRAINED)

    async def undrain(self) -> None:
        """See `Supervisor.undrain`."""
        self._draining.cancel()
        async with self._turn:
            if self._room.drains or self._hears is not None:
                await self._say(None)  # first: a host that says that it is drained owns nothing
                self._room.drains = False
                self._shift.begin()
                self._actors.stay(runs=False, steps=False)
                self._tasks.start_soon(self._take_again)

    async def leave(self, drain_s: float) -> None:
        """The host is about to close: runs may end, for so long; the last commit of the host gives back what is owned then."""
        self._room.closes = True
        if not self._room.drains:
            self._begin_to_stay(steps=False)
        try:
            with trio.move_on_after(drain_s) as scope:
                if any(self._is_busy(each.runtime_id) for each in self._owned.all):
                    async with self._turn:
                        with suppress(*NOT_NOW):  # others find what is given back at a renewal
                            await self._say(Drain.DRAINS)
                        await self._hand_over(scope.deadline)
        except (StoreBroken, Closed) as exc:
            self._tasks.end_with(exc)

    def hear(self, stored: Drain | None) -> None:
        """What the row of this host says at a look: another process may have asked for something."""
        if (stored is Drain.ASKED or stored is Drain.ENDED) and stored is not self._hears:
            self._hears = stored
            self._tasks.start_soon(partial(self._follow, stored))

    async def _follow(self, asked: Drain) -> None:
        try:
            await _patiently(self.drain if asked is Drain.ASKED else self.undrain)
        finally:
            if self._hears is asked:  # else it was asked for the contrary meanwhile
                self._hears = None

    async def _take_again(self) -> None:
        await _patiently(self._releases.release_left)  # first: what a row says is ours is found by no one
        self._takeovers.leave_over(hurry=True)

    def _begin_to_stay(self, *, steps: bool) -> None:
        self._room.drains = True
        self._shift.end()
        self._actors.stay(runs=True, steps=steps)

    async def _hand_over(self, deadline: float | None = None) -> None:
        if deadline is None:
            await self._sleepers.put_all()
        everything = self._owned.all
        busy = [each for each in everything if self._is_busy(each.runtime_id)]
        idle = [each for each in everything if not self._is_busy(each.runtime_id)]
        for at in range(0, len(idle), PAGE):
            await together(*(partial(self._releases.once_at_rest, each, deadline) for each in idle[at : at + PAGE]))
        await together(*(partial(self._releases.once_at_rest, each, deadline) for each in busy))

    def _is_busy(self, runtime_id: LogicalRuntimeId) -> bool:
        actor = self._owned.actor(runtime_id)
        return actor is not None and not runs_nothing(actor.standing.value)

    async def _say(self, drain: Drain | None) -> None:
        change = DescribeHost(drain=drain, max_owned=self._room.bounds)
        (stood,) = (await self._store.commit(Commit(changes=(change,)))).values
        self.said = drain
        self.hear(stood)  # what was asked since the last look is asked still


async def _patiently(do: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await do()
        except NOT_NOW:
            await trio.sleep(RETRY_S)  # nothing happened
