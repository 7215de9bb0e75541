"""Recovery: the runtimes with work that no living host owns, as a host finds them at open and later (design §4, §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.commit import Commit
from tenure.persistence.commits.rows import OPTIONAL_INT, sound
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records.versions import RegisterVersions, ages, read_waiting
from tenure.persistence.facets.runs.following.follow_ups import FollowKinds, followed_kinds
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.model.versions import Offer, choose
from tenure.persistence.store import Store

Offers = Mapping[str, tuple[Offer, ...]]
"""What a host has, by kind."""

PAGE: Final = 500
"""Runtimes that are looked at, and taken over, at a time."""

FIRST: Final = 0
"""Where the first page begins."""


@final
@frozen(kw_only=True, slots=True)
class UnownedRuntime:
    """A runtime with work that no living host owns.

    Attributes:
        runtime_id: Which runtime.
        kind: Names its behaviour.
        reason: Why this host does not take it: ``kind``, which has no behaviour here; ``version``, a younger one than this
            host has, which has recorded its run; or None, where it will.
    """

    runtime_id: LogicalRuntimeId
    kind: str
    reason: str | None = None


def unfinished(statements: Statements, offers: Offers, after: int) -> tuple[list[UnownedRuntime], int | None]:
    """Of a page of the runtimes that have anything open, by key, those without a living owner that have work.

    What is aside waits for its time. It costs what is open, however many runtimes are at rest.

    Returns:
        Those, and the `after` of the next page; None after the last one. A damaged row hides no other.
    """
    rows = statements.readable("ownership.with_work", after=after, count=PAGE)
    behind = [runtime - 1 for place, runtime, *_ in rows if place > PAGE]
    found = [row[1:] for row in rows if row[0] <= PAGE]
    return _judged(statements, offers, found), behind[0] if behind else None


def _due(statements: Statements, offers: Offers, due_by: float) -> list[UnownedRuntime]:
    """The runtimes without a living owner that are aside, and due by a time."""
    found: list[UnownedRuntime] = []
    kind = ""
    while (row := statements.one("asides.next_kind", kind=kind)) is not None and row[0] is not None:
        kind, after_at, after = row[0], float("-inf"), 0
        where = {"kind": kind, "now": due_by}
        while rows := statements.readable("asides.due_unowned", **where, after_at=after_at, after=after, count=PAGE):
            after_at, after = rows[-1][1:3]
            found += _judged(statements, offers, [(runtime, run, name, kind) for name, _, runtime, run in rows])
    return found


def _judged(statements: Statements, offers: Offers, rows: Sequence[Row]) -> list[UnownedRuntime]:
    """Those of these runtimes whose rows can be read."""
    known = ages(statements)
    return [
        UnownedRuntime(runtime_id=runtime_id, kind=kind, reason=_why(statements, offers, known, kind, runtime, run))
        for runtime, run, runtime_id, kind in sound(rows, (int, OPTIONAL_INT, str, str))
    ]


def _why(
    statements: Statements,
    offers: Offers,
    known: Mapping[tuple[str, str], int],
    kind: str,
    runtime: int,
    run: int | None,
) -> str | None:
    if kind not in offers:
        return "kind"
    if not known:
        return None
    rows = sound(statements.readable("versions.waiting", runtime=runtime, run=run), (str, int, str, int))
    own = {version: age for (of, version), age in known.items() if of == kind}
    left = [row for row in rows if choose(offers[kind], read_waiting(*row), own) is None]
    return "version" if left else None


async def register_versions(store: Store, given: tuple[tuple[str, str], ...]) -> None:
    """Let the store hear of the versions of this host, before it takes anything over."""
    if given and not {*given} <= (await store.read(ages)).keys():
        await store.commit(Commit(changes=(RegisterVersions(versions=given),)))


async def register_followed(store: Store, given: Mapping[str, bool]) -> None:
    """Let the store hear of which kinds of this host abandoned batches are followed, before it takes anything over."""
    known = await store.read(followed_kinds)
    kinds = tuple([kind for kind, follows in given.items() if follows and kind not in known])
    without = tuple([kind for kind, follows in given.items() if not follows and kind in known])
    if kinds or without:
        await store.commit(Commit(changes=(FollowKinds(kinds=kinds, without=without),)))


async def read_unowned(store: Store, offers: Offers) -> list[UnownedRuntime]:
    """See `Supervisor.unowned`."""
    found = await store.read(partial(_due, offers=offers, due_by=store.seams.wall_clock()))
    after: int | None = FIRST
    while after is not None:
        page, after = await store.read(partial(unfinished, offers=offers, after=after))
        found += page
    return sorted({each.runtime_id: each for each in found}.values(), key=lambda each: each.runtime_id)
