"""Verification of attachments: every row as its digest says. Their bytes are compared where they are read."""

from __future__ import annotations

from tenure.errors import ReadFailed
from tenure.persistence.commits.upkept import Problem
from tenure.persistence.engines.engine import Statements

from . import attachments


def verify_attachments(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of rows: where the next begins, None at the end; and what is wrong. The bytes are read by `get`."""
    rows = statements.readable("attachments.keys", after=after, count=count)
    problems: list[Problem] = []
    for (key,) in rows:
        try:
            attachments.load(statements, key)
        except ReadFailed as exc:
            problems.append((getattr(exc, "record", attachments.RECORD), str(key), str(exc)))
    return (rows[-1][0] if rows else None), problems
