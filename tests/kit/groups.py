"""Watches the groups of a store from within, and holds or fails them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final, cast, final

import trio

import tenure
from tenure.persistence.commits.commit import Commit
from tenure.persistence.writing.inside import Inside
from tenure.persistence.writing.pending import CarryOut

PATIENCE_S: Final = 20.0


@final
class Groups:
    """Watches the groups of a store. Also its observer.

    Attributes:
        sizes: Of each group that has begun.
        free: Cleared, a group waits before it is carried out.
        begun: Set when one begins.
        failing: Raised in place of carrying the next ones out.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.inside: Inside | None = None
        self.free = threading.Event()
        self.free.set()
        self.begun = threading.Event()
        self.failing: Exception | None = None

    @property
    def seams(self) -> tenure.Seams:
        return tenure.Seams(observer=self)

    def opened(self, inside: object, /) -> None:
        self.inside = cast("Inside", inside)
        self.inside.observe(self._around)

    def hold(self) -> None:
        self.free.clear()
        self.begun.clear()

    async def wait_begun(self) -> None:
        assert await trio.to_thread.run_sync(self.begun.wait, PATIENCE_S)

    def _around(self, carry_out: CarryOut) -> CarryOut:
        def watched(group: int, commits: Sequence[Commit]) -> list[Any]:
            self.sizes.append(len(commits))
            self.begun.set()
            assert self.free.wait(PATIENCE_S)
            if self.failing is not None:
                raise self.failing
            return carry_out(group, commits)

        return watched
