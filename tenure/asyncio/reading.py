"""What is read entry by entry, and tickets, from asyncio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Generic, Self, TypeVar, final

from tenure.persistence.contracts.journals.event_log import EventLog as TrioEventLog
from tenure.persistence.contracts.journals.event_reader import EventReader
from tenure.persistence.engines.engine import QueryParameters, Row
from tenure.persistence.model.events.journal import FactRef, StoredEvent
from tenure.persistence.model.output import OutputEntry, Position
from tenure.persistence.model.values import InputId, LogicalRuntimeId
from tenure.persistence.reading.user_connection import QueryConnection as TrioQueryConnection
from tenure.portals.portal import Portal
from tenure.supervisor.accepting.tickets import Outcome, Ticket as TrioTicket
from tenure.supervisor.output.reader import OutputReader

S = TypeVar("S")

_END: Final = object()


@final
class Events:
    """The events of a stream: ``async for``. It may be dropped at any place."""

    def __init__(self, portal: Portal, reader: EventReader) -> None:
        """Made by `Journal.stream` and `Journal.follow`."""
        self._portal = portal
        self._reader = reader

    @property
    def after(self) -> int:
        """The cursor of the last event that was given."""
        return self._reader.after

    def __aiter__(self) -> Self:
        """An iterator is its own."""
        return self

    async def __anext__(self) -> StoredEvent:
        """The next event; see `tenure.Store.journal`."""

        async def step() -> Any:
            return await anext(self._reader, _END)

        found = await self._portal.call(step)
        if found is _END:
            raise StopAsyncIteration
        stored: StoredEvent = found
        return stored


@final
class EventLog(Generic[S]):
    """An open log; see `tenure.EventLog`. Made by `Journal.open`. Its `fold` runs in the supervisor's thread."""

    def __init__(self, portal: Portal, log: TrioEventLog[S]) -> None:
        """Bind the log to the way to it."""
        self._portal = portal
        self._behind = log

    @property
    def state(self) -> S:
        """The state, with every event that was appended."""
        return self._behind.state

    @property
    def stored(self) -> int:
        """The cursor up to which everything is on disk."""
        return self._behind.stored

    @property
    def cursor(self) -> int:
        """The cursor of the last event, with those that are not written yet."""
        return self._behind.cursor

    async def append(self, events: Iterable[Any]) -> int | None:
        """See `tenure.EventLog.append`."""
        return await self._portal.call(self._behind.append, list(events))

    async def flush(self) -> int:
        """See `tenure.EventLog.flush`."""
        return await self._portal.call(self._behind.flush)

    async def snapshot(self) -> int:
        """See `tenure.EventLog.snapshot`."""
        return await self._portal.call(self._behind.snapshot)

    async def resolve(self, reference: FactRef) -> Any:
        """See `tenure.EventLog.resolve`."""
        return await self._portal.call(self._behind.resolve, reference)

    async def discard(self) -> int:
        """See `tenure.EventLog.discard`."""

        async def discard() -> int:
            return self._behind.discard()

        return await self._portal.call(discard)

    def value(self, reference: FactRef) -> Any:
        """See `tenure.EventLog.value`."""
        return self._behind.value(reference)


@final
class Output:
    """The entries of an output: ``async for``. It may be dropped at any place; see `tenure.OutputReader`."""

    def __init__(self, portal: Portal, reader: OutputReader) -> None:
        """Made by `Runtime.follow` and `Supervisor.follow`."""
        self._portal = portal
        self._reader = reader

    @property
    def position(self) -> Position | None:
        """That of the entry that was given last: where to begin again."""
        return self._reader.position

    def __aiter__(self) -> Self:
        """An iterator is its own."""
        return self

    async def __anext__(self) -> OutputEntry:
        """The next entry; see `tenure.Runtime.follow`."""

        async def step() -> Any:
            return await anext(self._reader, _END)

        found = await self._portal.call(step)
        if found is _END:
            raise StopAsyncIteration
        entry: OutputEntry = found
        return entry


@final
class QueryConnection:
    """Reads with SQL; several tasks may share it. Made by `Store.read_connection`."""

    def __init__(self, portal: Portal, connection: TrioQueryConnection) -> None:
        """Bind the connection to the way to it."""
        self._portal = portal
        self._connection = connection

    async def query(self, sql: str, parameters: QueryParameters = ()) -> list[Row]:
        """All rows of one SELECT; see `tenure.Store.read_connection`. What `Limits.query_rows` allows, else `LimitReached`."""
        return await self._portal.call(self._connection.query, sql, parameters)


@final
class Ticket:
    """The claim on one input's outcome; see `tenure.Ticket`."""

    __slots__ = ("_portal", "_ticket")

    def __init__(self, portal: Portal, ticket: TrioTicket) -> None:
        """Made by `Runtime.accept` and `Supervisor.ticket`."""
        self._portal = portal
        self._ticket = ticket

    @property
    def runtime_id(self) -> LogicalRuntimeId:
        """Whose input."""
        return self._ticket.runtime_id

    @property
    def input_id(self) -> InputId:
        """Which input."""
        return self._ticket.input_id

    @property
    def deduplicated(self) -> bool:
        """Whether the idempotency key was known and nothing was written."""
        return self._ticket.deduplicated

    @property
    def outcome(self) -> Outcome | None:
        """The outcome as far as this ticket has heard of it."""
        return self._ticket.outcome

    async def wait_outcome(self) -> Outcome:
        """Wait until the input has ended, and say how; see `tenure.Ticket.wait_outcome`."""
        return await self._portal.call(self._ticket.wait_outcome)


def behind(ticket: Ticket) -> TrioTicket:
    """Its ticket in the trio thread; whatever else was given is handed on as it is, to be refused there."""
    given: Any = ticket
    found: TrioTicket = getattr(given, "_ticket", given)
    return found
