"""What a run has written of the own state of its runtime: on disk, and on its way there with the next boundary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from tenure.supervisor.runs.recording.branch import Branch


@final
class OwnValues:
    """Those of one run.

    Attributes:
        on_disk: What has landed, encoded by name; None for what was deleted.
    """

    def __init__(self, main: Branch) -> None:
        """Nothing has landed; the behaviour's own branch has what it writes."""
        self.on_disk: dict[str, bytes | None] = {}
        self._main = main

    def buffered(self) -> dict[str, bytes | None]:
        """What the next boundary writes."""
        return dict(self._main.written)

    def landed(self, written: Mapping[str, bytes | None]) -> None:
        """A boundary has landed, or was replayed, with these."""
        buffered = self._main.written
        for name, value in written.items():
            self.on_disk[name] = value
            if name in buffered and buffered[name] is value:  # else it was written anew meanwhile
                del buffered[name]

    @property
    def has_written(self) -> bool:
        """Whether this run has a record of what it wrote, or is about to get one."""
        return bool(self.on_disk or self._main.written)
