"""The facets of a store from asyncio: each verb is the trio one's, called through the portal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ParamSpec, TypeVar, final

from tenure.persistence.contracts.attachments import AttachmentsContract, SessionScopedAttachmentStore
from tenure.persistence.contracts.credentials import CredentialsContract
from tenure.persistence.contracts.journals.event_log import EventLog as TrioEventLog
from tenure.persistence.contracts.journals.journal import JournalContract
from tenure.persistence.contracts.operations import OperationsContract
from tenure.persistence.contracts.queued.queue import QueueContract
from tenure.persistence.contracts.runtime_persistence import RuntimePersistence
from tenure.persistence.contracts.runtimes import RuntimeContract
from tenure.persistence.contracts.sessions import SessionsContract
from tenure.persistence.contracts.state import StateContract
from tenure.persistence.model.events.event_types import EventTypes
from tenure.persistence.model.values import DurabilityTier
from tenure.portals.portal import Front, Near, Portal, here, verb
from tenure.supervisor.handles.schedules import Schedules as TrioSchedules

from .reading import EventLog, Events

C_co = TypeVar("C_co", covariant=True)
P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class _Front(Front[C_co]):
    """What stands in asyncio for a contract."""

    def __init__(self, portal: Portal, behind: C_co) -> None:
        """Bind it to the way to it."""
        self.portal = portal
        self.behind = behind

    async def _reach(self, function: Callable[[], Awaitable[T]]) -> T:
        """Through the portal of the supervisor."""
        return await self.portal.call(function)


class _Near(_Front[C_co], Near[C_co]):
    """What stands in asyncio for a contract whose verbs run on the loop, but for some."""

    def __init__(self, portal: Portal, behind: C_co, near: C_co) -> None:
        """Bind it to the contract over there, and to the same one on this side."""
        super().__init__(portal, behind)
        self.near = near


@final
class Journal(_Front[JournalContract]):
    """`tenure.Store.journal` for an asyncio program."""

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
            await self.portal.call_to_leave(opened.__aexit__, None, None, None)


@final
class Runtimes(_Front[RuntimeContract]):
    """`tenure.Store.runtimes` for an asyncio program."""

    commit_session_boundary = verb(RuntimeContract.commit_session_boundary)
    atomic_apply = verb(RuntimeContract.atomic_apply)
    load_boundary_receipt = verb(RuntimeContract.load_boundary_receipt)
    commit_session_snapshot = verb(RuntimeContract.commit_session_snapshot)
    commit_session_transcript_rewrite_snapshot = verb(RuntimeContract.commit_session_transcript_rewrite_snapshot)
    load_session_snapshot = verb(RuntimeContract.load_session_snapshot)
    clear_session_snapshot = verb(RuntimeContract.clear_session_snapshot)
    replace_session_snapshot_if_current = verb(RuntimeContract.replace_session_snapshot_if_current)
    clear_session_snapshot_if_current = verb(RuntimeContract.clear_session_snapshot_if_current)
    is_runtime_projection_quarantined = verb(RuntimeContract.is_runtime_projection_quarantined)
    persist_input_state = verb(RuntimeContract.persist_input_state)
    persist_input_states_atomically = verb(RuntimeContract.persist_input_states_atomically)
    load_input_state = verb(RuntimeContract.load_input_state)
    load_input_states = verb(RuntimeContract.load_input_states)
    persist_runtime_state = verb(RuntimeContract.persist_runtime_state)
    load_runtime_state = verb(RuntimeContract.load_runtime_state)
    atomic_lifecycle_commit = verb(RuntimeContract.atomic_lifecycle_commit)
    commit_machine_lifecycle = verb(RuntimeContract.commit_machine_lifecycle)
    load_machine_lifecycle_record = verb(RuntimeContract.load_machine_lifecycle_record)


@final
class Operations(_Front[OperationsContract]):
    """`tenure.Store.operations` for an asyncio program."""

    persist_ops_lifecycle = verb(OperationsContract.persist_ops_lifecycle)
    load_ops_lifecycle = verb(OperationsContract.load_ops_lifecycle)
    delete_ops_lifecycle = verb(OperationsContract.delete_ops_lifecycle)


@final
class Credentials(_Front[CredentialsContract]):
    """`tenure.Store.credentials` for an asyncio program. What an update is given runs on its own thread."""

    persist_auth_oauth_flow_snapshot = verb(CredentialsContract.persist_auth_oauth_flow_snapshot)
    load_auth_oauth_flow_snapshot = verb(CredentialsContract.load_auth_oauth_flow_snapshot)
    update_auth_oauth_flow_snapshot = verb(CredentialsContract.update_auth_oauth_flow_snapshot)

    def auth_authority_key(self) -> str | None:
        """See `tenure.Store.credentials`."""
        return self.behind.auth_authority_key()


@final
class State(_Near[StateContract]):
    """`tenure.Store.state` for an asyncio program."""

    save_snapshot = here(StateContract.save_snapshot)
    load_snapshot = here(StateContract.load_snapshot)
    delete_snapshot = here(StateContract.delete_snapshot)
    list_snapshots = here(StateContract.list_snapshots)
    stale = here(StateContract.stale)
    set = here(StateContract.set)
    write = here(StateContract.write)
    renew = here(StateContract.renew)
    get = here(StateContract.get)
    get_all = here(StateContract.get_all)
    items = here(StateContract.items)
    delete = here(StateContract.delete)
    exists = here(StateContract.exists)
    set_json = here(StateContract.set_json)
    get_json = here(StateContract.get_json)
    delete_execution_state = here(StateContract.delete_execution_state)
    bind = here(StateContract.bind)
    sweep = here(StateContract.sweep)
    health_check = here(StateContract.health_check)

    @property
    def name(self) -> str:
        """Names the engine."""
        return self.behind.name

    @property
    def requires_network(self) -> bool:
        """Whether it needs one."""
        return self.behind.requires_network

    @property
    def supports_air_gapped(self) -> bool:
        """Whether it works without one."""
        return self.behind.supports_air_gapped


@final
class Queue(_Front[QueueContract]):
    """`tenure.Store.queue` for an asyncio program."""

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
    """`tenure.Store.attachments` for an asyncio program. `put_file` and `get_file` stream."""

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
class BoundSession(_Near[RuntimePersistence]):
    """The verbs of one session for an asyncio program; made by `Sessions.bind`."""

    load_session = here(RuntimePersistence.load_session)
    load_node = here(RuntimePersistence.load_node)
    commit_runtime_state = here(RuntimePersistence.commit_runtime_state)
    save_session_meta = here(RuntimePersistence.save_session_meta)
    load_session_meta = here(RuntimePersistence.load_session_meta)
    tombstone_nodes = here(RuntimePersistence.tombstone_nodes)
    vacuum = here(RuntimePersistence.vacuum)
    gc_unreachable = here(RuntimePersistence.gc_unreachable)
    enqueue_queued_work = verb(RuntimePersistence.enqueue_queued_work)
    claim_ready_queued_work = verb(RuntimePersistence.claim_ready_queued_work)
    claim_ready_queued_work_by_batch_ids = verb(RuntimePersistence.claim_ready_queued_work_by_batch_ids)
    renew_queued_work_claim = verb(RuntimePersistence.renew_queued_work_claim)
    abandon_queued_work_claim = verb(RuntimePersistence.abandon_queued_work_claim)
    cancel_queued_work_batch = verb(RuntimePersistence.cancel_queued_work_batch)
    list_queued_work = verb(RuntimePersistence.list_queued_work)
    list_pending_queued_work = verb(RuntimePersistence.list_pending_queued_work)
    record_intent = verb(RuntimePersistence.record_intent)
    commit_refs = verb(RuntimePersistence.commit_refs)
    list_uncommitted = verb(RuntimePersistence.list_uncommitted)
    forget = verb(RuntimePersistence.forget)

    @property
    def durability_tier(self) -> DurabilityTier:
        """Whether what is acknowledged is there again in another process."""
        return self.behind.durability_tier

    @property
    def session_id(self) -> str:
        """Which session."""
        return self.behind.session_id


@final
class Sessions(_Near[SessionsContract]):
    """`tenure.Store.sessions` for an asyncio program."""

    load_session = here(SessionsContract.load_session)
    load_node = here(SessionsContract.load_node)
    commit_runtime_state = here(SessionsContract.commit_runtime_state)
    save_session_meta = here(SessionsContract.save_session_meta)
    load_session_meta = here(SessionsContract.load_session_meta)
    tombstone_nodes = here(SessionsContract.tombstone_nodes)
    vacuum = here(SessionsContract.vacuum)
    gc_unreachable = here(SessionsContract.gc_unreachable)

    @property
    def durability_tier(self) -> DurabilityTier:
        """Whether what is acknowledged is there again in another process."""
        return self.behind.durability_tier

    def bind(self, session_id: str) -> BoundSession:
        """The verbs of one session."""
        return BoundSession(self.portal, self.behind.bind(session_id), self.near.bind(session_id))


@final
class Schedules(_Front[TrioSchedules]):
    """Inputs that come by a timetable; see `tenure.Schedules`."""

    create = verb(TrioSchedules.create)
    update = verb(TrioSchedules.update)
    pause = verb(TrioSchedules.pause)
    resume = verb(TrioSchedules.resume)
    trigger = verb(TrioSchedules.trigger)
    delete = verb(TrioSchedules.delete)
    list = verb(TrioSchedules.list)
    get = verb(TrioSchedules.get)
    occurrences = verb(TrioSchedules.occurrences)
