"""Numbers about a host."""

from __future__ import annotations

from typing import final

from attrs import frozen


@final
@frozen(kw_only=True, slots=True)
class SupervisorStatistics:
    """What a host is doing.

    Attributes:
        runtimes: Runtimes that it owns.
        active: Those of them that have an actor; the others are passivated.
        running: Those of them that execute a run.
        held: Those of them that are held.
        commits: Commits that landed since the store was opened.
        groups: Groups they shared.
        waiting: Commits that wait for the writer.
    """

    runtimes: int
    active: int
    running: int
    held: int
    commits: int
    groups: int
    waiting: int
