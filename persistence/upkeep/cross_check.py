"""Rows against one another: what names a row that is not there, what stands with a runtime that is not its own.

Digests say that a row is what was written; here it is found out where a row was moved, or lost. The keys are the rows' own,
integers of the file, because what else a damaged row says is not believed. Each facet checks its own rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tenure.errors import KeyMissing
from tenure.persistence.commits.upkept import Problem, failing
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.conversation.envelope import EMPTY_DIGEST
from tenure.persistence.model.digests import check_scheme
from tenure.persistence.model.texts import SealedBytes


def of_runtime(statements: Statements, runtime: int) -> Iterator[Problem]:
    """What is wrong with what the rows of a runtime say of one another."""
    yield from _rows(
        statements, "verification.strays", "it stands with another runtime, or contradicts itself", runtime
    )
    for session, digest in statements.all("verification.empty_sessions", runtime=runtime):
        if isinstance(digest, SealedBytes):
            yield "session", str(session), str(KeyMissing(key_id=digest.key_id))
        elif digest != EMPTY_DIGEST:
            yield "session", str(session), "it is empty, and its digest is not"
    for table, scheme, key in statements.all("verification.schemes", runtime=runtime):
        yield from failing(table, key, partial(check_scheme, scheme, table, key))


def of_store(statements: Statements) -> Iterator[Problem]:
    """What is wrong with counters, and which rows name one that is not there."""
    yield from _rows(statements, "verification.orphans", "it names a row that is not there")
    yield from _rows(statements, "verification.counters", "it is lower than what was given out already")
    yield from _rows(statements, "verification.requests", "it contradicts itself")


def _rows(statements: Statements, name: str, detail: str, runtime: int | None = None) -> Iterator[Problem]:
    given = {} if runtime is None else {"runtime": runtime}
    for table, key in statements.all(name, **given):
        yield table, str(key), detail
