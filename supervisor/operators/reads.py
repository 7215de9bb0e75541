"""The verbs of a supervisor that read what is stored of any runtime, here or on another host."""

from __future__ import annotations

from typing import Any

from tenure.persistence.facets.runs import sends
from tenure.persistence.facets.runs.dead_letters import DeadLetter
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.values import check_runtime_id
from tenure.persistence.store import Store

from .own_state import OwnState, read_own_state
from .reading import (
    Backlog,
    read_backlog,
    read_dead_letters,
    read_refused_sends,
    read_session,
)
from .unowned import UnownedRuntime, read_unowned


class StoreReads:
    """What a supervisor answers from the store alone.

    Attributes:
        store: The store beneath.
    """

    def __init__(self, store: Store) -> None:
        """Read this store."""
        self.store = store

    @checked
    async def read_session(self, runtime_id: str) -> list[Any]:
        """The whole conversation of a runtime, decoded, first message to last.

        Raises:
            NotFound: No such runtime.
            Corrupt: A message is not JSON.
        """
        return await read_session(self.store, check_runtime_id(runtime_id))

    @checked
    async def execution_state(self, runtime_id: str) -> OwnState:
        """What a runtime keeps between its runs, as it is now, with its revision. Reads the whole state.

        Raises:
            NotFound: No such runtime.
            Corrupt: A value is not what its digest says.
        """
        return await read_own_state(self.store, check_runtime_id(runtime_id))

    @checked
    async def dead_letters(self, runtime_id: str) -> list[DeadLetter]:
        """The abandoned inputs of a runtime and the sends that their targets refused, oldest first."""
        return await read_dead_letters(self.store, check_runtime_id(runtime_id))

    @checked
    async def refused_sends(self, runtime_id: str) -> list[sends.RefusedSend]:
        """The sends of a runtime that their targets refused, oldest first."""
        return await read_refused_sends(self.store, check_runtime_id(runtime_id))

    async def unowned(self) -> list[UnownedRuntime]:
        """The runtimes with work that no living host owns, by id: as a rule those of kinds that have no behaviour anywhere.

        One of a kind that this host knows is taken over at the next renewal, and then stands here no longer.
        """
        return await read_unowned(self.store)

    async def backlog(self) -> Backlog:
        """What waits in the whole store, for any host: it walks every unfinished input."""
        return await read_backlog(self.store)
