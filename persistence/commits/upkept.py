"""What a facet brings for the upkeep of a store: what is verified of it, pruned and shown."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, final

from attrs import frozen

from tenure.errors import Corrupt, ReadFailed, Unreadable
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.lifecycles.retention import Ages
from tenure.persistence.model.values import LogicalRuntimeId

from .commit import Change

PAGE: Final = 200
"""Rows that one read looks at, or one commit; so no view of the store lasts long, and no commit."""

PAGES_AT_ONCE: Final = 25
"""Pages that one read looks through for what may go, where some kinds of runtimes are kept longer than others."""

BELOW_ALL: Final = -(2**63)
"""A cursor below every key: a damaged one may be less than any that is given."""

Problem = tuple[str, str, str]
"""What verification found: the sort of record, which one, and what about it; never its content."""


@final
@frozen(kw_only=True, slots=True)
class Subject:
    """The runtime that is verified, or shown.

    Attributes:
        runtime: Its key.
        runtime_id: Its id.
        session_id: Its conversation, or None.
    """

    runtime: int
    runtime_id: LogicalRuntimeId
    session_id: str | None = None


@final
@frozen(kw_only=True, slots=True)
class Walk:
    """One walk of verification over rows that belong to no runtime alone.

    Attributes:
        page: Reads a page from a cursor on, with at most `count` rows: the cursor of the next page, None at the end, and
            what is wrong.
        start: The first cursor.
        count: Rows of a page.
    """

    page: Callable[[Statements, Any, int], tuple[Any, list[Problem]]]
    start: Any = BELOW_ALL
    count: int = PAGE


def once(look: Callable[[Statements], list[Problem]]) -> Walk:
    """A walk of one page."""
    return Walk(page=lambda statements, _after, _count: (None, look(statements)))


@final
@frozen(kw_only=True, slots=True)
class PrunedPage:
    """What came of pruning a page.

    Attributes:
        counts: How many of what were deleted, by the names of `Pruned`.
        judged: How many of its keys are done with; the rest is for another commit, so that this one stays short.
    """

    counts: Mapping[str, int]
    judged: int


@final
@frozen(kw_only=True, slots=True)
class Pruning:
    """One sort of rows that are over: looked for in reads, and deleted in commits that judge each of them again.

    Attributes:
        counts: What it counts, by the names of `Pruned`.
        look: At most `count` keys that may be over and come after a key, rising.
        change: Deletes those that are over.
        page: What came of it, from the keys and the answer of the change.
        sound: Reads, page by page from cursor 0, what must be sound before anything is deleted; returns the next cursor,
            None at the end, and raises.
    """

    counts: tuple[str, ...]
    look: Callable[[Statements, int, int, Ages], tuple[int, ...]]
    change: Callable[[tuple[int, ...], Ages], Change]
    page: Callable[[tuple[int, ...], Any], PrunedPage]
    sound: Callable[[Statements, int, int], int | None] | None = None


def counted(name: str) -> Callable[[tuple[int, ...], int], PrunedPage]:
    """A page that is done with; its answer is how many rows went."""
    return lambda keys, answer: PrunedPage(counts={name: answer}, judged=len(keys))


@contextmanager
def spared() -> Generator[None]:
    """Let a damaged row be: what is over of the others goes all the same. A damaged file is another matter, and raises."""
    try:
        yield
    except Unreadable as exc:
        if isinstance(exc, Corrupt) and exc.record == "database":
            raise


def failing(record: str, key: object, read: Callable[[], Any]) -> Iterator[Problem]:
    """What a read finds damaged, as a problem; the record and key of the error, where it has them."""
    try:
        read()
    except ReadFailed as exc:
        yield getattr(exc, "record", record), getattr(exc, "key", str(key)), str(exc)
