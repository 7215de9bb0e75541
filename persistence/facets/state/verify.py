"""Verification of execution state: every snapshot and value as its digest says."""

from __future__ import annotations

from tenure.errors import ReadFailed
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.journal.verify import Problem

from . import state


def verify_clock(statements: Statements) -> list[Problem]:
    """The high-water mark, and what is wrong with it."""
    try:
        state.high_water(statements)
    except ReadFailed as exc:
        return [("state clock", "high_water", str(exc))]
    return []


def verify_values(statements: Statements, after: str, count: int) -> tuple[str | None, list[Problem]]:
    """A page of keys: where the next begins, None at the end; and what is wrong."""
    return _walk(statements.readable("state.keys", after=after, count=count), statements, "state value")


def verify_executions(statements: Statements, after: str, count: int) -> tuple[str | None, list[Problem]]:
    """A page of snapshots: where the next begins, None at the end; and what is wrong."""
    rows = statements.readable("state.executions", after=after, count=count)
    return _walk(rows, statements, "execution snapshot")


def _walk(rows: list[tuple[object, ...]], statements: Statements, record: str) -> tuple[str | None, list[Problem]]:
    problems: list[Problem] = []
    last: str | None = None
    for (key,) in rows:
        if not isinstance(key, str):
            problems.append((record, str(key), "its key is no text"))
            continue
        last = key
        try:
            if record == "state value":
                state.find_value(statements, key)
            else:
                state.find_execution(statements, key)
        except ReadFailed as exc:
            problems.append((getattr(exc, "record", record), key, str(exc)))
    return last, problems
