"""What a writer has done, and what of it is with the disk."""

from __future__ import annotations

import time
from typing import final

from tenure.persistence.writing.pending import Pending


@final
class Progress:
    """How far a writer has come. Changed by whose turn it is, in whichever thread; read in any.

    Attributes:
        group: Number of the last group that landed; 0 before the first.
        groups: Groups that were committed.
        commits: Commits that landed.
        taken: What is with the disk, and has no answer yet.
        since: When it went there, on Python's performance counter; None where no group is on its way.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self.group = 0
        self.groups = 0
        self.commits = 0
        self.taken: list[Pending] = []
        self.since: float | None = None

    def begin(self, batch: list[Pending]) -> None:
        """A group goes to the disk."""
        self.taken = batch
        self.since = time.perf_counter()

    def landed(self, group: int, commits: int) -> None:
        """The group landed."""
        self.group = group
        self.groups += 1
        self.commits += commits

    def end(self) -> None:
        """The group is over."""
        self.taken = []
        self.since = None

    @property
    def seconds(self) -> float:
        """For how long the group on its way has been with the disk; 0 where there is none."""
        since = self.since
        return 0.0 if since is None else time.perf_counter() - since
