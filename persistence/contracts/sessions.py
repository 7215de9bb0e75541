"""`store.sessions`: sessions as graphs, under the names of the contract that runtimes of agents ask of their store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, final

from attrs import evolve

from tenure.errors import UnsupportedReadScope
from tenure.persistence.commits.commit import Change, Commit, CommitResult
from tenure.persistence.commits.upkept import PAGE, PrunedPage
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.attachments.attachments import StampAttachments
from tenure.persistence.facets.graph import nodes, reads
from tenure.persistence.facets.graph.graph import CommitGraph, SaveSessionMeta, TombstoneNodes
from tenure.persistence.facets.prunable import Prune, PruneSort, old_nodes
from tenure.persistence.facets.queue.queue import CompleteClaim, EnqueueBatch
from tenure.persistence.model.arguments import (
    checked,
)
from tenure.persistence.model.contracts.queued_work import QueuedWorkBatch
from tenure.persistence.model.conversation.graph import (
    ActivePath,
    FullGraph,
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
from tenure.persistence.model.conversation.graph_encoding import (
    encode_commit,
    encode_session_meta,
)
from tenure.persistence.model.lifecycles.retention import asked_for
from tenure.persistence.model.numbers import (
    check_count,
    shown,
)
from tenure.persistence.model.values import DurabilityTier, LogicalRuntimeId, SessionId

from .access import Backend, Bringing
from .attachments import AttachmentsContract
from .collecting import collect_unreachable
from .queued.queue import QueueContract
from .runtime_persistence import RuntimePersistence

_EVER: Final = 1e300
"""Later than any tombstone."""


@final
@checked
class SessionsContract:
    """The verbs of `store.sessions`, each of which names its session; `bind` gives those of one, as the documents have them.

    Every verb that writes is all or nothing, and what it wrote is on disk when it returns. A session that belongs to a runtime
    obeys the runtime's fence: `fence` is its token, and without a runtime there is none to give. Cancellation is that of
    `Store.commit` and `Store.read`.
    """

    def __init__(
        self, store: Backend, queue: QueueContract, attachments: AttachmentsContract, ground: Bringing
    ) -> None:
        """Bind to an open store, to its queued work and its attachments."""
        self._store = store
        self._queue = queue
        self._attachments = attachments
        self._ground = ground

    @property
    def durability_tier(self) -> DurabilityTier:
        """See `Store.durability_tier`."""
        return self._store.durability_tier

    def bind(self, session_id: SessionId | str) -> RuntimePersistence:
        """The verbs of one session. It need not be there yet."""
        return RuntimePersistence(self, self._queue, self._attachments, session_id)

    # Reads

    async def load_session(
        self, session_id: SessionId | str, scope: SessionReadScope | object
    ) -> PersistedSessionRead | None:
        """A session as it is stored, or None where nothing was ever committed to it.

        Args:
            session_id: Which session.
            scope: `FullGraph()`, or `ActivePath()` to the head's leaf or another one, or the last nodes of it.

        Raises:
            NotFound: The scope names a leaf that is not there, or has a tombstone.
            UnsupportedReadScope: It is neither of the two.
            InvalidInput: `last` is not a whole number from 1.
            Corrupt: What is stored contradicts itself.
        """
        if not isinstance(scope, FullGraph | ActivePath):
            raise UnsupportedReadScope(scope=shown(scope))
        if isinstance(scope, ActivePath) and scope.last is not None:
            check_count(scope.last, "last")
        return await self._store.read(partial(reads.load_session, session_id=session_id, scope=scope))

    async def load_node(self, session_id: SessionId | str, node_id: NodeId | str) -> SessionNodeRecord | None:
        """One node, or None where it is not there or has a tombstone. Raises `Corrupt`."""
        return await self._store.read(partial(reads.load_node, session_id=session_id, node_id=node_id))

    async def load_session_meta(self, session_id: SessionId | str) -> SessionMeta | None:
        """The meta of a session, or None. Raises `Corrupt`."""
        return await self._store.read(partial(reads.load_meta, session_id=session_id))

    # Writes

    async def commit_runtime_state(self, commit: RuntimeCommit, *, fence: int | None = None) -> RuntimeCommitResult:
        """Write everything that a turn made, in one commit.

        A commit with a turn id that has landed before writes nothing and returns the first result, also after the head has
        moved on. Its content is compared: nodes, leaf, config, frames, checkpoint, usage, the batches that are done and
        those to queue, and the attachments; not the expected revision, no times, and not under which claim batches were done.

        Raises:
            StaleFence, RuntimeDestroyed: Of the runtime that the session belongs to.
            TurnCommitConflict: The turn landed with other content.
            HeadRevisionConflict: The head has another revision.
            NotFound: A parent, the leaf, or a part without its bytes is not there.
            NodeConflict: There is a node of an id that is to be appended.
            QueuedWorkClaimExpired: A claim no longer holds, or is another session's.
            CounterOverflow: The ledger would overflow.
            InvalidInput: It cannot be stored and read back, or names an agent frame that the session does not have.
            PayloadTooLarge: A payload, a part, a frame or the config is larger than `Limits.payload_bytes`.
        """
        encoded = encode_commit(commit)
        graph = CommitGraph(commit=encoded, fence=fence)
        further: list[Change] = []
        if encoded.claims or encoded.batches or encoded.attachments:
            further += [CompleteClaim(completion=claim) for claim in encoded.claims]
            further += [EnqueueBatch(batch=batch) for batch in encoded.batches]
        if encoded.attachments:
            further.append(StampAttachments(session_id=encoded.session_id, attachment_ids=encoded.attachments))
        landed = await self._write(encoded.session_id, graph, *further, fence=fence)
        result: RuntimeCommitResult
        if landed.written and not further:
            (result,) = landed.values  # as most
            return result
        result = landed.answer(graph)
        bell = self._ground.queue_bell
        if not landed.written:
            bell.ring()
            return result
        batches: list[QueuedWorkBatch] = [batch for _, batch in landed.of_kind(EnqueueBatch)]
        for claim in encoded.claims:
            bell.ring(claim)
        for batch in batches:
            bell.ring(batch)
        if not batches:
            return result
        return evolve(result, enqueued_batch_ids=tuple([batch.batch_id for batch in batches]))

    async def save_session_meta(self, meta: SessionMeta, *, fence: int | None = None) -> None:
        """Store the meta of a session, in place of the one before.

        Raises:
            StaleFence, RuntimeDestroyed: Of the runtime that the session belongs to.
            InvalidInput: It cannot be stored and read back.
            PayloadTooLarge: It is larger than `Limits.payload_bytes`.
        """
        session_id = SessionId(meta.session_id)
        await self._write(
            session_id, SaveSessionMeta(session_id=session_id, meta=encode_session_meta(meta), fence=fence), fence=fence
        )

    async def tombstone_nodes(
        self, session_id: SessionId | str, ids: Sequence[NodeId | str], *, fence: int | None = None
    ) -> None:
        """Hide nodes from every read, at once, with all that stands on them. Ids that are not there are passed over.

        Raises:
            NodeConflict: One is on the active path; nothing was hidden.
            StaleFence, RuntimeDestroyed: Of the runtime that the session belongs to.
        """
        if not ids:
            return
        change = TombstoneNodes(session_id=SessionId(session_id), node_ids=tuple(ids), fence=fence)
        await self._write(session_id, change, fence=fence)

    # Maintenance

    async def vacuum(self, session_id: SessionId | str | None = None) -> VacuumReport:
        """Delete the nodes with a tombstone, in small commits, and count them; a second call finds none.

        What a run may still be entered again over stays, until that run has ended and was pruned.

        Args:
            session_id: Of which session; None for all.

        Cancellation: between two commits, or as that of `Store.commit`.
        """
        if session_id is None:
            return VacuumReport(removed_node_count=await self._vacuum(_left_anywhere))
        page = partial(reads.left_behind, session_id=session_id, count=PAGE)
        return VacuumReport(removed_node_count=await self._vacuum(page))

    async def gc_unreachable(self) -> GcReport:
        """Delete the bytes of checkpoint parts that no session refers to any more, in small commits.

        Every checkpoint is read first. Each commit judges its blobs again, so that a part which is referred to by then
        stays. Beside hosts that run.

        Raises:
            Corrupt: A checkpoint cannot be decoded; nothing was deleted.
            Error: Of `Store.commit` and `Store.read`; what was deleted by then was unreachable, and the next call goes on.

        Cancellation: between two commits, or as that of `Store.commit`.
        """
        return await collect_unreachable(self._store)

    async def _vacuum(self, page: Callable[..., tuple[int, ...]]) -> int:
        removed = after = 0
        ages = asked_for(_EVER, 0.0, dead_letters=False)
        while keys := await self._store.read(partial(page, after=after)):
            change = Prune(sort=PruneSort.NODES, keys=keys, ages=ages)
            pruned: PrunedPage = (await self._store.commit(Commit(changes=(change,)))).values[0]
            removed += pruned.counts.get("nodes", 0)
            after = keys[-1]
        return removed

    async def _write(self, session_id: str, *changes: Change, fence: int | None) -> CommitResult:
        # Without a fence there is none to check here: the commit itself refuses a session that belongs to a runtime.
        if fence is None:
            return await self._ground.bring(Commit(changes=changes))
        found = await self._store.read(partial(nodes.find_session, session_id=session_id))
        runtime_id = None if found is None or found[1] is None else LogicalRuntimeId(found[1])
        token = None if runtime_id is None else fence
        commit = Commit(runtime_id=runtime_id, fence_token=token, changes=changes)
        return await self._ground.bring(commit)


def _left_anywhere(statements: Statements, after: int) -> tuple[int, ...]:
    return old_nodes(statements, after, PAGE, _EVER)
