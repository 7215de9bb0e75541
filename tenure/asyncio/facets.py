"""What a store keeps besides runtimes, and tickets, from asyncio: each verb is the trio one's, called through the portal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar, final

from tenure.persistence.contracts.attachments import AttachmentsContract, SessionScopedAttachmentStore
from tenure.persistence.contracts.journals.event_log import EventLog as TrioEventLog
from tenure.persistence.contracts.journals.event_reader import EventReader
from tenure.persistence.contracts.journals.journal import JournalContract
from tenure.persistence.contracts.queued.queue import QueueContract
from tenure.persistence.contracts.runtime_persistence import RuntimePersistence
from tenure.persistence.contracts.sessions import SessionsContract
from tenure.persistence.contracts.state import StateContract
from tenure.persistence.model.events.event_types import EventTypes
from tenure.persistence.model.events.journal import FactRef, StoredEvent
from tenure.persistence.model.values import InputId, LogicalRuntimeId
from tenure.supervisor.accepting.tickets import (
    Outcome,
    Ticket as TrioTicket,
)

from .portal import Front, Portal, verb

C = TypeVar("C")
P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

_END: Final = object()


class _Front(Front[C]):
    """What stands in asyncio for a contract."""

    def __init__(self, portal: Portal, behind: C) -> None:
        """Bind it to the way to it."""
        self.portal = portal
        self.behind = behind

    async def _reach(self, function: Callable[[], Awaitable[T]]) -> T:
        """Through the portal of the supervisor."""
        return await self.portal.call(function)


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
class Journal(_Front[JournalContract]):
    """`tenure.Store.journal` for an asyncio program; `Supervisor.journal`."""

    append = verb(JournalContract.append)
    bind = verb(JournalContract.bind)
    save = verb(JournalContract.save)
    checkpoint = verb(JournalContract.checkpoint)
    load = verb(JournalContract.load)
    delete = verb(JournalContract.delete)
    exists = verb(JournalContract.exists)
    save_snapshot = verb(JournalContract.save_snapshot)
    load_snapshot = verb(JournalContract.load_snapshot)
    save_fact = verb(JournalContract.save_fact)
    load_fact = verb(JournalContract.load_fact)
    list = verb(JournalContract.list)

    @property
    def supports_stream(self) -> bool:
        """Always true."""
        return self.behind.supports_stream

    def stream(self, stream: str, after: int = 0, *, types: EventTypes | None = None) -> Events:
        """The events after a cursor, up to where the stream ends."""
        return Events(self.portal, self.behind.stream(stream, after, types=types))

    def follow(self, stream: str, after: int = 0, *, types: EventTypes | None = None) -> Events:
        """The events after a cursor, and then each that comes."""
        return Events(self.portal, self.behind.follow(stream, after, types=types))

    def open(
        self, stream: str, fold: Callable[[S, Any], S], initial: S, **terms: Any
    ) -> AbstractAsyncContextManager[EventLog[S]]:
        """Open a stream as a log, on the terms of `tenure.Store.journal.open`."""
        return self._opened(self.behind.open(stream, fold, initial, **terms))

    @asynccontextmanager
    async def _opened(self, opened: AbstractAsyncContextManager[TrioEventLog[S]]) -> AsyncGenerator[EventLog[S]]:
        # Entered and left by two calls: between them the log has no task and no scope.
        log = await self.portal.call(opened.__aenter__)
        try:
            yield EventLog(self.portal, log)
        finally:
            await self.portal.call(opened.__aexit__, None, None, None)


@final
class State(_Front[StateContract]):
    """`tenure.Store.state` for an asyncio program; `Supervisor.state`."""

    save_snapshot = verb(StateContract.save_snapshot)
    load_snapshot = verb(StateContract.load_snapshot)
    delete_snapshot = verb(StateContract.delete_snapshot)
    list_snapshots = verb(StateContract.list_snapshots)
    stale = verb(StateContract.stale)
    set = verb(StateContract.set)
    get = verb(StateContract.get)
    delete = verb(StateContract.delete)
    exists = verb(StateContract.exists)
    set_json = verb(StateContract.set_json)
    get_json = verb(StateContract.get_json)
    delete_execution_state = verb(StateContract.delete_execution_state)
    bind = verb(StateContract.bind)
    sweep = verb(StateContract.sweep)
    health_check = verb(StateContract.health_check)


@final
class Queue(_Front[QueueContract]):
    """`tenure.Store.queue` for an asyncio program; `Supervisor.queue`."""

    enqueue_queued_work = verb(QueueContract.enqueue_queued_work)
    claim_ready_queued_work = verb(QueueContract.claim_ready_queued_work)
    claim_ready_queued_work_by_batch_ids = verb(QueueContract.claim_ready_queued_work_by_batch_ids)
    renew_queued_work_claim = verb(QueueContract.renew_queued_work_claim)
    abandon_queued_work_claim = verb(QueueContract.abandon_queued_work_claim)
    complete_queued_work_claim = verb(QueueContract.complete_queued_work_claim)
    cancel_queued_work_batch = verb(QueueContract.cancel_queued_work_batch)
    retry_queued_work_batch = verb(QueueContract.retry_queued_work_batch)
    list_failed_queued_work = verb(QueueContract.list_failed_queued_work)
    list_queued_work = verb(QueueContract.list_queued_work)
    list_pending_queued_work = verb(QueueContract.list_pending_queued_work)


@final
class BoundAttachments(_Front[SessionScopedAttachmentStore]):
    """The verbs of one session's attachments for an asyncio program; made by `Attachments.bind`."""

    put = verb(SessionScopedAttachmentStore.put)
    put_file = verb(SessionScopedAttachmentStore.put_file)
    get = verb(SessionScopedAttachmentStore.get)
    get_file = verb(SessionScopedAttachmentStore.get_file)
    commit_refs = verb(SessionScopedAttachmentStore.commit_refs)
    delete = verb(SessionScopedAttachmentStore.delete)

    @property
    def session_id(self) -> str:
        """Which session."""
        return self.behind.session_id


@final
class Attachments(_Front[AttachmentsContract]):
    """`tenure.Store.attachments` for an asyncio program; `Supervisor.attachments`. `put_file` and `get_file` stream."""

    record_intent = verb(AttachmentsContract.record_intent)
    put = verb(AttachmentsContract.put)
    put_file = verb(AttachmentsContract.put_file)
    id_of = verb(AttachmentsContract.id_of)
    is_committed = verb(AttachmentsContract.is_committed)
    get = verb(AttachmentsContract.get)
    get_file = verb(AttachmentsContract.get_file)
    commit_refs = verb(AttachmentsContract.commit_refs)
    list_uncommitted = verb(AttachmentsContract.list_uncommitted)
    forget = verb(AttachmentsContract.forget)
    collect = verb(AttachmentsContract.collect)

    def bind(self, session_id: str) -> BoundAttachments:
        """The verbs of one session."""
        return BoundAttachments(self.portal, self.behind.bind(session_id))


@final
class BoundSession(_Front[RuntimePersistence]):
    """The verbs of one session for an asyncio program; made by `Sessions.bind`."""

    load_session = verb(RuntimePersistence.load_session)
    load_node = verb(RuntimePersistence.load_node)
    commit_runtime_state = verb(RuntimePersistence.commit_runtime_state)
    save_session_meta = verb(RuntimePersistence.save_session_meta)
    load_session_meta = verb(RuntimePersistence.load_session_meta)
    tombstone_nodes = verb(RuntimePersistence.tombstone_nodes)
    vacuum = verb(RuntimePersistence.vacuum)
    gc_unreachable = verb(RuntimePersistence.gc_unreachable)
    enqueue_queued_work = verb(RuntimePersistence.enqueue_queued_work)
    claim_ready_queued_work = verb(RuntimePersistence.claim_ready_queued_work)
    claim_ready_queued_work_by_batch_ids = verb(RuntimePersistence.claim_ready_queued_work_by_batch_ids)
    renew_queued_work_claim = verb(RuntimePersistence.renew_queued_work_claim)
    abandon_queued_work_claim = verb(RuntimePersistence.abandon_queued_work_claim)
    cancel_queued_work_batch = verb(RuntimePersistence.cancel_queued_work_batch)
    list_queued_work = verb(RuntimePersistence.list_queued_work)
    list_pending_queued_work = verb(RuntimePersistence.list_pending_queued_work)

    @property
    def session_id(self) -> str:
        """Which session."""
        return self.behind.session_id


@final
class Sessions(_Front[SessionsContract]):
    """`tenure.Store.sessions` for an asyncio program; `Supervisor.sessions`."""

    load_session = verb(SessionsContract.load_session)
    load_node = verb(SessionsContract.load_node)
    commit_runtime_state = verb(SessionsContract.commit_runtime_state)
    save_session_meta = verb(SessionsContract.save_session_meta)
    load_session_meta = verb(SessionsContract.load_session_meta)
    tombstone_nodes = verb(SessionsContract.tombstone_nodes)
    vacuum = verb(SessionsContract.vacuum)
    gc_unreachable = verb(SessionsContract.gc_unreachable)

    def bind(self, session_id: str) -> BoundSession:
        """The verbs of one session."""
        return BoundSession(self.portal, self.behind.bind(session_id))


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
