"""Rows against one another: what names a row that is not there, what stands with a runtime that is not its own.

Digests say that a row is what was written; here it is found out where a row was moved, or lost. The keys are the rows' own,
integers of the file, because what else a damaged row says is not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from tenure.errors import ReadFailed
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets import credentials
from tenure.persistence.facets.records import runtimes
from tenure.persistence.facets.runs import entries, sends
from tenure.persistence.model.digests import check_scheme
from tenure.persistence.model.envelope import EMPTY_DIGEST
from tenure.persistence.model.values import InputId, LogicalRuntimeId

Odd = tuple[str, str, str]
"""The sort of record, which one, and what about it."""

PAGE: Final = 500
"""Rows that are read at a time."""


def of_runtime(statements: Statements, runtime: int, runtime_id: LogicalRuntimeId) -> Iterator[Odd]:
    """What is wrong with a runtime's steps, sends and dead letters, and with what its rows say of one another."""
    yield from _rows(
        statements, "verification.strays", "it stands with another runtime, or contradicts itself", runtime
    )
    yield from _failing("runtime", runtime_id, partial(runtimes.find, statements, runtime_id))
    for session, digest in statements.all("verification.empty_sessions", runtime=runtime):
        if digest != EMPTY_DIGEST:
            yield "session", str(session), "it is empty, and its digest is not"
    for table, scheme, key in statements.all("verification.schemes", runtime=runtime):
        yield from _failing(table, key, partial(check_scheme, scheme, table, key))
    for (run,) in statements.all("verification.runs", runtime=runtime):
        yield from _failing("step", f"of run {run}", partial(entries.of_run, statements, run))
        yield from _failing("send", f"of run {run}", partial(sends.of_run, statements, run))
    yield from _failing("refused send", runtime_id, partial(_walk_refused, statements, runtime_id))


def of_store(statements: Statements) -> Iterator[Odd]:
    """What is wrong with rows of no runtime, and which rows name one that is not there."""
    yield from _rows(statements, "verification.orphans", "it names a row that is not there")
    yield from _rows(statements, "verification.counters", "it is behind what was given out already")
    yield from _failing("credentials", "oauth", partial(credentials.find, statements))


def _rows(statements: Statements, name: str, detail: str, runtime: int | None = None) -> Iterator[Odd]:
    given = {} if runtime is None else {"runtime": runtime}
    for table, key in statements.all(name, **given):
        yield table, str(key), detail


def _failing(record: str, key: object, read: Callable[[], Any]) -> Iterator[Odd]:
    try:
        read()
    except ReadFailed as exc:
        yield record, str(key), str(exc)


def _walk_refused(statements: Statements, runtime_id: LogicalRuntimeId) -> None:
    after = InputId("")
    while page := sends.refused(statements, runtime_id, after, PAGE):
        after = page[-1].input_id
