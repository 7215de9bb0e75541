"""Verification of execution state, and of what runtimes keep: every row as its digest says, and none that is missed."""

from __future__ import annotations

from collections.abc import Callable

from tenure.errors import ReadFailed
from tenure.persistence.commits.upkept import Problem
from tenure.persistence.engines.engine import Row, Statements

from . import own_state, state, values


def verify_clock(statements: Statements) -> list[Problem]:
    """The high-water mark, and what is wrong with it."""
    try:
        values.high_water(statements)
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
            problems.append((record, str(key), "its key is not text"))
            continue
        last = key
        try:
            if record == "state value":
                values.find_value(statements, key)
            else:
                state.find_execution(statements, key)
        except ReadFailed as exc:
            problems.append((getattr(exc, "record", record), key, str(exc)))
    return last, problems


def verify_own_values(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of values that runtimes keep: where the next begins, None at the end; and what is wrong."""
    return _read(statements, "own_state.values", after, count, lambda row: own_state.read_value(row[1:]))


def verify_own_writes(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of what runs wrote of them: where the next begins, None at the end; and what is wrong."""
    return _read(statements, "own_state.writes", after, count, own_state.check_written)


def verify_own_states(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of the states as a whole: where the next begins, None at the end; and what is wrong."""
    return _read(statements, "own_state.heads", after, count, own_state.check_head)


def _read(
    statements: Statements, name: str, after: int, count: int, check: Callable[[Row], object]
) -> tuple[int | None, list[Problem]]:
    problems: list[Problem] = []
    last: int | None = None
    for row in statements.readable(name, after=after, count=count):
        last = row[0]
        try:
            check(row)
        except ReadFailed as exc:
            problems.append((getattr(exc, "record", "own state"), str(row[0]), str(exc)))
    return last, problems
