"""What workers write: claims that keep the order of a session and a rate, failures, and what a person tries again (design §10).

Order of a claim for a worker. Claims that no longer hold end, and where their host died each of their batches is charged with
a crash. What is claimed or waits for its next attempt keeps its place: where a session has as many of them as may be worked on
at once, nothing is claimed. A batch that has failed is claimed alone, so that it takes no other down. Then the rate is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from attrs import field, frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.ownership import ownership
from tenure.persistence.model.contracts.queued_work import (
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkCompletion,
)

from . import batches, choosing, claims, failures, heads, rates
from .batches import StoredBatch
from .claims import StoredClaim
from .failures import StoredFailure
from .heads import Head
from .queue import Mark, check_held, whole


@final
@frozen(kw_only=True, slots=True)
class ServeNext(Change):
    """Claim the next batches of a session for a worker. Answer: `Served`.

    Attributes:
        session_id: Whose.
        owner_id: Who claims, for people.
        ttl_ms: How long the claim holds without a renewal.
        count: Most batches.
        per_session: How many claims of the session are worked on at once, over all hosts.
        max_crashes: Crashes after which a batch is dead.
        rate: The rate that it counts under, or None. What is stored under its name holds; it is stored where nothing is.
        lapsed: Claims whose renewals stood still for as long as they hold.
        name_following: Whether to name the batch that follows the claim.
    """

    ingress = True

    session_id: str
    owner_id: str
    ttl_ms: int
    count: int
    per_session: int
    max_crashes: int
    rate: rates.SetRate | None = None
    lapsed: frozenset[Mark] = frozenset()
    name_following: bool = False


@final
@frozen(kw_only=True, slots=True)
class Served:
    """What came of `ServeNext`.

    Attributes:
        claim: What was claimed, or None.
        seen: The claims on work of the session that hold, for the observer.
        attempts: Attempts of what was claimed that failed before.
        crashes: Those whose worker died.
        rate_wait_ms: Milliseconds until the rate lets the next begin, where that was in the way; never more than its time.
        following: The first batch of the session that is not claimed, and due, where that was asked for and there is one.
        kept: How many places of the session are kept by claims of other hosts, and by work that waits for its next attempt.
    """

    claim: QueuedWorkClaim | None = None
    seen: tuple[StoredClaim, ...] = field(default=(), repr=False)
    attempts: int = 0
    crashes: int = 0
    rate_wait_ms: int | None = None
    following: Head | None = None
    kept: int = 0


@final
@frozen(kw_only=True, slots=True)
class FailClaim(Change):
    """End a claim whose work failed: each batch waits for its next attempt, or is dead.

    Answer: None. Refused with `QueuedWorkClaimExpired`.

    Attributes:
        completion: The claim.
        error: Why, for people.
        wait_ms: Until the next attempt; None: there is none.
    """

    ingress = True

    completion: QueuedWorkCompletion
    error: str
    wait_ms: int | None


@final
@frozen(kw_only=True, slots=True)
class RetryBatch(Change):
    """Let a batch that failed stand in the queue again, as if it never had. Answer: the `QueuedWorkBatch`, or None."""

    ingress = True

    session_id: str
    batch: int


def _serve(tx: Transaction, change: ServeNext) -> Served:
    taken = choosing.first_alone(tx, change.session_id, QueuedWorkClaimBoundary.IDLE, change.count, unfailed=True)
    if taken is not None:
        return _start(tx, change, taken, (), None, 0)
    failed = failures.not_dead(tx, change.session_id)
    failures.let_come(tx, failed)
    found = claims.of_session(tx, change.session_id)
    holding = tuple([claim for claim in found if claim.holds(change.lapsed)])
    for claim in found:
        if claim not in holding:
            _end_interrupted(tx, claim, failed, change.max_crashes)
            failed = failures.not_dead(tx, change.session_id)
    now_ms = int(tx.now * 1000)
    waiting = sum([each.waits(now_ms) for each in failed.values()])
    if len(holding) + waiting >= change.per_session:
        return Served(seen=holding)
    chosen = _choose(tx, change, failed)
    before = failed.get(chosen[0]) if chosen else None
    kept = waiting + sum([claim.host != tx.host for claim in holding])
    return _start(tx, change, [batches.load(tx, key) for key in chosen], holding, before, kept)


def _start(
    tx: Transaction,
    change: ServeNext,
    taken: Sequence[StoredBatch],
    holding: tuple[StoredClaim, ...],
    before: StoredFailure | None,
    kept: int,
) -> Served:
    """Claim these batches, where there are some and the rate lets them begin."""
    if not taken:
        return Served(seen=holding)
    rate = None if change.rate is None else rates.find_or_set(tx, change.rate)
    if rate is not None:
        standing = rates.standing(tx, rate)
        rate_wait_ms = rates.wait_ms(tx, rate, standing)
        if rate_wait_ms is not None:
            return Served(seen=holding, rate_wait_ms=rate_wait_ms)
        rates.start(tx, rate, standing)
    made, given = choosing.take(tx, change.session_id, taken, owner_id=change.owner_id, ttl_ms=change.ttl_ms)
    return Served(
        claim=choosing.claimed(made, given),
        seen=(*holding, made),
        attempts=before.attempts if before else 0,
        crashes=before.crashes if before else 0,
        following=heads.following(tx, change.session_id) if change.name_following else None,
        kept=kept,
    )


def _end_interrupted(tx: Transaction, claim: StoredClaim, failed: dict[int, StoredFailure], max_crashes: int) -> None:
    """Give a claim back whose holder is gone. Only a host that died is charged: as for a run, see `ownership`."""
    claims.check_batches(tx, claim)
    claims.give_back(tx, claim)
    if claim.host == tx.host or not ownership.crashed(tx, claim.host):
        return
    for key in claim.batches:
        failures.charge_crash(tx, failed.get(key), key, claim.session_id, max_crashes)


def _choose(tx: Transaction, change: ServeNext, failed: dict[int, StoredFailure]) -> list[int]:
    found = choosing.candidates(tx, change.session_id, (), first=0, count=change.count)
    chosen = choosing.choose(found, QueuedWorkClaimBoundary.IDLE)
    for place, key in enumerate(chosen):
        if key in failed:
            return chosen[: max(place, 1)]
    return chosen


def _fail(tx: Transaction, change: FailClaim) -> None:
    claim = whole(tx, change.completion)
    failed = failures.not_dead(tx, claim.session_id)
    claims.give_back(tx, claim)
    now_ms = int(tx.now * 1000)
    for key in claim.batches:
        before = failed.get(key)
        failures.put(
            tx,
            StoredFailure(
                batch=key,
                session_id=claim.session_id,
                attempts=1 + (before.attempts if before else 0),
                crashes=before.crashes if before else 0,
                failed_at=now_ms,
                retry_at=None if change.wait_ms is None else now_ms + change.wait_ms,
                error=change.error,
            ),
        )


def _retry(tx: Transaction, change: RetryBatch) -> QueuedWorkBatch | None:
    stored = batches.find(tx, change.batch)
    if stored is None or stored.batch.session_id != change.session_id or stored.claim is not None:
        return None
    if failures.find(tx, change.batch) is None:
        return None
    tx.write("failures.delete", batch=change.batch)
    tx.write("queue.come", batch=change.batch)
    return stored.batch


FACET: Final = Facet(
    name="serving",
    handlers={
        ServeNext: Handler(apply=_serve),
        FailClaim: Handler(apply=_fail, check=check_held),
        RetryBatch: Handler(apply=_retry),
    },
)
