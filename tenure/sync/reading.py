"""What is read entry by entry, and tickets, for a program without a loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Generic, Self, TypeVar, final

from tenure.persistence.contracts.journals.event_log import EventLog as TrioEventLog
from tenure.persistence.contracts.journals.event_reader import EventReader
from tenure.persistence.model.events.journal import FactRef, StoredEvent
from tenure.persistence.model.output import OutputEntry, Position
from tenure.persistence.model.values import InputId, LogicalRuntimeId
from tenure.persistence.reading.user_connection import QueryConnection as TrioQueryConnection
from tenure.supervisor.accepting.tickets import Outcome, Ticket as TrioTicket
from tenure.supervisor.output.reader import OutputReader

from .front import Front, at_once, call, verb, way

S = TypeVar("S")

_END: Final = object()


def _next(front: Front[EventReader | OutputReader]) -> Any:
    _, reader = way(front)

    async def step() -> Any:
        return await anext(reader, _END)

    found = call(front, step)
    if found is _END:
        raise StopIteration
    return found


@final
class Events(Front[EventReader]):
    """The events of a stream: ``for``. It may be dropped at any place. Made by `Journal.stream` and `Journal.follow`."""

    @property
    def after(self) -> int:
        """The cursor of the last event that was given."""
        return way(self)[1].after

    def __iter__(self) -> Self:
        """An iterator is its own."""
        return self

    def __next__(self) -> StoredEvent:
        """The next event; see `tenure.Store.journal`."""
        stored: StoredEvent = _next(self)
        return stored


@final
class QueryConnection(Front[TrioQueryConnection]):
    """Reads with SQL; several threads may share it. Made by `Store.read_connection`."""

    query = verb(TrioQueryConnection.query)


@final
class Output(Front[OutputReader]):
    """The entries of an output: ``for``. It may be dropped at any place; see `tenure.OutputReader`. Made by `follow`."""

    @property
    def position(self) -> Position | None:
        """That of the entry that was given last: where to begin again."""
        return way(self)[1].position

    def __iter__(self) -> Self:
        """An iterator is its own."""
        return self

    def __next__(self) -> OutputEntry:
        """The next entry; see `tenure.Runtime.follow`. Within `fail_after` it raises `TimeoutError` where none comes."""
        entry: OutputEntry = _next(self)
        return entry


@final
class EventLog(Front[TrioEventLog[S]], Generic[S]):
    """An open log; see `tenure.EventLog`. Made by `Journal.open`. Its `fold` runs in the store's thread."""

    @property
    def state(self) -> S:
        """The state, with every event that was appended."""
        return way(self)[1].state

    @property
    def stored(self) -> int:
        """The cursor up to which everything is on disk."""
        return way(self)[1].stored

    @property
    def cursor(self) -> int:
        """The cursor of the last event, with those that are not written yet."""
        return way(self)[1].cursor

    def append(self, events: Iterable[Any]) -> int | None:
        """See `tenure.EventLog.append`."""
        log, given = way(self)[1], list(events)
        return call(self, lambda: log.append(given))

    flush = verb(TrioEventLog[S].flush)
    snapshot = verb(TrioEventLog[S].snapshot)
    resolve = verb(TrioEventLog[S].resolve)
    discard = at_once(TrioEventLog[S].discard)

    def value(self, reference: FactRef) -> Any:
        """See `tenure.EventLog.value`."""
        return way(self)[1].value(reference)


@final
class Ticket(Front[TrioTicket]):
    """The claim on one input's outcome; see `tenure.Ticket`. Made by `Runtime.accept` and `Supervisor.ticket`."""

    @property
    def runtime_id(self) -> LogicalRuntimeId:
        """Whose input."""
        return way(self)[1].runtime_id

    @property
    def input_id(self) -> InputId:
        """Which input."""
        return way(self)[1].input_id

    @property
    def deduplicated(self) -> bool:
        """Whether the idempotency key was known and nothing was written."""
        return way(self)[1].deduplicated

    @property
    def outcome(self) -> Outcome | None:
        """The outcome as far as this ticket has heard of it."""
        return way(self)[1].outcome

    def wait_outcome(self) -> Outcome:
        """Wait until the input has ended, and say how; see `tenure.Ticket.wait_outcome`. `fail_after` bounds it."""
        return call(self, way(self)[1].wait_outcome)
