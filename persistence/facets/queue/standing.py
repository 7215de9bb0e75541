"""Where each batch stands, for people: what waits, what is claimed by whom since when, what waits until when, what is dead."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.rows import OPTIONAL_INT, OPTIONAL_TEXT, sound
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.contracts.queued_work import name_of_batch

_TYPES: Final = (
    *(int, str, OPTIONAL_TEXT, int, OPTIONAL_INT, int),
    *(OPTIONAL_TEXT, OPTIONAL_INT, int),
    *(OPTIONAL_INT, OPTIONAL_INT, OPTIONAL_INT, OPTIONAL_TEXT),
)


@final
class Standing(StrEnum):
    """Where a batch stands. `left` is one whose claim is of a host that has gone: the next claim may have it."""

    READY = "ready"
    CLAIMED = "claimed"
    LEFT = "left"
    DELAYED = "delayed"
    RETRYING = "retrying"
    DEAD = "dead"


@final
@frozen(kw_only=True, slots=True)
class BatchStanding:
    """One line of ``tenure queue``. Times are unix seconds.

    Attributes:
        session_id: Whose work.
        batch_id: Which batch.
        standing: Where it stands.
        owner: Who claimed it, or None.
        claimed_since: Since when, or None.
        waits_until: Until when it is delayed, or waits for its next attempt; else None.
        enqueued_at: When it was queued.
        attempts: Attempts that failed.
        crashes: Attempts whose worker died.
        source_key: Its source key, or None.
        bytes: Size of its payloads.
        error: Why the last attempt failed, or None.
    """

    session_id: str
    batch_id: str
    standing: Standing
    owner: str | None
    claimed_since: float | None
    waits_until: float | None
    enqueued_at: float
    attempts: int
    crashes: int
    source_key: str | None
    bytes: int
    error: str | None


def list_standing(
    statements: Statements, *, session_id: str | None, after: int, count: int
) -> tuple[int | None, list[BatchStanding]]:
    """A page of batches in the order of the queue, of a session or of all: where the next begins, None at the end."""
    if session_id is None:
        rows = statements.readable("queue.standing", after=after, count=count)
    else:
        rows = statements.readable("queue.standing_of_session", session_id=session_id, after=after, count=count)
    keys = [row[0] for row in rows if isinstance(row[0], int)]
    return (max(keys) if keys else None), [_line(row) for row in sound(rows, _TYPES)]


def _line(row: Row) -> BatchStanding:
    key, session_id, source_key, enqueued_at, delayed_until, size, owner, claimed_at, lives = row[:9]
    attempts, crashes, retry_at, error = row[9:]
    failed = attempts is not None
    if claimed_at is not None:
        standing = Standing.CLAIMED if lives else Standing.LEFT
    elif delayed_until is None:
        standing = Standing.READY
    elif not failed:
        standing = Standing.DELAYED
    else:
        standing = Standing.DEAD if retry_at is None else Standing.RETRYING
    until = delayed_until if standing in (Standing.DELAYED, Standing.RETRYING) else None
    return BatchStanding(
        session_id=session_id,
        batch_id=name_of_batch(key),
        standing=standing,
        owner=owner,
        claimed_since=None if claimed_at is None else claimed_at / 1000,
        waits_until=None if until is None else until / 1000,
        enqueued_at=enqueued_at / 1000,
        attempts=attempts or 0,
        crashes=crashes or 0,
        source_key=source_key,
        bytes=size,
        error=error,
    )
