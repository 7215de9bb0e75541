"""The observer of this kit, of the proof and of the tests: it finds the inside of a store again."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast, final

from attrs import evolve

from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tenure.persistence.writing.inside import Inside


@final
class Seen:
    """Keeps the inside of every store that opens with it."""

    def __init__(self, then: Callable[[Inside], None] | None = None) -> None:
        """No store has opened; `then` is called with each inside, before its store has written as an open one."""
        self._then = then
        self._insides: list[Inside] = []

    def opened(self, inside: object, /) -> None:
        """See `Observer.opened`."""
        found = cast("Inside", inside)
        self._insides.append(found)
        if self._then is not None:
            self._then(found)

    def of(self, store: Store) -> Inside:
        """The inside of a store."""
        return next(each for each in reversed(self._insides) if each.incarnation == store.incarnation)


def seen(seams: Seams | None = None, then: Callable[[Inside], None] | None = None) -> Seams:
    """The same seams, with an observer, which calls `then`; those of the system for None."""
    return evolve(seams or Seams(), observer=Seen(then))


def inside_of(store: Store) -> Inside:
    """The inside of a store that was opened with `seen` seams. Raises `TypeError` for another one."""
    observer = store.seams.observer
    if not isinstance(observer, Seen):
        message = "the store was not opened with seen(...) seams"
        raise TypeError(message)
    return observer.of(store)
