"""A scenario as its disk saw it: every operation, with what was promised in between."""

from __future__ import annotations

import bisect
from typing import final

from attrs import frozen

from tenure.testing.history import (
    Event,
    History,
)

from .disk import Disk
from .operations import (
    Create,
    FailedSync,
    MakeFolder,
    Operation,
    Remove,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
)


@final
@frozen(kw_only=True, slots=True)
class Recording:
    """What happened to a disk.

    Attributes:
        start: The disk before; not to be changed.
        operations: What was done to it, oldest first.
        events: What the scenario said, oldest first.
    """

    start: Disk
    operations: tuple[Operation, ...]
    events: tuple[Event, ...]

    def cursor(self) -> Cursor:
        """A reader that stands before the first operation."""
        return Cursor(self)

    def history(self, after: int) -> History:
        """What had been said when `after` operations were done, and before the next began."""
        now = bisect.bisect_right(self.events, after, key=_moment)
        return History(self.events[:now], self.events[now:])

    def describe(self, after: int, last: int = 20) -> list[str]:
        """The last operations before a point, and what was said between them, one a line."""
        names: dict[int, str] = {number: name for name, number in self.start.entries().items()}
        lines: list[str] = []
        events = list(self.events)
        for index in range(after + 1):
            while events and events[0].at <= index:
                event = events.pop(0)
                lines.append(f"       {event.kind.value}: {event.subject} {event.value!r}")
            if index < after:
                lines.append(f"{index + 1:6} {_describe(self.operations[index], names)}")
        return lines[-last:]


@final
class Cursor:
    """Walks a recording; `disk` is as it was at the point reached."""

    def __init__(self, recording: Recording) -> None:
        """Stand before the first operation."""
        self._recording = recording
        self.disk = recording.start.after_kill()
        self.after = 0

    def advance(self, after: int) -> None:
        """Go on until this many operations are done."""
        while self.after < after:
            self.disk.replay(self._recording.operations[self.after])
            self.after += 1


def _moment(event: Event) -> int:
    return event.at


def _describe(operation: Operation, names: dict[int, str]) -> str:
    # Names follow the file: later lines call it as it is called by then.
    match operation:
        case Create():
            names[operation.file] = operation.name
            text = f"create {operation.name}"
        case Rename():
            names[operation.file] = operation.target
            text = f"rename {operation.source} to {operation.target}"
        case Remove():
            text = f"remove {operation.name}"
        case MakeFolder():
            text = f"make folder {operation.name}"
        case SyncFolder():
            text = f"sync folder {operation.name or '/'}"
        case Write(file=file, offset=offset, data=data):
            text = f"write {names.get(file)}: {len(data)} bytes at {offset}"
        case Truncate():
            text = f"truncate {names.get(operation.file)} to {operation.size} bytes"
        case Sync():
            text = f"sync {names.get(operation.file)}"
        case FailedSync():
            text = f"failed sync {names.get(operation.file)}"
    return text
