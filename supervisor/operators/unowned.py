"""Recovery: the runtimes with work that no living host owns, as a host finds them at open and later (design §4, §6)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.commit import Commit
from tenure.persistence.commits.rows import OPTIONAL_INT, sound
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.records.versions import RegisterVersions, ages, read_waiting
from tenure.persistence.facets.runs.following.follow_ups import FollowKinds, followed_kinds
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.model.versions import Offer, choose
from tenure.persistence.store import Store

Offers = Mapping[str, tuple[Offer, ...]]
"""What a host has, by kind."""

PAGE: Final = 500
"""Runtimes that are read, and taken over, at a time."""


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


def unfinished(statements: Statements, offers: Offers, after: str, due_by: float = -1.0) -> list[UnownedRuntime]:
    """A page of the runtimes with work and without a living owner, by id; of those that are aside, what is due by a time."""
    rows = sound(
        statements.readable("ownership.with_work", after=after, count=PAGE, due_by=due_by),
        (str, str, int, OPTIONAL_INT),
    )
    known = ages(statements)
    return [
        UnownedRuntime(runtime_id=runtime_id, kind=kind, reason=_why(statements, offers, known, kind, runtime, run))
        for runtime_id, kind, runtime, run in rows
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
    found: list[UnownedRuntime] = []
    read = partial(unfinished, offers=offers, due_by=store.seams.wall_clock())
    while page := await store.read(partial(read, after=found[-1].runtime_id if found else "")):
        found += page
    return found
