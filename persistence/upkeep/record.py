"""The record of a run, and the runs that are not finished, for people and programs that look from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, final

from attrs import frozen

from tenure.errors import NotFound
from tenure.persistence.commits.rows import (
    NUMBER,
    OPTIONAL_BYTES,
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    PAGE,
    Types,
    check_row,
)
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.runs.again import goes_on_after
from tenure.persistence.model.codec import decode
from tenure.persistence.model.values import LogicalRuntimeId, RunId

DIGITS: Final = 16
"""How much of the digest of its arguments an entry shows: as errors do."""


@final
@frozen(kw_only=True, slots=True)
class RunEntry:
    """One entry of the record of a run.

    Attributes:
        run_id: Which run.
        place: Where it stands.
        kind: What it is: ``step``, ``sleep``, ``checkpoint``, ...
        name: Of the step; else that of the kind.
        repeat: How it may be repeated.
        status: How far it has come.
        attempt: Which attempt of it, from 1.
        version: Version of the behaviour that recorded it.
        arguments: The first digits of the digest of its arguments, as errors give them.
        started_at: Unix seconds.
        ended_at: Unix seconds, or None while it is not over.
        next_at: When its next attempt begins, unix seconds, or None.
        bytes: Of its result, or None where it has none.
        result: Its result, where content is asked for.
        error: What it raised, where content is asked for.
    """

    run_id: RunId
    place: str
    kind: str
    name: str
    repeat: str
    status: str
    attempt: int
    version: str
    arguments: str
    started_at: float
    ended_at: float | None
    next_at: float | None
    bytes: int | None
    result: Any = None
    error: str | None = None


@final
@frozen(kw_only=True, slots=True)
class UnfinishedRun:
    """A run that has begun and has not ended.

    Attributes:
        runtime_id: Whose.
        kind: Names its behaviour, or None.
        run_id: Its id.
        goes_on_after: The run that it goes on after, by `Run.again`; None where it does not.
        versions: Versions of the behaviour that have recorded an entry of it, the last one last.
        failed_attempts: How many attempts of it failed.
        started_at: When it began, unix seconds.
        retry_at: When it is tried again, unix seconds, or None.
        held: Why its runtime is held, or None.
        last_place: Where its newest entry stands, or None where it has none.
        last_name: Name of that entry.
        last_at: When that began, unix seconds.
    """

    runtime_id: LogicalRuntimeId
    kind: str | None
    run_id: RunId
    goes_on_after: RunId | None
    versions: tuple[str, ...]
    failed_attempts: int
    started_at: float
    retry_at: float | None
    held: str | None
    last_place: str | None
    last_name: str | None
    last_at: float | None


def find_run(statements: Statements, runtime_id: LogicalRuntimeId, run_id: str | None) -> tuple[int, RunId] | None:
    """Key and id of a run of a runtime: the current one, else the newest, where none is named; None where it has none.

    Raises:
        NotFound: There is no such runtime, or it has no such run.
    """
    if statements.one("verification.runtime", runtime_id=runtime_id) is None:
        raise NotFound(what="runtime", key=runtime_id)
    row = statements.one("verification.run", runtime_id=runtime_id, run_id=run_id or "")
    if row is None and run_id is not None:
        raise NotFound(what="run", key=run_id)
    if row is None:
        return None
    check_row(row, (int, str), "run", row[1])
    return row[0], row[1]


def find_chain(
    statements: Statements, runtime_id: LogicalRuntimeId, run_id: str | None, most: int | None = None
) -> list[tuple[int, RunId]]:
    """The run that `find_run` finds, and before it those that it goes on after, oldest first.

    What was pruned ends it; `most` are the newest of it.

    Raises:
        NotFound: As `find_run`.
    """
    found: list[tuple[int, RunId]] = []
    run, seen = find_run(statements, runtime_id, run_id), set[int]()
    while run is not None and len(found) != most and run[0] not in seen:  # damage may lead in a circle
        found.append(run)
        seen.add(run[0])
        before = goes_on_after(statements, run[0])
        row = None if before is None else statements.one("verification.run", runtime_id=runtime_id, run_id=before)
        run = None if row is None else (row[0], row[1])
    return found[::-1]


_ENTRY: Final[Types] = (
    int,
    str,
    str,
    str,
    str,
    str,
    int,
    str,
    bytes,
    NUMBER,
    OPTIONAL_NUMBER,
    OPTIONAL_NUMBER,
    OPTIONAL_INT,
    OPTIONAL_BYTES,
    OPTIONAL_TEXT,
)


def entries_after(
    statements: Statements, run: int, run_id: RunId, after: int, *, content: bool = False
) -> tuple[int, list[RunEntry]]:
    """A page of the entries of a run in the order of recording, and the key after which the next one begins."""
    rows = statements.all("verification.entries", run=run, after=after, count=PAGE, content=int(content))
    for row in rows:
        check_row(row, _ENTRY, "entry", f"{row[3]} at {row[1]}")
    return (rows[-1][0] if rows else after), [_entry(row, run_id) for row in rows]


def _entry(row: Row, run_id: RunId) -> RunEntry:
    _, place, kind, name, repeat, status, attempt, version, arguments, started, ended, next_at, size, result, error = (
        row
    )
    return RunEntry(
        run_id=run_id,
        place=place,
        kind=kind,
        name=name,
        repeat=repeat,
        status=status,
        attempt=attempt,
        version=version,
        arguments=arguments.hex()[:DIGITS],
        started_at=started,
        ended_at=ended,
        next_at=next_at,
        bytes=size,
        result=None if result is None else decode(result, "entry", f"{name} at {place}"),
        error=error,
    )


_RUN: Final[Types] = (
    int,
    str,
    OPTIONAL_TEXT,
    str,
    int,
    NUMBER,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    OPTIONAL_TEXT,
    OPTIONAL_TEXT,
    OPTIONAL_NUMBER,
)


def unfinished_after(statements: Statements, after: int) -> tuple[int, list[UnfinishedRun]]:
    """A page of the runs that have not ended, in the order of their begin, and the key after which the next one begins."""
    rows = statements.all("verification.unfinished_runs", after=after, count=PAGE)
    for row in rows:
        check_row(row, _RUN, "run", row[3])
    return (rows[-1][0] if rows else after), [_run(statements, row) for row in rows]


def _run(statements: Statements, row: Row) -> UnfinishedRun:
    key, runtime_id, kind, run_id, attempts, started_at, retry_at, held, place, name, last_at = row
    return UnfinishedRun(
        runtime_id=runtime_id,
        kind=kind,
        run_id=run_id,
        goes_on_after=goes_on_after(statements, key),
        versions=tuple([version for (version,) in statements.all("verification.versions", run=key)]),
        failed_attempts=attempts,
        started_at=started_at,
        retry_at=retry_at,
        held=held,
        last_place=place,
        last_name=name,
        last_at=last_at,
    )


def entry_of_now(statements: Statements, run: int, run_id: RunId) -> RunEntry | None:
    """The entry at which a run stands: the oldest that is not over, else the newest; None where it has recorded none."""
    row = statements.one("verification.entry_of_now", run=run)
    if row is None:
        return None
    check_row(row, _ENTRY, "entry", f"{row[3]} at {row[1]}")
    return _entry(row, run_id)


def described(entry: RunEntry) -> Mapping[str, object]:
    """An entry without its content, as facts."""
    return {
        "place": entry.place,
        "kind": entry.kind,
        "name": entry.name,
        "repeat": entry.repeat,
        "status": entry.status,
        "attempt": entry.attempt,
        "version": entry.version,
        "arguments": entry.arguments,
        "started_at": entry.started_at,
        "ended_at": entry.ended_at,
        "next_at": entry.next_at,
    }
