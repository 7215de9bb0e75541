"""What a scenario was promised, and when."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Any, final

from attrs import frozen

from .drive.disk import Disk


@final
class EventKind(enum.Enum):
    """What a scenario says of one of its writes."""

    ATTEMPTED = "attempted"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    IN_DOUBT = "in doubt"
    NOTED = "noted"


@final
@frozen(kw_only=True, slots=True)
class Event:
    """One thing that a scenario said.

    Attributes:
        at: How many operations the disk had seen by then.
        kind: What was said.
        subject: What it is about; a check asks by this word.
        value: What a check needs to know: an id, a number, a pair.
    """

    at: int
    kind: EventKind
    subject: str
    value: Any


@final
class Witness:
    """Notes what a scenario attempts and what it is promised, and at which operation."""

    def __init__(self, disk: Disk, events: Iterable[Event] = ()) -> None:
        """Watch the disk that the scenario writes to; `events` were said before, on another disk."""
        self._disk = disk
        self.events: list[Event] = list(events)

    def attempted(self, subject: str, value: Any = None) -> None:
        """About to write this: it may be there after a crash, whole, or not at all."""
        self._note(EventKind.ATTEMPTED, subject, value)

    def acknowledged(self, subject: str, value: Any = None) -> None:
        """The store said that this is on disk: from now on no crash may lose it."""
        self._note(EventKind.ACKNOWLEDGED, subject, value)

    def refused(self, subject: str, value: Any = None) -> None:
        """The store said that this did not land: from now on it may never be there."""
        self._note(EventKind.REFUSED, subject, value)

    def in_doubt(self, subject: str, value: Any = None) -> None:
        """The store could not say: after a reopen it must have one answer, for good."""
        self._note(EventKind.IN_DOUBT, subject, value)

    def noted(self, subject: str, value: Any = None) -> None:
        """This is how it was: no promise, but what a check compares with, also where the crash came before it."""
        self._note(EventKind.NOTED, subject, value)

    def _note(self, kind: EventKind, subject: str, value: Any) -> None:
        self.events.append(Event(at=self._disk.operation_count, kind=kind, subject=subject, value=value))


@final
class History:
    """What had been said up to a crash."""

    def __init__(self, events: Sequence[Event], later: Sequence[Event] = ()) -> None:
        """Hold the events up to the crash, oldest first, and what came later where there was no crash."""
        self.events = tuple(events)
        self._later = tuple(later)
        self._known: dict[tuple[EventKind, str], tuple[Any, ...]] = {}

    def attempted(self, subject: str) -> tuple[Any, ...]:
        """The values that were about to be written."""
        return self._values(EventKind.ATTEMPTED, subject)

    def acknowledged(self, subject: str) -> tuple[Any, ...]:
        """The values that must be there."""
        return self._values(EventKind.ACKNOWLEDGED, subject)

    def refused(self, subject: str) -> tuple[Any, ...]:
        """The values that must not be there."""
        return self._values(EventKind.REFUSED, subject)

    def in_doubt(self, subject: str) -> tuple[Any, ...]:
        """The values of which the store could not say whether they landed."""
        return self._values(EventKind.IN_DOUBT, subject)

    def noted(self, subject: str) -> tuple[Any, ...]:
        """How it was, before the crash and in the run that did not crash."""
        known = self._known.get((EventKind.NOTED, subject))
        if known is None:
            everything = (*self.events, *self._later)
            known = tuple(each.value for each in everything if each.kind is EventKind.NOTED and each.subject == subject)
            self._known[EventKind.NOTED, subject] = known
        return known

    def _values(self, kind: EventKind, subject: str) -> tuple[Any, ...]:
        # Asked for every image, and hundreds of images share a history.
        known = self._known.get((kind, subject))
        if known is None:
            known = tuple(each.value for each in self.events if each.kind is kind and each.subject == subject)
            self._known[kind, subject] = known
        return known
