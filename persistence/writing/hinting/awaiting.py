"""What other hosts await of the runtimes of this one, as their hints have said: pure, bounded, and forgotten after a minute."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, final

AWAITS_S: Final = 60.0
"""Seconds for which it counts. Who has waited for longer hears with a look, which is a second late at most."""

RECENT_S: Final = 0.25
"""Seconds for which it is known that something has come: who awaits it may say so later than it comes."""

MOST: Final = 10_000
"""Runtimes that are known to be awaited, or that something has come of; of more the oldest are forgotten."""

MOST_HOSTS: Final = 64
"""Hosts that await one runtime."""


@final
class Awaiting:
    """Which hosts await something of which runtimes."""

    def __init__(self) -> None:
        """Nothing is awaited."""
        self._until: dict[str, dict[int, float]] = {}
        self._come: dict[str, float] = {}

    def note(self, host: int, runtime_ids: Iterable[str], now: float) -> bool:
        """A host awaits something of these; whether it may have come already."""
        has_come = False
        for each in runtime_ids:
            has_come = has_come or self._come.get(each, -math.inf) >= now - RECENT_S
            hosts = self._until.pop(each, {})
            if host in hosts or len(hosts) < MOST_HOSTS:
                hosts[host] = now + AWAITS_S
            self._until[each] = hosts
        _bound(self._until)
        return has_come

    def hosts(self, runtime_ids: Iterable[str], now: float) -> set[int]:
        """Who awaits something of these, of which something has come."""
        found: set[int] = set()
        for each in runtime_ids:
            self._come.pop(each, None)
            self._come[each] = now
            hosts = {host: until for host, until in self._until.get(each, {}).items() if until > now}
            if hosts:
                self._until[each] = hosts
                found.update(hosts)
            else:
                self._until.pop(each, None)
        _bound(self._come)
        return found


def _bound(known: dict[str, Any]) -> None:
    while len(known) > MOST:
        del known[next(iter(known))]
