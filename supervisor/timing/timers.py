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

from .deadlines import Deadlines
from .delays import Delays
from .looking import Looking
from .schedules import Firing


@final
class Timers:
    """Those of one host."""

    def __init__(
        self,
        store: Store,
        owned: Owned,
        actors: Actors,
        takeovers: Takeovers,
        publishing: Publishing,
        mending: Mending,
        log: HostLog,
    ) -> None:
        """Nothing is looked at yet."""
        deadlines = Deadlines(store, owned, actors, publishing, mending, log)
        delays = Delays(store, takeovers, publishing, mending)
        firing = Firing(store, takeovers, mending, log)
        self._looking = tuple(Looking(look, log) for look in (deadlines.look, delays.look, firing.look))

    @property
    def watches(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """The tasks, which end with the host."""
        return tuple(each.watch for each in self._looking)

    def hear(self) -> None:
        """An input may have come with a time, or a runtime with some, or such a time was moved."""
        for each in self._looking:
            each.hear()
