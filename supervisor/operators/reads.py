"""The verbs of a supervisor that read what is stored of any runtime, here or on another host."""

from __future__ import annotations

from functools import partial
from typing import Any, overload

from tenure.persistence.facets.conversation.sessions import id_of_runtime
from tenure.persistence.facets.runs import sends
from tenure.persistence.facets.runs.dead_letters import DeadLetter
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.values import SessionId, check_runtime_id
from tenure.persistence.store import Store
from tenure.persistence.upkeep.one_runtime.why import explain
from tenure.persistence.upkeep.record import RunEntry, UnfinishedRun

from .listing import Listing
from .own_state import OwnState, read_own_state
from .reading import (
    Backlog,
    SessionNode,
    read_backlog,
    read_dead_letters,
    read_entries,
    read_refused_sends,
    read_session,
    read_session_nodes,
    read_unfinished_runs,
)
from .unowned import Offers, UnownedRuntime, read_unowned


class StoreReads(Listing):
    """What a supervisor answers from the store alone.

    Attributes:
        store: The store beneath.
    """

    def __init__(self, store: Store, offers: Offers) -> None:
        """Read this store, for a host that has these versions of behaviours."""
        super().__init__(store)
        self._offers = offers

    @overload
    async def read_session(self, runtime_id: str) -> list[Any]: ...
    @overload
    async def read_session(self, runtime_id: str, *, after: int, limit: int | None = None) -> list[SessionNode]: ...
    @overload
    async def read_session(self, runtime_id: str, *, limit: int) -> list[SessionNode]: ...
    @checked
    async def read_session(
        self, runtime_id: str, *, after: int | None = None, limit: int | None = None
    ) -> list[Any] | list[SessionNode]:
        """The conversation of a runtime, first message to last.

        Without a limit: every message, as it was appended; bytes that are no JSON are bytes. With `after` or `limit`: a page of
        it, each message with its number, its time and its run.

        Args:
            runtime_id: Which runtime.
            after: Only what comes after this number; 0 is the beginning.
            limit: At most so many.

        Raises:
            NotFound: No such runtime.
            InvalidInput: `after` is below 0, or `limit` below 1.
            Corrupt: A message is not what its digest says, or is missing.
        """
        if after is None and limit is None:
            return await read_session(self.store, check_runtime_id(runtime_id))
        return await read_session_nodes(self.store, check_runtime_id(runtime_id), after or 0, limit)

    @checked
    async def session_id(self, runtime_id: str) -> SessionId:
        """The id of the session that a runtime works on, for the verbs of `Store.sessions` and `Store.attachments`.

        Raises:
            NotFound: No such runtime, or it has no session.
        """
        return await self.store.read(partial(id_of_runtime, runtime_id=check_runtime_id(runtime_id)))

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

    @checked
    async def entries(
        self, runtime_id: str, run_id: str | None = None, *, content: bool = False, chain: bool = False
    ) -> list[RunEntry]:
        """What a run has recorded, in its order: the current run of a runtime, else its newest, unless one is named.

        Args:
            runtime_id: Which runtime.
            run_id: Which run of it.
            content: Read results and errors too.
            chain: Before them those of the runs that it goes on after, by `Run.again`, oldest first.

        Raises:
            NotFound: No such runtime, or it has no such run.
        """
        return await read_entries(self.store, check_runtime_id(runtime_id), run_id, content=content, chain=chain)

    @checked
    async def unfinished_runs(self, behaviour_version: str | None = None) -> list[UnfinishedRun]:
        """The runs of the whole store that have begun and have not ended; those of which a version has recorded something."""
        return await read_unfinished_runs(self.store, behaviour_version)

    @checked
    async def why(self, runtime_id: str) -> dict[str, Any]:
        """Why a runtime does not run, or at which entry its run stands: the facts that ``tenure why --json`` prints.

        A ``freely`` step is on disk when it has ended: while it executes, the answer names the entry before it.

        Raises:
            NotFound: No such runtime.
        """
        read = partial(explain, runtime_id=check_runtime_id(runtime_id), now=self.store.seams.wall_clock())
        return await self.store.read(read)

    async def unowned(self) -> list[UnownedRuntime]:
        """The runtimes with work that no living host owns, by id: as a rule those of kinds that have no behaviour anywhere.

        `UnownedRuntime.reason` says why this host does not take one: for a ``kind`` that it does not know, or a ``version``
        that is younger than those it has. Where the reason is None it does so at its next renewal.
        """
        return await read_unowned(self.store, self._offers)

    async def backlog(self) -> Backlog:
        """What waits in the whole store, for any host: how many inputs, and since when. It walks every unfinished one."""
        return await read_backlog(self.store)
