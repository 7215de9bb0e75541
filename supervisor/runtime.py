"""The handle of a runtime: what a host holds in its hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from tenure.actors.runtime_actor import RuntimeActor
from tenure.persistence.lifecycle import LifecycleEvent, Standing
from tenure.persistence.values import LogicalRuntimeId, RuntimeState

from .tickets import Ticket

if TYPE_CHECKING:
    from .supervisor import Supervisor


@final
class Runtime:
    """One runtime that this supervisor owns. Handles are cheap; two handles of one runtime are the same."""

    def __init__(self, supervisor: Supervisor, actor: RuntimeActor) -> None:
        """Made by `Supervisor.spawn`."""
        self._supervisor = supervisor
        self._actor = actor

    def __repr__(self) -> str:
        """Id, kind and state."""
        return f"<Runtime {self.runtime_id!r} {self.kind} {self.state}>"

    @property
    def runtime_id(self) -> LogicalRuntimeId:
        """Its id."""
        return self._actor.runtime_id

    @property
    def kind(self) -> str:
        """Names its behaviour."""
        return self._actor.kind

    @property
    def state(self) -> RuntimeState:
        """Its state, as last committed."""
        return self._actor.standing.value.state

    @property
    def held(self) -> str | None:
        """Why no run starts until `resume`, or None."""
        return self._actor.held

    @property
    def fence_token(self) -> int:
        """The token under which this host writes it."""
        return self._actor.channel.fence_token

    @property
    def generation(self) -> int:
        """Which life of it, from 0; a reset begins the next."""
        return self._actor.generation

    async def accept(self, payload: object, *, idempotency_key: str | None = None) -> Ticket:
        """Put one input into the inbox. It is on disk, at the store's class, when this returns.

        Args:
            payload: A JSON value, at most `Limits.payload_bytes` encoded.
            idempotency_key: Unique in this runtime for ever. A known key with the same payload writes nothing and returns
                the ticket of the first input, in every state but destroyed.

        Raises:
            IdempotencyConflict: The key is known with another payload.
            NotAccepting: Retired or stopped. `RuntimeDestroyed`: it never comes back.
            InboxFull: Too many unfinished inputs.
            InvalidInput, PayloadTooLarge: This input; nothing else is touched.
            DiskFull, Contended: Nothing was written; try again.
            StoreBroken: The store has stopped; `in_doubt` tells whether the input may be there.

        Waits while the mailbox is full. Cancellation: before the commit is taken nothing happened; afterwards the ticket is
        returned and the cancellation comes at the next checkpoint.
        """
        return await self._supervisor.accept(self._actor, payload, idempotency_key)

    async def retire(self) -> None:
        """Accept nothing new and drain what is there; durable when this returns. Raises `InvalidTransition`."""
        await self._actor.apply(LifecycleEvent.RETIRE)

    async def reset(self) -> None:
        """Abandon every unfinished input and begin a new life with a new token; durable when this returns.

        The conversation stays. Raises `InvalidTransition` while running, and in stopped and destroyed.
        """
        await self._actor.apply(LifecycleEvent.RESET)

    async def stop(self) -> None:
        """Abandon every unfinished input and run nothing until it is spawned again; durable when this returns.

        A run is cancelled behind its commit in flight. Raises `InvalidTransition` in initializing and destroyed.
        """
        await self._actor.apply(LifecycleEvent.STOP)

    async def destroy(self) -> None:
        """Abandon every unfinished input and leave a tombstone: the id never comes back. Durable when this returns."""
        await self._actor.apply(LifecycleEvent.DESTROY)

    async def resume(self) -> None:
        """Clear the held mark and forgive what led to it; durable when this returns."""
        await self._actor.hold(None)

    async def wait_state(self, *states: RuntimeState | str) -> RuntimeState:
        """Wait until the runtime is in one of these states, and say which."""
        wanted = {RuntimeState(state) for state in states}

        def reached(standing: Standing) -> bool:
            return standing.state in wanted

        return (await self._actor.standing.wait_value(reached)).state
