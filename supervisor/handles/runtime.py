"""The handle of a runtime: what a host holds in its hands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from threading import get_ident
from typing import TypeVar, Unpack, final

import trio

from tenure.actors.facts import RuntimeFacts
from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Closed, NotFound, RuntimeDestroyed
from tenure.persistence.contracts.erasing import Erasures
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.ownership.ownership import Holding, find_holding
from tenure.persistence.model.arguments import checked, names_verbs
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RuntimeState,
)
from tenure.persistence.seams.nursery import refuse_thread
from tenure.supervisor.accepting.ingress import Ingress
from tenure.supervisor.accepting.terms import AcceptTerms
from tenure.supervisor.accepting.tickets import Ticket
from tenure.supervisor.fleet.news import News
from tenure.supervisor.fleet.requests import Requests
from tenure.supervisor.fleet.verbs import Verb
from tenure.supervisor.hosting.actors import Actors
from tenure.supervisor.hosting.holds import Holds

from .follow import Follow
from .handle import (
    Handle,
    states_of,
)

T = TypeVar("T")


class _PutAside(Exception):
    """The runtime was let go of, because its run is aside; nothing was done."""


@final
@names_verbs
class Runtime(Handle):
    """One runtime that this supervisor owns. Handles are cheap; two handles of one runtime are the same.

    While its run is put aside (`Behaviour.aside_after_s`), no host owns it: its state is the one that is stored, and a verb
    takes it over first, or goes to the host that has it by then.
    """

    def __init__(
        self,
        facts: RuntimeFacts,
        actors: Actors,
        requests: Requests,
        ingress: Ingress,
        holds: Holds,
        follow: Follow,
        *,
        erasures: Erasures,
        news: News,
    ) -> None:
        """Made by `Supervisor.spawn`."""
        super().__init__(facts.runtime_id, holds, follow, erasures)
        self._facts = facts
        self._actors = actors
        self._requests = requests
        self._ingress = ingress
        self._news = news

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
        return self._facts.why_held

    @property
    def held_detail(self) -> str | None:
        """More about why, for people, or None."""
        facts = self._facts
        return facts.held_detail if facts.held is not None else facts.blocked_detail

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
            **terms: `idempotency_key`, `lane`, `at` or `after_s`, `deadline_s` and others: see `AcceptTerms`.

        Raises:
            IdempotencyConflict: The key is known with another payload.
            NotAccepting: Retired or stopped.
            RuntimeDestroyed: It never comes back.
            InboxFull: Too many unfinished inputs.
            InvalidInput: The payload does not fit or has no JSON form, or a term does not fit, or there is none of its name;
                nothing else is touched.
            PayloadTooLarge: The payload is over the limit; nothing else is touched.
            DiskFull: Nothing was written; try again when there is room.
            Contended: Nothing was written; another process held the file.
            StoreBroken: The store has stopped; `in_doubt` says whether the input may be there.
            Closed: The supervisor was closed.

        Waits while `Limits.waiting_commits` commits wait to be written. It does not wait for the run, or for a verb: what is
        accepted is judged by what is stored. Cancellation: before the commit is taken nothing happened; afterwards the ticket
        is returned and the cancellation comes at the next checkpoint.
        """
        facts = self._facts
        return await self._ingress.accept(facts.runtime_id, facts.kind, payload, terms)

    @checked
    async def wait_state(self, *states: RuntimeState | str) -> RuntimeState:
        """Wait until the runtime is in one of these states, and say which.

        Raises:
            InvalidInput: No state is given, or one that there is not.
            RuntimeDestroyed: It was destroyed, and reaches none of these any more.
            Closed: The supervisor was closed, or has lost the runtime.
        """
        wanted = states_of(states)

        if self._facts.is_destroyed and RuntimeState.DESTROYED in wanted:
            await trio.lowlevel.checkpoint()
            return RuntimeState.DESTROYED  # its actor is gone

        async def reached(actor: RuntimeActor) -> RuntimeState:
            return (await actor.wait_for(actor.standing, lambda standing: standing.state in wanted)).state

        def stored(found: Holding) -> RuntimeState | None:
            if found.state is RuntimeState.DESTROYED and RuntimeState.DESTROYED not in wanted:
                raise RuntimeDestroyed(runtime_id=self.runtime_id)
            return found.state if found.state in wanted else None

        return await self._wait(reached, stored)

    async def wait_held(self) -> str:
        """Wait until the runtime is held, and say why; at once where it is. Raises `Closed` as `wait_state` does."""

        async def reached(actor: RuntimeActor) -> str:
            return await actor.wait_for(actor.held, lambda held: held is not None) or ""

        return await self._wait(reached, lambda found: found.held)

    async def wait_resumed(self) -> None:
        """Wait until the runtime is not held; at once where it is not. Raises `Closed` as `wait_state` does."""

        async def reached(actor: RuntimeActor) -> bool:
            return await actor.wait_for(actor.held, lambda held: held is None) is None

        await self._wait(reached, lambda found: True if found.held is None else None)

    async def _perform(self, verb: Verb[T]) -> T:
        if get_ident() != self._news.thread:
            refuse_thread()
        with suppress(_PutAside):
            return await self._here(partial(self._requests.perform, self._facts, verb))
        return await self._requests.ask(self.runtime_id, verb)

    async def _wait(self, reached: Callable[[RuntimeActor], Awaitable[T]], stored: Callable[[Holding], T | None]) -> T:
        """Wait for what the actor says; while the runtime is let go of, for what is stored."""

        def look(statements: Statements) -> tuple[T | None] | None:
            if not self._actors.has_let_go(self._facts):
                return (None,)
            holding = find_holding(statements, self.runtime_id)
            if holding is None:
                raise NotFound(what="runtime", key=self.runtime_id)
            found = stored(holding)
            return None if found is None else (found,)

        if get_ident() != self._news.thread:
            refuse_thread()
        while True:
            with suppress(_PutAside):
                return await self._here(lambda: reached(self._actors.of(self._facts)))
            (found,) = await self._news.wait_for(look)
            if found is not None:
                return found

    async def _here(self, do: Callable[[], Awaitable[T]]) -> T:
        """Do something with the actor. Raises `_PutAside` where nothing was done, because the runtime was let go of."""
        if self._actors.has_let_go(self._facts):
            raise _PutAside
        try:
            return await do()
        except Closed:
            if self._actors.has_let_go(self._facts):
                raise _PutAside from None
            raise
