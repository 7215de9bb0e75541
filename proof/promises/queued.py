"""Queued work: what was acknowledged is queued until it is done, is done once, and its place is never given again."""

from __future__ import annotations

from typing import Any, Final

from proof.stories import queue as queue_story
from proof.stories.queue import KEPT, PASSING
from tenure.persistence.facets.queue import batches, failures, queue, rates, serving
from tenure.persistence.facets.queue.claims import StoredClaim
from tenure.persistence.facets.queue.verify import verify_batches, verify_claims, verify_failures, verify_queue_rows
from tenure.persistence.model.contracts.queued_work import (
    QueuedWorkBatch,
    key_of_batch,
)

from .facet import (
    FacetProof,
    Promised,
    Rows,
)


def queued(_change: queue.EnqueueBatch, answer: QueuedWorkBatch) -> Promised:
    """Its place is taken for ever; it is there, where the story does not carry it out."""
    promised: list[tuple[str, Any]] = [("place", answer.enqueue_seq)]
    return promised + ([("queued", answer)] if (answer.source_key or "").startswith(KEPT) else [])


def claimed(_change: queue.ClaimBatches, answer: queue.ClaimAnswer) -> Promised:
    """Its batches were claimed so often, or more often, or are gone."""
    if answer.claim is None:
        return []
    return [("fence", (answer.claim.batches[0].enqueue_seq, answer.claim.fencing_token))]


def renewed(_change: queue.RenewClaim, answer: StoredClaim) -> Promised:
    """It was renewed so often, or more often, or has ended."""
    return [("renewed", answer.mark)]


def completed(change: queue.CompleteClaim, _answer: None) -> Promised:
    """Its batches never come back."""
    return [("done", key_of_batch(batch_id)) for batch_id in change.completion.batch_ids]


def abandoned(change: queue.AbandonClaim, _answer: bool) -> Promised:  # noqa: FBT001 - as a change answers
    """It never holds again."""
    return [("ended", change.completion.claim_id)]


def cancelled(change: queue.CancelBatch, answer: queue.CancelAnswer) -> Promised:
    """It never comes back, where the cancel won."""
    return [("done", change.batch)] if answer.batch is not None else []


def served(change: serving.ServeNext, answer: serving.Served) -> Promised:
    """As `claimed`; and its start counts for the rate."""
    if answer.claim is None:
        return []
    promised: list[tuple[str, Any]] = [("fence", (answer.claim.batches[0].enqueue_seq, answer.claim.fencing_token))]
    return promised if change.rate is None else [*promised, ("start", change.rate.name)]


def failed(change: serving.FailClaim, _answer: None) -> Promised:
    """Its claim never holds again; for the last time, it is dead until a person wants it otherwise."""
    ended: list[tuple[str, Any]] = [("ended", change.completion.claim_id)]
    keys = [key_of_batch(batch_id) for batch_id in change.completion.batch_ids]
    return ended if change.wait_ms is not None else [*ended, *[("dead", key) for key in keys]]


def retried(_change: serving.RetryBatch, _answer: QueuedWorkBatch | None) -> Promised:
    """Nothing that a later failure would not take back."""
    return []


def rate_set(change: rates.SetRate, _answer: None) -> Promised:
    """It holds from now on, where the story does not prune it."""
    return [] if change.name == PASSING else [("rate", (change.name, change.starts, change.per_ms))]


def rates_pruned(_change: rates.PruneRates, answer: int) -> Promised:
    """It is forgotten."""
    return [("rate pruned", PASSING)] if answer else []


def check_rates(rows: Rows) -> None:
    """What was pruned does not come back."""
    for name in rows.history.acknowledged("rate pruned"):
        assert rates.find(rows.statements, name) is None, f"the rate {name} is back"


def check_serving(rows: Rows) -> None:
    """What is dead stays so, and every start that was acknowledged counts."""
    for key in rows.history.acknowledged("dead"):
        failure = failures.find(rows.statements, key)
        assert failure is not None, f"batch {key} was dead"
        assert failure.retry_at is None, f"batch {key} was dead"
    known = dict(
        rows.of(
            "SELECT r.name, coalesce(max(s.place), 0) FROM queue_rates r LEFT JOIN queue_starts s USING (rate) GROUP BY 1"
        )
    )
    starts = rows.history.acknowledged("start")
    for name in set(starts):
        assert known.get(name, 0) >= starts.count(name), f"a start of the rate {name} is lost"
    for name, count, per_ms in rows.history.acknowledged("rate"):
        stored = rates.find(rows.statements, name)
        assert stored is not None, f"the rate {name} is lost"
        assert (stored.starts, stored.per_ms) == (count, per_ms), f"the rate {name} is another"


def check_queue(rows: Rows) -> None:
    """Batches and claims are whole, and have everything that was acknowledged."""
    problems: list[Any] = verify_queue_rows(rows.statements)
    for page in (verify_batches, verify_claims, verify_failures):
        at: int | None = 0
        while at is not None:
            at, found = page(rows.statements, at, 500)
            problems += found
    assert not problems, problems
    last, _ = batches.last_key(rows.statements)
    assert all(place <= last for place in rows.history.acknowledged("place")), "a place would be given again"
    for batch in rows.history.acknowledged("queued"):
        found_batch = batches.find(rows.statements, batch.enqueue_seq)
        assert found_batch is not None, f"batch {batch.batch_id} is lost"
        assert found_batch.batch == batch, f"batch {batch.batch_id} is another"
    fences = dict(rows.of("SELECT batch, fence FROM queue_batches"))
    for key, fence in rows.history.acknowledged("fence"):
        assert fences.get(key, fence) >= fence, f"the fence of batch {key} went back"
    for key in rows.history.acknowledged("done"):
        assert key not in fences, f"batch {key} is back"
    renewals = dict(rows.of("SELECT claim_id, renewals FROM queue_claims"))
    for claim_id, count in rows.history.acknowledged("renewed"):
        assert renewals.get(claim_id, count) >= count, f"claim {claim_id} lost a renewal"
    for claim_id in rows.history.acknowledged("ended"):
        assert claim_id not in renewals, f"claim {claim_id} is back"


PROOFS: Final = (
    FacetProof(
        name="queue",
        story=queue_story.queue,
        everyday=queue_story.queue_of_day,
        promises={
            queue.EnqueueBatch: queued,
            queue.ClaimBatches: claimed,
            queue.RenewClaim: renewed,
            queue.CompleteClaim: completed,
            queue.AbandonClaim: abandoned,
            queue.CancelBatch: cancelled,
        },
        check=check_queue,
        quiet=(queue.EnqueueBatch, queue.ClaimBatches, queue.AbandonClaim, queue.CancelBatch),
    ),
    FacetProof(
        name="serving",
        story=queue_story.service,
        promises={
            serving.ServeNext: served,
            serving.FailClaim: failed,
            serving.RetryBatch: retried,
        },
        check=check_serving,
        quiet=(serving.ServeNext, serving.RetryBatch),
    ),
    FacetProof(
        name="rates",
        promises={rates.SetRate: rate_set, rates.PruneRates: rates_pruned},
        check=check_rates,
        quiet=(rates.PruneRates,),
    ),
)
