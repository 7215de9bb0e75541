"""Giving way: a busy trio loop lets the threads that work for it have the interpreter lock.

A loop that always has something to run asks the system for events without waiting. That drops the interpreter lock and takes
it again within microseconds, and each time the thread that waits for it begins to wait anew: in slices of 2 ms a commit took
up to 1.6 s. So while work is out on a thread, a loop that has not rested for a while sleeps for a moment between two
turns; the thread takes the lock and keeps it until the loop asks it back. With this the slowest of 100 commits took 23 ms.

Rejected: a shorter `sys.setswitchinterval`, which does the same (19 ms) but for every thread of the user's process.
"""

from __future__ import annotations

import time
from typing import Final, final

import trio

REST_EVERY_S: Final = 0.001
"""A loop that has rested less than this ago goes on: what its thread needs comes in the gaps."""

REST_S: Final = 0.0001
"""How long it rests: enough for another thread to wake up and take the lock."""


@final
class GiveWay(trio.abc.Instrument):
    """Makes one trio loop rest while it is busy and work is out.

    Attributes:
        working: How many pieces of work are out; counted where they are given out, in the thread of the loop.
        posted: Whether one is out that another thread has given out.
        rested_at: When the loop last rested, on Python's performance counter.
    """

    def __init__(self) -> None:
        """Nothing is out."""
        self.working = 0
        self.posted = False
        self.rested_at = 0.0

    def before_io_wait(self, timeout: float) -> None:
        """Trio's, once a turn of its loop: `timeout` is 0 where tasks are ready to run."""
        if (self.working or self.posted) and timeout == 0 and time.perf_counter() - self.rested_at > REST_EVERY_S:
            time.sleep(REST_S)
            self.rested_at = time.perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        """Trio's: the loop has waited for events, and so has rested, unless tasks were ready."""
        if (self.working or self.posted) and timeout > 0:
            self.rested_at = time.perf_counter()
