"""Schedules: their instants that have come are decided, and what they become is set to work (design §21)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, final

from tenure.errors import Closed, ReadFailed, StoreBroken
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.schedules import reads
from tenure.persistence.facets.schedules.rows import Occurrence
from tenure.persistence.facets.schedules.schedules import fire
from tenure.persistence.facets.schedules.terms import ScheduleRecord
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import is_for_others, together
from tenure.persistence.store import Store
from tenure.supervisor.hosting.mending import Mending
from tenure.supervisor.hosting.takeovers import Takeovers
from tenure.supervisor.operators.log import HostLog

from .looking import wait_until

PAGE: Final = 100
"""Schedules that are read at a time."""

Page = tuple[list[ScheduleRecord | ReadFailed], int | None, float | None]


@final
class Firing:
    """Decides what has come, of every schedule of the store: another host may be faster, and then nothing is written here."""

    def __init__(self, store: Store, takeovers: Takeovers, mending: Mending, log: HostLog) -> None:
        """Nothing has come yet."""
        self._store = store
        self._takeovers = takeovers
        self._mending = mending
        self._log = log

    async def look(self) -> float:
        """Decide what has come by now; seconds until the next look."""
        now = self._store.seams.wall_clock()
        left, after = False, 0
        to_come: list[float] = []  # of those that are decided here: when the next instant of each comes
        while True:
            found, following, coming = await self._store.read(partial(_read, now, after))
            left = left or bool(found)
            await together(*(partial(self._safely, record, now, to_come.append) for record in found))
            if following is None:
                return wait_until(min(to_come if coming is None else [*to_come, coming], default=None), now, left=left)
            after = following

    async def _safely(self, record: ScheduleRecord | ReadFailed, now: float, told: Callable[[float], object]) -> None:
        """Decide one, and say when its next instant comes. What is wrong with it stays with it."""
        if isinstance(record, ReadFailed):
            self._log.schedule_failed(record)
            return
        try:
            fires_at = await self._fire(record, now)
        except (StoreBroken, Closed, *NOT_NOW):
            raise
        except BaseException as exc:  # damaged, of a zone that this host does not know, or a mistake of ours
            if is_for_others(exc):
                raise
            self._log.schedule_failed(exc, record.schedule_id)
        else:
            if fires_at is not None:
                told(fires_at)

    async def _fire(self, record: ScheduleRecord, now: float) -> float | None:
        """When its next instant comes, which may have come: one commit takes so many. None where another host decided."""
        seams, limits = self._store.seams, self._store.limits
        change = fire(record, now, draw=seams.random.random, new_id=seams.new_id, most_bytes=limits.group_bytes)
        made: tuple[Occurrence, ...] = (await self._store.commit(Commit(changes=(change,)))).values[0]
        if any(each.input_id is not None for each in made):
            with self._mending.net(record.runtime_id):
                self._takeovers.wake(record.runtime_id)
        return change.fires_at if made else None


def _read(now: float, after: int, statements: Statements) -> Page:
    found, following = reads.due(statements, now, after, PAGE)
    return found, following, reads.next_of_all(statements, now)
