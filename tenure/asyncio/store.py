"""A store from asyncio: its facets, what its trio twin says of itself, and what it does as a whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import final

from tenure.errors import Closed, StoreBroken
from tenure.persistence.contracts.erasing import Erasure
from tenure.persistence.contracts.sealing.rekeying import Rekeyed
from tenure.persistence.facets.prunable import Pruned
from tenure.persistence.model.values import DurabilityTier
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store as TrioStore
from tenure.persistence.upkeep.prune import Shrunk
from tenure.persistence.writing.statistics import WriterStatistics
from tenure.portals.outside import OnLoop
from tenure.portals.portal import Portal

from .facets import Attachments, Credentials, Journal, Operations, Queue, Runtimes, Sessions, State
from .reading import QueryConnection


@final
class Store:
    """An open store for an asyncio program; see `tenure.Store`.

    Attributes:
        runtimes: Conversations, receipts, inputs, states of runtimes.
        operations: Snapshots of operations.
        credentials: The store's snapshot of authorisations.
        sessions: Conversations as graphs.
        queue: Queued work with claims.
        attachments: Files of sessions.
        journal: Streams of events.
        state: Execution state and named values.
    """

    def __init__(self, portal: Portal, store: TrioStore) -> None:
        """Made by `open_store` and `open_supervisor`."""
        self._portal = portal
        self._store = store
        near = OnLoop(portal, store)
        self.runtimes = Runtimes(portal, store.runtimes)
        self.operations = Operations(portal, store.operations)
        self.credentials = Credentials(portal, store.credentials)
        self.sessions = Sessions(portal, store.sessions, near.sessions)
        self.queue = Queue(portal, store.queue)
        self.attachments = Attachments(portal, store.attachments)
        self.journal = Journal(portal, store.journal)
        self.state = State(portal, store.state, near.state)

    @property
    def name(self) -> str:
        """Names the engine."""
        return self._store.name

    @property
    def requires_network(self) -> bool:
        """Whether it needs one."""
        return self._store.requires_network

    @property
    def supports_air_gapped(self) -> bool:
        """Whether it works without one."""
        return self._store.supports_air_gapped

    @property
    def incarnation(self) -> str:
        """This host, as its groups name it."""
        return self._store.incarnation

    @property
    def limits(self) -> Limits:
        """What it was opened with."""
        return self._store.limits

    @property
    def shared(self) -> bool:
        """Whether other hosts may have it open."""
        return self._store.shared

    @property
    def durability_tier(self) -> DurabilityTier:
        """Whether what is acknowledged is there again in another process."""
        return self._store.durability_tier

    @property
    def broken(self) -> StoreBroken | None:
        """Why it has stopped, or None."""
        return self._store.broken

    async def wait_broken(self) -> StoreBroken:
        """See `tenure.Store.wait_broken`."""
        return await self._portal.call(self._store.wait_broken)

    async def health_check(self) -> None:
        """See `tenure.Store.health_check`. Also raises `Closed` where the supervisor or store was closed."""
        await self._portal.call(self._store.health_check)

    async def verdict(self, incarnation: str, group: int) -> bool:
        """See `tenure.Store.verdict`."""
        return await self._portal.call(self._store.verdict, incarnation, group)

    async def rekey(self) -> Rekeyed:
        """See `tenure.Store.rekey`."""
        return await self._portal.call(self._store.rekey)

    async def erase(self, runtime_id: str, *, peers: bool = False) -> Erasure:
        """See `tenure.Store.erase`."""
        return await self._portal.call(partial(self._store.erase, runtime_id, peers=peers))

    async def shrink(self, *, most_bytes: int | None = None) -> Shrunk:
        """See `tenure.Store.shrink`."""
        return await self._portal.call(partial(self._store.shrink, most_bytes=most_bytes))

    async def prune(
        self, older_than_s: float, *, dead_letters: bool = False, kinds: Sequence[str] | None = None
    ) -> Pruned:
        """See `tenure.Store.prune`."""
        return await self._portal.call(partial(self._store.prune, older_than_s, dead_letters=dead_letters, kinds=kinds))

    async def statistics(self) -> WriterStatistics:
        """See `tenure.Store.statistics`."""

        async def statistics() -> WriterStatistics:
            return self._store.statistics()

        return await self._portal.call(statistics)

    @asynccontextmanager
    async def read_connection(self) -> AsyncGenerator[QueryConnection]:
        """See `tenure.Store.read_connection`: ``async with store.read_connection() as connection``."""
        opened = self._store.read_connection()
        # Entered and left by two calls: between them the connection has no task and no scope.
        connection = await self._portal.call(opened.__aenter__)
        try:
            yield QueryConnection(self._portal, connection)
        finally:
            with suppress(Closed):  # it has ended with its store
                await self._portal.call_to_leave(opened.__aexit__, None, None, None)
