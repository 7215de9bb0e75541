"""The changes of a session's graph: one commit with everything in it, meta, and tombstones (design §9).

`CommitGraph` comes first in its commit and brings the answer of a turn that landed before; claims, batches and attachments are
changes of those facets, after it. A session that belongs to a runtime obeys the runtime's fence, in every verb.
"""

from __future__ import annotations

from typing import Final, final

from attrs import field, frozen

from tenure.errors import HeadRevisionConflict, NodeConflict, NotFound, PayloadTooLarge, QueuedWorkClaimExpired
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.conversation import branches, rewrites, sessions
from tenure.persistence.facets.conversation.sessions import SessionRecord
from tenure.persistence.facets.journal.streams import check_bound
from tenure.persistence.facets.records import chain, runtimes
from tenure.persistence.model.conversation.envelope import (
    EMPTY_DIGEST,
    extend_digest,
)
from tenure.persistence.model.conversation.graph import RuntimeCommitResult
from tenure.persistence.model.conversation.graph_encoding import (
    EncodedCommit,
    EncodedNode,
    node_seal,
)
from tenure.persistence.model.values import SessionId

from . import about, checkpoints, ledger, nodes
from .nodes import Place

_FOUND: Final = "session of a commit"
"""The note with the record that the check of a commit has found: nothing has changed when it is applied."""

ROOT: Final = Place(node=0, session=0, parent=None, position=0, digest=EMPTY_DIGEST, tombstoned_at=None)
"""Where a node without a parent stands on."""


@final
@frozen(kw_only=True, slots=True)
class CommitGraph(Change):
    """Append to a session, and move its head. Answer: `RuntimeCommitResult`."""

    commit: EncodedCommit
    fence: int | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return self.commit.weight


@final
@frozen(kw_only=True, slots=True)
class SaveSessionMeta(Change):
    """Write the meta of a session in place of the one before; the session is made where it is not there. Answer: None."""

    session_id: SessionId
    meta: bytes = field(repr=False)
    fence: int | None = None


@final
@frozen(kw_only=True, slots=True)
class TombstoneNodes(Change):
    """Hide nodes, with all that stands on them. Ids that are not there are passed over. Answer: how many were hidden."""

    always_synced = True

    session_id: SessionId
    node_ids: tuple[str, ...]
    fence: int | None = None


def _find(tx: Transaction, session_id: str, fence: int | None) -> SessionRecord | None:
    """The session as this commit has it cached, where its writer may write it; None where it is not there."""
    owner = nodes.owner_of(tx, session_id)
    check_bound(tx, "session", owner.runtime_id, fence)
    return None if owner.session is None else sessions.load(tx, owner.session)


def _find_or_create(tx: Transaction, session_id: str, fence: int | None) -> SessionRecord:
    record = _find(tx, session_id, fence)
    return record or sessions.load(tx, sessions.create(tx, SessionId(session_id), None))


# Commits


def _replay(tx: Transaction, change: CommitGraph) -> RuntimeCommitResult | None:
    if change.commit.turn_id is None:
        return None  # as most: the fence is checked with what is expected
    # The fence comes before a replay: who may not write gets no answer as if it had written.
    record = _find(tx, change.commit.session_id, change.fence)
    return None if record is None else about.replayed(tx, record.session, change.commit)


def _check(tx: Transaction, change: CommitGraph) -> None:
    commit = change.commit
    record = _find(tx, commit.session_id, change.fence)
    tx.notes[_FOUND] = change, record
    actual = 0 if record is None else record.revision
    if actual != commit.expected:
        raise HeadRevisionConflict(session_id=commit.session_id, expected=commit.expected, actual=actual)
    for claim in commit.claims:
        if claim.session_id != commit.session_id:  # it may hold, and be none of this commit's business
            raise QueuedWorkClaimExpired(session_id=commit.session_id, claim_id=claim.claim_id)
    if commit.largest > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=commit.largest, limit=tx.limits.payload_bytes)


def _commit(tx: Transaction, change: CommitGraph) -> RuntimeCommitResult:
    commit = change.commit
    checked: CommitGraph
    record: SessionRecord | None
    checked, record = tx.notes[_FOUND]
    if record is None or checked is not change:
        record = _find_or_create(tx, commit.session_id, change.fence)
    about.save_config(tx, record.session, commit)
    before = record.digest
    if not _append(tx, record, commit):
        _note_other_path(tx, record, before)
    if commit.checkpoint is not None:
        record.no_checkpoint = False
        checkpoints.save(tx, record.session, commit.session_id, commit.checkpoint)
    if commit.usage:
        ledger.add(tx, record.session, commit.session_id, commit.usage)
    kept = None if record.no_checkpoint else checkpoints.find(tx, record.session, commit.session_id, bodies=False)
    record.no_checkpoint = kept is None
    result = RuntimeCommitResult(
        head_revision=record.revision,
        leaf_node_id=_name_of_head(tx, record),
        checkpoint_ref=None if kept is None else kept[0],
        manifest=None if kept is None else kept[1],
    )
    if commit.turn_id is not None:
        # At the end of the commit: what comes after this change may queue batches, which the result names.
        tx.write_later(about.TURN, record.session, lambda: about.stamp(tx, record.session, commit, result))
    return result


def _note_other_path(tx: Transaction, record: SessionRecord, before: bytes) -> None:
    """What moves the head otherwise than by an append is a rewrite of the snapshot, and a link of the runtime's chain."""
    rewrites.note(tx, record, before, None, always=False)
    runtime_id = nodes.owner_of(tx, record.session_id).runtime_id
    if runtime_id is not None:
        chain.add(tx, runtimes.load(tx, runtime_id), chain.LinkEvent.REWRITE, record.digest.hex())


def _append(tx: Transaction, record: SessionRecord, commit: EncodedCommit) -> bool:
    """Insert the nodes, and move the head; what it leaves is remembered as a branch. Whether it goes on from the old path."""
    made: dict[str, Place] = {}
    for node in commit.nodes:
        made[node.node_id] = _insert(tx, record, node, made)
    name = commit.nodes[-1].node_id if made and commit.leaf is None else commit.leaf
    new = None if name is None else made.get(name)
    leaf = new or (_place_of_head(record) if name is None else nodes.live_place(tx, record.session, name))
    # As most appends: one node on the head, or the first one of all, and the head goes there. Nothing branches off.
    goes_on = new is not None and new.parent == record.head and len(made) == 1
    if not goes_on:
        goes_on = _branch(tx, record, leaf, made)
    record.head = leaf.node or None
    if new is not None and name is not None:
        record.named = new.node, name
    record.message_count, record.digest = leaf.position, leaf.digest
    record.revision += 1
    sessions.save(tx, record)
    return goes_on


def _branch(tx: Transaction, record: SessionRecord, leaf: Place, made: dict[str, Place]) -> bool:
    """Remember what branches off where the head moves to a leaf. Whether that goes on from the old path."""
    own = {place.node for place in made.values()}
    parents = {place.parent for place in made.values()}
    for place in made.values():
        if place.node not in parents and place.node != leaf.node:
            branches.end_at(tx, record, place.node)
    for parent in (parents - own - {None, record.head}) | ({leaf.node} - own):
        branches.drop(tx, record, parent)
    goes_on = record.head is None or _leads_to(tx, record, leaf, made, own)
    if record.head not in parents and not goes_on:
        branches.leave(tx, record, record.head, record.message_count)
    return goes_on


def _insert(tx: Transaction, record: SessionRecord, node: EncodedNode, made: dict[str, Place]) -> Place:
    if not tx.by_index:
        _check_new(tx, record, node)
    try:
        before = ROOT if node.parent is None else made.get(node.parent) or _place_of(tx, record, node.parent)
    except NotFound:
        _check_new(tx, record, node)  # which comes first, also where the index is to find it
        raise
    written_at = nodes.rfc_3339(tx.now) if node.timestamp is None else node.timestamp
    digest = extend_digest(before.digest, node.payload)
    place = Place(
        node=0,
        session=record.session,
        parent=before.node or None,
        position=before.position + 1,
        digest=digest,
        tombstoned_at=None,
    )
    place.node = tx.insert(
        "nodes.insert",
        session=record.session,
        parent=place.parent,
        position=place.position,
        digest=digest,
        node_id=node.node_id,
        written_at=written_at,
        about=node.about,
        seal=node_seal(record.session_id, node.node_id, digest, node.about, written_at),
        payload=node.payload,
        now=tx.now,
    )
    return place


def _check_new(tx: Transaction, record: SessionRecord, node: EncodedNode) -> None:
    if nodes.find_place(tx, record.session, node.node_id) is not None:
        detail = "there is a node of this id"
        raise NodeConflict(session_id=record.session_id, node_id=node.node_id, detail=detail)


def _place_of_head(record: SessionRecord) -> Place:
    return Place(
        node=record.head or 0,
        session=record.session,
        parent=None,
        position=record.message_count,
        digest=record.digest,
        tombstoned_at=None,
    )


def _place_of(tx: Transaction, record: SessionRecord, node_id: str) -> Place:
    """The place of a node to stand on: most often the head, of which the session says all that is needed."""
    if record.head is not None and record.named == (record.head, node_id):
        return _place_of_head(record)
    return nodes.live_place(tx, record.session, node_id)


def _name_of_head(tx: Transaction, record: SessionRecord) -> str | None:
    if record.head is None:
        return None
    if record.named is None or record.named[0] != record.head:
        record.named = record.head, nodes.id_of(tx, record.head)
    return record.named[1]


def _leads_to(tx: Transaction, record: SessionRecord, leaf: Place, made: dict[str, Place], own: set[int]) -> bool:
    """Whether the path to the new leaf goes through the head as it was."""
    by_key = {place.node: place for place in made.values()}
    at = leaf
    while at.node in own:
        if at.parent == record.head:
            return True
        if at.parent is None:
            return False
        if at.parent not in own:
            break
        at = by_key[at.parent]
    start = at.parent if at.node in own else at.node
    return branches.is_on(tx, start, record.head, record.message_count)


# Meta


def _check_meta(tx: Transaction, change: SaveSessionMeta) -> None:
    _find(tx, change.session_id, change.fence)
    if len(change.meta) > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=len(change.meta), limit=tx.limits.payload_bytes)


def _save_meta(tx: Transaction, change: SaveSessionMeta) -> None:
    record = _find_or_create(tx, change.session_id, change.fence)
    about.save_meta(tx, record.session, change.session_id, change.meta)


# Tombstones


def _check_tombstones(tx: Transaction, change: TombstoneNodes) -> None:
    record = _find(tx, change.session_id, change.fence)
    if record is None or record.head is None:
        return
    for node_id in change.node_ids:
        place = nodes.find_place(tx, record.session, node_id)
        if place is None or place.position > record.message_count:
            continue
        if branches.is_on(tx, record.head, place.node, place.position):
            raise NodeConflict(session_id=change.session_id, node_id=node_id, detail="it is on the active path")


def _tombstone(tx: Transaction, change: TombstoneNodes) -> int:
    record = _find(tx, change.session_id, change.fence)
    hidden = 0
    if record is None:
        return hidden
    for node_id in change.node_ids:
        place = nodes.find_place(tx, record.session, node_id)
        if place is not None and place.tombstoned_at is None:
            hidden += _hide(tx, record, place)
    return hidden


def _hide(tx: Transaction, record: SessionRecord, place: Place) -> int:
    """Hide a node with all that stands on it, and let its parent be the end of what is left of the branch."""
    rows = branches.above(tx, record, place.position)
    through = {tip for tip, node, _ in rows if node == place.node}
    gone = {node for tip, node, _ in rows if tip in through} | {place.node}
    for node in sorted(gone):
        tx.write("nodes.tombstone", node=node, now=tx.now)
    for tip in through:
        branches.drop(tx, record, tip)
    if not branches.is_on(tx, record.head, place.parent, place.position - 1):
        branches.leave(tx, record, place.parent, place.position - 1)
    return len(gone)


FACET: Final = Facet(
    name="graph",
    handlers={
        CommitGraph: Handler(apply=_commit, replay=_replay, check=_check),
        SaveSessionMeta: Handler(apply=_save_meta, check=_check_meta),
        TombstoneNodes: Handler(apply=_tombstone, check=_check_tombstones),
    },
)
