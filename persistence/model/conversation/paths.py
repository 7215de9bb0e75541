"""The path of a conversation as one run sees it: so many messages of its base, and after them some that it appended.

A run begins over a base, and appends. Where it takes back, rewrites or forks, its path is another one: the first messages of
the base, and any ranges of what it has appended so far, in order. So a path is named without a key of the store, the same
before and after it lands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from attrs import frozen


@final
@frozen(slots=True)
class RunPath:
    """One path.

    Attributes:
        kept: How many messages of the base it begins with.
        own: Ranges of the messages that the run appended, each from its first index to the one after its last.
    """

    kept: int
    own: tuple[tuple[int, int], ...] = ()

    @property
    def count(self) -> int:
        """How many messages are on it."""
        return self.kept + sum([end - start for start, end in self.own])

    @property
    def last(self) -> int | None:
        """The index of its last message among what the run appended; None where it ends in the base."""
        return self.own[-1][1] - 1 if self.own else None

    def extended(self, start: int, end: int) -> RunPath:
        """The path with a further range at its end."""
        if start >= end:
            return self
        if self.own and self.own[-1][1] == start:
            return RunPath(self.kept, (*self.own[:-1], (self.own[-1][0], end)))
        return RunPath(self.kept, (*self.own, (start, end)))

    def first(self, count: int) -> RunPath:
        """The path to its n-th message."""
        path = RunPath(min(count, self.kept))
        left = count - path.kept
        for start, end in self.own:
            if left <= 0:
                break
            path = path.extended(start, min(end, start + left))
            left -= end - start
        return path

    def own_messages(self, appended: Sequence[bytes]) -> list[bytes]:
        """What of it the run appended."""
        return [message for start, end in self.own for message in appended[start:end]]
