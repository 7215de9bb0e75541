"""The verbs by which a host and what it stores are watched: list, reads, numbers, health, metrics, hooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, overload

from tenure.persistence.facets.runs.dead_letters import DeadLetter
from tenure.persistence.facets.runs.sends import RefusedSend
from tenure.persistence.model.values import RuntimeState, SessionId
from tenure.persistence.seams.hooks import Carry, Hook
from tenure.persistence.upkeep.inspect import RuntimeLine
from tenure.persistence.upkeep.record import RunEntry, UnfinishedRun
from tenure.portals.portal import Portal
from tenure.supervisor.metrics import Metrics
from tenure.supervisor.operators.health import MIN_FREE_BYTES, Health
from tenure.supervisor.operators.listing import Listing as TrioListing
from tenure.supervisor.operators.own_state import OwnState
from tenure.supervisor.operators.reading import Backlog, SessionNode
from tenure.supervisor.operators.unowned import UnownedRuntime
from tenure.supervisor.statistics import SupervisorStatistics
from tenure.supervisor.supervisor import Supervisor as TrioSupervisor


class Listing:
    """Lists what is stored; see `tenure.Supervisor.list`."""

    def __init__(self, portal: Portal, listing: TrioListing) -> None:
        """Bind to the way to it."""
        self._portal = portal
        self._listing = listing

    async def list(
        self,
        *,
        kind: str | None = None,
        state: RuntimeState | None = None,
        held: bool = False,
        parent: str | None = None,
        labels: Mapping[str, str] | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> tuple[RuntimeLine, ...]:
        """See `tenure.Supervisor.list`."""
        read = partial(
            self._listing.list,
            kind=kind,
            state=state,
            held=held,
            parent=parent,
            labels=labels,
            after=after,
            limit=limit,
        )
        return await self._portal.call(read)


class Reads(Listing):
    """What a supervisor answers from the store alone."""

    def __init__(self, portal: Portal, supervisor: TrioSupervisor) -> None:
        """Bind the supervisor to the way to it."""
        super().__init__(portal, supervisor)
        self._supervisor = supervisor

    @overload
    async def read_session(self, runtime_id: str) -> list[Any]: ...
    @overload
    async def read_session(self, runtime_id: str, *, after: int, limit: int | None = None) -> list[SessionNode]: ...
    @overload
    async def read_session(self, runtime_id: str, *, limit: int) -> list[SessionNode]: ...
    async def read_session(
        self, runtime_id: str, *, after: int | None = None, limit: int | None = None
    ) -> list[Any] | list[SessionNode]:
        """See `tenure.Supervisor.read_session`."""
        bounds = {name: value for name, value in (("after", after), ("limit", limit)) if value is not None}
        read: Callable[..., Awaitable[list[Any]]] = self._supervisor.read_session
        return await self._portal.call(partial(read, runtime_id, **bounds))

    async def session_id(self, runtime_id: str) -> SessionId:
        """See `tenure.Supervisor.session_id`."""
        return await self._portal.call(self._supervisor.session_id, runtime_id)

    async def execution_state(self, runtime_id: str) -> OwnState:
        """See `tenure.Supervisor.execution_state`."""
        return await self._portal.call(self._supervisor.execution_state, runtime_id)

    async def dead_letters(self, runtime_id: str) -> list[DeadLetter]:
        """See `tenure.Supervisor.dead_letters`."""
        return await self._portal.call(self._supervisor.dead_letters, runtime_id)

    async def refused_sends(self, runtime_id: str) -> list[RefusedSend]:
        """See `tenure.Supervisor.refused_sends`."""
        return await self._portal.call(self._supervisor.refused_sends, runtime_id)

    async def entries(
        self, runtime_id: str, run_id: str | None = None, *, content: bool = False, chain: bool = False
    ) -> list[RunEntry]:
        """See `tenure.Supervisor.entries`."""
        read = partial(self._supervisor.entries, runtime_id, run_id, content=content, chain=chain)
        return await self._portal.call(read)

    async def unfinished_runs(self, behaviour_version: str | None = None) -> list[UnfinishedRun]:
        """See `tenure.Supervisor.unfinished_runs`."""
        return await self._portal.call(partial(self._supervisor.unfinished_runs, behaviour_version))

    async def why(self, runtime_id: str) -> dict[str, Any]:
        """See `tenure.Supervisor.why`."""
        return await self._portal.call(partial(self._supervisor.why, runtime_id))

    async def unowned(self) -> list[UnownedRuntime]:
        """See `tenure.Supervisor.unowned`."""
        return await self._portal.call(self._supervisor.unowned)

    async def backlog(self) -> Backlog:
        """See `tenure.Supervisor.backlog`."""
        return await self._portal.call(self._supervisor.backlog)


class Monitoring(Reads):
    """What a supervisor says of its host."""

    async def statistics(self) -> SupervisorStatistics:
        """See `tenure.Supervisor.statistics`."""

        async def statistics() -> SupervisorStatistics:
            return self._supervisor.statistics()

        return await self._portal.call(statistics)

    def health(self, *, min_free_bytes: int = MIN_FREE_BYTES) -> Health:
        """See `tenure.Supervisor.health`. It asks nothing of the supervisor's thread, which may stand still."""
        return self._supervisor.health(min_free_bytes=min_free_bytes)

    def metrics(self) -> Metrics:
        """See `tenure.Supervisor.metrics`. It asks nothing of the supervisor's thread."""
        return self._supervisor.metrics()

    def add_hook(self, hook: Hook, *, carry: Carry | None = None) -> None:
        """See `tenure.Supervisor.add_hook`: the function is called in the supervisor's thread."""
        self._supervisor.add_hook(hook, carry=carry)

    def remove_hook(self, hook: Hook) -> None:
        """See `tenure.Supervisor.remove_hook`."""
        self._supervisor.remove_hook(hook)
