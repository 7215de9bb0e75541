"""What is shown of the graph of a session."""

from __future__ import annotations

from typing import Any, Final

from tenure.errors import ReadFailed
from tenure.persistence.commits.upkept import Subject
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.conversation.graph_encoding import counts_of

from . import ledger, nodes

SHOWN: Final = 20
"""Branches that are listed, the newest first."""


def graph_of(statements: Statements, subject: Subject) -> dict[str, Any]:
    """Branches with their ends, what was left, turns, parts by size and tokens by source and model; no content."""
    session_id = subject.session_id
    if session_id is None:
        return {}
    try:
        found = nodes.find_session(statements, session_id)
        if found is None:
            return {}
        entries = ledger.entries(statements, found[0], session_id)
    except ReadFailed as exc:
        return {"error": str(exc)}
    branches, left, turns = statements.one("graph_show.counts", session=found[0]) or (0, 0, 0)
    return {
        "branches": branches,
        "branch_ends": [
            {"node_id": nodes.name_of(node, node_id), "messages": position}
            for node, node_id, position in statements.readable("graph_show.branches", session=found[0], count=SHOWN)
        ],
        "left_behind": left,
        "turns": turns,
        "checkpoint_parts": {
            str(name): size for name, size in statements.readable("graph_show.parts", session=found[0])
        },
        "tokens": {f"{each.source} {each.model}": sum(counts_of(each.usage)) for each in entries},
    }
