"""How a run moves the head of its session otherwise than by appending: it takes back, rewrites, or forks (design §20).

A move lands with a boundary of its run, among what that appends, in the order in which the behaviour asked. It names paths by
what the run has seen (`RunPath`): no key of the store. What it takes back or rewrites gets a tombstone in the same commit; what
it forks away from stays as a branch. Each move is a row of the run: so a run that enters again sees the same path, and one that
is taken back knows whether anybody else has moved the head since.
"""

from __future__ import annotations

from typing import Final, final

import msgspec
from attrs import field, frozen

from tenure.errors import ContinuityViolation, Corrupt, PayloadTooLarge
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import OPTIONAL_INT, Types, check_row, member
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records import chain, run_records, runtimes
from tenure.persistence.facets.records.run_records import RunRecord
from tenure.persistence.model.conversation.envelope import EMPTY_DIGEST
from tenure.persistence.model.conversation.paths import RunPath
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.entries import EntryKind
from tenure.persistence.model.values import LogicalRuntimeId, RunId

from . import branches, rewrites, sessions
from .sessions import SessionRecord

RECORD: Final = "session move"


@final
@frozen(kw_only=True, slots=True)
class Move:
    """One move of a run.

    Attributes:
        place: Of its entry.
        kind: `POP`, `REWRITE` or `FORK`.
        path: The path after it, with the messages that it brought.
        appended: How many messages the run had appended then, with those.
        added: How many it brought.
        reason: Why, for people; not read back.
    """

    place: str
    kind: EntryKind
    path: RunPath
    appended: int
    added: int = 0
    reason: str | None = field(default=None, eq=False)


@final
@frozen(kw_only=True, slots=True)
class MoveHead(Change):
    """Move the head of a runtime's session, for a run of it. Answer: None.

    Refused with `ContinuityViolation` where the head is not where the run has left it.

    Attributes:
        runtime_id: Whose session.
        run_id: The current run.
        move: Where to.
        count: How many messages are on the path before it.
        messages: What it brings, opaque bytes.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    move: Move
    count: int
    messages: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return sum([len(message) for message in self.messages])


def _check(tx: Transaction, change: MoveHead) -> None:
    for message in change.messages:
        if len(message) > tx.limits.payload_bytes:
            raise PayloadTooLarge(size=len(message), limit=tx.limits.payload_bytes)


def _apply(tx: Transaction, change: MoveHead) -> None:
    record = runtimes.load(tx, change.runtime_id)
    session = sessions.of_runtime(tx, change.runtime_id)
    run, move = run_records.current(tx, change.runtime_id, change.run_id), change.move
    head, _ = _left_by(tx, run)
    if (session.head, session.message_count) != (head, change.count):
        detail = f"the run {move.kind}s a conversation of {change.count} messages that another has written to since"
        raise ContinuityViolation(runtime_id=change.runtime_id, detail=detail)
    before = session.digest
    _stand(tx, session, _target(tx, session, run, move), hides=move.kind is not EntryKind.FORK)
    if change.messages:
        sessions.append_nodes(tx, session, change.messages, run.run, run.boundaries + 1)
    rewrites.note(tx, session, before, move.reason, always=move.kind is EntryKind.REWRITE)
    chain.add(tx, record, chain.LinkEvent.REWRITE, session.digest.hex())
    _insert(tx, run, move, session.head)


_Target = tuple[int | None, int, bytes]
"""A node with its place and the digest of the path to it."""


def _target(tx: Transaction, session: SessionRecord, run: RunRecord, move: Move) -> _Target:
    """The node that the head goes to, before the messages that the move brings."""
    path = move.path.first(move.path.count - move.added)
    if path.last is not None:
        return _node(session, path, tx.one("moves.own_node", run=run.run, at=path.last))
    if path.kept == 0:
        return None, 0, EMPTY_DIGEST
    row = tx.one("branches.at", leaf=run.base, position=path.kept)
    return _node(session, path, None if row is None else tx.one("moves.node", node=row[0]))


def _node(session: SessionRecord, path: RunPath, row: Row | None) -> _Target:
    if row is None or row[1:3] != (session.session, path.count):
        raise Corrupt(record="session", key=session.session_id, detail=f"message {path.count} of a run is not there")
    check_row(row, (int, int, int, bytes), "node", row[0])
    return row[0], row[2], row[3]


def _stand(tx: Transaction, session: SessionRecord, target: _Target, *, hides: bool) -> None:
    """Let the head stand on another node. What it leaves is hidden; or stays as a branch, and what was hidden there is back."""
    node, position, digest = target
    if hides:
        tx.write("snapshots.tombstone", session=session.session, head=session.head, count=position, now=tx.now)
    else:
        _go_to(tx, session, node)
    branches.drop(tx, session, node)
    session.head, session.message_count, session.digest = node, position, digest
    session.revision += 1
    sessions.save(tx, session)


def _go_to(tx: Transaction, session: SessionRecord, node: int | None) -> None:
    if session.head is not None and not branches.is_on(tx, node, session.head, session.message_count):
        branches.leave(tx, session, session.head, session.message_count)
    if node is not None:
        tx.write("moves.revive", node=node)


def _left_by(tx: Transaction, run: RunRecord) -> tuple[int | None, bool]:
    """The node that the head stood on when a run last wrote, and whether it has written; else where it began."""
    moves = tx.all("moves.of_run", run=run.run)
    appended, last = tx.one("moves.appended", run=run.run) or (0, None)
    if moves and appended == _decode(moves[-1])[1].appended:
        return moves[-1][9], True
    return (last, True) if appended else (run.base, False)


def go_back(tx: Transaction, session: SessionRecord, run: RunRecord) -> bool:
    """Let the conversation stand where a run found it, where nothing but that run has written since; whether it does so.

    What it appended stays as a branch, and what it had hidden is there again.
    """
    head, has_written = _left_by(tx, run)
    if not has_written or session.head != head:
        return False
    before = session.digest
    target: _Target = None, 0, EMPTY_DIGEST
    if run.base is not None:
        target = _node(session, RunPath(run.base_count), tx.one("moves.node", node=run.base))
    _stand(tx, session, target, hides=False)
    rewrites.note(tx, session, before, None, always=False)
    return True


# Rows


def _insert(tx: Transaction, run: RunRecord, move: Move, node: int | None) -> None:
    own = msgspec.json.encode(move.path.own).decode()
    boundary = run.boundaries + 1
    tx.insert(
        "moves.insert",
        run=run.run,
        boundary=boundary,
        place=move.place,
        kind=move.kind,
        appended=move.appended,
        added=move.added,
        kept=move.path.kept,
        own=own,
        node=node,
        digest=_digest(run.run, boundary, move, own, node),
    )


def _digest(run: int, boundary: int, move: Move, own: str, node: int | None) -> bytes:
    return seal(run, boundary, move.place, move.kind.value, move.appended, move.added, move.path.kept, own, node)


_TYPES: Final[Types] = (int, int, int, str, str, int, int, int, str, OPTIONAL_INT, bytes, int)


def of_run(statements: Statements, run: int) -> list[tuple[int, Move]]:
    """The moves of a run, in order: the sequence of the boundary that each landed with, and the move. Raises `Corrupt`."""
    return [_decode(row) for row in statements.all("moves.of_run", run=run)]


def _decode(row: Row) -> tuple[int, Move]:
    check_row(row, _TYPES, RECORD, row[0])
    key, run, boundary, place, kind, appended, added, kept, own, node, digest, scheme = row
    try:
        ranges = msgspec.json.decode(own, type=tuple[tuple[int, int], ...])
    except (msgspec.MsgspecError, UnicodeEncodeError) as exc:
        raise Corrupt(record=RECORD, key=str(key), detail="its path cannot be read") from exc
    move = Move(
        place=place,
        kind=member(EntryKind, kind, RECORD, key),
        path=RunPath(kept, ranges),
        appended=appended,
        added=added,
    )
    check_digest(_digest(run, boundary, move, own, node), digest, scheme, RECORD, str(key))
    return boundary, move


FACET: Final = Facet(name="moves", handlers={MoveHead: Handler(apply=_apply, check=_check)})
