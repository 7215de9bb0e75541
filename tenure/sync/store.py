"""A store for a program without a loop."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import final

from tenure.errors import Closed, StoreBroken
from tenure.persistence.model.values import DurabilityTier
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store as TrioStore
from tenure.portals.portal import Portal

from .facets import Attachments, Credentials, Journal, Operations, Queue, Runtimes, Sessions, State
from .front import Front, InThread, at_once, call, verb, way
from .reading import QueryConnection


@final
class Store(Front[TrioStore]):
    """An open store; see `tenure.Store`. Made by `open_store`, and of a host `Supervisor.store`.

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

    def __init__(self, portal: Portal, behind: TrioStore) -> None:
        """Bind its facets too."""
        super().__init__(portal, behind)
        near = InThread(portal, behind)
        self.runtimes = Runtimes(portal, behind.runtimes)
        self.operations = Operations(portal, behind.operations)
        self.credentials = Credentials(portal, behind.credentials)
        self.sessions = Sessions(portal, behind.sessions, near.sessions)
        self.queue = Queue(portal, behind.queue)
        self.attachments = Attachments(portal, behind.attachments)
        self.journal = Journal(portal, behind.journal)
        self.state = State(portal, behind.state, near.state)

    wait_broken = verb(TrioStore.wait_broken)
    health_check = verb(TrioStore.health_check)
    verdict = verb(TrioStore.verdict)
    erase = verb(TrioStore.erase)
    prune = verb(TrioStore.prune)
    rekey = verb(TrioStore.rekey)
    shrink = verb(TrioStore.shrink)
    statistics = at_once(TrioStore.statistics)

    @property
    def name(self) -> str:
        """Names the engine."""
        return way(self)[1].name

    @property
    def requires_network(self) -> bool:
        """Whether it needs one."""
        return way(self)[1].requires_network

    @property
    def supports_air_gapped(self) -> bool:
        """Whether it works without one."""
        return way(self)[1].supports_air_gapped

    @property
    def incarnation(self) -> str:
        """This host, as its groups name it."""
        return way(self)[1].incarnation

    @property
    def limits(self) -> Limits:
        """What it was opened with."""
        return way(self)[1].limits

    @property
    def shared(self) -> bool:
        """Whether other hosts may have it open."""
        return way(self)[1].shared

    @property
    def durability_tier(self) -> DurabilityTier:
        """Whether what is acknowledged is there again in another process."""
        return way(self)[1].durability_tier

    @property
    def broken(self) -> StoreBroken | None:
        """Why it has stopped, or None."""
        return way(self)[1].broken

    @contextmanager
    def read_connection(self) -> Generator[QueryConnection]:
        """See `tenure.Store.read_connection`: ``with store.read_connection() as connection``."""
        portal, behind = way(self)
        opened = behind.read_connection()
        # Entered and left by two calls: between them the connection has no task and no scope.
        connection = call(self, opened.__aenter__)
        try:
            yield QueryConnection(portal, connection)
        finally:
            with suppress(Closed):  # it has ended with its store
                call(self, partial(opened.__aexit__, None, None, None))
