"""The document's store of one session: its graph, its queued work and its attachments' manifest in one object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from tenure.errors import SessionBindingMismatch
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.contracts.attachments import AttachmentIntent, AttachmentManifestEntry
from tenure.persistence.model.contracts.queued_work import (
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
)
from tenure.persistence.model.conversation.graph import (
    GcReport,
    NodeId,
    PersistedSessionRead,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionMeta,
    SessionNodeRecord,
    SessionReadScope,
    VacuumReport,
)
from tenure.persistence.model.values import DurabilityTier, SessionId

from .attachments import AttachmentsContract
from .queued.queue import QueueContract

if TYPE_CHECKING:
    from .sessions import SessionsContract


@final
@checked
class RuntimePersistence:
    """The verbs of one session and of its queued work, in the signatures of the document; an `AttachmentManifest`, too.

    Made by `SessionsContract.bind`; what each does is said there, in `QueueContract` and in `AttachmentsContract`. Another
    session than the bound one is refused with `SessionBindingMismatch`.
    """

    def __init__(
        self, sessions: SessionsContract, queue: QueueContract, attachments: AttachmentsContract, session_id: str
    ) -> None:
        """Bind to a session."""
        self._sessions = sessions
        self._queue = queue
        self._attachments = attachments
        self._session_id = session_id

    @property
    def session_id(self) -> str:
        """Which session."""
        return self._session_id

    @property
    def durability_tier(self) -> DurabilityTier:
        """See `Store.durability_tier`."""
        return self._sessions.durability_tier

    async def load_session(self, scope: SessionReadScope | object) -> PersistedSessionRead | None:
        """See `SessionsContract.load_session`."""
        return await self._sessions.load_session(self._session_id, scope)

    async def load_node(self, node_id: NodeId | str) -> SessionNodeRecord | None:
        """See `SessionsContract.load_node`."""
        return await self._sessions.load_node(self._session_id, node_id)

    async def commit_runtime_state(self, commit: RuntimeCommit, *, fence: int | None = None) -> RuntimeCommitResult:
        """See `SessionsContract.commit_runtime_state`."""
        self._check_bound(commit.session_id)
        return await self._sessions.commit_runtime_state(commit, fence=fence)

    async def save_session_meta(self, meta: SessionMeta, *, fence: int | None = None) -> None:
        """See `SessionsContract.save_session_meta`."""
        self._check_bound(meta.session_id)
        await self._sessions.save_session_meta(meta, fence=fence)

    async def load_session_meta(self) -> SessionMeta | None:
        """See `SessionsContract.load_session_meta`."""
        return await self._sessions.load_session_meta(self._session_id)

    async def tombstone_nodes(self, ids: Sequence[NodeId | str], *, fence: int | None = None) -> None:
        """See `SessionsContract.tombstone_nodes`."""
        await self._sessions.tombstone_nodes(self._session_id, ids, fence=fence)

    async def vacuum(self) -> VacuumReport:
        """See `SessionsContract.vacuum`, of this session."""
        return await self._sessions.vacuum(self._session_id)

    async def gc_unreachable(self) -> GcReport:
        """See `SessionsContract.gc_unreachable`: parts are stored once for all sessions."""
        return await self._sessions.gc_unreachable()

    # Queued work

    async def enqueue_queued_work(self, batch: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """See `QueueContract.enqueue_queued_work`."""
        self._check_bound(batch.session_id)
        return await self._queue.enqueue_queued_work(batch)

    async def claim_ready_queued_work(
        self,
        session_id: SessionId | str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """See `QueueContract.claim_ready_queued_work`."""
        self._check_bound(session_id)
        return await self._queue.claim_ready_queued_work(session_id, owner_id, boundary, lease_ttl_ms, max_batches)

    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: SessionId | str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        batch_ids: Sequence[str],
    ) -> QueuedWorkClaim | None:
        """See `QueueContract.claim_ready_queued_work_by_batch_ids`."""
        self._check_bound(session_id)
        return await self._queue.claim_ready_queued_work_by_batch_ids(
            session_id, owner_id, boundary, lease_ttl_ms, batch_ids
        )

    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        """See `QueueContract.renew_queued_work_claim`."""
        self._check_bound(claim.session_id)
        return await self._queue.renew_queued_work_claim(claim, lease_ttl_ms)

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """See `QueueContract.abandon_queued_work_claim`."""
        self._check_bound(claim.session_id)
        await self._queue.abandon_queued_work_claim(claim)

    async def cancel_queued_work_batch(self, session_id: SessionId | str, batch_id: str) -> QueuedWorkBatch | None:
        """See `QueueContract.cancel_queued_work_batch`."""
        self._check_bound(session_id)
        return await self._queue.cancel_queued_work_batch(session_id, batch_id)

    async def list_queued_work(self, session_id: SessionId | str) -> tuple[QueuedWorkBatch, ...]:
        """See `QueueContract.list_queued_work`."""
        self._check_bound(session_id)
        return await self._queue.list_queued_work(session_id)

    async def list_pending_queued_work(self, session_id: SessionId | str) -> tuple[QueuedWorkBatch, ...]:
        """See `QueueContract.list_pending_queued_work`."""
        self._check_bound(session_id)
        return await self._queue.list_pending_queued_work(session_id)

    # Attachments

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """See `AttachmentsContract.record_intent`."""
        self._check_bound(intent.session_id)
        await self._attachments.record_intent(intent)

    async def commit_refs(self, session_id: SessionId | str, attachment_ids: Sequence[str]) -> None:
        """See `AttachmentsContract.commit_refs`."""
        self._check_bound(session_id)
        await self._attachments.commit_refs(session_id, attachment_ids)

    async def list_uncommitted(self, older_than_epoch_ms: int) -> tuple[AttachmentManifestEntry, ...]:
        """See `AttachmentsContract.list_uncommitted`; those of this session."""
        found = await self._attachments.list_uncommitted(older_than_epoch_ms)
        return tuple([entry for entry in found if entry.session_id == self._session_id])

    async def forget(self, session_id: SessionId | str, attachment_id: str) -> None:
        """See `AttachmentsContract.forget`."""
        self._check_bound(session_id)
        await self._attachments.forget(session_id, attachment_id)

    def _check_bound(self, session_id: str) -> None:
        if session_id != self._session_id:
            raise SessionBindingMismatch(bound=self._session_id, attempted=session_id)
