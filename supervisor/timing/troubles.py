"""Troubles of a host in its log: what `Supervisor.health` says to who asks, for who reads the lines after a night.

A full disk, a server that is away or a reader that holds the log raise nothing where no caller waits: the host waits and goes
on by itself. A line says when that begins, and one when it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Final, final

import trio

from tenure.supervisor.operators.health import Health, HealthProblem, HealthReason
from tenure.supervisor.operators.log import HostLog

from .looking import safely

AGAIN_S: Final = 60.0
"""A trouble that comes and goes is written once in so long."""

_ELSEWHERE: Final = frozenset({HealthReason.STOPPED, HealthReason.LOOP_BLOCKED, HealthReason.THREADS_TAKEN})
"""Other lines say more of these."""


@final
class Troubles:
    """What is wrong with a host, as its log has it."""

    def __init__(self, log: HostLog) -> None:
        """Nothing is wrong yet."""
        self._log = log
        self._there: dict[HealthReason, bool] = {}  # whether its beginning was written
        self._written_at: dict[HealthReason, float] = {}

    def hear(self, problems: Sequence[HealthProblem], now: float) -> None:
        """Write what has begun and what is over since the last call. `now` is trio's."""
        found = {each.reason: each for each in problems if each.reason not in _ELSEWHERE}
        for reason in [each for each in self._there if each not in found]:
            if self._there.pop(reason):
                self._log.trouble_over(reason)
        for reason in [each for each in found if each not in self._there]:
            self._there[reason] = is_said = now - self._written_at.get(reason, -inf) >= AGAIN_S
            if is_said:
                self._written_at[reason] = now
                self._log.trouble(found[reason])


async def watch_troubles(health_of: Callable[[], Health], log: HostLog, every_s: float) -> None:
    """Look again and again how a host does, and write what changes. Ends with the host."""
    troubles = Troubles(log)
    while True:
        await safely(partial(_look, troubles, health_of), log)
        await trio.sleep(every_s)


async def _look(troubles: Troubles, health_of: Callable[[], Health]) -> None:
    troubles.hear(health_of().problems, trio.current_time())
