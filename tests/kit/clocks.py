"""A wall clock that a test sets."""

from __future__ import annotations

from typing import final


@final
class Clock:
    """Shows ``now``, which a test sets; with a step, no two looks show the same."""

    def __init__(self, now: float = 1_000.0, *, step: float = 0.0) -> None:
        """Begin at an instant, in Unix time."""
        self.now = now
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        return self.now
