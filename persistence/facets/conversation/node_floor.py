"""The highest node that was ever deleted: the key of a node names it where it has no id, so it is given once."""

from __future__ import annotations

from collections.abc import Iterable

from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import Problem, failing
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.digests import check_digest, seal


def find(statements: Statements) -> int:
    """It, or 0 where none was deleted from the end. Raises `Corrupt`."""
    row = statements.one("node_floor.find")
    if row is None:
        return 0
    check_row(row, (int, bytes, int), "floor", "of nodes")
    last: int = row[0]
    check_digest(seal(last), row[1], row[2], "floor", "of nodes")
    return last


def keep(tx: Transaction, deleted: Iterable[int]) -> None:
    """These nodes are about to be deleted: where the newest node is among them, it is remembered."""
    row = tx.one("node_floor.highest")
    highest = None if row is None else row[0]
    if highest is not None and highest in set(deleted) and highest > find(tx):
        tx.write("node_floor.save", last_node=highest, digest=seal(highest))


def verify(statements: Statements) -> list[Problem]:
    """Whether it can be read."""
    return list(failing("floor", "of nodes", lambda: find(statements)))
