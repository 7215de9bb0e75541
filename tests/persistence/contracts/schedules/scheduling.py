"""Schedules of a store without a host: its verbs, and the look of a host at a time that a test gives."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

import tenure
from tenure.errors import ReadFailed
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.schedules import reads
from tenure.persistence.facets.schedules.rows import Occurrence
from tenure.persistence.facets.schedules.schedules import fire
from tenure.persistence.facets.schedules.terms import ScheduleRecord

START = 1_800_000_000.0
"""An anchor that has long not come, so that nothing fires by itself."""


class _NoBehaviours:
    def fits(self, _: bytes) -> tuple[tuple[str, str], ...]:
        return ()

    def check_fits(self, kind: str, _: bytes) -> None:
        """A kind without a behaviour takes any payload."""


def verbs(store: tenure.Store) -> tenure.Schedules:
    return tenure.Schedules(store, hear=lambda: None, wake=lambda _: None, door=_NoBehaviours())


def at(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(START + seconds, tz=dt.UTC)


async def create(store: tenure.Store, name: str, runtime: str, **terms: Any) -> tenure.Schedule:
    """Every 100 seconds from the start on; its runtime is made by its first input."""
    given: dict[str, Any] = {"when": tenure.Every(100, at(0)), "payload": {"of": name}, "kind": "kind"}
    given |= {"starts_at": at(0), **terms}
    return await verbs(store).create(name, runtime, **given)


async def due(store: tenure.Store, now: float) -> list[ScheduleRecord | ReadFailed]:
    found, _ = await store.read(partial(reads.due, now=now, after=0, count=100))
    return found


def decided(store: tenure.Store, record: ScheduleRecord, now: float, draw: float = 0.5) -> Commit:
    """The commit by which a host decides what has come of it."""
    draws, most = (lambda: draw), store.limits.group_bytes
    return Commit(changes=(fire(record, now, draw=draws, new_id=store.seams.new_id, most_bytes=most),))


async def look(store: tenure.Store, seconds: float) -> list[Occurrence]:
    """Look as a host does, so many seconds after the start; what was decided."""
    made: list[Occurrence] = []
    for record in await due(store, START + seconds):
        if not isinstance(record, ReadFailed):
            made += (await store.commit(decided(store, record, START + seconds))).values[0]
    return made


async def fill_schedules(store: tenure.Store) -> None:
    """A schedule with instants of every sort; one that is paused; one that waits with jitter."""
    schedules = verbs(store)
    for name, seconds in (("a", 60), ("b", 200)):  # of the first some stand as one
        every = tenure.Every(seconds, at(0))
        await create(store, f"{name} seconds", name, when=every, catch_up="none", ends_at=at(9_000), starts_at=at(1))
        await create(store, f"{name} lost", f"nowhere {name}", kind=None, overlap="queue", jitter_s=5)
        await schedules.trigger(f"{name} seconds")
    await look(store, 8_000)
    for name in ("a", "b"):
        await schedules.pause(f"{name} lost", "of a test")
    await look(store, 8_100)


TABLES = {
    "schedules": "schedule_id IN ('a seconds', 'a lost')",
    "occurrences": "schedule IN (SELECT schedule FROM schedules WHERE schedule_id IN ('a seconds', 'a lost'))",
}
"""What of each table is damaged: all that 'a' has."""
