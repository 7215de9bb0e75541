"""The handle of a runtime that this supervisor does not own: the same verbs, carried out by the host that does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, Unpack, final

from tenure.errors import NotFound
from tenure.persistence.contracts.erasing import Erasures
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.ownership import ownership
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RuntimeState,
)
from tenure.supervisor.accepting.ingress import Ingress
from tenure.supervisor.accepting.terms import AcceptTerms
from tenure.supervisor.accepting.tickets import Ticket
from tenure.supervisor.fleet.news import News
from tenure.supervisor.fleet.requests import Requests
from tenure.supervisor.fleet.verbs import Verb
from tenure.supervisor.hosting.holds import Holds

from .follow import Follow
from .handle import (
    Handle,
    states_of,
)

T = TypeVar("T")


@final
class ForeignRuntime(Handle):
    """A runtime of another host, or of none.

    Verbs are stored as requests and return when the owner has carried them out; where no host owns the runtime, this
    supervisor does. Cancellation: a request that is stored will be carried out; before, nothing happened.

    Attributes:
        runtime_id: Its id.
        kind: Names its behaviour.
    """

    def __init__(
        self,
        runtime_id: LogicalRuntimeId,
        kind: str,
        requests: Requests,
        news: News,
        ingress: Ingress,
        holds: Holds,
        follow: Follow,
        *,
        erasures: Erasures,
    ) -> None:
        """Made by `Supervisor.find`."""
        super().__init__(runtime_id, holds, follow, erasures)
        self.runtime_id = runtime_id
        self.kind = kind
        self._requests = requests
        self._news = news
        self._ingress = ingress

    def __repr__(self) -> str:
        return f"<ForeignRuntime {self.runtime_id!r} {self.kind}>"

    async def accept(self, payload: object, **terms: Unpack[AcceptTerms]) -> Ticket:
        """Put one input into the inbox; on disk when this returns. The ticket hears of the outcome. See `Runtime.accept`."""
        return await self._ingress.accept(self.runtime_id, self.kind, payload, terms)

    @checked
    async def wait_state(self, *states: RuntimeState | str) -> RuntimeState:
        """Wait until the runtime is stored in one of these states, and say which.

        From outside its owner a runtime is seen as it is stored: never as attached or running.
        """
        wanted = states_of(states)

        def reached(found: ownership.Holding) -> RuntimeState | None:
            return found.state if found.state in wanted else None

        return await self._wait_stored(reached)

    async def wait_held(self) -> str:
        """See `Runtime.wait_held`."""
        return await self._wait_stored(lambda found: found.held)

    async def wait_resumed(self) -> None:
        """See `Runtime.wait_resumed`."""
        await self._wait_stored(lambda found: True if found.held is None else None)

    async def _perform(self, verb: Verb[T]) -> T:
        return await self._requests.ask(self.runtime_id, verb)

    async def _wait_stored(self, reached: Callable[[ownership.Holding], T | None]) -> T:
        def read(statements: Statements) -> T | None:
            found = ownership.find_holding(statements, self.runtime_id)
            if found is None:
                raise NotFound(what="runtime", key=self.runtime_id)
            return reached(found)

        self._news.await_of(self.runtime_id)
        return await self._news.wait_for(read)
