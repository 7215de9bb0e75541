"""Which sessions have work for a worker, and since when the head of each waits (design §10).

A look costs what the number of sessions with queued work is, and nothing for what stands after their heads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, final

from attrs import field, frozen

from tenure.errors import Corrupt, ReadFailed
from tenure.persistence.commits.rows import OPTIONAL_INT, check_row
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.annotations import ID_LIMIT
from tenure.persistence.model.contracts.queued_work import (
    NEVER_MS,
    key_of_batch,
)
from tenure.persistence.model.values import SessionId

from . import batches, claims
from .claims import StoredClaim
from .queue import Mark

_PLACE: Final = (OPTIONAL_INT, OPTIONAL_INT, OPTIONAL_INT)
_TYPES: Final = (*_PLACE, *_PLACE, OPTIONAL_INT, int, int, int, OPTIONAL_INT)

_LAST: Final = chr(0x10FFFF) * (ID_LIMIT + 1)
"""Sorts after every id of a session."""


@final
@frozen(order=True, slots=True)
class Head:
    """A session with work to claim; the one that has waited longest is the least.

    Attributes:
        since_ms: Since when its first batch waits, unix milliseconds: queued, and due.
        batch: Its key.
        session_id: Which session.
        suspect: Whether a worker died over work of the session that is not done.
    """

    since_ms: int
    batch: int
    session_id: SessionId
    suspect: bool


@final
@frozen(kw_only=True, slots=True)
class Heads:
    """What a look found.

    Attributes:
        ready: Sessions with work to claim, the one that has waited longest first.
        due_ms: When the next batch is due, unix milliseconds, or None.
        seen: Every claim, by session, for the observer.
        blocked: Sessions that are not ready, and where a batch that is queued would have to wait.
        unreadable: Sessions that are damaged, and why.
    """

    ready: tuple[Head, ...] = ()
    due_ms: int | None = None
    blocked: frozenset[SessionId] = frozenset()
    seen: dict[SessionId, tuple[StoredClaim, ...]] = field(factory=dict["SessionId", "tuple[StoredClaim, ...]"])
    unreadable: tuple[tuple[SessionId, ReadFailed], ...] = ()


@final
@frozen(kw_only=True, slots=True)
class Look:
    """How to look.

    Attributes:
        now_ms: The wall clock, unix milliseconds.
        per_session: How many claims of one session may hold.
        lapsed: By session, the claims that an observer saw standing still.
    """

    now_ms: int
    per_session: int
    lapsed: Callable[[str], Collection[Mark]]


def with_prefix(statements: Statements, prefix: str) -> list[SessionId]:
    """The sessions with queued work whose ids begin with a prefix, by id."""
    rows = statements.all("heads.sessions", first=prefix, end=prefix + _LAST)
    return [SessionId(row[0]) for row in rows if isinstance(row[0], str)]


def any_queued(statements: Statements, batch_ids: Iterable[str]) -> bool:
    """Whether one of these batches is queued, claimed or not."""
    keys = [key for key in map(key_of_batch, batch_ids) if key is not None]
    return any(statements.one("heads.waiting_since", batch=key) is not None for key in keys)


def following(statements: Statements, session_id: str) -> Head | None:
    """The first batch of a session that is free and stands in the queue. Raises `Corrupt`."""
    row = statements.one("queue.following", session_id=session_id)
    if row is None:
        return None
    check_row(row, (int, int, int, OPTIONAL_INT), batches.RECORD, session_id)
    return Head(max(row[1], row[2]), row[0], SessionId(session_id), suspect=bool(row[3]))


def look(statements: Statements, sessions: Iterable[SessionId], how: Look) -> Heads:
    """Look at the heads of these sessions. A damaged one hides no other."""
    ready: list[Head] = []
    blocked: set[SessionId] = set()
    due: list[int] = []
    seen: dict[SessionId, tuple[StoredClaim, ...]] = {}
    unreadable: list[tuple[SessionId, ReadFailed]] = []
    for session_id in sessions:
        try:
            if _look_at(statements, session_id, how, ready, due, seen):
                blocked.add(session_id)
        except ReadFailed as exc:
            unreadable.append((session_id, exc))
            blocked.add(session_id)
    return Heads(
        ready=tuple(sorted(ready)),
        due_ms=min(due, default=None),
        seen=seen,
        blocked=frozenset(blocked),
        unreadable=tuple(unreadable),
    )


def _look_at(
    statements: Statements,
    session_id: SessionId,
    how: Look,
    ready: list[Head],
    due: list[int],
    seen: dict[SessionId, tuple[StoredClaim, ...]],
) -> bool:
    """Look at one, and say whether it is blocked."""
    row = statements.one("heads.of_session", session_id=session_id, now_ms=how.now_ms)
    if row is None:
        return False
    check_row(row, _TYPES, batches.RECORD, session_id)
    waiting, claimed, suspect = row[7], row[8], row[9] > 0
    places = [row[0:3]]
    if row[6] is not None and row[6] != NEVER_MS:
        # One that is due stands in the queue at the next claim; so does one that failed before the clock was set back.
        if row[6] <= how.now_ms or (row[10] is not None and row[10] > how.now_ms):
            places.append(row[3:6])
        else:
            due.append(row[6])
    if claimed:
        found = claims.of_session(statements, session_id)
        holding = tuple([each for each in found if each.holds(how.lapsed(session_id))])
        seen[session_id] = tuple(found)  # lapsed ones too: forgotten, they would begin to be watched anew
        left = [each for each in found if each not in holding]
        suspect = suspect or bool(left)  # charged at the next claim
        places += [_place_of(statements, each) for each in left]
        waiting += len(holding)
    heads = [Head(max(place[1], place[2]), place[0], session_id, suspect) for place in places if None not in place]
    if heads and waiting < how.per_session:
        ready.append(min(heads))
        return False
    return bool(claimed or waiting or suspect)


def _place_of(statements: Statements, claim: StoredClaim) -> Row:
    row = statements.one("heads.waiting_since", batch=claim.batches[0]) if claim.batches else None
    if row is None:
        raise Corrupt(record=claims.RECORD, key=claim.claim_id, detail="its batches are not those that name it")
    check_row(row, (int, int, int), batches.RECORD, claim.session_id)
    return row
