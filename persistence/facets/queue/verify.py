"""Verification of queued work: every batch and claim as its digest says, and each named by the other."""

from __future__ import annotations

from functools import partial
from typing import Final

from tenure.errors import Corrupt
from tenure.persistence.commits.upkept import Problem, failing
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.contracts.queued_work import name_of_batch

from . import batches, claims, failures, rates

SHOWN: Final = 100
"""Batches whose claim is not there, that are named."""


def verify_queue_rows(statements: Statements) -> list[Problem]:
    """The counter of batches, and batches whose claim is not there."""
    problems = list(failing(batches.COUNTER, "last_batch", partial(batches.last_key, statements)))
    lost = statements.readable("queue.strays", count=SHOWN)
    problems += [(batches.RECORD, str(row[0]), "the claim on it is not there") for row in lost]
    (strays,) = statements.one("rates.strays") or (0,)
    if strays:
        problems.append((rates.RECORD, "starts", f"{strays} have no rate"))
    for (rate,) in statements.readable("rates.keys"):
        problems += failing(rates.RECORD, rate, partial(rates.check_starts, statements, rate))
    return problems


def verify_batches(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of batches: where the next begins, None at the end; and what is wrong."""
    rows = statements.readable("queue.keys", after=after, count=count)
    problems = [
        problem for (key,) in rows for problem in failing(batches.RECORD, key, partial(_batch, statements, key))
    ]
    return (rows[-1][0] if rows else None), problems


def verify_claims(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of claims: where the next begins, None at the end; and what is wrong."""
    rows = statements.readable("claims.keys", after=after, count=count)
    problems = [problem for (key,) in rows for problem in failing(claims.RECORD, key, partial(_claim, statements, key))]
    return (rows[-1][0] if rows else None), problems


def verify_failures(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of failures: where the next begins, None at the end; and what is wrong."""
    rows = statements.readable("failures.keys", after=after, count=count)
    problems = [
        problem for (key,) in rows for problem in failing(failures.RECORD, key, partial(_failure, statements, key))
    ]
    return (rows[-1][0] if rows else None), problems


def _batch(statements: Statements, key: int) -> None:
    stored = batches.find(statements, key)
    if stored is None or not stored.delayed or stored.fence == 0:
        return
    if failures.find(statements, key) is None:
        raise Corrupt(
            record=batches.RECORD, key=name_of_batch(key), detail="it was claimed, and is delayed for no failure"
        )


def _failure(statements: Statements, key: int) -> None:
    failure = failures.find(statements, key)
    stored = None if failure is None else batches.find(statements, key)
    if failure is None:
        return
    if stored is None or stored.batch.session_id != failure.session_id or stored.fence == 0:
        raise Corrupt(record=failures.RECORD, key=name_of_batch(key), detail="no such batch was claimed")
    waits = (failure.until,) if failure.retry_at is None else (None, failure.until)
    if stored.delayed_until not in waits or (failure.retry_at is None and stored.claim is not None):
        raise Corrupt(record=failures.RECORD, key=name_of_batch(key), detail="its batch does not wait as it says")


def _claim(statements: Statements, key: int) -> None:
    row = statements.one("claims.by_key", claim=key)
    if row is not None:
        claims.check_batches(statements, claims.decode_row(row))
