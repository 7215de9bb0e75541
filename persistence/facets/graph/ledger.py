"""The usage ledger of a session: one row for each source and model, to which every commit adds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tenure.errors import Corrupt, CounterOverflow
from tenure.persistence.commits.rows import Types, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.conversation.graph import (
    TokenLedgerEntry,
    TokenUsage,
)
from tenure.persistence.model.conversation.graph_encoding import (
    COUNTERS,
    counts_of,
)
from tenure.persistence.model.digests import SHA_256, check_digest, seal
from tenure.persistence.model.numbers import (
    INT_LIMIT,
)

_ENTRY: Final[Types] = (int, str, str, *(int for _ in COUNTERS), bytes, int)


def add(tx: Transaction, session: int, session_id: str, deltas: Iterable[TokenLedgerEntry]) -> None:
    """Add to the ledger. What adds nothing makes no row.

    Raises:
        CounterOverflow: A sum would not fit 64 bits; nothing of the commit is written.
    """
    merged: dict[tuple[str, str], tuple[int, ...]] = {}
    for delta in deltas:
        key = delta.source, delta.model
        merged[key] = _sum(merged.get(key, (0,) * len(COUNTERS)), counts_of(delta.usage))
    for (source, model), counts in merged.items():
        if any(counts):
            _add_one(tx, session, session_id, source, model, counts)


def _add_one(tx: Transaction, session: int, session_id: str, source: str, model: str, counts: tuple[int, ...]) -> None:
    row = tx.one("ledger.entry", session=session, source=source, model=model)
    stored = None if row is None else _decode(row, session_id)
    total = counts if stored is None else _sum(counts_of(stored.usage), counts)
    values = dict(zip(COUNTERS, total, strict=True))
    digest = seal(session_id, source, model, *total)
    if row is None:
        tx.insert("ledger.insert", session=session, source=source, model=model, digest=digest, **values)
    else:
        tx.write("ledger.update", entry=row[0], digest=digest, scheme=SHA_256, **values)


def _sum(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    total = tuple([one + other for one, other in zip(left, right, strict=True)])
    for name, count in zip(COUNTERS, total, strict=True):
        if count >= INT_LIMIT:
            raise CounterOverflow(counter=name, advice="correct the usage, or write it under another source")
    return total


def entries(statements: Statements, session: int, session_id: str) -> tuple[TokenLedgerEntry, ...]:
    """The ledger of a session, by source and model. Raises `Corrupt`."""
    return tuple([_decode(row, session_id) for row in statements.all("ledger.entries", session=session)])


def _decode(row: Row, session_id: str) -> TokenLedgerEntry:
    check_row(row, _ENTRY, "token usage", session_id)
    _, source, model, *counts, digest, scheme = row
    check_digest(seal(session_id, source, model, *counts), digest, scheme, "token usage", f"{session_id}:{source}")
    if min(counts) < 0:
        raise Corrupt(record="token usage", key=f"{session_id}:{source}", detail="a count is below 0")
    return TokenLedgerEntry(source=source, model=model, usage=TokenUsage(**dict(zip(COUNTERS, counts, strict=True))))
