"""A session as a whole, in one consistent view."""

from __future__ import annotations

from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.conversation.sessions import SessionRecord
from tenure.persistence.model.conversation.graph import (
    ActivePath,
    FullGraph,
    PersistedSessionRead,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
)

from . import about, checkpoints, ledger, nodes


def load_session(statements: Statements, session_id: str, scope: FullGraph | ActivePath) -> PersistedSessionRead | None:
    """What is stored of a session, or None where nothing was ever committed to it.

    Raises:
        NotFound: The scope names a leaf that is not there, or has a tombstone.
        Corrupt: What is stored contradicts itself.
    """
    found = nodes.find_session(statements, session_id)
    return None if found is None else read_session(statements, found[0], session_id, scope)


def read_session(
    statements: Statements, session: int, session_id: str, scope: FullGraph | ActivePath
) -> PersistedSessionRead | None:
    """As `load_session`, by the key of the session's row, whatever the row says of a runtime."""
    record = sessions.find(statements, session)
    if record.revision == 0:
        return None
    if isinstance(scope, FullGraph):
        read = nodes.graph(statements, record)
        leaf_id = None if record.head is None else nodes.id_of(statements, record.head)
    else:
        read = _path(statements, record, scope)
        leaf_id = read[-1].node_id if read else None
    stored = about.find_config(statements, record.session, session_id)
    config, frames, current = about.decode_config(stored, session_id)
    checkpoint = checkpoints.find(statements, record.session, session_id, bodies=True)
    return PersistedSessionRead(
        session_id=session_id,
        head_revision=record.revision,
        config=config,
        agent_frames=frames,
        current_agent_frame_id=current,
        graph=SessionGraph(nodes=read, leaf_node_id=leaf_id),
        checkpoint_ref=None if checkpoint is None else checkpoint[0],
        checkpoint=None if checkpoint is None else checkpoint[1],
        token_ledger=ledger.entries(statements, record.session, session_id),
    )


def _path(statements: Statements, record: SessionRecord, scope: ActivePath) -> tuple[SessionNodeRecord, ...]:
    leaf, position = record.head, record.message_count
    if scope.leaf_node_id is not None:
        place = nodes.live_place(statements, record.session, scope.leaf_node_id)
        leaf, position = place.node, place.position
    return nodes.path(statements, record, leaf, after=0 if scope.last is None else max(position - scope.last, 0))


def load_node(statements: Statements, session_id: str, node_id: str) -> SessionNodeRecord | None:
    """One node, or None where it is not there or has a tombstone. Raises `Corrupt`."""
    found = nodes.find_session(statements, session_id)
    return None if found is None else nodes.find_node(statements, found[0], session_id, node_id)


def load_meta(statements: Statements, session_id: str) -> SessionMeta | None:
    """The meta of a session, or None. Raises `Corrupt`."""
    found = nodes.find_session(statements, session_id)
    return None if found is None else about.find_meta(statements, found[0], session_id)


def left_behind(statements: Statements, session_id: str, after: int, count: int) -> tuple[int, ...]:
    """A page of the nodes that a session has left, and no run may need again."""
    found = nodes.find_session(statements, session_id)
    if found is None:
        return ()
    return tuple([row[0] for row in statements.all("nodes.left_of", session=found[0], after=after, count=count)])
