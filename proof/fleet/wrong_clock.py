"""A machine whose clock is wrong, and jumps: ``python -m proof.fleet.wrong_clock SECONDS MODULE ...`` runs the module on it.

It is wrong by so many seconds at most, fast or slow, from before the first import of tenure.
"""

from __future__ import annotations

import random
import runpy
import sys
import time
from collections.abc import Callable
from typing import Final

JUMP_S: Final = 3.0
"""Seconds at most between two jumps."""


def wrong(clock: Callable[[], float], most_s: float) -> Callable[[], float]:
    """A wall clock that is wrong by so many seconds at most, and is set anew every few seconds."""
    source = random.Random()
    until, wrong_s = 0.0, 0.0

    def shown() -> float:
        nonlocal until, wrong_s
        if time.monotonic() >= until:
            until, wrong_s = time.monotonic() + source.uniform(0.0, JUMP_S), source.uniform(-most_s, most_s)
        return clock() + wrong_s

    return shown


def main() -> None:
    """Set the clock, and run the module."""
    time.__dict__["time"] = wrong(time.time, float(sys.argv[1]))
    sys.argv[:] = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
