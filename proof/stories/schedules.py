"""What the story says of schedules: made, updated, decided, paused, triggered, deleted, pruned."""

from __future__ import annotations

from typing import Any

from tenure.persistence.commits.commit import Change
from tenure.persistence.facets.schedules import reads, schedules
from tenure.persistence.facets.schedules.rows import Occurrence
from tenure.persistence.facets.schedules.terms import Overlap, ScheduleRecord, ScheduleTerms, instant_of
from tenure.persistence.model.timetable import Every, encode_timetable
from tenure.persistence.model.values import InputId, SessionId

from .words import Words

NOON = 43_200.0


def _write(
    name: str, runtime: str, payload: bytes, expected: int | None = None, *, replaces: bool = False
) -> schedules.WriteSchedule:
    timetable = encode_timetable(Every(60), NOON)
    terms = ScheduleTerms(runtime_id=runtime, kind="story", timetable=timetable, overlap=Overlap.QUEUE)
    return schedules.WriteSchedule(
        schedule_id=name,
        terms=terms,
        payload=payload,
        next_at=NOON,
        fires_at=NOON,
        expected=expected,
        replaces=replaces,
    )


async def keep_schedules(words: Words) -> None:
    """Two schedules: one that lives, and one that is refused, paused and deleted."""
    write, new_id = words.write, words.new_id
    made: ScheduleRecord
    (made,) = await write(_write("noon", "by schedule", b'"go"'))
    (made,) = await write(_write("noon", "by schedule", b'"go on"', made.revision))
    await write(_write("noon", "by schedule", b'"go"', replaces=True))  # there is one, with another payload
    (made,) = await write(_write("noon", "by schedule", b'"go"', made.revision, replaces=True))

    def instant(number: int, *, missed: bool = False) -> Any:
        return instant_of(Every(60), NOON + 60 * number, InputId(new_id()), missed=missed)

    def fire(of: ScheduleRecord, since: int, first: int, count: int, *, missed: bool = False) -> Change:
        then = NOON + 60 * (first + count)
        instants = tuple(instant(first + each, missed=missed) for each in range(count))
        return schedules.FireSchedule(
            schedule_id=of.schedule_id,
            created_at=of.created_at,
            expected=of.revision + since,
            instants=instants,
            next_at=then,
            fires_at=then,
            session_id=SessionId(new_id()),
        )

    fired: tuple[Occurrence, ...]
    (fired,) = await write(fire(made, 0, 0, 3))
    await write(fire(made, 0, 0, 3))  # another host, which was slower
    await write(fire(made, 1, 3, 2, missed=True))
    (made,) = await write(_write("lost", "destroyed", b"1"))
    await write(schedules.PauseSchedule(schedule_id="lost", paused=True, note="of the story"))
    await write(fire(made, 1, 0, 1))
    await write(schedules.PauseSchedule(schedule_id="lost", paused=False))
    trigger = schedules.TriggerSchedule(schedule_id="lost", instant=instant(9), session_id=SessionId(new_id()))
    await write(trigger)
    words.witness.attempted("no schedule", "lost")
    await write(schedules.DeleteSchedule(schedule_id="lost"))
    await write(reads.PruneOccurrences(occurrences=(fired[0].number,), before=0.0))
