"""What is read of outputs: pages after a place, and what an attempt of a run has said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from attrs import frozen

from tenure.errors import Corrupt, NotFound, PositionGone
from tenure.persistence.commits.rows import NUMBER, Types, check_row
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records import spoken
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.output import (
    START,
    OutputEntry,
    Place,
    Said,
    decode_chunk,
    entry_of,
    position_of,
)
from tenure.persistence.model.values import LogicalRuntimeId, RunId, RuntimeState

PAGE_CHUNKS: Final = 500
"""Most chunks that one read gives."""

PAGE_BYTES: Final = 1024 * 1024
"""Bytes of chunks that one read gives; one chunk at least."""

_CHUNK: Final[Types] = (int, int, str, str, str, int, int, int, int, bytes, int, NUMBER, bytes)


@final
@frozen(kw_only=True, slots=True)
class Chunk:
    """What one commit has of one run.

    Attributes:
        chunk: Its key.
        runtime_id: Whose.
        run_id: Of which run.
        attempt: See `OutputEntry`.
        total: Entries of the runtime up to its end.
        said_at: When, unix seconds.
        said: Its entries.
    """

    chunk: int
    runtime_id: LogicalRuntimeId
    run_id: RunId
    attempt: int
    total: int
    said_at: float
    said: Sequence[Said]

    def entries(self, after: Place = START) -> list[OutputEntry]:
        """Its entries for users, those after a place. Raises `Corrupt`."""
        skipped = after[1] if after[0] == self.chunk else 0
        return [
            entry_of(each, (self.chunk, number), self.runtime_id, self.run_id, self.attempt, self.said_at)
            for number, each in enumerate(self.said[skipped:], start=skipped + 1)
        ]


@final
@frozen(kw_only=True, slots=True)
class OutputPage:
    """Some output, in its order.

    Attributes:
        entries: In order.
        whole: Whether nothing stood after them when they were read.
        over: Whether the runtime is destroyed, and nothing more comes.
    """

    entries: Sequence[OutputEntry]
    whole: bool
    over: bool


def page(statements: Statements, runtime_id: LogicalRuntimeId | None, after: Place | None) -> OutputPage:
    """What stands after a place in the output of a runtime, or of all; from what is still there for None.

    Raises:
        NotFound: No such runtime.
        PositionGone: Something after that place is gone.
        Corrupt: A chunk is not what its digest says.
    """
    over, runtime = False, None
    if runtime_id is None:
        row = statements.one("output.floors")
        floor = None if row is None else _floor(*row)
    else:
        found = statements.one("output.runtime", runtime_id=runtime_id)
        if found is None:
            raise NotFound(what="runtime", key=runtime_id)
        runtime, state = found[:2]
        floor = None if found[2] is None else _floor(runtime, *found[2:])
        over = state == RuntimeState.DESTROYED
    if after is not None and floor is not None and after < floor:
        raise PositionGone(position=position_of(after), oldest=position_of(floor))
    since = START if after is None else after
    which = {} if runtime is None else {"runtime": runtime}
    sizes = statements.all(
        "output.sizes" if which else "output.sizes_of_all", since=since[0], count=PAGE_CHUNKS, **which
    )
    left = [(chunk, length) for chunk, length, entries in map(_size, sizes) if chunk > since[0] or entries > since[1]]
    taken, size = 0, 0
    while taken < len(left) and (not taken or size + left[taken][1] <= PAGE_BYTES):
        size += left[taken][1]
        taken += 1
    entries: list[OutputEntry] = []
    if taken:
        span = {"since": left[0][0], "last": left[taken - 1][0]}
        rows = statements.all("output.page" if which else "output.page_of_all", **span, **which)
        entries = [entry for row in rows for entry in decode(row).entries(since)]
    return OutputPage(entries=entries, whole=len(sizes) < PAGE_CHUNKS and taken == len(left), over=over)


def _size(row: Row) -> tuple[int, int, int]:
    check_row(row, (int, int, int), "output", row[0])
    return row[0], row[1], row[2]


def of_run(statements: Statements, runtime: int, run_id: RunId, since: int) -> list[tuple[Place, int, Said]]:
    """What a run has said, with the place and the attempt of each, from its first chunk on. Raises `Corrupt`."""
    found: list[tuple[Place, int, Said]] = []
    while True:
        rows = statements.all("output.sizes", runtime=runtime, since=since, count=PAGE_CHUNKS)
        if not rows:
            return found
        for row in statements.all("output.page", runtime=runtime, since=since, last=rows[-1][0]):
            chunk = decode(row)
            if chunk.run_id == run_id:
                found += [((chunk.chunk, number), chunk.attempt, each) for number, each in enumerate(chunk.said, 1)]
        since = rows[-1][0] + 1


def decode(row: Row) -> Chunk:
    """A chunk as it was read. Raises `Corrupt`."""
    check_row(row, _CHUNK, "output", row[0])
    chunk, runtime, runtime_id, run_id, speech, attempt, number, count, total, digest, scheme, said_at, body = row
    sealed = spoken.seal_of(runtime, run_id, speech, attempt, number, count, total, float(said_at), body)
    check_digest(sealed, digest, scheme, "output", chunk)
    said = decode_chunk(body, chunk)
    if len(said) != count:
        raise Corrupt(record="output", key=str(chunk), detail=f"it has {len(said)} entries and not {count}")
    return Chunk(
        chunk=chunk,
        runtime_id=LogicalRuntimeId(runtime_id),
        run_id=RunId(run_id),
        attempt=attempt,
        total=total,
        said_at=said_at,
        said=said,
    )


def _floor(runtime: int, chunk: object, entries: object, digest: object, scheme: object) -> Place:
    check_row((chunk, entries), (int, int), "floor", f"of the output of runtime {runtime}")
    if not isinstance(chunk, int) or not isinstance(entries, int):
        raise Corrupt(record="floor", key=f"of the output of runtime {runtime}", detail="it is not a place")
    check_digest(seal(runtime, chunk, entries), digest, scheme, "floor", f"of the output of runtime {runtime}")
    return chunk, entries


def find_floor(statements: Statements, runtime_id: LogicalRuntimeId) -> Place | None:
    """The last place of a runtime whose entry is gone, or None. Raises `Corrupt`."""
    row = statements.one("output.runtime", runtime_id=runtime_id)
    return None if row is None or row[2] is None else _floor(row[0], *row[2:])
