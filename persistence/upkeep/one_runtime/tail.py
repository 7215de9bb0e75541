"""What a runtime has done: the entries of its hash chain, as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import msgspec
from attrs import frozen

from tenure.errors import NotFound
from tenure.persistence.commits.rows import NUMBER, Types, check_row
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.values import LogicalRuntimeId


@final
@frozen(kw_only=True, slots=True)
class Entry:
    """One entry of a runtime's hash chain: a receipt, or a link such as a reset.

    Attributes:
        position: Its place in the chain, from 1.
        committed_at: Unix seconds.
        event: Which boundary, or what the link stands for.
        run_id: Of a receipt.
        sequence: Of a receipt in its run.
        message_count: Messages of the conversation after a receipt.
        inputs: How many inputs contributed to a receipt.
        detail: Of a link.
    """

    position: int
    committed_at: float
    event: str
    run_id: str | None = None
    sequence: int | None = None
    message_count: int | None = None
    inputs: int | None = None
    detail: str | None = None


@final
class Tail:
    """Reads what a runtime's chain has grown by since it was last asked."""

    def __init__(self, runtime_id: LogicalRuntimeId) -> None:
        """Know of nothing yet."""
        self._runtime_id = runtime_id
        self._receipt = 0
        self._link = 0

    def newest(self, statements: Statements, count: int) -> list[Entry]:
        """The last entries, at most `count`, oldest first. Raises `NotFound`."""
        key = self._key(statements)
        receipts = statements.all("verification.newest_receipts", runtime=key, count=max(count, 1))[::-1]
        links = statements.all("verification.newest_links", runtime=key, count=max(count, 1))[::-1]
        found = self._entries(receipts, links)
        return found[-count:] if count else []

    def more(self, statements: Statements) -> list[Entry]:
        """What has landed since, in its order. Raises `NotFound`."""
        key = self._key(statements)
        receipts = statements.all("verification.receipts_after", runtime=key, after=self._receipt)
        return self._entries(receipts, statements.all("verification.links_after", runtime=key, after=self._link))

    def _key(self, statements: Statements) -> int:
        row = statements.one("verification.runtime", runtime_id=self._runtime_id)
        if row is None:
            raise NotFound(what="runtime", key=self._runtime_id)
        key: int = row[0]
        return key

    def _entries(self, receipts: list[Row], links: list[Row]) -> list[Entry]:
        self._receipt = receipts[-1][0] if receipts else self._receipt
        self._link = links[-1][0] if links else self._link
        found = [*_each(receipts, _RECEIPT, _receipt), *_each(links, _LINK, _link)]
        return sorted(found, key=lambda entry: entry.position)


_RECEIPT: Final[Types] = (int, int, NUMBER, str, str, int, int, str)
_LINK: Final[Types] = (int, int, NUMBER, str, str)


def _each(rows: list[Row], types: Types, make: Callable[[Row], Entry]) -> list[Entry]:
    for row in rows:
        check_row(row, types, "entry of a chain", row[0])
    return [make(row) for row in rows]


def _receipt(row: Row) -> Entry:
    _, position, committed_at, boundary, run_id, sequence, count, input_ids = row
    return Entry(
        position=position,
        committed_at=committed_at,
        event=boundary,
        run_id=run_id,
        sequence=sequence,
        message_count=count,
        inputs=len(msgspec.json.decode(input_ids, type=list[str])),
    )


def _link(row: Row) -> Entry:
    _, position, committed_at, event, detail = row
    return Entry(position=position, committed_at=committed_at, event=event, detail=detail or None)
