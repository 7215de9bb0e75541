"""Verification of what belongs to no runtime alone: sessions as graphs, journals, facts and execution state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol, TypeVar, final

from attrs import frozen

from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.attachments.verify import verify_attachments as verify_attachment_page
from tenure.persistence.facets.graph.verify import verify_blobs, verify_graph_rows, verify_session_page
from tenure.persistence.facets.journal.verify import (
    Problem,
    verify_facts,
    verify_references,
    verify_stream,
)
from tenure.persistence.facets.queue.verify import verify_batches, verify_claims, verify_queue_rows
from tenure.persistence.facets.state.verify import (
    verify_clock,
    verify_executions,
    verify_own_states,
    verify_own_values,
    verify_own_writes,
    verify_values,
)
from tenure.persistence.model.events.journal import StreamId

from . import cross_check
from .verify import Finding

T = TypeVar("T")

PAGE: Final = 200
"""Rows that are read at a time, so that no view of the store lasts long."""

SESSIONS_AT_ONCE: Final = 10
"""Sessions that are read at a time, each as a whole."""

Page = Callable[..., tuple[T | None, list[Problem]]]


class Reads(Protocol):
    """What verification needs of a store, or of a look into one."""

    def read(self, read: Callable[[Statements], T], /) -> Awaitable[T]:
        """See `Store.read`."""
        ...


@final
@frozen(kw_only=True, slots=True)
class PartVerification:
    """What verifying one part of a store came to.

    Attributes:
        part: ``rows``, ``sessions``, ``queue``, ``attachments``, ``journal`` or ``state``.
        streams: Streams that were walked, with all their events.
        problems: What is wrong.
    """

    part: str
    streams: int
    problems: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


async def verify_journals(store: Reads) -> PartVerification:
    """Walk every stream, log, snapshot and fact. It writes nothing, and hosts may be running."""
    problems = await store.read(verify_references)
    count, after = 0, ""
    while ids := await store.read(partial(_ids, after=after)):
        for stream_id in ids:
            count += 1
            at: int | None = 0
            while at is not None:
                at, found = await store.read(partial(verify_stream, stream_id=StreamId(stream_id), after=at))
                problems += found
        after = ids[-1]
    problems += await _pages(store, partial(verify_facts, count=PAGE), 0)
    return _part("journal", count, problems)


async def verify_state(store: Reads) -> PartVerification:
    """Read every snapshot, value of working memory and state of a runtime. It writes nothing, and hosts may be running."""
    problems = await store.read(verify_clock)
    problems += await _pages(store, partial(verify_executions, count=PAGE), "")
    problems += await _pages(store, partial(verify_values, count=PAGE), "")
    for page in (verify_own_values, verify_own_writes, verify_own_states):
        problems += await _pages(store, partial(page, count=PAGE), 0)
    return _part("state", 0, problems)


async def verify_sessions(store: Reads) -> PartVerification:
    """Read every session with all its branches, turns and parts. It writes nothing, and hosts may be running."""
    problems = await store.read(verify_graph_rows)
    problems += await _pages(store, partial(verify_session_page, count=SESSIONS_AT_ONCE), 0)
    problems += await _pages(store, partial(verify_blobs, count=PAGE), 0)
    return _part("sessions", 0, problems)


async def verify_queue(store: Reads) -> PartVerification:
    """Read every batch of queued work and every claim. It writes nothing, and hosts may be running."""
    problems = await store.read(verify_queue_rows)
    problems += await _pages(store, partial(verify_batches, count=PAGE), 0)
    problems += await _pages(store, partial(verify_claims, count=PAGE), 0)
    return _part("queue", 0, problems)


async def verify_attachments(store: Reads) -> PartVerification:
    """Read every row of an attachment. It writes nothing, and hosts may be running."""
    return _part("attachments", 0, await _pages(store, partial(verify_attachment_page, count=PAGE), 0))


async def verify_rows(store: Reads) -> PartVerification:
    """Look for rows that name one that is not there, and for counters that fell back. It writes nothing."""
    return _part("rows", 0, await store.read(lambda statements: list(cross_check.of_store(statements))))


def _ids(statements: Statements, after: str) -> list[str]:
    rows = statements.readable("journal.list", after=after, count=PAGE)
    return [row[0] for row in rows if isinstance(row[0], str)]


async def _pages(store: Reads, page: Page[T], after: T) -> list[Problem]:
    problems: list[Problem] = []
    at: T | None = after
    while at is not None:
        at, found = await store.read(partial(page, after=at))
        problems += found
    return problems


def _part(part: str, streams: int, problems: list[Problem]) -> PartVerification:
    found = [Finding(record=record, key=key, detail=detail) for record, key, detail in problems]
    return PartVerification(part=part, streams=streams, problems=tuple(found))
