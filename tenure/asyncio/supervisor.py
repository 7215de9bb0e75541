"""The supervisor of an asyncio program: each verb is the trio one's, called through the portal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, Unpack, final

from tenure.persistence.contracts.erasing import Erasure
from tenure.persistence.model.arguments import names_verbs
from tenure.persistence.model.values import RuntimeState, SessionId
from tenure.portals.portal import Portal
from tenure.supervisor.accepting.terms import AcceptTerms
from tenure.supervisor.accepting.tickets import Ticket as TrioTicket
from tenure.supervisor.handles.runtime import Runtime as TrioRuntime
from tenure.supervisor.runs.recording.restart import RestartPolicy
from tenure.supervisor.serving.terms import QueuedWork
from tenure.supervisor.supervisor import Supervisor as TrioSupervisor

from .behaving.steps import on_loop
from .facets import Schedules
from .handles import ForeignRuntime, Runtime, Selection
from .listing import Monitoring
from .reading import Output, Ticket
from .store import Store

T = TypeVar("T")


@final
@names_verbs
class Supervisor(Monitoring):
    """Owns runtimes, from another thread; see `tenure.Supervisor`. Made by `open_supervisor`."""

    def __init__(self, portal: Portal, supervisor: TrioSupervisor) -> None:
        """Bind the supervisor to the way to it."""
        super().__init__(portal, supervisor)
        self.store = Store(portal, supervisor.store)
        self._schedules = Schedules(portal, supervisor.schedules)

    @property
    def schedules(self) -> Schedules:
        """Inputs that come by a timetable."""
        return self._schedules

    async def spawn(
        self, runtime_id: str, kind: str, *, wait: bool = False, labels: Mapping[str, str] | None = None
    ) -> Runtime:
        """See `tenure.Supervisor.spawn`."""

        async def spawn() -> TrioRuntime:
            return await self._supervisor.spawn(runtime_id, kind, wait=wait, labels=labels)

        return Runtime(self._portal, await self._portal.call(spawn))

    async def spawn_many(
        self, runtime_ids: Iterable[str], kind: str, *, labels: Mapping[str, str] | None = None
    ) -> list[Runtime]:
        """See `tenure.Supervisor.spawn_many`."""

        async def spawn() -> list[TrioRuntime]:
            return await self._supervisor.spawn_many(runtime_ids, kind, labels=labels)

        return [Runtime(self._portal, each) for each in await self._portal.call(spawn)]

    async def drain(self, *, drain_s: float | None = None) -> None:
        """See `tenure.Supervisor.drain`."""
        await self._portal.call(partial(self._supervisor.drain, drain_s=drain_s))

    async def undrain(self) -> None:
        """See `tenure.Supervisor.undrain`."""
        await self._portal.call(self._supervisor.undrain)

    def follow(self, after: str | None = None, *, channel: str | None = None, events: bool = False) -> Output:
        """What all runtimes of the store emit; see `tenure.Supervisor.follow`."""
        return Output(self._portal, self._supervisor.follow(after, channel=channel, events=events))

    async def accept(
        self,
        runtime_id: str,
        payload: object,
        *,
        kind: str | None = None,
        labels: Mapping[str, str] | None = None,
        **terms: Unpack[AcceptTerms],
    ) -> Ticket:
        """See `tenure.Supervisor.accept`. Leave the payload alone until this returns, as with `Runtime.accept`."""

        async def accept() -> TrioTicket:
            return await self._supervisor.accept(runtime_id, payload, kind=kind, labels=labels, **terms)

        return Ticket(self._portal, await self._portal.call(accept))

    async def runtime(self, runtime_id: str) -> Runtime:
        """See `tenure.Supervisor.runtime`."""

        async def runtime() -> TrioRuntime:
            return self._supervisor.runtime(runtime_id)

        return Runtime(self._portal, await self._portal.call(runtime))

    async def find(self, runtime_id: str) -> Runtime | ForeignRuntime:
        """See `tenure.Supervisor.find`."""
        found = await self._portal.call(self._supervisor.find, runtime_id)
        return Runtime(self._portal, found) if isinstance(found, TrioRuntime) else ForeignRuntime(self._portal, found)

    async def ticket(
        self, runtime_id: str, *, input_id: str | None = None, idempotency_key: str | None = None
    ) -> Ticket:
        """See `tenure.Supervisor.ticket`."""

        async def ticket() -> TrioTicket:
            return await self._supervisor.ticket(runtime_id, input_id=input_id, idempotency_key=idempotency_key)

        return Ticket(self._portal, await self._portal.call(ticket))

    async def set_execution_state(
        self, runtime_id: str, values: Mapping[str, Any], *, delete: Iterable[str] = (), expected: int | None = None
    ) -> int:
        """See `tenure.Supervisor.set_execution_state`."""

        async def write() -> int:
            return await self._supervisor.set_execution_state(runtime_id, values, delete=delete, expected=expected)

        return await self._portal.call(write)

    async def serve_queue(
        self,
        sessions: str | Sequence[SessionId | str],
        handler: Callable[[QueuedWork], Coroutine[Any, Any, object]],
        *,
        concurrency: int = 8,
        rate: tuple[int, float] | None = None,
        per_session: int = 1,
        max_batches: int = 64,
        restart: RestartPolicy | None = None,
        drain_s: float = 0.0,
    ) -> None:
        """See `tenure.Supervisor.serve_queue`: make it a task. The handler is an asyncio function and runs on this loop."""
        serve = partial(
            self._supervisor.serve_queue,
            sessions,
            on_loop(handler),
            concurrency=concurrency,
            rate=rate,
            per_session=per_session,
            max_batches=max_batches,
            restart=restart,
            drain_s=drain_s,
        )
        await self._portal.call(serve)

    def select(
        self,
        *,
        kind: str | None = None,
        state: RuntimeState | None = None,
        held: bool = False,
        parent: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Selection:
        """See `tenure.Supervisor.select`."""
        chosen = self._supervisor.select(kind=kind, state=state, held=held, parent=parent, labels=labels)
        return Selection(self._portal, chosen)

    async def erase(self, runtime_id: str, *, peers: bool = False) -> Erasure:
        """See `tenure.Supervisor.erase`."""
        return await self._portal.call(partial(self._supervisor.erase, runtime_id, peers=peers))

    async def hold(self, runtime_id: str | None = None, *, kind: str | None = None, note: str = "") -> bool:
        """See `tenure.Supervisor.hold`."""
        return await self._portal.call(partial(self._supervisor.hold, runtime_id, kind=kind, note=note))

    async def resume(self, runtime_id: str | None = None, *, kind: str | None = None) -> bool:
        """See `tenure.Supervisor.resume`."""
        return await self._portal.call(partial(self._supervisor.resume, runtime_id, kind=kind))

    async def in_trio(self, function: Callable[[TrioSupervisor], Awaitable[T]]) -> T:
        """Run a trio function beside the supervisor, given the supervisor itself: for what has no verb here.

        Raises:
            Closed: The supervisor was closed.

        Cancellation: the function is cancelled and waited for.
        """
        return await self._portal.call(function, self._supervisor)
