"""A store as its contracts see it where their verbs run outside of its trio thread.

Theory of operation. A contract awaits nothing but the commits and reads of its store, so its verbs run wherever those can be
awaited: what they check and encode is done in the caller's thread, and what goes over is a commit, or the function of a read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar, final

from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.contracts.sessions import SessionsContract
from tenure.persistence.contracts.state import StateContract
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.contracts.queued_work import QueuedWorkBatch, QueuedWorkCompletion
from tenure.persistence.model.values import DurabilityTier
from tenure.persistence.store import Store, ground_of

from .asked import OnSettled
from .portal import Portal

T = TypeVar("T")


@final
class _Bell:
    """The bell of queued work, rung from another thread."""

    def __init__(self, portal: Portal, store: Store) -> None:
        self._portal = portal
        self._bell = ground_of(store).queue_bell

    def ring(self, news: QueuedWorkBatch | QueuedWorkCompletion | None = None) -> None:
        """See `QueueBell.ring`."""
        self._portal.tell(partial(self._bell.ring, news))


class Outside(ABC):
    """A `Backend`, and what a contract brings past the owners of runtimes, for one front.

    Attributes:
        limits: Of the store.
        seams: Of the store.
        queue_bell: That of the store.
        state: The contract, over this.
        sessions: The contract over this, but for queued work and attachments of those that it binds: these are the store's.
    """

    def __init__(self, portal: Portal, store: Store) -> None:
        """Bind the store to the way to it."""
        self.limits = store.limits
        self.seams = store.seams
        self.queue_bell = _Bell(portal, store)
        self._portal = portal
        self._store = store
        self._ground = ground_of(store)
        self.state = StateContract(self)
        self.sessions = SessionsContract(self, store.queue, store.attachments, self)

    async def commit(self, commit: Commit, /) -> CommitResult:
        """See `Store.commit`."""
        return await self._commit(commit, None)

    def bring(self, commit: Commit, /) -> Coroutine[Any, Any, CommitResult]:
        """See `Ground.bring`."""
        return self._commit(commit, self._ground.bringing(commit))

    async def read(self, read: Callable[[Statements], T], /) -> T:
        """See `Store.read`."""
        return await self._call(partial(self._store.read, read))

    async def health_check(self) -> None:
        """See `Store.health_check`."""
        await self._call(self._store.health_check)

    async def shutdown(self) -> None:
        """See `Store.shutdown`."""
        await self._call(self._store.shutdown)

    @property
    def name(self) -> str:
        """See `Store.name`."""
        return self._store.name

    @property
    def requires_network(self) -> bool:
        """See `Store.requires_network`."""
        return self._store.requires_network

    @property
    def supports_air_gapped(self) -> bool:
        """See `Store.supports_air_gapped`."""
        return self._store.supports_air_gapped

    @property
    def durability_tier(self) -> DurabilityTier:
        """See `Store.durability_tier`."""
        return self._store.durability_tier

    @property
    def shared(self) -> bool:
        """See `Store.shared`."""
        return self._store.shared

    @abstractmethod
    def _commit(self, commit: Commit, on_settled: OnSettled | None) -> Coroutine[Any, Any, CommitResult]:
        """Have a commit written."""

    @abstractmethod
    async def _call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Have a function called in the trio thread."""


@final
class OnLoop(Outside):
    """For verbs that are awaited on a loop of asyncio."""

    def _commit(self, commit: Commit, on_settled: OnSettled | None) -> Coroutine[Any, Any, CommitResult]:
        return self._portal.commit(self._ground, commit, on_settled)

    async def _call(self, function: Callable[[], Awaitable[T]]) -> T:
        return await self._portal.call(function)
