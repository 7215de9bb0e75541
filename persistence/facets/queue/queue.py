"""The changes of queued work: enqueue, claim, renew, complete, give back and cancel (design §10).

None of them carries a fence: an enqueue is checked against its target, and everything else against the claim, whose token is
its own. So a commit of any kind may carry them: a turn completes what it has claimed and queues what comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, final

from attrs import field, frozen

from tenure.errors import Corrupt, PayloadTooLarge, QueuedWorkClaimExpired
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.graph.about import ENQUEUED
from tenure.persistence.model.contracts.queued_work import (
    EncodedBatch,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkCompletion,
    name_of_batch,
)

from . import batches, choosing, claims
from .batches import StoredBatch
from .claims import StoredClaim

_CHECKED: Final = "held claim"
"""Note of the claim that was checked last, with the completion that names it."""

Mark = tuple[str, int]
"""Id of a claim, and how often it was renewed: what an observer knows it by."""


class NamesClaim(Protocol):
    """A change of a claim that must hold."""

    @property
    def completion(self) -> QueuedWorkCompletion:
        """The claim, as its holder names it."""
        ...


@final
@frozen(kw_only=True, slots=True)
class EnqueueBatch(Change):
    """Queue a batch, unless its session has one of the same source key. Answer: the `QueuedWorkBatch` that is queued."""

    ingress = True

    batch: EncodedBatch

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.batch.payloads)


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
        seen: The claims on work of the session, for the observer: those that lapsed too, or they would be watched anew.
    """

    claim: QueuedWorkClaim | None
    seen: tuple[StoredClaim, ...] = field(repr=False)


@final
@frozen(kw_only=True, slots=True)
class CancelAnswer:
    """What came of a cancellation: the batch where it won, and the claims as in `ClaimAnswer`."""

    batch: QueuedWorkBatch | None
    seen: tuple[StoredClaim, ...] = field(repr=False)


# Enqueue


def _check_enqueue(tx: Transaction, change: EnqueueBatch) -> None:
    size = len(change.batch.payloads)
    if size > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=size, limit=tx.limits.payload_bytes)
    batches.check_target(tx, change.batch.draft.session_id)


def _enqueue(tx: Transaction, change: EnqueueBatch) -> QueuedWorkBatch:
    draft = change.batch.draft
    queued = None if draft.source_key is None else batches.by_source(tx, draft.session_id, draft.source_key)
    queued = queued or batches.append(tx, change.batch)
    tx.notes.setdefault(ENQUEUED, []).append(queued.batch_id)
    return queued


# Claims


def _claim(tx: Transaction, change: ClaimBatches) -> ClaimAnswer:
    if change.keys is not None:  # what stands before them is not asked
        choosing.let_come(tx, change.session_id)
        return _claim_beside(tx, change)
    taken = choosing.first_alone(tx, change.session_id, change.boundary, change.count, unfailed=False)
    if taken is None:
        return _claim_beside(tx, change)
    return _take(tx, change, taken, ()) if taken else ClaimAnswer(claim=None, seen=())


def _claim_beside(tx: Transaction, change: ClaimBatches) -> ClaimAnswer:
    """Claim where there are claims already, or several batches may come together."""
    found = claims.of_session(tx, change.session_id)
    free = [claim for claim in found if not claim.holds(change.lapsed)]
    candidates = choosing.candidates(
        tx, change.session_id, free, first=change.keys[0] if change.keys else 0, count=change.count
    )
    chosen = choosing.choose(candidates, change.boundary)
    if not chosen or (change.keys is not None and tuple(chosen) != change.keys):
        return ClaimAnswer(claim=None, seen=tuple(found))
    over = [claim for claim in free if not set(chosen).isdisjoint(claim.batches)]
    for claim in over:
        claims.check_batches(tx, claim)
        claims.give_back(tx, claim)
    left = tuple([claim for claim in found if claim not in over])
    return _take(tx, change, [batches.load(tx, key) for key in chosen], left)


def _take(
    tx: Transaction, change: ClaimBatches, taken: Sequence[StoredBatch], left: tuple[StoredClaim, ...]
) -> ClaimAnswer:
    made, given = choosing.take(tx, change.session_id, taken, owner_id=change.owner_id, ttl_ms=change.ttl_ms)
    return ClaimAnswer(claim=choosing.claimed(made, given), seen=(*left, made))


def held(tx: Transaction, completion: QueuedWorkCompletion) -> StoredClaim | None:
    """The claim that is named, where it still holds all the batches that are named, and no others."""
    claim = claims.find(tx, completion.claim_id)
    if claim is None or claim.session_id != completion.session_id or claim.lease_token != completion.lease_token:
        return None
    names, given = tuple([name_of_batch(key) for key in claim.batches]), completion.batch_ids
    same = given == names or (len(given) == len(names) and set(given) == set(names))
    return claim if same else None


def must_hold(tx: Transaction, completion: QueuedWorkCompletion) -> StoredClaim:
    """As `held`. Raises `QueuedWorkClaimExpired`: also where this very commit has ended it."""
    claim = held(tx, completion)
    if claim is None:
        raise QueuedWorkClaimExpired(session_id=completion.session_id, claim_id=completion.claim_id)
    return claim


def check_held(tx: Transaction, change: NamesClaim) -> None:
    """Refuse a change of a claim that does not hold. Raises `QueuedWorkClaimExpired`."""
    tx.notes[_CHECKED] = change.completion, must_hold(tx, change.completion)


def _checked(tx: Transaction, completion: QueuedWorkCompletion) -> StoredClaim:
    """As `must_hold`, of what `check_held` has seen: while the record is the same, so is its answer."""
    found: tuple[QueuedWorkCompletion, StoredClaim] | None = tx.notes.get(_CHECKED)
    if found is not None and found[0] is completion and claims.find(tx, completion.claim_id) is found[1]:
        return found[1]
    return must_hold(tx, completion)


def whole(tx: Transaction, completion: QueuedWorkCompletion) -> StoredClaim:
    """As `must_hold`, compared with the batches that name it. Raises `Corrupt`."""
    claim = must_hold(tx, completion)
    claims.check_batches(tx, claim)
    return claim


def _renew(tx: Transaction, change: RenewClaim) -> StoredClaim:
    return claims.renew(tx, whole(tx, change.completion), change.ttl_ms)


def _complete(tx: Transaction, change: CompleteClaim) -> None:
    claims.complete(tx, _checked(tx, change.completion))


def _abandon(tx: Transaction, change: AbandonClaim) -> bool:
    claim = held(tx, change.completion)
    if claim is not None:
        claims.check_batches(tx, claim)
        claims.give_back(tx, claim)
    return claim is not None


def _cancel(tx: Transaction, change: CancelBatch) -> CancelAnswer:
    found = claims.of_session(tx, change.session_id)
    stored = batches.find(tx, change.batch)
    if stored is None or stored.batch.session_id != change.session_id:
        return CancelAnswer(batch=None, seen=tuple(found))
    if stored.claim is not None:
        claim = next((claim for claim in found if claim.claim == stored.claim), None)
        if claim is None:
            raise Corrupt(record=batches.RECORD, key=stored.batch.batch_id, detail="the claim on it is not there")
        if claim.holds(change.lapsed):
            return CancelAnswer(batch=None, seen=tuple(found))
        claims.give_back(tx, claim)
        found.remove(claim)
    if stored.fence:
        tx.write("failures.delete", batch=change.batch)
    tx.write("queue.delete", batch=change.batch)
    return CancelAnswer(batch=stored.batch, seen=tuple(found))


FACET: Final = Facet(
    name="queue",
    handlers={
        EnqueueBatch: Handler(apply=_enqueue, check=_check_enqueue),
        ClaimBatches: Handler(apply=_claim),
        RenewClaim: Handler(apply=_renew, check=check_held),
        CompleteClaim: Handler(apply=_complete, check=check_held),
        AbandonClaim: Handler(apply=_abandon),
        CancelBatch: Handler(apply=_cancel),
    },
)
