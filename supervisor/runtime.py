"""The handle of a runtime: what a host holds in its hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack, final

from tenure.actors.facts import RuntimeFacts
from tenure.persistence.codec import encode
from tenure.persistence.commits import Change
from tenure.persistence.facets.dead_letters import DropDeadLetter, Retried, RetryDeadLetter
from tenure.persistence.facets.runs import DropRun
from tenure.persistence.facets.steps import SettleStep
from tenure.persistence.lifecycle import LifecycleEvent, Standing
from tenure.persistence.values import InputId, LogicalRuntimeId, RuntimeState

from .ingress import AcceptTerms
from .tickets import Ticket
from .verdicts import Ran, Verdict

if TYPE_CHECKING:
    from .supervisor import Supervisor


@final
class Runtime:
    """One runtime that this supervisor owns. Handles are cheap; two handles of one runtime are the same."""

    def __init__(self, supervisor: Supervisor, facts: RuntimeFacts) -> None:
        """Made by `Supervisor.spawn`."""
        self._supervisor = supervisor
        self._facts = facts

    def __repr__(self) -> str:
        return f"<Runtime {self.runtime_id!r} {self.kind} {self.state}>"

    @property
    def runtime_id(self) -> LogicalRuntimeId:
        """Its id."""
        return self._facts.runtime_id

    @property
    def kind(self) -> str:
        """Names its behaviour."""
        return self._facts.kind

    @property
    def state(self) -> RuntimeState:
        """Its state, as last committed."""
        return self._facts.standing.state

    @property
    def held(self) -> str | None:
        """Why no run starts until `resume`, or None."""
        return self._facts.held

    @property
    def held_detail(self) -> str | None:
        """More about why, for people, or None."""
        return self._facts.held_detail

    @property
    def fence_token(self) -> int:
        """The token under which this host writes it."""
        return self._facts.fence_token

    @property
    def generation(self) -> int:
        """Which life of it, from 0; a reset begins the next."""
        return self._facts.generation

    async def accept(self, payload: object, **terms: Unpack[AcceptTerms]) -> Ticket:
        """Put one input into the inbox. It is on disk, at the store's class, when this returns.

        Args:
            payload: A JSON value, or an instance of the behaviour's payload class; at most `Limits.payload_bytes` encoded.
            **terms: `idempotency_key`, `lane`, `supersession_key`, `durability`, `policy`, `correlation_id`: see `AcceptTerms`.

        Raises:
            IdempotencyConflict: The key is known with another payload.
            NotAccepting: Retired or stopped.
            RuntimeDestroyed: It never comes back.
            InboxFull: Too many unfinished inputs.
            InvalidInput: The payload does not fit or has no JSON form, or a term does not fit; nothing else is touched.
            PayloadTooLarge: The payload is over the limit; nothing else is touched.
            DiskFull: Nothing was written; try again when there is room.
            Contended: Nothing was written; another process held the file.
            StoreBroken: The store has stopped; `in_doubt` tells whether the input may be there.
            Closed: This supervisor owns the runtime no longer, or was closed.

        Waits while the mailbox is full. Cancellation: before the commit is taken nothing happened; afterwards the ticket is
        returned and the cancellation comes at the next checkpoint.
        """
        return await self._supervisor.accept_owned(self._facts, payload, terms)

    async def retire(self) -> None:
        """Accept nothing new and drain what is there; durable when this returns. Raises `InvalidTransition`."""
        await self._apply(LifecycleEvent.RETIRE)

    async def reset(self, *, clear_session: bool = False) -> None:
        """Abandon every unfinished input and begin a new life with a new token; durable when this returns.

        The conversation stays unless `clear_session` empties it in the same commit; the held mark stays. Raises
        `InvalidTransition` while running, and in stopped and destroyed.
        """
        await self._supervisor.actor(self._facts).apply(LifecycleEvent.RESET, clear_session=clear_session)

    async def stop(self) -> None:
        """Abandon every unfinished input and run nothing until it is spawned again; durable when this returns.

        A run is cancelled behind its commit in flight. Raises `InvalidTransition` in initializing and destroyed.
        """
        await self._apply(LifecycleEvent.STOP)

    async def recycle(self) -> None:
        """Bring a retired runtime back to work with all that it holds; durable when this returns.

        Raises `InvalidTransition` while running, and in stopped and destroyed.
        """
        await self._apply(LifecycleEvent.RECYCLE)

    async def destroy(self) -> None:
        """Abandon every unfinished input and leave a tombstone: the id never comes back. Durable when this returns."""
        await self._apply(LifecycleEvent.DESTROY)

    async def cancel(self, input_id: str | None = None) -> bool:
        """End the current run and abandon its batch with ``cancelled``; or, by its id, one input that no run has.

        Durable when this returns. Returns whether there was something to cancel.
        """
        actor = self._supervisor.actor(self._facts)
        return await (actor.cancel_run() if input_id is None else actor.cancel_input(InputId(input_id)))

    async def retry(self, input_id: str, *, fresh: bool = False) -> tuple[InputId, ...]:
        """Queue a dead letter again, with the batch that was abandoned together; durable when this returns.

        Its run is reopened: the same run id, the recorded steps kept, attempts from 0. A refused send is sent again, under
        its key: its target gets it once, however often it is retried.

        Args:
            input_id: Which dead letter; `Supervisor.dead_letters` lists them.
            fresh: Begin a new run id and repeat the steps; nothing to a refused send.

        Returns:
            What is queued again, in admission order; `Supervisor.ticket` finds the tickets, those of a send with its target.

        Raises:
            NotFound: No such dead letter, or it was dropped; or the target of the send is still not there.
            NotAccepting: The runtime, or the target of the send, is retired or stopped. Nothing is written.
            RuntimeDestroyed: The runtime, or the target of the send, never comes back.
            PayloadTooLarge: The send is over the limit still.
            InvalidTransition: It is not abandoned.
        """
        change = RetryDeadLetter(runtime_id=self.runtime_id, input_id=InputId(input_id), fresh=fresh)
        answers = await self._supervisor.actor(self._facts).commit(change)
        retried: Retried = answers[0]
        if retried.runtime_id != self.runtime_id:
            self._supervisor.wake(retried.runtime_id)
        return retried.input_ids

    async def drop(self, input_id: str) -> None:
        """Let a dead letter go: its payload is gone, its key stays known; durable when this returns.

        Raises:
            NotFound: No such dead letter.
            InvalidTransition: It is not abandoned.
        """
        change = DropDeadLetter(runtime_id=self.runtime_id, input_id=InputId(input_id))
        await self._supervisor.actor(self._facts).commit(change)

    async def resume(self, *, restart_run: bool = False) -> None:
        """Clear the held mark and forgive what led to it; durable when this returns.

        Args:
            restart_run: Drop the id and the steps of the current run: its batch begins a new run, and repeats them.
        """
        drop = [DropRun(runtime_id=self.runtime_id, reason=None)] if restart_run else []
        await self._supervisor.actor(self._facts).hold(None, None, *drop)

    async def settle_step(self, name: str, ordinal: int, verdict: Verdict) -> None:
        """Say whether a step in doubt ran, and resume; durable when this returns.

        Args:
            name: Name of the step, as `held_detail` tells it.
            ordinal: Which use of the name in the run, from 1.
            verdict: ``Ran(result)``: the run goes on with the result. ``DidNotRun()``: the step is dispatched again.

        Raises:
            NotFound: No such step of the current run is in doubt.
            InvalidInput: The result has no JSON form.
        """
        ran = isinstance(verdict, Ran)
        settle: Change = SettleStep(
            runtime_id=self.runtime_id,
            name=name,
            ordinal=ordinal,
            ran=ran,
            result=encode(verdict.result, "result") if isinstance(verdict, Ran) else b"null",
        )
        await self._supervisor.actor(self._facts).hold(None, None, settle)

    async def wait_state(self, *states: RuntimeState | str) -> RuntimeState:
        """Wait until the runtime is in one of these states, and say which.

        Raises:
            Closed: The supervisor was closed, or has lost the runtime.
        """
        wanted = {RuntimeState(state) for state in states}

        def reached(standing: Standing) -> bool:
            return standing.state in wanted

        actor = self._supervisor.actor(self._facts)
        return (await actor.wait_for(actor.standing, reached)).state

    async def wait_held(self) -> str:
        """Wait until the runtime is held, and say why; at once where it is. Raises `Closed` as `wait_state` does."""
        actor = self._supervisor.actor(self._facts)
        return await actor.wait_for(actor.held, lambda held: held is not None) or ""

    async def wait_resumed(self) -> None:
        """Wait until the runtime is not held; at once where it is not. Raises `Closed` as `wait_state` does."""
        actor = self._supervisor.actor(self._facts)
        await actor.wait_for(actor.held, lambda held: held is None)

    async def _apply(self, event: LifecycleEvent) -> None:
        await self._supervisor.actor(self._facts).apply(event)
