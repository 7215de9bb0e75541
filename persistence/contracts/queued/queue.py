"""`store.queue`: queued work of sessions, and the claims on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar, final

from attrs import evolve

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.contracts.access import HostAccess
from tenure.persistence.contracts.gone.dead_hosts import DeadHosts
from tenure.persistence.facets.queue import reads
from tenure.persistence.facets.queue.claims import StoredClaim
from tenure.persistence.facets.queue.queue import (
    AbandonClaim,
    CancelAnswer,
    CancelBatch,
    ClaimAnswer,
    ClaimBatches,
    CompleteClaim,
    EnqueueBatch,
    RenewClaim,
)
from tenure.persistence.facets.queue.serving import RetryBatch
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.contracts.queued_work import (
    CLAIMED_AT_ONCE,
    NAME_LIMIT,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkCompletion,
    QueuedWorkFailure,
    encode_batch,
    key_of_batch,
)
from tenure.persistence.model.values import SessionId, check_name

from .claim_watch import ClaimWatch

LONGEST_TTL_MS: Final = 2**53
"""A claim holds for less than this without a renewal."""

Answer = TypeVar("Answer", ClaimAnswer, CancelAnswer)


@final
@checked
class QueueContract:
    """The verbs of queued work of an open store.

    Batches of a session are claimed in the order in which they were queued, over all sessions by a number that only rises. A
    claim ends where its work is completed or given back, where a batch of it is claimed again, or where a cancel took one; then
    all of it has ended: what its holder tries is `QueuedWorkClaimExpired` and changes nothing. No clock ends a claim: it may be
    taken over where its host is dead, or was closed, or where it was not renewed for its time on the clock of the host that
    wants to take over, from that store's first look on.

    A verb is one commit and on disk when it returns. None needs a fence. Cancellation is that of `Store.commit` and
    `Store.read`.
    """

    def __init__(self, store: HostAccess) -> None:
        """Bind to an open store."""
        self._store = store
        self._watch = ClaimWatch(store.seams.boot_clock)
        self._dead_hosts = DeadHosts(store)
        self._dead_hosts_of_lists = DeadHosts(store)  # by itself: who lists often holds up no claim

    async def enqueue_queued_work(self, batch: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """Queue a batch after all others of its session.

        While a batch with the same source key is queued, nothing is written and that one is returned, whatever this one says.

        Raises:
            RuntimeDestroyed: The session is of a runtime that was destroyed.
            InvalidInput: It cannot be stored and read back.
            PayloadTooLarge: Its payloads are larger than `Limits.payload_bytes`.
        """
        queued: QueuedWorkBatch = await self._write(EnqueueBatch(batch=encode_batch(batch)))
        self._store.queue_bell.ring(queued)
        return queued

    async def claim_ready_queued_work(
        self,
        session_id: SessionId | str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """Claim the next batches of a session, or None where there is none to claim.

        The first that is due and not held decides: at a checkpoint of a turn nothing is claimed unless it may be delivered
        there; where it joins, those right after it come along that join too and have the same delivery policy and merge key.

        Args:
            session_id: Whose work.
            owner_id: Who claims, for people.
            boundary: Where the claimant stands.
            lease_ttl_ms: How long the claim holds without a renewal.
            max_batches: Most batches; 0 claims nothing, and more than `CLAIMED_AT_ONCE` are never claimed together.
        """
        if max_batches < 0:
            raise InvalidInput(detail="a count is a whole number from 0", field="max_batches")
        change = _claiming(session_id, owner_id, boundary, lease_ttl_ms, min(max_batches, CLAIMED_AT_ONCE))
        if max_batches == 0:
            return None
        answer = await self._judged(change.session_id, change, _got)
        return answer.claim

    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: SessionId | str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        batch_ids: Sequence[str],
    ) -> QueuedWorkClaim | None:
        """Claim exactly these batches together, or nothing.

        Work that was queued earlier may be passed over. The batches must be what one claim can hold: due, not held, in the
        order of the queue with none left out between them, and joining one another.

        Args:
            session_id: Whose work.
            owner_id: Who claims, for people.
            boundary: Where the claimant stands.
            lease_ttl_ms: How long the claim holds without a renewal.
            batch_ids: Which batches.
        """
        change = _claiming(session_id, owner_id, boundary, lease_ttl_ms, len(batch_ids))
        keys = [key for key in map(key_of_batch, batch_ids) if key is not None]
        if not 0 < len(keys) == len(batch_ids) <= CLAIMED_AT_ONCE:
            return None
        answer = await self._judged(change.session_id, evolve(change, keys=tuple(keys)), _got)
        return answer.claim

    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        """Let a claim hold from now on, also where it would have expired and nothing took it over.

        Raises:
            QueuedWorkClaimExpired: It has ended; nothing changed.
        """
        _check_ttl(lease_ttl_ms)
        renewed: StoredClaim = await self._write(RenewClaim(completion=claim.completion(), ttl_ms=lease_ttl_ms))
        return evolve(claim, expires_at_epoch_ms=renewed.expires_at)

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Give a claim back: its batches may be claimed again. One that has ended already is left as it is."""
        await self._write(AbandonClaim(completion=claim.completion()))
        self._store.queue_bell.ring()

    async def complete_queued_work_claim(self, completion: QueuedWorkCompletion) -> None:
        """Delete the batches of a claim: they are done. A turn does it with its own commit, see `RuntimeCommit`.

        Raises:
            QueuedWorkClaimExpired: The claim has ended, or has other batches; nothing changed.
        """
        await self._write(CompleteClaim(completion=completion))
        self._store.queue_bell.ring()

    async def cancel_queued_work_batch(self, session_id: SessionId | str, batch_id: str) -> QueuedWorkBatch | None:
        """Delete a batch that no claim holds, and return it. None: it is claimed, done, or was never there.

        A claim that had lapsed and is on this batch ends with it.
        """
        key = key_of_batch(batch_id)
        if key is None:
            return None
        answer = await self._judged(session_id, CancelBatch(session_id=session_id, batch=key), _cancelled)
        if answer.batch is not None:
            self._store.queue_bell.ring()
        return answer.batch

    async def retry_queued_work_batch(self, session_id: SessionId | str, batch_id: str) -> QueuedWorkBatch | None:
        """Let a batch that failed stand in the queue again, at its own place and with no failure counted.

        For one that is dead, and for one that waits for its next attempt. None: it is claimed, has not failed, or was never
        there. A dead one that is not wanted goes by `cancel_queued_work_batch`.
        """
        key = key_of_batch(batch_id)
        retried: QueuedWorkBatch | None = None
        if key is not None:
            retried = await self._write(RetryBatch(session_id=session_id, batch=key))
            self._store.queue_bell.ring()
        return retried

    async def list_failed_queued_work(self, session_id: SessionId | str) -> tuple[QueuedWorkFailure, ...]:
        """The batches of a session whose work failed and is not done: dead, waiting or tried again. Raises `Corrupt`."""
        return await self._store.read(partial(reads.list_failed, session_id=session_id))

    async def list_queued_work(self, session_id: SessionId | str) -> tuple[QueuedWorkBatch, ...]:
        """Every batch of a session in the order of the queue, claimed and delayed ones included. Raises `Corrupt`."""
        return await self._store.read(partial(reads.list_all, session_id=session_id))

    async def list_pending_queued_work(self, session_id: SessionId | str) -> tuple[QueuedWorkBatch, ...]:
        """The batches of a session that no claim holds, in the order of the queue. Raises `Corrupt`.

        Delayed ones are among them, and those whose claim may be taken over. A host that is found dead by this is marked lost,
        by a commit.
        """
        lapsed = self._watch.lapsed(session_id)
        read = partial(reads.list_pending, session_id=session_id, lapsed=lapsed)
        pending, claims = await self._store.read(read)
        if await self._dead_hosts_of_lists.bury({claim.host for claim in claims if claim.holds(lapsed)}):
            pending, claims = await self._store.read(read)
        self._watch.note(session_id, claims)
        return pending

    async def _judged(
        self, session_id: str, change: ClaimBatches | CancelBatch, won: Callable[[Answer], object]
    ) -> Answer:
        """Write what may take over a claim; where one is in the way, look whether its host is dead, and try once more."""
        lapsed = self._watch.lapsed(session_id)
        answer: Answer = await self._write(evolve(change, lapsed=lapsed) if lapsed else change)
        if won(answer) is None and await self._bury(answer.seen):
            answer = await self._write(evolve(change, lapsed=self._watch.lapsed(session_id)))
        self._watch.note(session_id, answer.seen)
        return answer

    async def _bury(self, seen: Sequence[StoredClaim]) -> bool:
        """Mark the hosts of these claims lost that are proven dead; whether there was one."""
        return await self._dead_hosts.bury({claim.host for claim in seen if claim.host_lives})

    async def _write(self, change: Change) -> Any:
        return (await self._store.commit(Commit(changes=(change,)))).values[0]


def _claiming(
    session_id: str, owner_id: str, boundary: QueuedWorkClaimBoundary, lease_ttl_ms: int, count: int
) -> ClaimBatches:
    check_name(owner_id, "an owner", "owner_id", NAME_LIMIT)
    _check_ttl(lease_ttl_ms)
    return ClaimBatches(session_id=session_id, owner_id=owner_id, boundary=boundary, ttl_ms=lease_ttl_ms, count=count)


def _check_ttl(lease_ttl_ms: int) -> None:
    if not 0 <= lease_ttl_ms < LONGEST_TTL_MS:
        raise InvalidInput(detail="a time is a whole number from 0, below 2**53", field="lease_ttl_ms")


def _got(answer: ClaimAnswer) -> object:
    return answer.claim


def _cancelled(answer: CancelAnswer) -> object:
    return answer.batch
