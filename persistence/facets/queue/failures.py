"""What is stored of batches that failed: how often, why, and when they are tried again (design §10).

A batch has a row here from its first failure until it is done, cancelled or retried by a person. While it waits for its next
attempt it stands in the queue as a delayed batch does; a dead one stands there with no time at all, and no claim ever takes it.
"""

from __future__ import annotations

from typing import Final, final

from attrs import evolve, frozen

from tenure.errors import Corrupt
from tenure.persistence.commits.rows import OPTIONAL_INT, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.contracts.queued_work import (
    NEVER_MS,
    name_of_batch,
)
from tenure.persistence.model.digests import SHA_256, check_digest, seal

RECORD: Final = "failure"

_TYPES: Final = (int, str, int, int, int, OPTIONAL_INT, str, bytes, int)


@final
@frozen(kw_only=True, slots=True)
class StoredFailure:
    """A failure as it is stored.

    Attributes:
        batch: Key of the batch.
        session_id: Whose work it is.
        attempts: Attempts that failed.
        crashes: Attempts whose worker died.
        failed_at: When it failed last, unix milliseconds.
        retry_at: When it is tried again, unix milliseconds; None: it is dead.
        error: Why it failed last.
    """

    batch: int
    session_id: str
    attempts: int = 0
    crashes: int = 0
    failed_at: int
    retry_at: int | None
    error: str

    @property
    def until(self) -> int:
        """What the batch is delayed until."""
        return NEVER_MS if self.retry_at is None else self.retry_at

    def waits(self, now_ms: int) -> bool:
        """Whether its next attempt is not due. A failure that lies ahead was stored before the clock was set back."""
        return self.retry_at is not None and self.failed_at <= now_ms < self.retry_at


def of_session(statements: Statements, session_id: str) -> dict[int, StoredFailure]:
    """The failures of a session, by batch. Raises `Corrupt`."""
    return {row[0]: decode_row(row) for row in statements.all("failures.of_session", session_id=session_id)}


def not_dead(statements: Statements, session_id: str) -> dict[int, StoredFailure]:
    """Those of them that are tried again, by batch: what a claim has to do with. Raises `Corrupt`."""
    return {row[0]: decode_row(row) for row in statements.all("failures.not_dead", session_id=session_id)}


def find(statements: Statements, batch: int) -> StoredFailure | None:
    """The failure of a batch, or None. Raises `Corrupt`."""
    row = statements.one("failures.of_batch", batch=batch)
    return None if row is None else decode_row(row)


def put(tx: Transaction, failure: StoredFailure) -> None:
    """Store a failure in place of the one before, and let its batch wait; no claim may be on it."""
    tx.write("failures.delete", batch=failure.batch)
    tx.write(
        "failures.insert",
        batch=failure.batch,
        session_id=failure.session_id,
        attempts=failure.attempts,
        crashes=failure.crashes,
        failed_at=failure.failed_at,
        retry_at=failure.retry_at,
        error=failure.error,
        digest=_digest(failure),
        scheme=SHA_256,
    )
    tx.write("queue.delay", batch=failure.batch, until=failure.until)


def let_come(tx: Transaction, failed: dict[int, StoredFailure]) -> None:
    """Let the batches stand in the queue whose next attempt is due by this clock, whatever one said before it was set back."""
    now_ms = int(tx.now * 1000)
    for each in failed.values():
        if each.retry_at is not None and not each.waits(now_ms):
            tx.write("queue.come", batch=each.batch)


def charge_crash(tx: Transaction, failure: StoredFailure | None, batch: int, session_id: str, most: int) -> None:
    """Count an attempt whose worker died; at `most` the batch is dead, before that it stands in the queue again at once."""
    now_ms = int(tx.now * 1000)
    before = failure or StoredFailure(batch=batch, session_id=session_id, failed_at=now_ms, retry_at=now_ms, error="")
    crashes = before.crashes + 1
    dead = crashes >= most
    error = "its worker died" if dead or not before.error else before.error
    put(tx, evolve(before, crashes=crashes, failed_at=now_ms, retry_at=None if dead else now_ms, error=error))
    if not dead:
        tx.write("queue.come", batch=batch)


def decode_row(row: Row) -> StoredFailure:
    """A row with all columns of a failure. Raises `Corrupt`."""
    name = name_of_batch(row[0])
    check_row(row, _TYPES, RECORD, name)
    found = StoredFailure(
        batch=row[0],
        session_id=row[1],
        attempts=row[2],
        crashes=row[3],
        failed_at=row[4],
        retry_at=row[5],
        error=row[6],
    )
    check_digest(_digest(found), row[7], row[8], RECORD, name)
    if found.attempts < 0 or found.crashes < 0 or found.attempts + found.crashes < 1:
        raise Corrupt(record=RECORD, key=name, detail="it counts no failure")
    return found


def _digest(failure: StoredFailure) -> bytes:
    return seal(
        failure.batch,
        failure.session_id,
        failure.attempts,
        failure.crashes,
        failure.failed_at,
        failure.retry_at,
        failure.error,
    )
