"""Erasing a runtime that is destroyed: its rows go in pages, then the file forgets their bytes (design §20).

Theory of operation. The first commit says that a runtime is to be erased, mostly the one that destroys it; from then on it
goes on by itself, whichever process dies. Its rows are deleted in pages, which are looked for in reads; the last page
overwrites what the tombstone held and moves the erasure to its next stage. Then the file is rewritten, since a page may hold
bytes of rows that once stood on it, and its log is emptied, which a reader may be in the way of. Only then it is done.

Where copies have to wait for runs of others, or bytes of attachments cannot be removed yet, nothing of the runtime's own
waits for them: the file is rewritten and its log emptied at once, and once more when the rest has gone.

What stays is the tombstone: the id, so that it never comes back, kind, state, tokens and times. No key of an input stays, not
even as a digest: whatever is asked of the runtime by a key is answered with `RuntimeDestroyed`, from the tombstone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum, StrEnum
from functools import partial
from typing import Final, final

import msgspec
from attrs import frozen

from tenure.errors import Contended, Corrupt, InvalidTransition, NotFound
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import OPTIONAL_NUMBER, Types, check_row, sound
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import PAGE
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records import runtimes
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState

from . import content, peers


@final
class Stage(IntEnum):
    """How far an erasure has come. The last three stand between `ROWS` and `PAGES`, where something has to wait."""

    ROWS = 0
    PAGES = 1
    LOG = 2
    DONE = 3
    OWN_PAGES = 4
    OWN_LOG = 5
    REST = 6


@final
class Sort(StrEnum):
    """Which rows a page is of, in the order in which they go."""

    ATTACHMENTS = "attachments"
    SESSIONS = "sessions"
    NODES = "nodes"
    STREAMS = "streams"
    REFERENCES = "references"
    EVENTS = "events"
    EXECUTIONS = "executions"
    OWN_VALUES = "own_values"
    OUTPUT_CHUNKS = "output_chunks"
    INPUTS = "inputs"
    RUNS = "runs"
    RECEIPTS = "receipts"
    OCCURRENCES = "occurrences"
    SCHEDULES = "schedules"
    LINKS = "links"
    PEER_INPUTS = "peer_inputs"
    PEER_SENDS = "peer_sends"
    PEER_ASKS = "peer_asks"


WAITING: Final = frozenset({Stage.OWN_PAGES, Stage.OWN_LOG, Stage.REST})
"""Stages in which all that is the runtime's own is gone from the tables, and something else has to wait."""

PEERS: Final = frozenset({Sort.PEER_INPUTS, Sort.PEER_SENDS, Sort.PEER_ASKS})
"""Copies that other runtimes have."""


@final
@frozen(kw_only=True, slots=True)
class BeginErasure(Change):
    """Say that a destroyed runtime is to be erased; where that is said already, it goes on. Answer: None.

    Attributes:
        runtime_id: Whose content goes.
        peers: What it has sent to other runtimes too, and what they keep of it.
    """

    ingress = True
    always_synced = True

    runtime_id: LogicalRuntimeId
    peers: bool = False


@final
@frozen(kw_only=True, slots=True)
class ErasePage(Change):
    """Delete some rows of a runtime. Answer: `ErasedPage`."""

    ingress = True

    runtime_id: LogicalRuntimeId
    sort: Sort
    keys: tuple[int, ...]


@final
@frozen(kw_only=True, slots=True)
class ErasedPage:
    """What came of a page.

    Attributes:
        counts: How many of what went, by name.
        left: Copies that a run may still need; they go when it has ended.
        removals: Attachments whose bytes no session has any more, and that are marked to be removed.
    """

    counts: dict[str, int]
    left: int = 0
    removals: tuple[str, ...] = ()


@final
@frozen(kw_only=True, slots=True)
class MoveErasure(Change):
    """An erasure has reached a further stage; after `Stage.ROWS` the tombstone holds nothing more. Answer: None."""

    ingress = True
    always_synced = True

    runtime_id: LogicalRuntimeId
    stage: Stage


@final
@frozen(kw_only=True, slots=True)
class StoredErasure:
    """An erasure, as it is stored."""

    runtime: int
    peers: bool
    stage: Stage
    asked_at: float
    done_at: float | None


_TYPES: Final[Types] = (int, int, int, (float, int), OPTIONAL_NUMBER)


def _begin(tx: Transaction, change: BeginErasure) -> None:
    record = runtimes.load(tx, change.runtime_id)
    if record.state is not RuntimeState.DESTROYED:
        raise InvalidTransition(runtime_id=change.runtime_id, state=record.state, event="erase")
    stored = find(tx, change.runtime_id)
    if stored is None or (change.peers and not stored.peers):
        tx.write("erasing.begin", runtime=record.runtime, peers=int(change.peers), now=tx.now)


def _erase_page(tx: Transaction, change: ErasePage) -> ErasedPage:
    page = content.Page(runtime=_in_work(tx, change.runtime_id).runtime, keys=change.keys)
    _ERASE[change.sort](tx, page)
    tx.drop_all()
    return ErasedPage(counts=page.counts, left=page.left, removals=tuple(page.removals))


_ERASE: Final[Mapping[Sort, Callable[[Transaction, content.Page], None]]] = {
    Sort.ATTACHMENTS: content.erase_attachments,
    Sort.SESSIONS: content.erase_sessions,
    Sort.NODES: content.erase_nodes,
    Sort.STREAMS: content.erase_streams,
    Sort.REFERENCES: content.erase_references,
    Sort.EVENTS: partial(content.erase_rows, name="event"),
    Sort.EXECUTIONS: content.erase_executions,
    Sort.OWN_VALUES: content.erase_own_values,
    Sort.OUTPUT_CHUNKS: content.erase_output,
    Sort.INPUTS: content.erase_inputs,
    Sort.RUNS: content.erase_runs,
    Sort.RECEIPTS: partial(content.erase_rows, name="receipt"),
    Sort.LINKS: partial(content.erase_rows, name="link"),
    Sort.OCCURRENCES: partial(content.erase_rows, name="occurrence"),
    Sort.SCHEDULES: content.erase_schedules,
    Sort.PEER_INPUTS: peers.blank_inputs,
    Sort.PEER_SENDS: peers.blank_sends,
    Sort.PEER_ASKS: peers.blank_asks,
}


def _in_work(tx: Transaction, runtime_id: LogicalRuntimeId) -> runtimes.RuntimeRecord:
    """The record of a runtime that is being erased. Raises `NotFound`, or `Contended` while a host has it still."""
    if find(tx, runtime_id) is None:
        raise NotFound(what="erasure", key=runtime_id)
    record = runtimes.load(tx, runtime_id)
    if record.owner is not None and runtimes.living_holder(tx, record.owner) is not None:
        raise Contended(detail=f"the host of {runtime_id} has not let go of it yet")
    return record


def _move(tx: Transaction, change: MoveErasure) -> None:
    record = _in_work(tx, change.runtime_id)
    if change.stage in {Stage.PAGES, Stage.OWN_PAGES}:
        content.empty_tombstone(tx, record)
        tx.drop_all()  # its hold, and whose its sessions were
    done_at = tx.now if change.stage is Stage.DONE else None
    tx.write("erasing.move", runtime=record.runtime, stage=int(change.stage), done_at=done_at)


# Reads


def find(statements: Statements, runtime_id: LogicalRuntimeId) -> StoredErasure | None:
    """The erasure of a runtime, or None. Raises `Corrupt`."""
    row = statements.one("erasing.find", runtime_id=runtime_id)
    return None if row is None else read_erasure(row)


def read_erasure(row: Row) -> StoredErasure:
    """A row. Raises `Corrupt`."""
    check_row(row, _TYPES, "erasure", row[0])
    try:
        stage = Stage(row[2])
    except ValueError as exc:
        raise Corrupt(record="erasure", key=str(row[0]), detail="its stage is none") from exc
    return StoredErasure(runtime=row[0], peers=bool(row[1]), stage=stage, asked_at=row[3], done_at=row[4])


def unfinished(statements: Statements) -> tuple[LogicalRuntimeId, ...]:
    """Runtimes whose erasure is not done."""
    return tuple([row[0] for row in sound(statements.readable("erasing.unfinished"), (str,))])


def look(statements: Statements, runtime_id: LogicalRuntimeId, runtime: int, sort: Sort, after: int) -> tuple[int, ...]:
    """A page of the rows of one sort after a key."""
    wanted: dict[str, int | str] = {"after": after, "count": PAGE}
    if sort in {Sort.PEER_SENDS, Sort.OCCURRENCES, Sort.SCHEDULES}:
        wanted["runtime_id"] = runtime_id
    else:
        wanted["runtime"] = runtime
    if sort is Sort.PEER_INPUTS:
        # As `addressed` and `responses` write it: the id comes second, and a quotation mark ends it.
        wanted["source"] = msgspec.json.encode({"type": "peer", "runtime_id": runtime_id}).decode()[:-1]
    return tuple([row[0] for row in statements.all(f"erasing.look_{sort}", **wanted)])


def removals(statements: Statements) -> tuple[str, ...]:
    """Attachments whose bytes are being removed."""
    return tuple([row[0] for row in statements.all("erasing.removals")])


FACET: Final = Facet(
    name="erasing",
    handlers={
        BeginErasure: Handler(apply=_begin),
        ErasePage: Handler(apply=_erase_page),
        MoveErasure: Handler(apply=_move),
    },
)
