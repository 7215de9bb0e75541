"""Where the branches of a session end: the paths that its head does not lead along, and that nothing has hidden."""

from __future__ import annotations

from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.digests import seal

from .sessions import SessionRecord


def is_on(statements: Statements, leaf: int | None, node: int | None, position: int) -> bool:
    """Whether the path to a leaf goes through a node at this place."""
    row = statements.one("branches.at", leaf=leaf, position=position)
    return row is not None and row[0] == node


def above(tx: Transaction, record: SessionRecord, position: int) -> list[Row]:
    """Of every branch that reaches so far, what stands at a place and beyond: where it ends, the node, and its place."""
    return tx.all("branches.above", session=record.session, position=position)


def leave(tx: Transaction, record: SessionRecord, node: int | None, position: int) -> None:
    """Let a branch end at a node, unless another one goes on from there."""
    if node not in {row[1] for row in above(tx, record, position)}:
        end_at(tx, record, node)


def end_at(tx: Transaction, record: SessionRecord, node: int | None) -> None:
    """Remember that a branch ends at a node, which the head is about to leave, or never led to."""
    if node is not None and tx.one("branches.find", session=record.session, node=node) is None:
        tx.insert("branches.insert", session=record.session, node=node, digest=seal(record.session, node))


def drop(tx: Transaction, record: SessionRecord, node: int | None) -> None:
    """No branch ends at a node: the head leads there, or it is hidden."""
    tx.write("branches.drop", session=record.session, node=node)
