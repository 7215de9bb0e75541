"""The handles that a program without a loop holds: each verb is the trio one's, called through the portal."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, final, overload

import trio

from tenure.persistence.model.arguments import names_verbs
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState, SessionId
from tenure.persistence.seams.hooks import Carry, Hook
from tenure.portals.portal import Portal
from tenure.supervisor.handles.foreign import ForeignRuntime as TrioForeignRuntime
from tenure.supervisor.handles.handle import Handle
from tenure.supervisor.handles.runtime import Runtime as TrioRuntime
from tenure.supervisor.handles.selection import Selection as TrioSelection
from tenure.supervisor.metrics import Metrics
from tenure.supervisor.operators.health import MIN_FREE_BYTES, Health
from tenure.supervisor.operators.reading import SessionNode
from tenure.supervisor.runs.recording.restart import RestartPolicy
from tenure.supervisor.serving.terms import QueuedWork
from tenure.supervisor.supervisor import Supervisor as TrioSupervisor

from .facets import Schedules
from .front import Front, at_once, call, giving, verb, way
from .reading import Output, Ticket
from .store import Store

H_co = TypeVar("H_co", bound=TrioRuntime | TrioForeignRuntime, covariant=True)
T = TypeVar("T")


class _Verbs(Front[H_co]):
    """What every handle can ask for."""

    relabel = verb(Handle.relabel)
    retire = verb(Handle.retire)
    reset = verb(Handle.reset)
    retry = verb(Handle.retry)
    drop = verb(Handle.drop)
    hold = verb(Handle.hold)
    stop = verb(Handle.stop)
    recycle = verb(Handle.recycle)
    destroy = verb(Handle.destroy)
    erase = verb(Handle.erase)
    cancel = verb(Handle.cancel)
    resume = verb(Handle.resume)
    settle_step = verb(Handle.settle_step)

    def __repr__(self) -> str:
        return repr(way(self)[1])

    @property
    def runtime_id(self) -> LogicalRuntimeId:
        """Its id."""
        return way(self)[1].runtime_id

    @property
    def kind(self) -> str:
        """Names its behaviour."""
        return way(self)[1].kind

    def follow(
        self,
        after: str | None = None,
        *,
        channel: str | None = None,
        ticket: Ticket | None = None,
        run_id: str | None = None,
        events: bool = False,
    ) -> Output:
        """What the runtime emits: what is there, then what comes; see `tenure.Runtime.follow`."""
        portal, handle = way(self)
        claim: Any = way(ticket)[1] if isinstance(ticket, Ticket) else ticket  # what is none is refused there
        reader = partial(handle.follow, after, channel=channel, ticket=claim, run_id=run_id, events=events)
        return Output(portal, portal.call_now(reader))


@final
@names_verbs
class Runtime(_Verbs[TrioRuntime]):
    """One runtime that this supervisor owns; see `tenure.Runtime`. What is read here is as last committed."""

    accept = giving(Ticket, TrioRuntime.accept)
    wait_state = verb(TrioRuntime.wait_state)
    wait_held = verb(TrioRuntime.wait_held)
    wait_resumed = verb(TrioRuntime.wait_resumed)

    @property
    def state(self) -> RuntimeState:
        """Its state."""
        return way(self)[1].state

    @property
    def held(self) -> str | None:
        """Why no run starts until `resume`, or None."""
        return way(self)[1].held

    @property
    def held_detail(self) -> str | None:
        """More about why, for people, or None."""
        return way(self)[1].held_detail

    @property
    def fence_token(self) -> int:
        """The token under which this host writes it."""
        return way(self)[1].fence_token

    @property
    def generation(self) -> int:
        """Which life of it, from 0; a reset begins the next."""
        return way(self)[1].generation


@final
class ForeignRuntime(_Verbs[TrioForeignRuntime]):
    """A runtime of another host, or of none; see `tenure.ForeignRuntime`. Made by `Supervisor.find`."""

    accept = giving(Ticket, TrioForeignRuntime.accept)
    wait_state = verb(TrioForeignRuntime.wait_state)
    wait_held = verb(TrioForeignRuntime.wait_held)
    wait_resumed = verb(TrioForeignRuntime.wait_resumed)


def _found(portal: Portal, handle: TrioRuntime | TrioForeignRuntime) -> Runtime | ForeignRuntime:
    return Runtime(portal, handle) if isinstance(handle, TrioRuntime) else ForeignRuntime(portal, handle)


def _runtimes(portal: Portal, found: list[TrioRuntime]) -> list[Runtime]:
    return [Runtime(portal, each) for each in found]


class _Listing(Front[TrioSupervisor]):
    """Lists what is stored; alone in its class, as in the trio front."""

    list = verb(TrioSupervisor.list)


@final
class Selection(Front[TrioSelection]):
    """The runtimes that a selector chooses; see `tenure.Selection`. Made by `Supervisor.select`."""

    retire = verb(TrioSelection.retire)
    stop = verb(TrioSelection.stop)
    reset = verb(TrioSelection.reset)
    resume = verb(TrioSelection.resume)
    hold = verb(TrioSelection.hold)
    destroy = verb(TrioSelection.destroy)
    retry = verb(TrioSelection.retry)


@final
@names_verbs
class Supervisor(_Listing):
    """Owns runtimes, from another thread; see `tenure.Supervisor`. Made by `open_supervisor`.

    Attributes:
        store: The store beneath.
    """

    def __init__(self, portal: Portal, behind: TrioSupervisor) -> None:
        """Bind the store too."""
        super().__init__(portal, behind)
        self.store = Store(portal, behind.store)
        self._schedules = Schedules(portal, behind.schedules)

    @property
    def schedules(self) -> Schedules:
        """Inputs that come by a timetable."""
        return self._schedules

    spawn = giving(Runtime, TrioSupervisor.spawn)
    spawn_many = giving(_runtimes, TrioSupervisor.spawn_many)
    accept = giving(Ticket, TrioSupervisor.accept)
    find = giving(_found, TrioSupervisor.find)
    ticket = giving(Ticket, TrioSupervisor.ticket)
    drain = verb(TrioSupervisor.drain)
    undrain = verb(TrioSupervisor.undrain)
    session_id = verb(TrioSupervisor.session_id)
    execution_state = verb(TrioSupervisor.execution_state)
    set_execution_state = verb(TrioSupervisor.set_execution_state)
    dead_letters = verb(TrioSupervisor.dead_letters)
    refused_sends = verb(TrioSupervisor.refused_sends)
    entries = verb(TrioSupervisor.entries)
    unfinished_runs = verb(TrioSupervisor.unfinished_runs)
    why = verb(TrioSupervisor.why)
    unowned = verb(TrioSupervisor.unowned)
    backlog = verb(TrioSupervisor.backlog)
    erase = verb(TrioSupervisor.erase)
    hold = verb(TrioSupervisor.hold)
    resume = verb(TrioSupervisor.resume)
    statistics = at_once(TrioSupervisor.statistics)

    def health(self, *, min_free_bytes: int = MIN_FREE_BYTES) -> Health:
        """See `tenure.Supervisor.health`. It asks nothing of the supervisor's thread, which may stand still."""
        return way(self)[1].health(min_free_bytes=min_free_bytes)

    def metrics(self) -> Metrics:
        """See `tenure.Supervisor.metrics`. It asks nothing of the supervisor's thread."""
        return way(self)[1].metrics()

    def add_hook(self, hook: Hook, *, carry: Carry | None = None) -> None:
        """See `tenure.Supervisor.add_hook`: the function is called in the supervisor's thread."""
        way(self)[1].add_hook(hook, carry=carry)

    def remove_hook(self, hook: Hook) -> None:
        """See `tenure.Supervisor.remove_hook`."""
        way(self)[1].remove_hook(hook)

    def runtime(self, runtime_id: str) -> Runtime:
        """See `tenure.Supervisor.runtime`."""
        portal, supervisor = way(self)
        return Runtime(portal, portal.call_now(supervisor.runtime, runtime_id))

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
        portal, supervisor = way(self)
        choose = partial(supervisor.select, kind=kind, state=state, held=held, parent=parent, labels=labels)
        return Selection(portal, portal.call_now(choose))

    def follow(self, after: str | None = None, *, channel: str | None = None, events: bool = False) -> Output:
        """What all runtimes of the store emit; see `tenure.Supervisor.follow`."""
        portal, supervisor = way(self)
        return Output(portal, portal.call_now(partial(supervisor.follow, after, channel=channel, events=events)))

    @overload
    def read_session(self, runtime_id: str) -> list[Any]: ...
    @overload
    def read_session(self, runtime_id: str, *, after: int, limit: int | None = None) -> list[SessionNode]: ...
    @overload
    def read_session(self, runtime_id: str, *, limit: int) -> list[SessionNode]: ...
    def read_session(
        self, runtime_id: str, *, after: int | None = None, limit: int | None = None
    ) -> list[Any] | list[SessionNode]:
        """See `tenure.Supervisor.read_session`."""
        bounds = {name: value for name, value in (("after", after), ("limit", limit)) if value is not None}
        read: Callable[..., Awaitable[list[Any]]] = way(self)[1].read_session
        return call(self, partial(read, runtime_id, **bounds))

    def serve_queue(
        self,
        sessions: str | Sequence[SessionId | str],
        handler: Callable[[QueuedWork], object],
        *,
        concurrency: int = 8,
        rate: tuple[int, float] | None = None,
        per_session: int = 1,
        max_batches: int = 64,
        restart: RestartPolicy | None = None,
        drain_s: float = 0.0,
    ) -> None:
        """See `tenure.Supervisor.serve_queue`: serves until a signal, or another thread's close, ends it.

        The handler is a function; each call has a thread. One that is cut off is waited for: a thread cannot be ended.
        """
        threads = trio.CapacityLimiter(math.inf)  # `concurrency` bounds the calls

        async def handle(work: QueuedWork) -> None:
            await trio.to_thread.run_sync(handler, work, limiter=threads)

        serve = partial(
            way(self)[1].serve_queue,
            sessions,
            handle,
            concurrency=concurrency,
            rate=rate,
            per_session=per_session,
            max_batches=max_batches,
            restart=restart,
            drain_s=drain_s,
        )
        call(self, serve)

    def in_trio(self, function: Callable[[TrioSupervisor], Awaitable[T]]) -> T:
        """Run a trio function beside the supervisor, given the supervisor itself: for what has no verb here."""
        return call(self, partial(function, way(self)[1]))
