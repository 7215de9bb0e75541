"""Giving way: a busy trio loop lets the threads that work for it have the interpreter lock.

A loop that always has something to run asks the system for events without waiting. That drops the interpreter lock and takes
it again within microseconds, and each time the thread that waits for it begins to wait anew: in slices of 2 ms a commit took
up to 1.6 s. So while work is out on a thread, a loop that has not rested for a while sleeps for a moment between two
turns; the thread takes the lock and keeps it until the loop asks it back. With this the slowest of 100 commits took 23 ms.

A thread that calls SQLite lets go of the lock at each statement, and a loop that has rested takes it there, for a whole slice.
So it rests on while the thread is at work, which the thread's own clock says: until that waits for the disk or has nothing to
do, for 1 ms at most. With 100 runtimes the slowest of 100 commits took 28 ms in place of 130, at twice as many commits, and
each took as much of the loop's time. A thread may be at work without the lock, in a long query, say: so there is a limit for
each piece of work.

Rejected: a shorter `sys.setswitchinterval`, which does the same (19 ms) but for every thread of the user's process; a longer
rest, whatever the thread does, which is for nothing where that waits for a slow disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final, final

import trio

REST_EVERY_S: Final = 0.001
"""A loop that has rested less than this ago goes on: what its thread needs comes in the gaps."""

REST_S: Final = 0.0001
"""How long it rests: enough for another thread to wake up and take the lock."""

AT_WORK_S: Final = 0.000_03
"""A thread that has had the processor for so long, while the loop rested, is at work."""

LONGER_S: Final = 0.0003
"""For so long the loop rests on then, and looks again."""

LONGER_TIMES: Final = 3
"""So often at most, between two turns."""

MOST_TIMES: Final = 150
"""And so often, all in all, for one piece of work."""


@final
class GiveWay(trio.abc.Instrument):
    """Makes one trio loop rest while it is busy and work is out.

    Attributes:
        working: How many pieces of work are out; counted where they are given out, in the thread of the loop.
        posted: Whether one is out that another thread has given out.
        rested_at: When the loop last rested, on Python's performance counter.
    """

    def __init__(self) -> None:
        """Nothing is out, and whether the thread is at work cannot be seen."""
        self.working = 0
        self.posted = False
        self.rested_at = 0.0
        self._used_s: Callable[[], float] = float  # always 0
        self._left = 0

    def watch(self, used_s: Callable[[], float]) -> None:
        """See from now on when the thread is at work: by how many seconds of the processor it has had, see `own_clock`."""
        self._used_s = used_s

    def give(self) -> None:
        """In the thread of the loop: a piece of work goes out."""
        self.working += 1
        self._left = MOST_TIMES

    def post(self) -> None:
        """In another thread: a piece of work goes out."""
        self.posted = True
        self._left = MOST_TIMES

    def before_io_wait(self, timeout: float) -> None:
        """Trio's, once a turn of its loop: `timeout` is 0 where tasks are ready to run."""
        if (self.working or self.posted) and timeout == 0 and time.perf_counter() - self.rested_at > REST_EVERY_S:
            self._rest()
            self.rested_at = time.perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        """Trio's: the loop has waited for events, and so has rested, unless tasks were ready."""
        if (self.working or self.posted) and timeout > 0:
            self.rested_at = time.perf_counter()

    def _rest(self) -> None:
        used = self._used_s()
        time.sleep(REST_S)
        for _ in range(min(LONGER_TIMES, self._left)):
            before, used = used, self._used_s()
            if used - before < AT_WORK_S:
                return
            time.sleep(LONGER_S)
            self._left -= 1


def own_clock() -> Callable[[], float]:
    """For all threads: how many seconds of the processor the calling one has had; 0 where the system does not say.

    It may be asked for as long as that thread lives.
    """
    clock_of: Callable[[int], int] | None = getattr(time, "pthread_getcpuclockid", None)
    return float if clock_of is None else partial(time.clock_gettime, clock_of(threading.get_ident()))
