"""Runs that are put aside: each that is due is taken over and entered again (design §20).

Of a kind with `Behaviour.max_running`, no more are taken than may execute: the others stay where they are, in the file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Final, final

from tenure.actors.decisions import may_begin
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.records import asides, versions
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.model.versions import Offer, RunVersion, choose
from tenure.persistence.seams.nursery import together
from tenure.persistence.store import Store, ground_of
from tenure.supervisor.hosting.owned import Owned
from tenure.supervisor.hosting.takeovers import Takeovers
from tenure.supervisor.runs.behaviour import Behaviours

from .looking import wait_until

PAGE: Final = 500
"""Runtimes that are read, and woken, at a time."""

_FIRST: Final = (float("-inf"), 0)

Ages = Mapping[tuple[str, str], int]


@final
class Wakes:
    """Wakes what is due, of the runtimes of this host and of those that none owns."""

    def __init__(self, store: Store, behaviours: Behaviours, owned: Owned, takeovers: Takeovers) -> None:
        """Nothing is due yet."""
        self._store = store
        self._behaviours = behaviours
        self._owned = owned
        self._takeovers = takeovers
        self._waiting: defaultdict[str, set[LogicalRuntimeId]] = defaultdict(set)

    async def look(self) -> float:
        """Wake what is due now; seconds until the next look."""
        now, wait_s = self._store.seams.wall_clock(), float("inf")
        for kind in self._behaviours:
            wait_s = min(wait_s, await self._wake_all(kind, now))
        return wait_s

    async def _wake_all(self, kind: str, now: float) -> float:
        after, left = _FIRST, False
        offers, host = self._behaviours.offers(kind), ground_of(self._store).host
        while (room := self._room(kind)) > 0:
            read = partial(_read, kind=kind, offers=offers, host=host, now=now, after=after, count=min(room, PAGE))
            page, able, coming = await self._store.read(read)
            left = left or bool(page)
            self._waiting[kind] |= {each.runtime_id for each in able}
            await together(*(partial(self._takeovers.rouse, each.runtime_id, kind) for each in able))
            if len(page) < min(room, PAGE):
                return wait_until(coming, now, left=left)
            after = page[-1].wake_at, page[-1].runtime
        return wait_until(None, now, left=True)  # and at once where one of them has begun

    def _room(self, kind: str) -> int:
        """How many more may be taken: of those that were, some wait for a slot, and the others have begun, or are not ours."""
        if not self._takeovers.may_come(kind):
            return 0
        most = self._behaviours[kind].max_running
        waiting = self._waiting[kind]
        waiting -= {each for each in waiting if not self._is_waiting(each)}
        return PAGE if most is None else most - len(waiting)

    def _is_waiting(self, runtime_id: LogicalRuntimeId) -> bool:
        facts = self._owned.find(runtime_id)
        return facts is not None and facts.aside and may_begin(facts, has_work=facts.has_work)


def _read(
    statements: Statements,
    *,
    kind: str,
    offers: tuple[Offer, ...],
    host: int,
    now: float,
    after: tuple[float, int],
    count: int,
) -> tuple[list[asides.Due], list[asides.Due], float | None]:
    """A page of what is due; those of it that a version of this host goes on with; and when the next one is due."""
    page = asides.find_due(statements, kind, host, now, after, count)
    ages = versions.ages(statements) if any(each.version for each in offers) else {}
    known = {version: age for (of, version), age in ages.items() if of == kind}
    able = [each for each in page if choose(offers, _version(each), known) is not None]
    return page, able, asides.find_next(statements, kind, now)


def _version(due: asides.Due) -> RunVersion:
    return RunVersion(version=due.version, recorded=True, failed=False, stays=True)
