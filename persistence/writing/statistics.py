"""What a writer has done, as numbers."""

from __future__ import annotations

from typing import final

from attrs import frozen

from tenure.persistence.engines.housekeeping import Housekeeping

from .lone.progress import Progress


@final
@frozen(kw_only=True, slots=True)
class WriterStatistics:
    """What a writer has done.

    Attributes:
        commits: Commits that landed.
        groups: Groups that were committed.
        waiting: Commits that wait to be taken; at most `Limits.waiting_commits`, and those of runs.
        waiting_for_room: Callers that wait until fewer commits wait.
        log_pages: How long the log is; 0 where there is none.
        log_held: Whether a reader has long kept it from being begun anew.
        writing_s: Seconds for which the group on its way has been with the disk; 0 where there is none.
    """

    commits: int
    groups: int
    waiting: int
    waiting_for_room: int
    log_pages: int
    log_held: bool
    writing_s: float


def statistics_of(
    progress: Progress, waiting: int, waiting_for_room: int, housekeeping: Housekeeping | None
) -> WriterStatistics:
    """What a writer that has come so far has done, with so much that waits."""
    return WriterStatistics(
        commits=progress.commits,
        groups=progress.groups,
        waiting=waiting,
        waiting_for_room=waiting_for_room,
        log_pages=0 if housekeeping is None else housekeeping.log_pages,
        log_held=housekeeping is not None and housekeeping.log_held,
        writing_s=progress.seconds,
    )
