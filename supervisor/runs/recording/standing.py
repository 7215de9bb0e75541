"""What an entry of a run stands on: it is on disk with the first commit of that entry (design §18, R1)."""

from __future__ import annotations

from typing import final

from tenure.persistence.commits.commit import Change
from tenure.persistence.facets.runs.entries import CatchEntry, RecordEntry
from tenure.persistence.model.values import LogicalRuntimeId, RunId

from .record import Branch


@final
class Standing:
    """What an entry stands on: errors that its branch was given, and what was cut off before it."""

    def __init__(
        self,
        branch: Branch,
        failed: set[str],
        late: dict[str, RecordEntry],
        late_calls: dict[str, RecordEntry],
        all_calls: dict[str, RecordEntry],
    ) -> None:
        """As it was when the entry was asked for."""
        self._branch = branch
        self._failed = failed
        self._late = late
        self._late_calls = late_calls
        self._all_calls = all_calls

    def changes(self, runtime_id: LogicalRuntimeId, run_id: RunId) -> tuple[Change, ...]:
        """What of it is not on disk yet."""
        caught = [CatchEntry(runtime_id=runtime_id, run_id=run_id, place=place) for place in sorted(self._failed)]
        return (*caught, *self._late.values(), *self._late_calls.values())

    def landed(self) -> None:
        """It is on disk."""
        self._branch.failed -= self._failed
        for place in self._late:
            self._branch.late.pop(place, None)
        for place in self._late_calls:
            self._all_calls.pop(place, None)
        self._failed.clear()
        self._late.clear()
        self._late_calls.clear()
