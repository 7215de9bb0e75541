"""Verification of sessions as graphs: every node, part and turn as its digest says, and nothing that no read finds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from tenure.persistence.commits.upkept import BELOW_ALL, Problem, failing
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.conversation.graph import FullGraph
from tenure.persistence.model.conversation.graph_encoding import decode_result
from tenure.persistence.model.digests import check_scheme

from . import about, checkpoints, ledger, reads

SESSIONS_AT_ONCE: Final = 10
"""Sessions that are read at a time, each as a whole."""

SHOWN: Final = 100
"""Nodes that no read finds, that are named."""

TURNS_AT_ONCE: Final = 500
"""Turns of a session that are looked up at a time."""


def verify_session_page(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of sessions: where the next begins, None at the end; and what is wrong."""
    rows = statements.readable("graph_check.sessions", after=after, count=count)
    problems: list[Problem] = []
    for session, session_id, scheme in rows:
        if isinstance(session_id, str):
            problems += failing("session", session_id, partial(check_scheme, scheme, "session", session_id))
            problems += _session(statements, session, session_id)
        else:
            problems.append(("session", str(session), "its id is not text"))
    return (rows[-1][0] if rows else None), problems


def _session(statements: Statements, session: int, session_id: str) -> Iterator[Problem]:
    yield from failing("session", session_id, partial(reads.read_session, statements, session, session_id, FullGraph()))
    # Of a session that has no revision nothing is read above: what stands beside it is another one's.
    yield from failing("session config", session_id, partial(about.find_config, statements, session, session_id))
    yield from failing("token usage", session_id, partial(ledger.entries, statements, session, session_id))
    yield from failing(
        "checkpoint", session_id, partial(checkpoints.find, statements, session, session_id, bodies=False)
    )
    yield from failing("session meta", session_id, partial(about.find_meta, statements, session, session_id))
    after = BELOW_ALL
    while rows := statements.readable("graph_check.turns", session=session, after=after, count=TURNS_AT_ONCE):
        for turn, turn_id in rows:
            if isinstance(turn_id, str):
                yield from failing("turn", turn_id, partial(_turn, statements, session, session_id, turn_id))
            else:
                yield "turn", str(turn), "its id is not text"
        after = rows[-1][0]


def _turn(statements: Statements, session: int, session_id: str, turn_id: str) -> None:
    found = about.find_turn(statements, session, session_id, turn_id)
    if found is not None:
        decode_result(found[1], turn_id)


def verify_blobs(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of stored parts: where the next begins, None at the end; and what is wrong."""
    rows = statements.readable("graph_check.blobs", after=after, count=count)
    problems = [
        problem
        for (blob,) in rows
        for problem in failing("blob", blob, partial(checkpoints.check_blob, statements, blob))
    ]
    return (rows[-1][0] if rows else None), problems


def verify_graph_rows(statements: Statements) -> list[Problem]:
    """Rows that name a session, a checkpoint or a blob that is not there, and nodes that no read finds."""
    strays = statements.readable("graph_check.strays")
    lost = statements.readable("graph_check.lost", count=SHOWN)
    return [
        *[(str(record), str(key), "it names a row that is not there, or another session's") for record, key in strays],
        *[("node", str(row[0]), "neither the head nor a branch leads to it") for row in lost],
    ]
