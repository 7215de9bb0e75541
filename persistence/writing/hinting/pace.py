"""When a hint may be given: pure, on the clock of the loop."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Final, final

from attrs import frozen

GAP_S: Final = 0.005
"""Seconds between two hints to one host, at least; what comes up meanwhile goes with the next.

They double, up to `GAP_TO_ALL_S`, while the next is asked for again and again no later than so many seconds after it may be
given: a host that has much to do looks anyway, and each hint is a transaction of the server.
"""

GAP_TO_ALL_S: Final = 0.05
"""The same of hints to all; they do not double."""

SPARE_S: Final = 2.0
"""Seconds for which a host gets no hints because it said that it needs none. They double while it says so again and again."""

LONGEST_SPARE_S: Final = 16.0

MOST_AWAITED: Final = 1_000
"""Runtimes that one hint says are awaited; while no line is open no more than these are kept."""

MOST_TARGETS: Final = 1_000
"""Hosts whose hints wait to be given."""

ALL: Final = None
"""In place of the key of a host."""

Awaited = Mapping[int | None, Collection[str]]
"""By the host that is to get a hint, None for all of them: what is awaited, for the hint to say."""


@final
@frozen(kw_only=True, slots=True)
class Due:
    """Hints to give now.

    Attributes:
        hosts: Whom, with what is awaited.
        everyone: What is awaited, where all hosts get one; else None.
    """

    hosts: Mapping[int, Collection[str]]
    everyone: Collection[str] | None


@final
class Pace:
    """What waits to be said, and when it was said last."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._waiting: dict[int | None, set[str]] = {}
        self._not_before: dict[int | None, float] = {}
        self._free_at: dict[int | None, float] = {}
        self._gaps: dict[int | None, float] = {}
        self._spared: dict[int | None, float] = {}

    @property
    def holds_back(self) -> bool:
        """Whether what this host awaits of another is not said, for that host needs no hints now."""
        return any(self._waiting.get(each) for each in self._spared)

    @property
    def waits(self) -> bool:
        """Whether anything is to be said."""
        return bool(self._waiting)

    @property
    def next_at(self) -> float:
        """When the next hint may be given."""
        return min([self._at(each) for each in self._waiting], default=math.inf)

    def ask(self, host: int | None, awaited: Collection[str] = (), *, not_before: float = -math.inf) -> None:
        """Have a hint given, to all for None; not before a time, unless it is asked for anew without."""
        is_new = host not in self._waiting
        if is_new and host is not ALL and len(self._waiting) >= MOST_TARGETS:
            return
        waiting = self._waiting.setdefault(host, set())
        waiting.update(islice(awaited, MOST_AWAITED - len(waiting)))
        before = not_before if is_new else min(not_before, self._not_before.get(host, -math.inf))
        self._not_before[host] = before

    def spare(self, host: int, until: float) -> None:
        """Give a host no hint until then: it needs none. What is for all it gets."""
        if host in self._spared or len(self._spared) < MOST_TARGETS:
            self._spared[host] = until

    def withdraw(self, host: int | None) -> None:
        """Give no hint there, where it was to wait for a time; nothing else is withdrawn."""
        if self._not_before.get(host, -math.inf) > -math.inf:
            self._drop(host)

    def hurry(self) -> None:
        """Whatever waits is due: the host goes."""
        self._not_before = dict.fromkeys(self._waiting, -math.inf)
        self._free_at.clear()
        self._gaps.clear()
        self._spared.clear()

    def take(self, now: float) -> Due | None:
        """What is due; it counts as said. None where nothing is."""
        due = [each for each in self._waiting if self._at(each) <= now]
        if not due:
            return None
        said = {each: self._drop(each) for each in due}
        self._spared = {host: until for host, until in self._spared.items() if until > now}
        self._gaps = {host: gap for host, gap in self._gaps.items() if now - self._free_at[host] < gap}
        self._free_at = {host: at for host, at in self._free_at.items() if host in self._gaps}
        for each in due:
            soonest_s = GAP_TO_ALL_S if each is ALL else GAP_S
            gap = min(2 * self._gaps.get(each, soonest_s / 2), GAP_TO_ALL_S)
            self._gaps[each] = gap
            self._free_at[each] = now + gap
        everyone = said.pop(ALL, None)
        return Due(hosts={host: awaited for host, awaited in said.items() if host is not None}, everyone=everyone)

    def _at(self, host: int | None) -> float:
        known = (self._not_before, self._free_at, self._spared)
        return max(times.get(host, -math.inf) for times in known)

    def _drop(self, host: int | None) -> Collection[str]:
        self._not_before.pop(host, None)
        return self._waiting.pop(host, set[str]())
