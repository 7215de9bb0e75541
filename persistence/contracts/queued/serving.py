"""What workers ask of queued work: where the oldest waits, a claim in the order of its session, and what became of it.

Users have `Supervisor.serve_queue`, which is built on this; the verbs of `store.queue` claim without its order and rates.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, final

from attrs import evolve

from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.contracts.access import HostAccess
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.queue import heads
from tenure.persistence.facets.queue.heads import Heads, Look
from tenure.persistence.facets.queue.queue import AbandonClaim, CompleteClaim, RenewClaim
from tenure.persistence.facets.queue.rates import SetRate
from tenure.persistence.facets.queue.serving import FailClaim, Served, ServeNext
from tenure.persistence.model.contracts.queued_work import QueuedWorkClaim
from tenure.persistence.model.values import SessionId
from tenure.persistence.writing.queue_bell import Listener, QueueBell

from .claim_watch import ClaimWatch


@final
class Serving:
    """Claims for the workers of one `serve_queue`, and what this host has seen of the claims of others."""

    def __init__(self, store: HostAccess) -> None:
        """Nothing was seen yet."""
        self._store = store
        self._watch = ClaimWatch(store.seams.boot_clock)
        self._listener: Listener | None = None

    @contextmanager
    def heard_by(self, listener: Listener) -> Generator[None]:
        """Call a listener where there may be work, in the block; not for what is done here: see `complete`."""
        self._listener = listener
        with self._bell.heard_by(listener):
            yield

    @property
    def _bell(self) -> QueueBell:
        return self._store.queue_bell

    async def look(self, sessions: str | Sequence[SessionId], per_session: int) -> Heads:
        """The sessions with work to claim: of those whose ids begin with a text, or of a list. Raises as `Store.read`."""
        how = Look(
            now_ms=int(self._store.seams.wall_clock() * 1000), per_session=per_session, lapsed=self._watch.lapsed
        )
        found = await self._store.read(partial(_look, sessions=sessions, how=how))
        for session_id, claims in found.seen.items():
            self._watch.note(session_id, claims)
        return found

    def next_lapse_s(self) -> float | None:
        """Seconds until the next claim would lapse that this host has seen, or None."""
        return self._watch.next_lapse_s()

    async def claim(self, change: ServeNext) -> Served:
        """Claim for a worker; `lapsed` is filled in. Raises as `Store.commit`, and `Corrupt`."""
        lapsed = self._watch.lapsed(change.session_id)
        served: Served = await self._write(evolve(change, lapsed=lapsed) if lapsed else change)
        self._watch.note(change.session_id, served.seen)
        return served

    async def renew(self, claim: QueuedWorkClaim, ttl_ms: int) -> None:
        """Let a claim hold from now on. Raises `QueuedWorkClaimExpired`."""
        await self._write(RenewClaim(completion=claim.completion(), ttl_ms=ttl_ms))

    async def complete(self, claim: QueuedWorkClaim) -> None:
        """Its work is done. Raises `QueuedWorkClaimExpired`."""
        await self._write(CompleteClaim(completion=claim.completion()))
        self._bell.ring(by=self._listener)

    async def complete_and_claim(self, claim: QueuedWorkClaim, change: ServeNext) -> Served:
        """Its work is done, and the next is claimed in the same commit: both or neither. Raises as `complete` and `claim`."""
        done = CompleteClaim(completion=claim.completion())
        lapsed = self._watch.lapsed(change.session_id)
        claiming = evolve(change, lapsed=lapsed) if lapsed else change
        served: Served = (await self._store.commit(Commit(changes=(done, claiming)))).values[1]
        self._watch.note(change.session_id, served.seen)
        self._bell.ring(by=self._listener)
        return served

    async def fail(self, claim: QueuedWorkClaim, error: str, wait_s: float | None) -> None:
        """Its work failed; None: for the last time. Raises `QueuedWorkClaimExpired`."""
        wait_ms = None if wait_s is None else int(wait_s * 1000)
        await self._write(FailClaim(completion=claim.completion(), error=error, wait_ms=wait_ms))
        self._bell.ring()

    async def give_back(self, claim: QueuedWorkClaim) -> None:
        """It was not worked on to its end, and no attempt is counted."""
        await self._write(AbandonClaim(completion=claim.completion()))
        self._bell.ring()

    async def set_rate(self, rate: SetRate) -> None:
        """Store a rate for all hosts."""
        await self._write(rate)

    async def is_queued(self, claim: QueuedWorkClaim) -> bool:
        """Whether a batch of a claim is still queued, under whatever claim."""
        return await self._store.read(partial(heads.any_queued, batch_ids=claim.completion().batch_ids))

    async def _write(self, change: Change) -> Any:
        return (await self._store.commit(Commit(changes=(change,)))).values[0]


def _look(statements: Statements, sessions: str | Sequence[SessionId], how: Look) -> Heads:
    named = heads.with_prefix(statements, sessions) if isinstance(sessions, str) else sessions
    return heads.look(statements, named, how)
