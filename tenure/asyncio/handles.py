"""The handles of runtimes that an asyncio program holds: each verb is the trio one's, called through the portal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Unpack, final

from tenure.persistence.contracts.erasing import Erasure
from tenure.persistence.model.arguments import names_verbs
from tenure.persistence.model.values import AbandonReason, InputId, LogicalRuntimeId, RuntimeState
from tenure.portals.portal import Portal
from tenure.supervisor.accepting.terms import AcceptTerms
from tenure.supervisor.accepting.tickets import Ticket as TrioTicket
from tenure.supervisor.handles.foreign import ForeignRuntime as TrioForeignRuntime
from tenure.supervisor.handles.runtime import Runtime as TrioRuntime
from tenure.supervisor.handles.selection import Selected, Selection as TrioSelection
from tenure.supervisor.runs.recording.verdicts import Verdict

from .reading import Output, Ticket, behind


class _Verbs:
    """What every handle can ask for."""

    __slots__ = ("_handle", "_portal")

    def __init__(self, portal: Portal, handle: TrioRuntime | TrioForeignRuntime) -> None:
        self._portal = portal
        self._handle = handle

    def __repr__(self) -> str:
        return repr(self._handle)

    @property
    def runtime_id(self) -> LogicalRuntimeId:
        """Its id."""
        return self._handle.runtime_id

    @property
    def kind(self) -> str:
        """Names its behaviour."""
        return self._handle.kind

    async def accept(self, payload: object, **terms: Unpack[AcceptTerms]) -> Ticket:
        """Put one input into the inbox; on disk when this returns. See `tenure.Runtime.accept` for what it raises.

        The payload is encoded in the supervisor's thread: leave it alone until this returns.
        """

        async def accept() -> TrioTicket:
            return await self._handle.accept(payload, **terms)

        return Ticket(self._portal, await self._portal.call(accept))

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
        claim = None if ticket is None else behind(ticket)
        reader = self._handle.follow(after, channel=channel, ticket=claim, run_id=run_id, events=events)
        return Output(self._portal, reader)

    async def relabel(self, labels: Mapping[str, str] | None = None, *, remove: Iterable[str] = ()) -> dict[str, str]:
        """See `tenure.Runtime.relabel`."""
        return await self._portal.call(partial(self._handle.relabel, labels, remove=remove))

    async def retire(self) -> None:
        """See `tenure.Runtime.retire`."""
        await self._portal.call(self._handle.retire)

    async def reset(self, *, clear_session: bool = False) -> None:
        """See `tenure.Runtime.reset`."""
        await self._portal.call(partial(self._handle.reset, clear_session=clear_session))

    async def retry(self, input_id: str, *, fresh: bool = False, version: str | None = None) -> tuple[InputId, ...]:
        """See `tenure.Runtime.retry`."""
        return await self._portal.call(partial(self._handle.retry, input_id, fresh=fresh, version=version))

    async def drop(self, input_id: str) -> None:
        """See `tenure.Runtime.drop`."""
        await self._portal.call(partial(self._handle.drop, input_id))

    async def hold(self, note: str = "") -> bool:
        """See `tenure.Runtime.hold`."""
        return await self._portal.call(partial(self._handle.hold, note))

    async def stop(self) -> None:
        """See `tenure.Runtime.stop`."""
        await self._portal.call(self._handle.stop)

    async def recycle(self) -> None:
        """See `tenure.Runtime.recycle`."""
        await self._portal.call(self._handle.recycle)

    async def destroy(self, *, erase: bool = False, peers: bool = False) -> Erasure | None:
        """See `tenure.Runtime.destroy`."""
        return await self._portal.call(partial(self._handle.destroy, erase=erase, peers=peers))

    async def erase(self, *, peers: bool = False) -> Erasure:
        """See `tenure.Runtime.erase`."""
        return await self._portal.call(partial(self._handle.erase, peers=peers))

    async def cancel(self, input_id: str | None = None, *, in_run: bool = False) -> bool:
        """See `tenure.Runtime.cancel`."""
        return await self._portal.call(partial(self._handle.cancel, input_id, in_run=in_run))

    async def resume(
        self,
        *,
        restart_run: bool = False,
        take_recorded: bool = False,
        renamed: Mapping[str, str] | None = None,
        forget: Iterable[str] = (),
        repeat_never: bool = False,
        version: str | None = None,
        settle: Mapping[str, Verdict] | None = None,
        hold: bool = False,
    ) -> None:
        """See `tenure.Runtime.resume`."""

        async def resume() -> None:
            await self._handle.resume(
                restart_run=restart_run,
                take_recorded=take_recorded,
                renamed=renamed,
                forget=forget,
                repeat_never=repeat_never,
                version=version,
                settle=settle,
                hold=hold,
            )

        await self._portal.call(resume)

    async def settle_step(self, place: str, verdict: Verdict, *more: tuple[str, Verdict]) -> None:
        """See `tenure.Runtime.settle_step`."""
        await self._portal.call(self._handle.settle_step, place, verdict, *more)

    async def wait_state(self, *states: RuntimeState | str) -> RuntimeState:
        """See `tenure.Runtime.wait_state`."""
        return await self._portal.call(self._handle.wait_state, *states)

    async def wait_held(self) -> str:
        """See `tenure.Runtime.wait_held`."""
        return await self._portal.call(self._handle.wait_held)

    async def wait_resumed(self) -> None:
        """See `tenure.Runtime.wait_resumed`."""
        await self._portal.call(self._handle.wait_resumed)


@final
@names_verbs
class Runtime(_Verbs):
    """One runtime that this supervisor owns; see `tenure.Runtime`. What is read here is as last committed."""

    __slots__ = ("_runtime",)

    def __init__(self, portal: Portal, runtime: TrioRuntime) -> None:
        """Made by `Supervisor.spawn`."""
        super().__init__(portal, runtime)
        self._runtime = runtime

    @property
    def state(self) -> RuntimeState:
        """Its state."""
        return self._runtime.state

    @property
    def held(self) -> str | None:
        """Why no run starts until `resume`, or None."""
        return self._runtime.held

    @property
    def held_detail(self) -> str | None:
        """More about why, for people, or None."""
        return self._runtime.held_detail

    @property
    def fence_token(self) -> int:
        """The token under which this host writes it."""
        return self._runtime.fence_token

    @property
    def generation(self) -> int:
        """Which life of it, from 0; a reset begins the next."""
        return self._runtime.generation


@final
class ForeignRuntime(_Verbs):
    """A runtime of another host, or of none; see `tenure.ForeignRuntime`. Made by `Supervisor.find`."""

    __slots__ = ()


@final
class Selection:
    """The runtimes that a selector chooses; see `tenure.Selection`. Made by `Supervisor.select`."""

    def __init__(self, portal: Portal, selection: TrioSelection) -> None:
        """Bind it to the way to it."""
        self._portal, self._selection = portal, selection

    async def retire(self, *, dry_run: bool = False) -> Selected:
        """See `tenure.Selection.retire`."""
        return await self._portal.call(partial(self._selection.retire, dry_run=dry_run))

    async def stop(self, *, dry_run: bool = False) -> Selected:
        """See `tenure.Selection.stop`."""
        return await self._portal.call(partial(self._selection.stop, dry_run=dry_run))

    async def reset(self, *, dry_run: bool = False) -> Selected:
        """See `tenure.Selection.reset`."""
        return await self._portal.call(partial(self._selection.reset, dry_run=dry_run))

    async def resume(self, *, hold: bool = False, dry_run: bool = False) -> Selected:
        """See `tenure.Selection.resume`."""
        return await self._portal.call(partial(self._selection.resume, hold=hold, dry_run=dry_run))

    async def hold(self, note: str = "", *, dry_run: bool = False) -> Selected:
        """See `tenure.Selection.hold`."""
        return await self._portal.call(partial(self._selection.hold, note, dry_run=dry_run))

    async def destroy(self, *, dry_run: bool = False) -> Selected:
        """See `tenure.Selection.destroy`."""
        return await self._portal.call(partial(self._selection.destroy, dry_run=dry_run))

    async def retry(
        self,
        reason: str = AbandonReason.MAX_ATTEMPTS_EXHAUSTED,
        *,
        fresh: bool = False,
        version: str | None = None,
        dry_run: bool = False,
    ) -> Selected:
        """See `tenure.Selection.retry`."""
        call = partial(self._selection.retry, reason, fresh=fresh, version=version, dry_run=dry_run)
        return await self._portal.call(call)
