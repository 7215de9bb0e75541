"""Queued work of a session as a whole, in one consistent view."""

from __future__ import annotations

from collections.abc import Collection

from tenure.errors import Corrupt
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.contracts.queued_work import (
    QueuedWorkBatch,
    QueuedWorkFailure,
    name_of_batch,
)
from tenure.persistence.model.values import SessionId

from . import batches, claims, failures
from .claims import StoredClaim
from .queue import Mark


def list_all(statements: Statements, session_id: str) -> tuple[QueuedWorkBatch, ...]:
    """Every batch of a session, in the order of the queue. Raises `Corrupt`."""
    return tuple([each.batch for each in batches.of_session(statements, session_id)])


def list_failed(statements: Statements, session_id: str) -> tuple[QueuedWorkFailure, ...]:
    """What is stored of the failures of a session, in the order of the queue. Raises `Corrupt`."""
    return tuple(
        [
            QueuedWorkFailure(
                session_id=SessionId(each.session_id),
                batch_id=name_of_batch(each.batch),
                attempts=each.attempts,
                crashes=each.crashes,
                failed_at_ms=each.failed_at,
                retry_at_ms=each.retry_at,
                error=each.error,
            )
            for each in failures.of_session(statements, session_id).values()
        ]
    )


def list_pending(
    statements: Statements, session_id: str, lapsed: Collection[Mark]
) -> tuple[tuple[QueuedWorkBatch, ...], tuple[StoredClaim, ...]]:
    """The batches of a session that no claim holds, and its claims, also those that lapsed. Raises `Corrupt`."""
    every = claims.of_session(statements, session_id)
    keys = {each.claim for each in every}
    found = batches.of_session(statements, session_id)
    for each in found:
        if each.claim is not None and each.claim not in keys:
            raise Corrupt(record=batches.RECORD, key=each.batch.batch_id, detail="the claim on it is not there")
    holding = {each.claim for each in every if each.holds(lapsed)}
    return tuple([each.batch for each in found if each.claim not in holding]), tuple(every)
