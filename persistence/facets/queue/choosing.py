"""Which batches one claim takes, and the taking (design §10).

The head decides: the first batch of the session that is due and free. Where it joins, those right after it come along.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final, final

from attrs import frozen

from tenure.errors import Corrupt, Internal
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row
from tenure.persistence.facets.state import values
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
from .batches import StoredBatch
from .claims import StoredClaim

_SLOT: Final = 7
_MERGE: Final = 8
_DELAYED: Final = 14
"""Columns of a batch, which stand before what else a look at the front says: what is due next, a claim, a failure."""
_CLAIM: Final = 15
_FAILURE: Final = 16

_JOIN: Final = SlotPolicy.JOIN.value
_NEVER: Final = MergeKind.NEVER.value
_EARLIEST: Final = DeliveryPolicy.EARLIEST_SAFE_BOUNDARY.value


@final
@frozen(slots=True)
class Candidate:
    """A batch that may be claimed, as far as that decides who joins."""

    key: int
    delivery: str
    slot: str
    merge: str

    @property
    def joins(self) -> bool:
        """Whether it may share its claim."""
        return self.slot == _JOIN and self.merge != _NEVER


def first_alone(
    tx: Transaction, session_id: str, boundary: QueuedWorkClaimBoundary, count: int, *, unfailed: bool
) -> list[StoredBatch] | None:
    """Let what waited for its time stand in the queue; what a claim takes, where that is the first batch or nothing.

    None: there are claims, or others may join it; with `unfailed` also where work of the session failed and is tried again.
    """
    row = tx.one("queue.front", session_id=session_id)
    if row is not None and row[_DELAYED] is not None and _come(tx, session_id, row[_DELAYED]):
        row = tx.one("queue.front", session_id=session_id)
    if row is None:
        raise Internal(detail="a look at the front has one row")
    if row[_CLAIM] is not None or (unfailed and row[_FAILURE] is not None):
        return None
    if row[0] is None:
        return []
    if count > 1 and row[_SLOT] == _JOIN and row[_MERGE] != _NEVER:
        return None
    if boundary is not QueuedWorkClaimBoundary.IDLE and not choose([_candidate((row[0], *row[6:9]))], boundary):
        return []
    return [batches.decode_row(row[:_DELAYED])]


def let_come(tx: Transaction, session_id: str) -> None:
    """Let the batches that waited for their time stand in the queue."""
    row = tx.one("queue.delayed", session_id=session_id)
    if row is not None and row[0] is not None:
        _come(tx, session_id, row[0])


def _come(tx: Transaction, session_id: str, until: int) -> bool:
    """Whether there is one that is due, by the wall clock; it stands in the queue then, also where that is set back.

    Not by the mark of the state's clock, which never goes back: once set far ahead, it would let everything come at once.
    """
    check_row((until,), (int,), batches.RECORD, session_id)
    now_ms = int(tx.now * 1000)
    due = until <= now_ms
    if due:
        values.raise_mark(tx, tx.now)  # for `_check_due`, which asks later whether it was due
        tx.write("queue.let_come", session_id=session_id, now_ms=now_ms)
    return due


def candidates(
    tx: Transaction, session_id: str, free: Sequence[StoredClaim], *, first: int, count: int
) -> list[Candidate]:
    """What may be claimed, in the order of the queue: from the place `first` on, no more than `count`.

    What stands under one of the `free` claims may be. Where the first is claimed alone, it comes alone.
    """
    rows = tx.all("queue.ready", session_id=session_id, first=first, count=count)
    for claim in free:
        rows += tx.all("queue.of_claim", session_id=session_id, claim=claim.claim, first=first, count=count)
    rows.sort(key=itemgetter(0))
    found = list(map(_candidate, rows[:1]))
    return found if not found or not found[0].joins else [*found, *map(_candidate, rows[1:count])]


def _candidate(row: Row) -> Candidate:
    check_row(row, (int, str, str, str), batches.RECORD, name_of_batch(row[0]))
    return Candidate(*row)


def choose(found: Sequence[Candidate], boundary: QueuedWorkClaimBoundary) -> list[int]:
    """The batches of one claim: the head and, where it joins, those right after it that join it."""
    if not found:
        return []
    head = found[0]
    within_turn = boundary is QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
    if within_turn and head.delivery != _EARLIEST:
        return []
    chosen = [head.key]
    if head.joins:
        for each in found[1:]:
            if (each.slot, each.delivery, each.merge) != (head.slot, head.delivery, head.merge):
                break
            chosen.append(each.key)
    return chosen


def take(
    tx: Transaction, session_id: str, taken: Sequence[StoredBatch], *, owner_id: str, ttl_ms: int
) -> tuple[StoredClaim, tuple[QueuedWorkBatch, ...]]:
    """Claim these batches, of which none is claimed."""
    given = tuple([each.batch for each in taken])
    for batch in given:
        if batch.available_at_ms > batch.enqueued_at_ms:
            _check_due(tx, batch)
    keys = tuple([batch.enqueue_seq for batch in given])
    fence = taken[0].fence + 1
    claim_id = f"qwc:{keys[0]}:{fence}"
    now_ms = int(tx.shared_now * 1000)
    made = StoredClaim(
        claim=tx.key("queue_claims"),
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
        batches=keys,
        host_lives=True,
    )
    claims.insert(tx, made)
    for key in keys:
        tx.write("queue.take", claim=made.claim, batch=key)
    return made, given


def _check_due(tx: Transaction, batch: QueuedWorkBatch) -> None:
    if batch.available_at_ms > int(max(values.high_water(tx) or 0.0, tx.now) * 1000):
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
