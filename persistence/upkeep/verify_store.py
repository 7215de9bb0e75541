"""Verification of what belongs to no runtime alone: each facet says what is walked (`Facet.verify`), by parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar, final

from attrs import frozen

from tenure.errors import CannotOpen, Corrupt
from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.rows import PAGE
from tenure.persistence.commits.upkept import BELOW_ALL, Problem, Walk
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import Statements, UnknownOutcome
from tenure.persistence.facets.attachments.attachments import RECORD
from tenure.persistence.facets.attachments.verify import GONE, Comparing, committed_after, committed_id, look_at_bytes
from tenure.persistence.facets.catalog import FACETS

from . import cross_check
from .verify import Finding

T = TypeVar("T")

ROWS: Final = "rows"
"""The part for rows against one another."""

ATTACHMENTS: Final = "attachments"
"""The part of attachments."""

FILE: Final = "file"
"""The part for what stands beneath the rows."""

MOST_OF_THE_FILE: Final = 20
"""So much of what is found in a file is said: where one page is gone, much else does not fit."""


MOST_BYTES: Final = 100
"""So many attachments are named whose bytes are not as they should be."""

MOST_FAILED: Final = 5
"""So many whose bytes cannot be read, one after another, end the look."""


class Reads(Protocol):
    """What verification needs of a store, or of a look into one."""

    def read(self, read: Callable[[Statements], T], /) -> Awaitable[T]:
        """See `Store.read`."""
        ...


@final
@frozen(kw_only=True, slots=True)
class PartVerification:
    """What verifying one part of a store found.

    Attributes:
        part: ``file``, ``rows``, ``sessions``, ``queue``, ``attachments``, ``journal`` or ``state``.
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


def parts_of(facets: Sequence[Facet] = FACETS) -> tuple[str, ...]:
    """The parts of a store: its file, its rows against one another, then what facets say, in their order."""
    return tuple(dict.fromkeys([FILE, ROWS, *[facet.part for facet in facets if facet.verify]]))


async def verify_part(store: Reads, part: str, facets: Sequence[Facet] = FACETS) -> PartVerification:
    """Walk one part of a store, a page at a time. It writes nothing, and hosts may be running.

    `file` reads every page of a file, in one view, as SQLite checks it: a page that nothing else has read may be damaged.
    `rows` looks for rows that name one that is not there, and for counters that fell back.
    """
    problems: list[Problem] = []
    streams = 0
    if part == FILE:
        problems += await store.read(_file)
    if part == ROWS:
        problems += await store.read(lambda statements: list(cross_check.of_store(statements)))
    for facet in facets:
        if facet.part == part:
            streams += 0 if facet.streams is None else await store.read(facet.streams)
            for walk in facet.verify:
                problems += await _walk(store, walk)
    found = [Finding(record=record, key=key, detail=detail) for record, key, detail in problems]
    return PartVerification(part=part, streams=streams, problems=tuple(found))


async def verify_parts(store: Reads, facets: Sequence[Facet] = FACETS) -> list[PartVerification]:
    """Walk every part of a store."""
    return [await verify_part(store, part, facets) for part in parts_of(facets)]


async def verify_bytes(store: Reads, blobs: Blobs, *, whole: bool) -> list[Finding]:
    """Look whether the bytes are there of each attachment that a session has committed; hosts may be running.

    Args:
        store: What is read.
        blobs: Where the bytes of its attachments stand.
        whole: Read all of them, and compare them with their ids; else one look at each.

    Returns:
        What is gone, what is not what its id says, and what could not be read, each with its id; at most `MOST_BYTES`, and then
        how many more there are.

    Raises:
        CannotOpen: Nothing could be read so many times in a row: what holds the bytes is not to be had.
        Error: Of `Store.read`.
    """
    found, more, failed, seen, after = list[Finding](), 0, 0, set[bytes](), BELOW_ALL
    while True:
        at, page = await store.read(partial(committed_after, after=after, count=PAGE))
        for key, attachment_id in page:
            digest = attachment_id.encode()
            if digest in seen:
                continue
            seen.add(digest)
            try:
                wrong = await _wrong(store, blobs, attachment_id, whole=whole)
                failed = 0
            except CannotOpen as exc:
                failed += 1
                if failed == MOST_FAILED:
                    raise
                wrong = f"its bytes cannot be read: {exc.detail}"
            if wrong == GONE and await store.read(partial(committed_id, key=key)) is None:
                continue  # it was let go of meanwhile
            if wrong is not None and len(found) < MOST_BYTES:
                found.append(Finding(record=RECORD, key=attachment_id, detail=wrong))
            elif wrong is not None:
                more += 1
        if at is None:
            break
        after = at
    return found if not more else [*found, Finding(record=RECORD, key="", detail=f"and {more} more")]


async def _wrong(store: Reads, blobs: Blobs, attachment_id: str, *, whole: bool) -> str | None:
    wrong = await store.read(lambda _: _failing(lambda: look_at_bytes(blobs, attachment_id)))
    if wrong is not None or not whole:
        return wrong
    comparing, ended = Comparing(attachment_id), False
    while not ended:  # a view each: none is held for as long as many bytes take
        ended, wrong = await store.read(lambda _: _failing(lambda: comparing.go_on(blobs)))
    return wrong


def _failing(read: Callable[[], T]) -> T:
    """An I/O error at the bytes is none at the rows. Raises `CannotOpen`."""
    try:
        return read()
    except UnknownOutcome as exc:
        raise CannotOpen(path="attachments", detail=str(exc)) from exc


async def _walk(store: Reads, walk: Walk) -> list[Problem]:
    problems: list[Problem] = []
    at: Any = walk.start
    while at is not None:
        at, found = await store.read(partial(_page, walk, at))
        problems += found
    return problems


def _page(walk: Walk, after: Any, statements: Statements) -> tuple[Any, list[Problem]]:
    return walk.page(statements, after, walk.count)


def _file(statements: Statements) -> list[Problem]:
    try:
        found = [str(row[0]) for row in statements.all("verification.integrity")]
    except Corrupt as exc:  # damage at which SQLite's own check ends
        found = [exc.detail]
    return [("database", "file", detail) for detail in found[:MOST_OF_THE_FILE] if detail != "ok"]
