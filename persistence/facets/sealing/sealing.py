"""Sealing rows again: each where it is still as it was read."""

from __future__ import annotations

from typing import ClassVar, Final, final

from attrs import field, frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import SqlValue


@final
@frozen(kw_only=True, slots=True)
class SealedRow:
    """A row that was read, and what its sealed columns are to be.

    Attributes:
        row: Its key.
        before: The columns as they were read.
        after: As they are to be.
    """

    row: int
    before: dict[str, SqlValue] = field(repr=False)
    after: dict[str, SqlValue] = field(repr=False)


@final
@frozen(kw_only=True, slots=True)
class Reseal(Change):
    """Put what was sealed anew in the place of what was read; a row that was written meanwhile stays. Answers how many."""

    ingress: ClassVar[bool] = True

    table: str
    rows: tuple[SealedRow, ...]

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return sum(len(value) for row in self.rows for value in row.after.values() if isinstance(value, bytes | str))


@final
@frozen(kw_only=True, slots=True)
class Rewrap(Change):
    """Put the store's own key under another key, where it is still as it was read. Answers whether it was."""

    ingress: ClassVar[bool] = True
    always_synced: ClassVar[bool] = True

    before: bytes = field(repr=False)
    key_id: str
    store_key: bytes = field(repr=False)


def _reseal(tx: Transaction, change: Reseal) -> int:
    name = f"sealing.update.{change.table}"
    written = 0
    for each in change.rows:
        before = {f"before_{column}": value for column, value in each.before.items()}
        written += tx.run(name, row=each.row, **each.after, **before)
    return written


def _rewrap(tx: Transaction, change: Rewrap) -> bool:
    return tx.run("sealing.rewrap", key_id=change.key_id, store_key=change.store_key, before=change.before) == 1


FACET: Final = Facet(name="sealing", handlers={Reseal: Handler(apply=_reseal), Rewrap: Handler(apply=_rewrap)})
