"""Walks over all that a store holds, a slice at a time, so that what is in memory has a bound."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tenure.errors import Corrupt
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.engines.statements import all_tables
from tenure.persistence.engines.tables import NOT_CARRIED, PREFIX, Table

from .logical_hash import LogicalHash

ROWS: Final = 500
"""Rows that are in memory at a time, at most."""

SLICE_BYTES: Final = 4 << 20
"""Bytes of rows, and of an attachment, that are in memory at a time; a single row may be larger."""

_BEFORE_ALL: Final = -(2**63)

Between = Callable[[], None]
"""Called between two slices: raises what ends the walk."""


def carried_tables() -> tuple[Table, ...]:
    """The tables that go along, in the order of their names."""
    return tuple([each for each in all_tables() if each.name not in NOT_CARRIED])


def slices(statements: Statements, table: Table, between: Between) -> Iterator[list[Row]]:
    """The rows of a table in the order of their keys, each with its columns as they are carried."""
    width = len(table.key)
    after: Sequence[int] = [_BEFORE_ALL] * width
    while sizes := statements.all(f"{PREFIX}sizes.{table.name}", count=ROWS, **_named("after", after)):
        while sizes:
            count = _fitting([row[-1] for row in sizes])
            last = sizes[count - 1][:width]
            between()
            yield statements.all(f"{PREFIX}page.{table.name}", **_named("after", after), **_named("last", last))
            after, sizes = last, sizes[count:]


def take_in_rows(
    into: LogicalHash, statements: Statements, between: Between, seen: Callable[[Table, Row], None] | None = None
) -> None:
    """Hash every row of a store; `seen` is called with each. Raises `Corrupt`, and what `between` and `seen` do."""
    for table in carried_tables():
        into.begin(table)
        for rows in slices(statements, table, between):
            for row in rows:
                into.row(table, row)
                if seen is not None:
                    seen(table, row)
        into.end(table)


def take_in_attachments(into: LogicalHash, blobs: Blobs, between: Between) -> None:
    """Hash every attachment. Raises what `parts` does."""
    for name in sorted(blobs.names()):
        into.attachment(name, *measured(blobs, name, between))


def measured(blobs: Blobs, name: str, between: Between) -> tuple[int, bytes]:
    """How large an attachment is, and the SHA-256 of its bytes as they are stored."""
    size, digest = 0, hashlib.sha256()
    for part in parts(blobs, name, between):
        size += len(part)
        digest.update(part)
    return size, digest.digest()


def parts(blobs: Blobs, name: str, between: Between) -> Iterator[bytes]:
    """The bytes of an attachment as they are stored, in order. Raises `Corrupt` where it is gone, and what `Blobs` does."""
    at = 0
    while True:
        between()
        part = blobs.read(name, at, SLICE_BYTES)
        if part is None:
            raise Corrupt(record="attachment", key=name, detail="it went away while it was read")
        if not part:
            return
        yield part
        at += len(part)


def _named(place: str, key: Sequence[int]) -> dict[str, int]:
    return {f"{place}_{at}": value for at, value in enumerate(key)}


def _fitting(sizes: Sequence[int]) -> int:
    """How many of these rows go into one slice: one at least."""
    total, count = 0, 0
    for size in sizes:
        total += size
        if count and total > SLICE_BYTES:
            break
        count += 1
    return count
