"""Sessions as graphs: every node, turn and part that was acknowledged is there, whole, and reachable."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from proof.promises.facet import (
    FacetProof,
    Promised,
    Rows,
)
from proof.stories.graphs import PASSING, graph_of_day, graphs
from tenure.persistence.facets.graph import graph, reads
from tenure.persistence.facets.graph.prune import PruneTurns
from tenure.persistence.facets.graph.verify import verify_blobs, verify_graph_rows, verify_session_page
from tenure.persistence.model.contracts.queued_work import name_of_batch
from tenure.persistence.model.conversation.graph import (
    FullGraph,
    RuntimeCommitResult,
)
from tenure.persistence.model.conversation.graph_encoding import decode_result

BRIEF: Final = "brief"
"""A node whose id begins so is given a tombstone by the story itself: it may have gone."""

"""A turn that the story itself prunes: it may have gone."""


def committed(change: graph.CommitGraph, answer: RuntimeCommitResult) -> Promised:
    """The head has this revision or a later one; nodes and turn are there, and the ledger has what was used."""
    commit = change.commit
    promised: list[tuple[str, Any]] = [("revision", (commit.session_id, answer.head_revision))]
    promised += [
        ("graph node", (commit.session_id, node.node_id, hashlib.sha256(node.payload).digest()))
        for node in commit.nodes
        if not node.node_id.startswith(BRIEF)
    ]
    if commit.turn_id not in (None, PASSING):
        promised.append(("turn", (commit.session_id, commit.turn_id, commit.content)))
        promised += [("usage", (commit.turn_id, entry.usage.input_tokens)) for entry in commit.usage]
    return promised


def meta_saved(change: graph.SaveSessionMeta, _answer: None) -> Promised:
    """The session has a meta: this one or a later one."""
    return [("session meta", change.session_id)]


def hidden(change: graph.TombstoneNodes, _answer: int) -> Promised:
    """The nodes can be read no more."""
    return [("hidden", (change.session_id, node_id)) for node_id in change.node_ids]


def turn_pruned(_change: PruneTurns, _answer: int) -> Promised:
    """The turn is forgotten."""
    return [("turn pruned", PASSING)]


def check_turns(rows: Rows) -> None:
    """What was pruned does not come back."""
    for turn_id in rows.history.acknowledged("turn pruned"):
        rows.none(f"SELECT turn FROM turns WHERE turn_id = '{turn_id}'", "a turn that was pruned is there")  # noqa: S608 - ours


def check_graphs(rows: Rows) -> None:
    """Sessions are whole, and have everything that was acknowledged."""
    problems: list[Any] = verify_graph_rows(rows.statements)
    at: int | None = 0
    while at is not None:
        at, found = verify_session_page(rows.statements, at, 500)
        problems += found
    assert not problems, problems
    revisions = dict(rows.of("SELECT session_id, revision FROM sessions"))
    for session_id, revision in rows.history.acknowledged("revision"):
        assert revisions.get(session_id, 0) >= revision, f"the head of {session_id} went back"
    for session_id, node_id, digest in rows.history.acknowledged("graph node"):
        node = reads.load_node(rows.statements, session_id, node_id)
        assert node is not None, f"node {node_id} of {session_id} is lost"
        assert hashlib.sha256(node.payload).digest() == digest, f"node {node_id} of {session_id} is another"
    for session_id, node_id in rows.history.acknowledged("hidden"):
        assert reads.load_node(rows.statements, session_id, node_id) is None, f"node {node_id} of {session_id} is back"
    for session_id in rows.history.acknowledged("session meta"):
        assert reads.load_meta(rows.statements, session_id) is not None, f"the meta of {session_id} is lost"
    _check_turns(rows)
    _check_work(rows)


def _check_turns(rows: Rows) -> None:
    turns = {
        (session_id, turn_id): content
        for session_id, turn_id, content in rows.of(
            "SELECT s.session_id, t.turn_id, t.content FROM turns t JOIN sessions s USING (session)"
        )
    }
    for session_id, turn_id, content in rows.history.acknowledged("turn"):
        assert turns.get((session_id, turn_id)) == content, f"turn {turn_id} of {session_id} is lost or another"
    used: dict[str, int] = dict(rows.history.acknowledged("usage"))
    read = reads.load_session(rows.statements, "forest", FullGraph())
    ledger = sum(entry.usage.input_tokens for entry in read.token_ledger) if read is not None else 0
    # At most one turn was on its way: what is there is the sum of turns that landed, each once.
    assert ledger >= sum(used.values()), "usage that was acknowledged is lost"


def _check_work(rows: Rows) -> None:
    """Each turn of the forest ends the work that the turn before has queued: what the last one queued is there, alone."""
    stored = rows.of(
        "SELECT t.result FROM turns t JOIN sessions s USING (session) WHERE s.session_id = 'forest' ORDER BY turn"
    )
    queued = [name for (result,) in stored for name in decode_result(result, "forest").enqueued_batch_ids]
    found = [name_of_batch(key) for (key,) in rows.of("SELECT batch FROM queue_batches WHERE session_id = 'forest'")]
    assert found == queued[-1:], f"{found} is queued, and the turns have queued {queued}"


def check_blobs(rows: Rows) -> None:
    """Every stored part is what its digest says; each checkpoint has its own, see `check_graphs`."""
    at: int | None = 0
    while at is not None:
        at, problems = verify_blobs(rows.statements, at, 500)
        assert not problems, problems


PROOFS: Final = (
    FacetProof(
        name="graph",
        story=graphs,
        everyday=graph_of_day,
        promises={
            graph.CommitGraph: committed,
            graph.SaveSessionMeta: meta_saved,
            graph.TombstoneNodes: hidden,
        },
        check=check_graphs,
    ),
    FacetProof(name="checkpoints", check=check_blobs),
    FacetProof(name="turns", promises={PruneTurns: turn_pruned}, check=check_turns),
)
