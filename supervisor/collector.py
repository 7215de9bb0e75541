"""Python's collector of reference cycles, which looks for them more often than a host has any.

It looks after so many new objects, and a group of a hundred runtimes makes more of them than its threshold, which live until
the group has landed. An input makes no cycle, so nothing is ever found, at up to a fifth of an input with 100 runtimes
(docs/performance.md). The thresholds are the process's own: they are raised only where its owner asks for it.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, final

RAISED: Final = (50_000, 20, 100)
"""The thresholds while a host is open that asked for it; one that is higher already stays."""


@final
class _Thresholds:
    """Counts the hosts of this process that asked. There is one, since the collector is the process's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._before = self._raised = (0, 0, 0)

    def begin(self) -> None:
        with self._lock:
            self._asked += 1
            if self._asked == 1:
                self._before = before = gc.get_threshold()
                young = max(before[0], RAISED[0]) if before[0] else 0  # 0: the program has it off
                self._raised = young, max(before[1], RAISED[1]), max(before[2], RAISED[2])
                gc.set_threshold(*self._raised)

    def end(self) -> None:
        with self._lock:
            self._asked -= 1
            if self._asked == 0 and gc.get_threshold() == self._raised:  # else the program has set its own meanwhile
                gc.set_threshold(*self._before)


_THRESHOLDS: Final = _Thresholds()


@contextmanager
def tuned_collector(*, asked: bool) -> Generator[None]:
    """Inside, the collector looks less often, where that is asked for; the last that asked brings back what was before."""
    if not asked:
        yield
        return
    _THRESHOLDS.begin()
    try:
        yield
    finally:
        _THRESHOLDS.end()
