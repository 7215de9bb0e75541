"""Sessions, snapshots, and what a store keeps one value of."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from proof.promises.facet import (
    FacetProof,
    Promised,
    Rows,
)
from proof.promises.pruned import erased_runtimes
from proof.stories.contracts import contracts
from tenure.persistence.commits.commit import Change
from tenure.persistence.facets import (
    credentials,
    operations,
)
from tenure.persistence.facets.conversation import (
    moves,
    sessions,
    snapshots,
)
from tenure.persistence.facets.ownership import lifecycle
from tenure.persistence.model.conversation.envelope import (
    EMPTY_DIGEST,
    extend_digest,
)
from tenure.persistence.model.values import LogicalRuntimeId


def appended(change: sessions.AppendMessages, _answer: int) -> Promised:
    """These messages are there."""
    return [("message", (change.runtime_id, hashlib.sha256(each).digest())) for each in change.messages]


def moved(change: moves.MoveHead, _answer: None) -> Promised:
    """The run has moved the head so, and brought these messages."""
    messages = [("message", (change.runtime_id, hashlib.sha256(each).digest())) for each in change.messages]
    return [*messages, ("move", (change.run_id, change.move.place, change.move.path))]


def check_moves(rows: Rows) -> None:
    """Every move can be read and landed with a boundary of its run; none that was acknowledged of a run is lost."""
    of_run: dict[str, set[Any]] = {}
    for run, run_id, base_count in rows.of("SELECT run, run_id, base_count FROM runs"):
        found = moves.of_run(rows.statements, run)
        assert all(move.path.kept <= base_count for _, move in found), f"run {run_id} keeps more than it began with"
        of_run[run_id] = {(move.place, move.path) for _, move in found}
    rows.none("SELECT move FROM session_moves WHERE run NOT IN (SELECT run FROM runs)", "a move of no run")
    rows.none(
        "SELECT m.move FROM session_moves m JOIN runs u USING (run) WHERE u.pruned_at IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM receipts c WHERE c.run = m.run AND c.sequence = m.boundary)",
        "a move without the receipt of its boundary",
    )
    lost = [
        (run_id, place)
        for run_id, place, path in rows.history.acknowledged("move")
        if run_id in of_run and (place, path) not in of_run[run_id]
    ]
    assert not lost, f"acknowledged moves are lost: {lost}"


def check_sessions(rows: Rows) -> None:
    """Every path is whole and hashes to what its head says; no refused message is there."""
    nodes = {
        node: rest for node, *rest in rows.of("SELECT node, session, parent, position, digest, payload FROM nodes")
    }
    for session, head, count, digest in rows.of("SELECT session, head, message_count, digest FROM sessions"):
        path: list[Any] = []
        node = head
        while node is not None:
            assert node in nodes, f"session {session} lost node {node}"
            path.append(nodes[node])
            node = nodes[node][1]
        last = EMPTY_DIGEST
        for place, (owner, _, position, stored, payload) in enumerate(reversed(path), start=1):
            last = extend_digest(last, payload)
            assert (owner, position, stored) == (session, place, last), f"session {session} is broken at {place}"
        assert (count, digest) == (len(path), last), f"session {session} is not what its head says"
    stored_messages = {
        (runtime_id, hashlib.sha256(payload).digest())
        for runtime_id, payload in rows.of(
            "SELECT runtime_id, payload FROM nodes JOIN sessions USING (session)"
            " JOIN runtimes ON runtimes.runtime = sessions.runtime"
        )
    }
    erased = erased_runtimes(rows)
    told = [each for each in rows.history.acknowledged("message") if each[0] not in erased]
    lost = [each for each in told if each not in stored_messages]
    assert not lost, f"{len(lost)} acknowledged messages are lost"
    assert not stored_messages.intersection(rows.history.refused("message")), "a message of a refused commit is there"


def check_snapshots(rows: Rows) -> None:
    """Every snapshot and lifecycle record can be read."""
    for (runtime_id,) in rows.of("SELECT runtime_id FROM runtimes"):
        snapshots.find(rows.statements, LogicalRuntimeId(runtime_id))
        lifecycle.find_record(rows.statements, LogicalRuntimeId(runtime_id))
    rows.none(
        "SELECT session FROM session_snapshots WHERE session NOT IN (SELECT session FROM sessions)",
        "a snapshot without its session",
    )


def operations_kept(change: operations.PersistOperations, _answer: None) -> Promised:
    """A snapshot of this registration was written."""
    return [("operations", (change.runtime_id, change.epoch))]


def operations_gone(change: operations.DeleteOperations, _answer: None) -> Promised:
    """It was deleted."""
    return [("operations", (change.runtime_id, None))]


def check_operations(rows: Rows) -> None:
    """Every registry can be read, belongs to a runtime, and has every end that was heard."""
    for runtime_id in {runtime_id for runtime_id, _ in rows.history.acknowledged("operations")}:
        operations.find(rows.statements, runtime_id)  # it can be read; what it says is part of the whole state
    for runtime_id, operation_id, status in rows.history.acknowledged("ended operation"):
        found = operations.find(rows.statements, LogicalRuntimeId(runtime_id))
        stored = {} if found is None else {each.operation_id: each.status for each in found.operations}
        assert stored.get(operation_id) == status, f"operation {operation_id} was heard to be {status} and is lost"
    rows.none(
        "SELECT runtime FROM operations WHERE runtime NOT IN (SELECT runtime FROM runtimes)", "operations of no runtime"
    )


def flow_kept(_change: Change, _answer: None) -> Promised:
    """There are credentials."""
    return [("credentials", True)]


def swapped(_change: Change, answer: bool) -> Promised:  # noqa: FBT001 - as changes answer
    """There are some where they took the place of others."""
    return [("credentials", True)] if answer else []


def check_credentials(rows: Rows) -> None:
    """They are there."""
    assert credentials.find(rows.statements) is not None or not rows.history.acknowledged("credentials"), (
        "the credentials were acknowledged and are lost"
    )


PROOFS: Final = (
    FacetProof(name="sessions", promises={sessions.AppendMessages: appended}, check=check_sessions),
    FacetProof(name="moves", promises={moves.MoveHead: moved}, check=check_moves),
    FacetProof(name="snapshots", story=contracts, check=check_snapshots),
    FacetProof(
        name="operations",
        promises={
            operations.PersistOperations: operations_kept,
            operations.DeleteOperations: operations_gone,
        },
        check=check_operations,
    ),
    FacetProof(
        name="credentials",
        promises={credentials.PersistFlow: flow_kept, credentials.SwapFlow: swapped},
        check=check_credentials,
    ),
)
