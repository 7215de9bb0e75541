"""Schedules and occurrences as they are looked for, listed, verified, shown and pruned."""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.errors import ReadFailed
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import Problem, Pruning, Subject, counted
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.lifecycles.retention import Ages

from . import rows
from .rows import Occurrence
from .terms import ScheduleRecord

LAST: Final = 2**63 - 1
"""After every occurrence."""


def due(
    statements: Statements, now: float, after: int, count: int
) -> tuple[list[ScheduleRecord | ReadFailed], int | None]:
    """A page of the schedules with instants that have come, or why one cannot be read; and where the next page begins."""
    keys = [row[0] for row in statements.all("schedules.due", now=now, after=after, count=count)]
    found = [_read(statements, key) for key in keys]
    return [each for each in found if each is not None], keys[-1] if len(keys) == count else None


def _read(statements: Statements, key: int) -> ScheduleRecord | ReadFailed | None:
    try:
        row = statements.one("schedules.read", schedule=key)
        return None if row is None else rows.read_schedule(row)
    except ReadFailed as exc:
        return exc


def next_of_all(statements: Statements, now: float = 0.0) -> float | None:
    """When the first instant of any schedule comes that comes after a time, unix seconds, or None."""
    row = statements.one("schedules.next", now=now)
    return row[0] if row is not None and isinstance(row[0], int | float) else None


def list_schedules(statements: Statements, after: int, count: int) -> tuple[list[ScheduleRecord], int | None]:
    """A page of all schedules but those that cannot be read, and where the next page begins."""
    keys = [row[0] for row in statements.all("schedules.page", after=after, count=count)]
    found = [_read(statements, key) for key in keys]
    return [each for each in found if isinstance(each, ScheduleRecord)], keys[-1] if len(keys) == count else None


def occurrences_of(statements: Statements, schedule_id: str, before: int, count: int) -> list[Occurrence]:
    """A page of the occurrences of a schedule, the newest first. Raises `Corrupt`."""
    found = statements.all("schedules.occurrences", schedule_id=schedule_id, before=before, count=count)
    return [rows.read_occurrence(row) for row in found]


# Upkeep


def verify_schedules(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of all schedules: which are not what was written."""
    keys = [row[0] for row in statements.all("schedules.page", after=after, count=count)]
    found = [(key, _read(statements, key)) for key in keys]
    problems = [("schedule", str(key), str(each)) for key, each in found if isinstance(each, ReadFailed)]
    return keys[-1] if len(keys) == count else None, problems


def verify_occurrences(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of all occurrences: which are not what was written."""
    keys = [row[0] for row in statements.all("schedules.occurrence_page", after=after, count=count)]
    problems: list[Problem] = []
    for key in keys:
        try:
            row = statements.one("schedules.occurrence", occurrence=key)
            if row is not None:
                rows.read_occurrence(row)
        except ReadFailed as exc:
            problems.append(("occurrence", str(key), str(exc)))
    return keys[-1] if len(keys) == count else None, problems


def of_runtime(statements: Statements, subject: Subject) -> list[str]:
    """Ids of the schedules of a runtime, for `show`."""
    found = statements.all("schedules.of_runtime", runtime_id=subject.runtime_id)
    return [schedule_id for (schedule_id,) in found]


@final
@frozen(kw_only=True, slots=True)
class PruneOccurrences(Change):
    """Delete occurrences that were decided before a time. Answer: how many."""

    ingress = True

    occurrences: tuple[int, ...]
    before: float


def _prune(tx: Transaction, change: PruneOccurrences) -> int:
    return sum([tx.run("schedules.prune", occurrence=each, before=change.before) for each in change.occurrences])


PRUNE_HANDLER: Final = Handler(apply=_prune)


def _over(statements: Statements, after: int, count: int, ages: Ages) -> tuple[int, ...]:
    found = statements.all("schedules.over", after=after, before=ages.before, count=count)
    return tuple([key for (key,) in found])


OVER: Final = Pruning(
    counts=("occurrences",),
    look=_over,
    change=lambda keys, ages: PruneOccurrences(occurrences=keys, before=ages.before),
    page=counted("occurrences"),
)
