"""The observer of this kit, of the proof and of the tests: it finds the inside of a store again."""

from __future__ import annotations

from typing import cast, final

from attrs import evolve

from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tenure.persistence.writing.inside import Inside


@final
class Seen:
    """Keeps the inside of every store that opens with it."""

    def __init__(self) -> None:
        """No store has opened."""
        self._insides: list[Inside] = []

    def opened(self, inside: object, /) -> None:
        """See `Observer.opened`."""
        self._insides.append(cast("Inside", inside))

    def of(self, store: Store) -> Inside:
        """The inside of a store."""
        return next(each for each in reversed(self._insides) if each.incarnation == store.incarnation)


def seen(seams: Seams | None = None) -> Seams:
    """The same seams, with an observer; those of the system for None."""
    return evolve(seams or Seams(), observer=Seen())


def inside_of(store: Store) -> Inside:
    """The inside of a store that was opened with `seen` seams. Raises `TypeError` for another one."""
    observer = store.seams.observer
    if not isinstance(observer, Seen):
        message = "the store was not opened with seen(...) seams"
        raise TypeError(message)
    return observer.of(store)
