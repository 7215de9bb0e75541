"""Ends of an attempt that no further attempt can mend: a person must look, or what it returned cannot be stored."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar, cast, final

import trio

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


@final
class Fault:
    """The first error that decides how an attempt ends, whatever the behaviour makes of it.

    Attributes:
        error: It, or None.
    """

    def __init__(self) -> None:
        """There is none."""
        self.error: BaseException | None = None
        self._waits: dict[trio.CancelScope, None] = {}  # empty, it is nothing to the collector of cycles; a set is

    def set(self, error: BaseException) -> BaseException:
        """There is one; a later one changes nothing. Returns the first."""
        self.error = error if self.error is None else self.error  # and not `or`: it may have a `__bool__`
        for scope in self._waits:
            scope.cancel()
        return self.error

    @contextmanager
    def ends(self) -> Generator[None]:
        """A durable wait inside ends with it: the other branches may wait for days, and a person would hear of it then."""
        if self.error is not None:
            raise self.error
        with trio.CancelScope() as scope:
            self._waits[scope] = None
            try:
                yield
            finally:
                del self._waits[scope]
        if scope.cancelled_caught and self.error is not None:
            raise self.error


def find_leaf(error: BaseException, wanted: tuple[type[E], ...]) -> E | None:
    """The first leaf of an exception, or of a group of them, that is one of these."""
    for leaf in leaves(error):
        if issubclass(type(leaf), wanted):  # and not isinstance: that asks what the object says of itself
            return cast("E", leaf)
    return None
