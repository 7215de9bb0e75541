"""Sessions as graphs: what is read of one, and the one commit that writes it (design §9).

A session is a graph of nodes with at most one parent each, and a head: a revision that only rises, and the leaf that the active
path leads to. The conversation of a runtime is such a graph, and its snapshot is the active path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NewType, final

from attrs import field, frozen

from tenure.persistence.model.contracts.queued_work import (
    QueuedWorkBatchDraft,
    QueuedWorkCompletion,
)
from tenure.persistence.model.values import SessionId

NodeId = NewType("NodeId", str)
"""One node of a session: text of 1 to 500 characters, chosen by the committer."""

OWN_NODES: Final = "tenure:"
"""How the ids begin that the store gives to messages of a runtime, which have none; no other id may begin so."""


@final
@frozen(slots=True)
class FullGraph:
    """The scope of a read: every node that has no tombstone, in the order of their commits."""


@final
@frozen(slots=True)
class ActivePath:
    """The scope of a read: the nodes from the root to a leaf, or the last of them.

    Attributes:
        leaf_node_id: The leaf, which may be any node; None for the one of the head. It does not move the head.
        last: Read so many nodes before and with the leaf, at least 1, and as much of the file; None for all.
    """

    leaf_node_id: NodeId | str | None = None
    last: int | None = field(default=None, kw_only=True)


SessionReadScope = FullGraph | ActivePath
"""What is read of a session."""


@final
@frozen(kw_only=True, slots=True)
class SessionNodeRecord:
    """One node of a session.

    Attributes:
        node_id: Its id; one session has it once.
        payload: Opaque bytes; on the active path, a message of the snapshot.
        parent_node_id: The node before it; None for a root.
        kind: What the payload is, for its readers.
        agent_frame_id: The agent frame that it was written in.
        caused_by: What led to it, JSON.
        timestamp: When it was written, RFC 3339, as its author has it; None for the time of the commit, which a read gives.
    """

    node_id: NodeId | str
    payload: bytes = field(repr=False)
    parent_node_id: NodeId | str | None = None
    kind: str = "event"
    agent_frame_id: str | None = None
    caused_by: Any = None
    timestamp: str | None = None


@final
@frozen(kw_only=True, slots=True)
class SessionGraph:
    """Nodes of a session, and the leaf that was read to.

    Attributes:
        nodes: In the order of their commits; of a path, from the root on.
        leaf_node_id: The leaf of the head, or the one of the scope; None where the head is empty.
    """

    nodes: tuple[SessionNodeRecord, ...]
    leaf_node_id: NodeId | str | None


@final
@frozen(kw_only=True, slots=True)
class AgentFrame:
    """One agent that works in the session, as its host describes it.

    Attributes:
        frame_id: Its id in the session.
        frame: JSON.
    """

    frame_id: str
    frame: Any = None


@final
@frozen(kw_only=True, slots=True)
class TokenUsage:
    """Tokens, counted. None is below 0, and no sum goes beyond 2**63 - 1."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@final
@frozen(kw_only=True, slots=True)
class TokenLedgerEntry:
    """What one source has used of one model.

    Attributes:
        source: Who used it.
        model: Of which model.
        usage: How much; in a commit, how much more.
    """

    source: str
    model: str
    usage: TokenUsage


@final
@frozen(kw_only=True, slots=True)
class CheckpointPart:
    """One part of a checkpoint. Its bytes are stored once, by content, for all sessions.

    Attributes:
        body: The bytes; None in a commit says that they are stored already, under `ref`.
        ref: SHA-256 of the bytes, in hex; None in a commit that brings them.
        encoding_version: The version of whatever encoded them.
    """

    body: bytes | None = field(default=None, repr=False)
    ref: str | None = None
    encoding_version: int = 0


@final
@frozen(kw_only=True, slots=True)
class SessionCheckpoint:
    """The state of a session's agent beside its messages: complete, so that a part that is not named is gone.

    Attributes:
        turn_state: JSON: where the turn stands.
        parts: Parts by name.
    """

    turn_state: Any = None
    parts: Mapping[str, CheckpointPart] = field(factory=dict[str, CheckpointPart])


@final
@frozen(kw_only=True, slots=True)
class SessionRelation:
    """Where a session comes from.

    Attributes:
        parent_session_id: The session that it is a child of; None for a root.
        caused_by: What led to it, JSON.
    """

    parent_session_id: SessionId | str | None = None
    caused_by: Any = None


@final
@frozen(kw_only=True, slots=True)
class SessionMeta:
    """What a session is, for people.

    Attributes:
        session_id: Which session.
        session_name: Its name.
        created_at: When it was made, RFC 3339, as its author has it.
        model: The model it works with.
        cwd: The folder it works in.
        relation: Where it comes from.
    """

    session_id: SessionId | str
    session_name: str = ""
    created_at: str = ""
    model: str = ""
    cwd: str | None = None
    relation: SessionRelation = field(factory=SessionRelation)


@final
@frozen(kw_only=True, slots=True)
class PersistedSessionRead:
    """A session as it is stored.

    Attributes:
        session_id: Which session.
        head_revision: Rises with every commit, by one.
        config: JSON, as the last commit that had one left it.
        agent_frames: In the order of the commit.
        current_agent_frame_id: The frame that works now.
        graph: Nodes, as the scope says.
        checkpoint_ref: Digest of the checkpoint, in hex; None where there is none.
        checkpoint: The checkpoint with the bytes of its parts.
        token_ledger: One entry for each source and model that has used anything.
    """

    session_id: SessionId | str
    head_revision: int
    config: Any
    agent_frames: tuple[AgentFrame, ...]
    current_agent_frame_id: str | None
    graph: SessionGraph
    checkpoint_ref: str | None
    checkpoint: SessionCheckpoint | None
    token_ledger: tuple[TokenLedgerEntry, ...]


@final
@frozen(kw_only=True, slots=True)
class RuntimeCommit:
    """What lands of a session together, or not at all.

    Attributes:
        session_id: Which session; one that is not there is made.
        expected_head_revision: The revision that it was built on; 0 for a session that has no head yet.
        nodes: Nodes to append, parents before children.
        leaf_node_id: Where the head goes: a new node, or any that is there; None for the last new one, or where it is.
        config: JSON; None leaves the stored one.
        agent_frames: All frames there are from now on; None leaves the stored ones.
        current_agent_frame_id: The frame that works from now on; None leaves the stored one.
        checkpoint: The checkpoint from now on; None leaves the stored one.
        usage_deltas: Added to the ledger.
        completed_queue_claims: Claims on queued work of the session, each with all of its batches: they are done with this.
        enqueued_queue_batches: Work of the session to queue.
        committed_attachment_ids: Attachments of the session that are committed with this; unknown ones are passed over.
        turn_id: The stamp: the same turn with the same content returns the first result, whatever happened since.
    """

    session_id: SessionId | str
    expected_head_revision: int
    nodes: tuple[SessionNodeRecord, ...] = ()
    leaf_node_id: NodeId | str | None = None
    config: Any = None
    agent_frames: tuple[AgentFrame, ...] | None = None
    current_agent_frame_id: str | None = None
    checkpoint: SessionCheckpoint | None = None
    usage_deltas: tuple[TokenLedgerEntry, ...] = ()
    completed_queue_claims: tuple[QueuedWorkCompletion, ...] = ()
    enqueued_queue_batches: tuple[QueuedWorkBatchDraft, ...] = ()
    committed_attachment_ids: tuple[str, ...] = ()
    turn_id: str | None = None


@final
@frozen(kw_only=True, slots=True)
class RuntimeCommitResult:
    """The result of a commit, as it is stored with its stamp.

    Attributes:
        head_revision: The revision of the head after it.
        leaf_node_id: The leaf of the head after it.
        checkpoint_ref: Digest of the checkpoint after it, in hex.
        manifest: The checkpoint after it: refs of its parts, without their bytes.
        enqueued_batch_ids: The batches that stand for those of the commit, in its order.
    """

    head_revision: int
    leaf_node_id: NodeId | str | None
    checkpoint_ref: str | None
    manifest: SessionCheckpoint | None
    enqueued_batch_ids: tuple[str, ...] = ()


@final
@frozen(kw_only=True, slots=True)
class VacuumReport:
    """What a vacuum did.

    Attributes:
        removed_node_count: Nodes that were deleted.
    """

    removed_node_count: int


@final
@frozen(kw_only=True, slots=True)
class GcReport:
    """What a collection of unreachable parts did.

    Attributes:
        root_count: Sessions whose checkpoint was read.
        retained_blob_count: Stored parts that those refer to.
        deleted_blob_count: Stored parts that were deleted.
    """

    root_count: int
    retained_blob_count: int
    deleted_blob_count: int
