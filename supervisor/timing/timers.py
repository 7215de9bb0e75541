"""The timers of a host: everything that looks at what is stored for a time, each in a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import final

from tenure.persistence.store import Store
from tenure.supervisor.accepting.publishing import Publishing
from tenure.supervisor.hosting.actors import Actors
from tenure.supervisor.hosting.mending import Mending
from tenure.supervisor.hosting.owned import Owned
from tenure.supervisor.hosting.takeovers import Takeovers
from tenure.supervisor.operators.log import HostLog
from tenure.supervisor.runs.behaviour import Behaviours

from .deadlines import Deadlines
from .delays import Delays
from .looking import Looking
from .schedules import Firing
from .wakes import Wakes


@final
class Timers:
    """Those of one host.

    Attributes:
        kinds: Whose runs it wakes.
    """

    def __init__(
        self,
        store: Store,
        owned: Owned,
        actors: Actors,
        takeovers: Takeovers,
        publishing: Publishing,
        mending: Mending,
        log: HostLog,
        *,
        behaviours: Behaviours,
    ) -> None:
        """Nothing is looked at yet."""
        deadlines = Deadlines(store, owned, actors, publishing, mending, log)
        delays = Delays(store, takeovers, publishing, mending)
        firing = Firing(store, takeovers, mending, log)
        self.kinds = tuple(behaviours)
        wakes = Wakes(store, behaviours, owned, takeovers)
        self._wakes = Looking(wakes.look, log)
        looks = deadlines.look, delays.look, firing.look
        self._looking = (*(Looking(look, log) for look in looks), self._wakes)

    @property
    def watches(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """The tasks, which end with the host."""
        return tuple(each.watch for each in self._looking)

    def hear(self) -> None:
        """An input may have come with a time, or a runtime with some, or such a time was moved."""
        for each in self._looking:
            each.hear()

    def hear_wake(self) -> None:
        """A run that was put aside may be due, or one that was has begun, and another may be taken."""
        self._wakes.hear()
