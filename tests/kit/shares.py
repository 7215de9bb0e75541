"""Shares of long proofs: the suite takes some of their cases, others each day, and every case within so many days.

Which ones follows from the *turn*, a number that is printed at the head of the run and beside each failure; it is the number
of the day. ``TENURE_TURN=738000`` takes the shares of that turn again, ``TENURE_SHARES=whole`` every case.

A share inside another one divides the turn by how many turns share that (``share(values, 4, TURN // 2)``): else some pairs
never come.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Iterable
from typing import TypeVar
from zlib import crc32

Case = TypeVar("Case")

TURN_NAME = "TENURE_TURN"
"""The variable that names a turn."""

TURN = int(os.environ.get(TURN_NAME) or dt.datetime.now(dt.UTC).toordinal())
"""The turn of this run."""

WHOLE = os.environ.get("TENURE_SHARES") == "whole"
"""Whether every case is taken."""


def share(cases: Iterable[Case], one_in: int, turn: int = TURN) -> list[Case]:
    """One of so many cases, at least one; so many turns in a row take each of them."""
    every = list(cases)
    if WHOLE or not every:
        return every
    return [every[place] for place in range(turn % min(one_in, len(every)), len(every), one_in)]


def whose_turn(one_in: Iterable[int | None], turn: int = TURN) -> list[bool]:
    """Which of these tests a turn takes, each given by how many turns share it; None is always taken.

    Of so many turns, from one that they divide on, one takes it; which one is drawn, so that it meets every share inside it.
    """
    counted: Counter[int] = Counter()
    taken: list[bool] = []
    for each in one_in:
        taken.append(each is None or (counted[each] + turn + crc32(b"%d" % (turn // each))) % each == 0)
        if each is not None:
            counted[each] += 1
    return taken


def sparse(every: int, times: int) -> int:
    """The stride of a sweep: so many times as long where not every case is taken."""
    return every if WHOLE else every * times


def few(whole: int, one_in: int) -> int:
    """How many of something are tried: one in so many of the whole."""
    return whole if WHOLE else max(whole // one_in, 1)


def examples(whole: int) -> int:
    """How many examples Hypothesis makes of a property whose whole are so many; it draws others in each run."""
    return whole if WHOLE else max(whole // 4, 5)
