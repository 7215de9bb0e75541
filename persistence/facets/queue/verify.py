"""Verification of queued work: every batch and claim as its digest says, and each named by the other."""

from __future__ import annotations

from functools import partial
from typing import Final

from tenure.persistence.commits.upkept import Problem, failing
from tenure.persistence.engines.engine import Statements

from . import batches, claims

SHOWN: Final = 100
"""Batches whose claim is not there, that are named."""


def verify_queue_rows(statements: Statements) -> list[Problem]:
    """The counter of batches, and batches whose claim is not there."""
    problems = list(failing("queue counter", "last_batch", partial(batches.last_key, statements)))
    lost = statements.readable("queue.strays", count=SHOWN)
    return problems + [(batches.RECORD, str(row[0]), "the claim on it is not there") for row in lost]


def verify_batches(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of batches: where the next begins, None at the end; and what is wrong."""
    rows = statements.readable("queue.keys", after=after, count=count)
    problems = [
        problem for (key,) in rows for problem in failing(batches.RECORD, key, partial(batches.find, statements, key))
    ]
    return (rows[-1][0] if rows else None), problems


def verify_claims(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of claims: where the next begins, None at the end; and what is wrong."""
    rows = statements.readable("claims.keys", after=after, count=count)
    problems = [problem for (key,) in rows for problem in failing(claims.RECORD, key, partial(_claim, statements, key))]
    return (rows[-1][0] if rows else None), problems


def _claim(statements: Statements, key: int) -> None:
    row = statements.one("claims.by_key", claim=key)
    if row is not None:
        claims.check_batches(statements, claims.decode_row(row))
