"""The time that is stored: the server's, which the hosts of a store share, however wrong the clocks of their machines are.

A host counts on from it by the clock that counts from boot, and asks the server with each connection, once a minute with a
group, and with each group that lands alone: what those show rises over all hosts (`Begun.shared_now`). What it said lies
between the question and the answer. A clock that is at most `SLACK_S` away from that stays as it is: between machines whose
clocks agree no time ever goes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, final

from tenure.persistence.engines.postgres.protocol.wire import Answer
from tenure.persistence.seams.seams import boot_clock

CLOCK: Final = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS int8)"
"""Asks for it, in microseconds: no setting of a role has an effect on how a whole number is written."""

SLACK_S: Final = 0.1
"""Seconds by which it may be wrong before it is set."""

ASK_AFTER_S: Final = 60.0
"""Seconds after which the server is asked again."""


@final
class ServerClock:
    """Shows the server's time, unix seconds; before the first answer that of this machine. It may be read from any thread.

    Attributes:
        decides: Whether times that are stored are the server's; not where the store was given a clock.
    """

    __slots__ = ("_asked_at", "_boot_clock", "_offset_s", "decides")

    def __init__(self, boot_clock: Callable[[], float] = boot_clock, *, decides: bool = True) -> None:
        """Begin with the time of this machine. `boot_clock` gives seconds, and is never set."""
        self.decides = decides
        self._boot_clock = boot_clock
        self._offset_s = time.time() - boot_clock()
        self._asked_at = float("-inf")

    def __call__(self) -> float:
        """The time."""
        return self._boot_clock() + self._offset_s

    @property
    def is_due(self) -> bool:
        """Whether the server is to be asked: `ASK_AFTER_S` have passed since it was asked last."""
        return self._boot_clock() - self._asked_at >= ASK_AFTER_S

    def asking(self) -> float:
        """The moment of a question, for `answered`."""
        return self._boot_clock()

    def heard(self, asked_at: float, answers: Sequence[Answer]) -> float | None:
        """Take the answers to `CLOCK`, as `answered` does; what the last of them shows, unix seconds."""
        shown: float | None = None
        for answer in answers:
            micros = int(answer.rows()[0][0])
            self.answered(asked_at, micros)
            shown = micros / 1e6
        return shown

    def answered(self, asked_at: float, shown: int) -> None:
        """Take what `CLOCK` was answered, which was asked for at the earliest at `asked_at`."""
        at = self._boot_clock()
        earliest, latest = shown / 1e6 - at, shown / 1e6 - asked_at
        if not earliest - SLACK_S <= self._offset_s <= latest + SLACK_S:
            self._offset_s = min(max(self._offset_s, earliest), latest)
        self._asked_at = asked_at
