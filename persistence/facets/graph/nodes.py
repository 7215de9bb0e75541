"""Nodes of a session, found by their ids and read back as records, each checked against its digests.

A node that the graph verbs wrote has an id; a message that a runtime appended has none, and is named by the key of its row.
What is read without a tombstone has parents without one: who tombstones a node tombstones all that stands on it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, final

import msgspec
from attrs import frozen

from tenure.errors import Corrupt, NotFound
from tenure.persistence.commits.rows import (
    NUMBER,
    OPTIONAL_BYTES,
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    Types,
    check_row,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.conversation.sessions import OWNER, SessionRecord
from tenure.persistence.model.conversation.envelope import (
    EMPTY_DIGEST,
    extend_digest,
)
from tenure.persistence.model.conversation.graph import (
    OWN_NODES,
    SessionNodeRecord,
)
from tenure.persistence.model.conversation.graph_encoding import (
    decode_about,
    node_seal,
)
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.values import LogicalRuntimeId

OWN_KIND: Final = "message"
"""What a message of a runtime is as a node."""

_PLACE: Final[Types] = (int, int, OPTIONAL_INT, int, bytes, OPTIONAL_NUMBER)

_NODE: Final[Types] = (
    int,
    int,
    OPTIONAL_INT,
    int,
    bytes,
    int,
    NUMBER,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    OPTIONAL_TEXT,
    OPTIONAL_BYTES,
    OPTIONAL_BYTES,
    bytes,
)


@final
class Place(msgspec.Struct):
    """Where a node stands. A struct, as `Commit`.

    Attributes:
        node: The key of its row.
        session: Of which session.
        parent: The key of its parent's row.
        position: Its place on the path to it, from 1.
        digest: Of the path to it.
        tombstoned_at: When it was left; None for a node that can be read.
    """

    node: int
    session: int
    parent: int | None
    position: int
    digest: bytes
    tombstoned_at: float | None


def find_place(statements: Statements, session: int, node_id: str) -> Place | None:
    """The place of a node, with a tombstone or without; None where there is none of this id."""
    if not node_id.startswith(OWN_NODES):
        row = statements.one("nodes.by_id", session=session, node_id=node_id)
    elif (key := node_id.removeprefix(OWN_NODES)).isdecimal() and key.isascii() and len(key) < len(str(2**63)):
        row = statements.one("nodes.by_key", session=session, node=int(key))
    else:
        return None
    if row is None:
        return None
    check_row(row, _PLACE, "node", node_id)
    return Place(*row)


def live_place(statements: Statements, session: int, node_id: str) -> Place:
    """The place of a node that can be read. Raises `NotFound`."""
    place = find_place(statements, session, node_id)
    if place is None or place.tombstoned_at is not None:
        raise NotFound(what="node", key=node_id)
    return place


def id_of(statements: Statements, node: int) -> str:
    """The id of a node by the key of its row. Raises `Corrupt`."""
    row = statements.one("nodes.one", node=node)
    if row is None:
        raise Corrupt(record="node", key=str(node), detail="it is named and has no row")
    check_row(row, _NODE, "node", node)
    return name_of(node, row[8])


def name_of(node: int, node_id: str | None) -> str:
    """The id of a node, which the store gives where it has none."""
    return f"{OWN_NODES}{node}" if node_id is None else node_id


def find_node(statements: Statements, session: int, session_id: str, node_id: str) -> SessionNodeRecord | None:
    """A node, or None where there is none or it has a tombstone. Raises `Corrupt`."""
    place = find_place(statements, session, node_id)
    if place is None or place.tombstoned_at is not None:
        return None
    row = statements.one("nodes.one", node=place.node)
    if row is None:
        return None
    if place.parent is None:
        return _record(row, session, session_id, None, EMPTY_DIGEST)
    before = statements.one("nodes.one", node=place.parent)
    if before is None:
        raise Corrupt(record="node", key=node_id, detail="its parent is missing")
    return _record(row, session, session_id, _checked_name(before, session, session_id), before[4])


def path(
    statements: Statements, session: SessionRecord, leaf: int | None, *, after: int = 0
) -> tuple[SessionNodeRecord, ...]:
    """The nodes of the path to a leaf whose position is greater than `after`. Raises `Corrupt`."""
    rows = [] if leaf is None else statements.all("nodes.path", leaf=leaf, first=after)
    if not after or not rows:
        return _records(session, rows, {leaf})
    if rows[0][3] != after:
        raise Corrupt(record="node", key=str(rows[0][0]), detail="its parent is missing")
    return _records(session, rows[1:], {leaf}, before=rows[0])


def graph(statements: Statements, session: SessionRecord) -> tuple[SessionNodeRecord, ...]:
    """Every node without a tombstone, in the order of the commits. Raises `Corrupt`."""
    tips = branches(statements, session.session)
    rows = statements.all("nodes.graph", session=session.session, head=session.head)
    return _records(session, rows, {*tips, session.head} - {None})


def branches(statements: Statements, session: int) -> list[int]:
    """Where the branches end that the head does not lead to. Raises `Corrupt`."""
    found: list[int] = []
    for branch, node, digest, scheme in statements.all("nodes.branches", session=session):
        check_row((branch, node), (int, int), "branch", branch)
        check_digest(seal(session, node), digest, scheme, "branch", branch)
        found.append(node)
    return found


def _records(
    session: SessionRecord, rows: list[Row], wanted: set[int | None], *, before: Row | None = None
) -> tuple[SessionNodeRecord, ...]:
    """Rows as records, each chained to its parent, the first to `before`; all of `wanted` must be among them."""
    known: dict[int | None, tuple[str | None, bytes, int]] = {None: (None, EMPTY_DIGEST, 0)}
    if before is not None:
        known[before[0]] = _checked_name(before, session.session, session.session_id), before[4], before[3]
    found: list[SessionNodeRecord] = []
    for row in rows:
        parent = known.get(row[2])
        if parent is None:
            raise Corrupt(record="node", key=str(row[0]), detail="its parent is missing")
        record = _record(row, session.session, session.session_id, parent[0], parent[1])
        if row[3] != parent[2] + 1:
            raise Corrupt(record="node", key=str(row[0]), detail="it does not stand right after its parent")
        known[row[0]] = record.node_id, row[4], row[3]
        found.append(record)
    missing = wanted - known.keys()
    if missing:
        raise Corrupt(record="node", key=str(missing.pop()), detail="it is named and has no row")
    _check_head(session, known)
    return tuple(found)


def _check_head(session: SessionRecord, known: dict[int | None, tuple[str | None, bytes, int]]) -> None:
    head = known.get(session.head)
    if head is not None and head[1:] != (session.digest, session.message_count):
        raise Corrupt(record="session", key=session.session_id, detail="its digest is not that of its messages")


def _record(row: Row, session: int, session_id: str, parent: str | None, before: bytes) -> SessionNodeRecord:
    name = _checked_name(row, session, session_id)
    _, _, _, _, digest, scheme, created_at, _, node_id, written_at, about, _, payload = row
    check_digest(extend_digest(before, payload), digest, scheme, "node", name)
    if node_id is None:
        return SessionNodeRecord(
            node_id=name, payload=payload, parent_node_id=parent, kind=OWN_KIND, timestamp=_time(created_at, name)
        )
    kind, frame, caused_by = decode_about(about, name)
    return SessionNodeRecord(
        node_id=name,
        payload=payload,
        parent_node_id=parent,
        kind=kind,
        agent_frame_id=frame,
        caused_by=caused_by,
        timestamp=written_at,
    )


def _checked_name(row: Row, session: int, session_id: str) -> str:
    """The id of a node whose row is checked, but for its payload and its place. Raises `Corrupt`."""
    check_row(row, _NODE, "node", row[0])
    node, owner, _, _, digest, scheme, _, tombstoned_at, node_id, written_at, about, own_seal, _ = row
    name = name_of(node, node_id)
    if owner != session or tombstoned_at is not None:
        raise Corrupt(record="node", key=name, detail="it is another session's, or is not on the path any more")
    if node_id is None:
        if about is not None or own_seal is not None:
            raise Corrupt(record="node", key=name, detail="it says something of itself, and its id is missing")
        return name
    if about is None:
        raise Corrupt(record="node", key=name, detail="what it says of itself is missing")
    check_digest(node_seal(session_id, name, digest, about, written_at), own_seal, scheme, "node", name)
    return name


def rfc_3339(seconds: float) -> str:
    """A time of the store as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _time(created_at: float, key: str) -> str:
    try:
        return rfc_3339(created_at)
    except (ValueError, OverflowError, OSError) as exc:
        raise Corrupt(record="node", key=key, detail="its time is none") from exc


@final
@frozen(slots=True)
class Owner:
    """Whose a session is.

    Attributes:
        session: Its key; None where it is not there.
        runtime_id: The runtime that it is of; None where it is of none, or is not there.
    """

    session: int | None
    runtime_id: LogicalRuntimeId | None


def owner_of(tx: Transaction, session_id: str) -> Owner:
    """Whose a session is, as this commit has it cached. Raises `Corrupt`."""
    return tx.record(OWNER, session_id, find_owner)


def find_owner(statements: Statements, session_id: str) -> Owner:
    """Whose a session is, as the rows say. Raises `Corrupt`."""
    found = find_session(statements, session_id)
    if found is None:
        return Owner(None, None)
    return Owner(found[0], None if found[1] is None else LogicalRuntimeId(found[1]))


def find_session(statements: Statements, session_id: str) -> tuple[int, str | None] | None:
    """The key of a session and the runtime it belongs to, or None. Raises `Corrupt`."""
    row = statements.one("nodes.session", session_id=session_id)
    if row is None:
        return None
    check_row(row, (int, OPTIONAL_INT, OPTIONAL_TEXT), "session", session_id)
    session, runtime, runtime_id = row
    if runtime is not None and runtime_id is None:
        raise Corrupt(record="session", key=session_id, detail="it belongs to a runtime that has no row")
    return session, runtime_id
