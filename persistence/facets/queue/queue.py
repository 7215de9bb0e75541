"""The changes of queued work: enqueue, claim, renew, complete, give back and cancel (design §10).

None of them carries a fence: an enqueue is checked against its target, and everything else against the claim, whose token is
its own. So a commit of any kind may carry them: a turn completes what it has claimed and queues what comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from attrs import field, frozen

from tenure.errors import Corrupt, PayloadTooLarge, QueuedWorkClaimExpired
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.graph.about import ENQUEUED
from tenure.persistence.facets.state import state
from tenure.persistence.model.digests import seal
from tenure.persistence.model.queued_work import (
    DeliveryPolicy,
    EncodedBatch,
    MergeKind,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkCompletion,
    SlotPolicy,
    key_of_batch,
    name_of_batch,
)

from . import batches, claims
from .claims import StoredClaim

Mark = tuple[str, int]
"""Id of a claim, and how often it was renewed: what an observer knows it by."""


@final
@frozen(kw_only=True, slots=True)
class EnqueueBatch(Change):
    """Queue a batch, unless its session has one of the same source key. Answer: the `QueuedWorkBatch` that is queued."""

    ingress = True

    draft: EncodedBatch

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.draft.payloads)


@final
@frozen(kw_only=True, slots=True)
class ClaimBatches(Change):
    """Claim the next batches of a session, or some of them by their ids. Answer: `ClaimAnswer`.

    Attributes:
        session_id: Whose.
        owner_id: Who claims, as it calls itself.
        boundary: Where the claimant stands.
        ttl_ms: How long the claim holds without a renewal.
        count: Most batches.
        keys: Exactly these, in this order, or nothing; None for the next.
        lapsed: Claims whose renewals stood still for as long as they hold.
    """

    ingress = True

    session_id: str
    owner_id: str
    boundary: QueuedWorkClaimBoundary
    ttl_ms: int
    count: int
    keys: tuple[int, ...] | None = None
    lapsed: frozenset[Mark] = frozenset()


@final
@frozen(kw_only=True, slots=True)
class RenewClaim(Change):
    """Let a claim hold from now on. Answer: the `StoredClaim`. Refused with `QueuedWorkClaimExpired`."""

    ingress = True

    completion: QueuedWorkCompletion
    ttl_ms: int


@final
@frozen(kw_only=True, slots=True)
class CompleteClaim(Change):
    """Delete the batches of a claim: they are done. Answer: None. Refused with `QueuedWorkClaimExpired`."""

    ingress = True

    completion: QueuedWorkCompletion


@final
@frozen(kw_only=True, slots=True)
class AbandonClaim(Change):
    """Give a claim back, if it still holds. Answer: whether it did."""

    ingress = True

    completion: QueuedWorkCompletion


@final
@frozen(kw_only=True, slots=True)
class CancelBatch(Change):
    """Delete a batch that no claim holds. Answer: `CancelAnswer`."""

    ingress = True

    session_id: str
    batch: int
    lapsed: frozenset[Mark] = frozenset()


@final
@frozen(kw_only=True, slots=True)
class ClaimAnswer:
    """What came of a claim.

    Attributes:
        claim: What was claimed, or None.
        seen: The claims on work of the session that hold, for the observer.
    """

    claim: QueuedWorkClaim | None
    seen: tuple[StoredClaim, ...] = field(repr=False)


@final
@frozen(kw_only=True, slots=True)
class CancelAnswer:
    """What came of a cancellation: the batch where it won, and the claims that hold."""

    batch: QueuedWorkBatch | None
    seen: tuple[StoredClaim, ...] = field(repr=False)


# Enqueue


def _check_enqueue(tx: Transaction, change: EnqueueBatch) -> None:
    size = len(change.draft.payloads)
    if size > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=size, limit=tx.limits.payload_bytes)
    batches.check_target(tx, change.draft.session_id)


def _enqueue(tx: Transaction, change: EnqueueBatch) -> QueuedWorkBatch:
    draft = change.draft
    queued = None if draft.source_key is None else batches.by_source(tx, draft.session_id, draft.source_key)
    queued = queued or batches.append(tx, draft)
    tx.notes.setdefault(ENQUEUED, []).append(queued.batch_id)
    return queued


# Claims


@final
@frozen(slots=True)
class _Candidate:
    key: int
    delivery: str
    slot: str
    merge: str


def _claim(tx: Transaction, change: ClaimBatches) -> ClaimAnswer:
    _let_come(tx, change.session_id)
    found = claims.of_session(tx, change.session_id)
    free = [claim for claim in found if not claim.holds(change.lapsed)]
    held = [claim for claim in found if claim not in free]
    chosen = _choose(_candidates(tx, change, free), change)
    if not chosen:
        return ClaimAnswer(claim=None, seen=tuple(held))
    for claim in free:
        if not chosen.isdisjoint(claim.batches):
            claims.check_batches(tx, claim)
            claims.give_back(tx, claim)
    made, taken = _take(tx, change, sorted(chosen))
    return ClaimAnswer(claim=claimed(made, taken), seen=(*held, made))


def _let_come(tx: Transaction, session_id: str) -> None:
    """Let the batches that waited for their time stand in the queue; the store's clock never goes back (design §13)."""
    row = tx.one("queue.delayed", session_id=session_id)
    if row is None:
        return
    check_row(row, (int,), batches.RECORD, session_id)
    now = state.high_water(tx) or 0.0
    if row[0] <= int(max(now, tx.now) * 1000):
        tx.write("queue.let_come", session_id=session_id, now_ms=int(state.raise_mark(tx, tx.now) * 1000))


def _candidates(tx: Transaction, change: ClaimBatches, free: Sequence[StoredClaim]) -> list[_Candidate]:
    """What may be claimed, in the order of the queue; from the first that is asked for on, and no more than is asked for."""
    first = change.keys[0] if change.keys else 0
    rows = tx.all("queue.ready", session_id=change.session_id, first=first, count=change.count)
    for claim in free:
        rows += tx.all(
            "queue.of_claim", session_id=change.session_id, claim=claim.claim, first=first, count=change.count
        )
    for row in rows:
        check_row(row, (int, str, str, str), batches.RECORD, name_of_batch(row[0]))
    return [_Candidate(*row) for row in sorted(rows)[: change.count]]


def _choose(candidates: Sequence[_Candidate], change: ClaimBatches) -> set[int]:
    """The batches of one claim: the head and, where it joins, those right behind it that join it."""
    if not candidates:
        return set()
    head = candidates[0]
    within_turn = change.boundary is QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
    if within_turn and head.delivery != DeliveryPolicy.EARLIEST_SAFE_BOUNDARY.value:
        return set()
    chosen = [head.key]
    if head.slot == SlotPolicy.JOIN.value and head.merge != MergeKind.NEVER.value:
        for each in candidates[1:]:
            if (each.slot, each.delivery, each.merge) != (head.slot, head.delivery, head.merge):
                break
            chosen.append(each.key)
    if change.keys is not None and tuple(chosen) != change.keys:
        return set()
    return set(chosen)


def _take(
    tx: Transaction, change: ClaimBatches, keys: Sequence[int]
) -> tuple[StoredClaim, tuple[QueuedWorkBatch, ...]]:
    taken = [batches.load(tx, key) for key in keys]
    for each in taken:
        _check_due(tx, each.batch)
    fence = taken[0].fence + 1
    claim_id = f"qwc:{keys[0]}:{fence}"
    now_ms = int(tx.now * 1000)
    made = claims.insert(
        tx,
        StoredClaim(
            claim=0,
            session_id=change.session_id,
            claim_id=claim_id,
            owner_id=change.owner_id,
            lease_token=seal(change.session_id, change.owner_id, claim_id, tx.now, tx.host, tx.group).hex(),
            fencing_token=fence,
            host=tx.host,
            ttl_ms=change.ttl_ms,
            renewals=0,
            claimed_at=now_ms,
            expires_at=now_ms + change.ttl_ms,
            batches=tuple(keys),
            host_lives=True,
        ),
    )
    for key in keys:
        tx.write("queue.take", claim=made.claim, batch=key)
    return made, tuple([each.batch for each in taken])


def _check_due(tx: Transaction, batch: QueuedWorkBatch) -> None:
    if batch.available_at_ms <= batch.enqueued_at_ms:
        return
    if batch.available_at_ms > int(max(state.high_water(tx) or 0.0, tx.now) * 1000):
        raise Corrupt(record=batches.RECORD, key=batch.batch_id, detail="it stands in the queue before its time")


def claimed(claim: StoredClaim, taken: tuple[QueuedWorkBatch, ...]) -> QueuedWorkClaim:
    """A claim, as its holder gets it."""
    return QueuedWorkClaim(
        session_id=claim.session_id,
        claim_id=claim.claim_id,
        owner_id=claim.owner_id,
        lease_token=claim.lease_token,
        fencing_token=claim.fencing_token,
        claimed_at_epoch_ms=claim.claimed_at,
        expires_at_epoch_ms=claim.expires_at,
        batches=taken,
    )


def _held(tx: Transaction, completion: QueuedWorkCompletion) -> StoredClaim | None:
    """The claim that is named, where it still holds all the batches that are named, and no others."""
    claim = claims.find(tx, completion.claim_id)
    if claim is None or (claim.session_id, claim.lease_token) != (completion.session_id, completion.lease_token):
        return None
    claims.check_batches(tx, claim)
    keys = [key_of_batch(batch_id) for batch_id in completion.batch_ids]
    return claim if len(keys) == len(claim.batches) and set(keys) == set(claim.batches) else None


def _check_held(tx: Transaction, change: RenewClaim | CompleteClaim) -> None:
    if _held(tx, change.completion) is None:
        raise _expired(change.completion)


def _expired(completion: QueuedWorkCompletion) -> QueuedWorkClaimExpired:
    return QueuedWorkClaimExpired(session_id=completion.session_id, claim_id=completion.claim_id)


def _renew(tx: Transaction, change: RenewClaim) -> StoredClaim:
    claim = _held(tx, change.completion)
    if claim is None:  # completed by this very commit
        raise _expired(change.completion)
    return claims.renew(tx, claim, change.ttl_ms)


def _complete(tx: Transaction, change: CompleteClaim) -> None:
    claim = _held(tx, change.completion)
    if claim is None:  # named twice by this commit
        raise _expired(change.completion)
    claims.complete(tx, claim)


def _abandon(tx: Transaction, change: AbandonClaim) -> bool:
    claim = _held(tx, change.completion)
    if claim is not None:
        claims.give_back(tx, claim)
    return claim is not None


def _cancel(tx: Transaction, change: CancelBatch) -> CancelAnswer:
    found = claims.of_session(tx, change.session_id)
    seen = tuple([claim for claim in found if claim.holds(change.lapsed)])
    stored = batches.find(tx, change.batch)
    if stored is None or stored.batch.session_id != change.session_id:
        return CancelAnswer(batch=None, seen=seen)
    if stored.claim is not None:
        claim = next((claim for claim in found if claim.claim == stored.claim), None)
        if claim is None:
            raise Corrupt(record=batches.RECORD, key=stored.batch.batch_id, detail="the claim on it is not there")
        if claim in seen:
            return CancelAnswer(batch=None, seen=seen)
        claims.give_back(tx, claim)
    tx.write("queue.delete", batch=change.batch)
    return CancelAnswer(batch=stored.batch, seen=seen)


FACET: Final = Facet(
    name="queue",
    handlers={
        EnqueueBatch: Handler(apply=_enqueue, check=_check_enqueue),
        ClaimBatches: Handler(apply=_claim),
        RenewClaim: Handler(apply=_renew, check=_check_held),
        CompleteClaim: Handler(apply=_complete, check=_check_held),
        AbandonClaim: Handler(apply=_abandon),
        CancelBatch: Handler(apply=_cancel),
    },
)
