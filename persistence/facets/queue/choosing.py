"""Which batches one claim takes, and the taking (design §10).

The head decides: the first batch of the session that is due and free. Where it joins, those right after it come along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from attrs import frozen

from tenure.errors import Corrupt
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.state import state
from tenure.persistence.model.contracts.queued_work import (
    DeliveryPolicy,
    MergeKind,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    SlotPolicy,
    name_of_batch,
)
from tenure.persistence.model.digests import seal

from . import batches, claims
from .claims import StoredClaim


@final
@frozen(slots=True)
class Candidate:
    """A batch that may be claimed, as far as that decides who joins."""

    key: int
    delivery: str
    slot: str
    merge: str


def let_come(tx: Transaction, session_id: str) -> None:
    """Let the batches that waited for their time stand in the queue; the store's clock never goes back (design §13)."""
    row = tx.one("queue.delayed", session_id=session_id)
    if row is None:
        return
    check_row(row, (int,), batches.RECORD, session_id)
    now = state.high_water(tx) or 0.0
    if row[0] <= int(max(now, tx.now) * 1000):
        tx.write("queue.let_come", session_id=session_id, now_ms=int(state.raise_mark(tx, tx.now) * 1000))


def candidates(
    tx: Transaction, session_id: str, free: Sequence[StoredClaim], *, first: int, count: int
) -> list[Candidate]:
    """What may be claimed, in the order of the queue: from the place `first` on, no more than `count`.

    What stands under one of the `free` claims may be.
    """
    rows = tx.all("queue.ready", session_id=session_id, first=first, count=count)
    for claim in free:
        rows += tx.all("queue.of_claim", session_id=session_id, claim=claim.claim, first=first, count=count)
    for row in rows:
        check_row(row, (int, str, str, str), batches.RECORD, name_of_batch(row[0]))
    return [Candidate(*row) for row in sorted(rows)[:count]]


def choose(found: Sequence[Candidate], boundary: QueuedWorkClaimBoundary) -> list[int]:
    """The batches of one claim: the head and, where it joins, those right after it that join it."""
    if not found:
        return []
    head = found[0]
    within_turn = boundary is QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
    if within_turn and head.delivery != DeliveryPolicy.EARLIEST_SAFE_BOUNDARY.value:
        return []
    chosen = [head.key]
    if head.slot == SlotPolicy.JOIN.value and head.merge != MergeKind.NEVER.value:
        for each in found[1:]:
            if (each.slot, each.delivery, each.merge) != (head.slot, head.delivery, head.merge):
                break
            chosen.append(each.key)
    return chosen


def take(
    tx: Transaction, session_id: str, keys: Sequence[int], *, owner_id: str, ttl_ms: int
) -> tuple[StoredClaim, tuple[QueuedWorkBatch, ...]]:
    """Claim these batches, of which none is claimed."""
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
            session_id=session_id,
            claim_id=claim_id,
            owner_id=owner_id,
            lease_token=seal(session_id, owner_id, claim_id, tx.now, tx.host, tx.group).hex(),
            fencing_token=fence,
            host=tx.host,
            ttl_ms=ttl_ms,
            renewals=0,
            claimed_at=now_ms,
            expires_at=now_ms + ttl_ms,
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
