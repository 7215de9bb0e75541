"""What the engine gets to know of a group before its first statement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import final

from tenure.persistence.commits.commit import Commit

from .host_row import HostKey


@final
class StartingGroup:
    """See `Group`. An engine that needs no sets costs none: they are computed when they are asked for.

    Attributes:
        size: See `Group.size`.
        host: See `Group.host`.
        incarnation: See `Group.incarnation`.
        number: See `Group.number`.
        synced: See `Group.synced`.
    """

    __slots__ = ("_commits", "host", "incarnation", "number", "size", "synced")

    def __init__(self, writer: HostKey, number: int, commits: Sequence[Commit], *, synced: bool) -> None:
        """Keep what it is asked for."""
        self.host, self.incarnation = writer.host, writer.incarnation
        self.number = number
        self.synced = synced
        self.size = len(commits)
        self._commits = commits
        if self.size == 1:
            changes = commits[0].changes
            if len(changes) == 1:
                self.size = changes[0].row_count

    @property
    def written(self) -> Collection[str]:
        """See `Group.written`."""
        return {each.runtime_id for each in self._commits if each.runtime_id is not None and not each.is_ingress}

    @property
    def reached(self) -> Collection[str]:
        """See `Group.reached`."""
        changes = (change for commit in self._commits for change in commit.changes if not change.moves)
        return {reached for change in changes if (reached := change.reaches) is not None}

    @property
    def moved(self) -> Collection[str]:
        """See `Group.moved`."""
        changes = ((commit, change) for commit in self._commits for change in commit.changes if change.moves)
        named = {getattr(change, "runtime_id", commit.runtime_id) for commit, change in changes}
        return {each for each in named if each is not None}

    @property
    def names_all(self) -> bool:
        """See `Group.names_all`."""
        changes = (change for commit in self._commits for change in commit.changes)
        return all(getattr(change, "runtime_id", None) is not None for change in changes)
