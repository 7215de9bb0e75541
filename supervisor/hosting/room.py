"""Room: how many more runtimes a host may own, by kind; none while it drains (design §25)."""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import final

from tenure.actors.watched import Watched
from tenure.supervisor.runs.behaviour import Behaviour

from .owned import Owned


@final
class Room:
    """That of one host.

    Attributes:
        drains: Whether there is none at all, because the host drains.
        closes: Whether it drains because it closes.
        bounds: By each kind that it has a behaviour of, the most that it owns; None where there is no bound.
    """

    def __init__(self, behaviours: Mapping[str, Behaviour], owned: Owned) -> None:
        """As much as its behaviours say."""
        self.drains = self.closes = False
        self.bounds = {kind: each.max_owned for kind, each in behaviours.items()}
        self._owned = owned
        self._coming: Counter[str] = Counter()
        self._all_coming = Watched(0)

    def left(self, kind: str) -> float:
        """How many more may come now; what is on its way has its place."""
        if self.drains:
            return 0
        bound = self.bounds.get(kind)
        return math.inf if bound is None else bound - self._owned.count(kind) - self._coming[kind]

    def bound(self, kind: str) -> int:
        """The bound that keeps more of a kind out."""
        return 0 if self.drains else self.bounds.get(kind) or 0

    async def wait_come(self) -> None:
        """Wait until none is on its way to this host."""
        await self._all_coming.wait_value(operator.not_)

    @contextmanager
    def coming(self, kind: str, count: int = 1) -> Generator[None]:
        """So many are on their way inside."""
        self._coming[kind] += count
        self._all_coming.value += count
        try:
            yield
        finally:
            self._coming[kind] -= count
            self._all_coming.value -= count
