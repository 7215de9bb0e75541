"""Ends of an attempt that no further attempt can mend: a person must look, or what it returned cannot be stored."""

from __future__ import annotations

from typing import TypeVar, cast

from tenure.persistence.model.texts import leaves
from tenure.persistence.model.values import HeldReason

E = TypeVar("E", bound=BaseException)


class NeedsAttention(Exception):
    """The run cannot go on until a person has looked: its runtime is held.

    Attributes:
        reason: Why the runtime is held.
    """

    def __init__(self, detail: str, reason: HeldReason = HeldReason.NEEDS_ATTENTION) -> None:
        """Say what to look at."""
        super().__init__(detail)
        self.reason = reason


class Unstorable(Exception):
    """What the behaviour returned cannot be stored, or is not what it asked for: another attempt would do all for nothing."""


def find_leaf(error: BaseException, wanted: tuple[type[E], ...]) -> E | None:
    """The first leaf of an exception, or of a group of them, that is one of these."""
    for leaf in leaves(error):
        if issubclass(type(leaf), wanted):  # and not isinstance: that asks what the object says of itself
            return cast("E", leaf)
    return None
