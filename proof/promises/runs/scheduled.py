"""Schedules: what was made is there, each instant was decided once, and the input that it became is there."""

from __future__ import annotations

from typing import Final

from proof.promises.facet import FacetProof, Promised, Rows
from proof.promises.pruned import pruned_runtimes
from proof.stories.schedules import keep_schedules
from tenure.persistence.facets.schedules import reads, schedules
from tenure.persistence.facets.schedules.rows import Occurrence, find
from tenure.persistence.facets.schedules.terms import ScheduleRecord


def written(change: schedules.WriteSchedule, answer: ScheduleRecord | None) -> Promised:
    """It is there, at this revision or a later one."""
    return [] if answer is None else [("schedule", (change.schedule_id, answer.revision))]


def deleted(change: schedules.DeleteSchedule, answer: bool) -> Promised:  # noqa: FBT001 - as promises are asked
    """It is gone."""
    return [("no schedule", change.schedule_id)] if answer else []


def fired(_change: schedules.FireSchedule, answer: tuple[Occurrence, ...]) -> Promised:
    """Each occurrence is there."""
    return [("occurrence", (each.schedule_id, each.scheduled_at, each.input_id, each.skipped)) for each in answer]


def triggered(_change: schedules.TriggerSchedule, answer: Occurrence) -> Promised:
    """So is one that was made beside the timetable."""
    return [("occurrence", (answer.schedule_id, answer.scheduled_at, answer.input_id, answer.skipped))]


def check(rows: Rows) -> None:
    """Schedules and occurrences are there, each instant once, none after the next one, and no input is lost."""
    gone = set(rows.history.attempted("no schedule"))  # a crash may come before the answer
    for schedule_id in rows.history.acknowledged("no schedule"):
        assert find(rows.statements, schedule_id) is None, f"schedule {schedule_id} was deleted and is there"
    for schedule_id, revision in rows.history.acknowledged("schedule"):
        found = find(rows.statements, schedule_id)
        if schedule_id in gone:
            continue
        assert found is not None, f"schedule {schedule_id} was made and is lost"
        assert found.revision >= revision, f"schedule {schedule_id} is older than it was"
    pruned = pruned_runtimes(rows)
    for schedule_id, at, input_id, skipped in rows.history.acknowledged("occurrence"):
        if schedule_id in gone:
            continue
        there = rows.of(
            "SELECT input_id, skipped, runtime_id FROM occurrences JOIN schedules USING (schedule)"
            " WHERE schedule_id = ? AND scheduled_at = ?",
            schedule_id,
            at,
        )
        if not there:
            continue  # pruned: what is decided comes never again, as the next instant says
        assert (input_id, skipped) in [row[:2] for row in there], f"the instant {at} of {schedule_id} became another"
        if input_id is not None and there[0][2] not in pruned:
            known = rows.of("SELECT 1 FROM inputs WHERE input_id = ?", input_id)
            assert known, f"the input of the instant {at} of {schedule_id} is lost"
    rows.none(
        "SELECT schedule_id FROM schedules s WHERE EXISTS (SELECT 1 FROM occurrences o WHERE o.schedule = s.schedule"
        " AND o.triggered = 0 AND o.scheduled_at >= s.next_at)",
        "an instant was decided, and comes again",
    )
    rows.none(
        "SELECT occurrence FROM occurrences WHERE (input_id IS NULL) = (skipped IS NULL)",
        "an instant neither became an input nor was skipped",
    )


PROOFS: Final = (
    FacetProof(
        name="schedules",
        story=keep_schedules,
        promises={
            schedules.WriteSchedule: written,
            schedules.DeleteSchedule: deleted,
            schedules.FireSchedule: fired,
            schedules.TriggerSchedule: triggered,
        },
        check=check,
        quiet=(schedules.WriteSchedule, schedules.PauseSchedule, schedules.FireSchedule, reads.PruneOccurrences),
    ),
)
