"""What a contract needs of a store: one way to write and one to read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from tenure.persistence.commits.commit import (
    Commit,
    CommitResult,
)
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import Statements
from tenure.persistence.engines.proofs import HostProofs
from tenure.persistence.model.contracts.queued_work import QueuedWorkBatch, QueuedWorkCompletion
from tenure.persistence.model.values import DurabilityTier
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams
from tenure.persistence.writing.queue_bell import QueueBell

T = TypeVar("T")


class Access(Protocol):
    """An open store."""

    async def commit(self, commit: Commit, /) -> CommitResult:
        """See `Store.commit`."""
        ...

    async def read(self, read: Callable[[Statements], T], /) -> T:
        """See `Store.read`."""
        ...


class Bell(Protocol):
    """The bell of queued work, as who has written rings it."""

    def ring(self, news: QueuedWorkBatch | QueuedWorkCompletion | None = None) -> None:
        """See `QueueBell.ring`."""
        ...


class Bringing(Access, Protocol):
    """The ground of a store: its owners hear what a contract brings past them."""

    @property
    def queue_bell(self) -> Bell:
        """See `Ground.queue_bell`."""
        ...

    def bring(self, commit: Commit, /) -> Coroutine[Any, Any, CommitResult]:
        """See `Ground.bring`."""
        ...


class HostAccess(Access, Protocol):
    """The ground of a store, for what is judged by the hosts that live."""

    limits: Limits
    seams: Seams
    queue_bell: QueueBell

    @property
    def host(self) -> int:
        """See `Ground.host`."""
        ...

    @property
    def proofs(self) -> HostProofs:
        """See `Ground.proofs`."""
        ...


class BlobAccess(HostAccess, Protocol):
    """The ground of a store, for what has bytes beside the database."""

    @property
    def incarnation(self) -> str:
        """See `Ground.incarnation`."""
        ...

    @property
    def blobs(self) -> Blobs:
        """See `Ground.blobs`."""
        ...


class Backend(Access, Protocol):
    """An open store, with what is asked of a storage backend."""

    limits: Limits
    seams: Seams

    @property
    def name(self) -> str:
        """See `Store.name`."""
        ...

    @property
    def requires_network(self) -> bool:
        """See `Store.requires_network`."""
        ...

    @property
    def supports_air_gapped(self) -> bool:
        """See `Store.supports_air_gapped`."""
        ...

    @property
    def durability_tier(self) -> DurabilityTier:
        """See `Store.durability_tier`."""
        ...

    @property
    def shared(self) -> bool:
        """See `Store.shared`."""
        ...

    async def health_check(self) -> None:
        """See `Store.health_check`."""
        ...

    async def shutdown(self) -> None:
        """See `Store.shutdown`."""
        ...
