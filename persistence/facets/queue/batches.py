"""Batches of queued work as rows: their places, and what each of them says (design §10).

The digest of a batch covers what was queued. Whether it is claimed, and how often it was, changes with each claim, whose own
digest covers that.
"""

from __future__ import annotations

from functools import partial
from typing import Final, final

import msgspec
from attrs import define

from tenure.errors import Corrupt, CounterOverflow, RuntimeDestroyed
from tenure.persistence.commits.rows import OPTIONAL_INT, OPTIONAL_TEXT, check_row, member
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.conversation.sessions import OWNER
from tenure.persistence.facets.graph import nodes
from tenure.persistence.facets.records import runtimes
from tenure.persistence.model.contracts.queued_work import (
    LAST_BATCH,
    DeliveryPolicy,
    EncodedBatch,
    QueuedWorkBatch,
    SlotPolicy,
    decode_items,
    decode_merge_key,
    items_of,
    name_of_batch,
)
from tenure.persistence.model.digests import SHA_256, check_digest, seal
from tenure.persistence.model.values import TOKEN_RAISE, RuntimeState

RECORD: Final = "batch"

COUNTER: Final = "queue counter"

_TYPES: Final = (
    int,
    str,
    OPTIONAL_TEXT,
    OPTIONAL_INT,
    OPTIONAL_INT,
    int,
    str,
    str,
    str,
    int,
    int,
    bytes,
    int,
    bytes,
)


@final
class StoredBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch with what its row says of its claim.

    Attributes:
        batch: What was queued.
        claim: Key of the claim on it, or None.
        delayed_until: What it waits for, unix milliseconds; None: it stands in the queue.
        fence: How often it was claimed.
    """

    batch: QueuedWorkBatch
    claim: int | None
    delayed_until: int | None
    fence: int

    @property
    def delayed(self) -> bool:
        """Whether it waits for its time."""
        return self.delayed_until is not None


@final
@define(slots=True)
class Counter:
    """The key of the newest batch there ever was, 0 for none.

    `stored` is whether it has a row. A new batch comes after the `floor` too: where the counter of tokens was raised, because
    what was minted may be lost, so may be what was counted here.
    """

    last: int
    stored: bool
    floor: int


def check_target(tx: Transaction, session_id: str) -> None:
    """Refuse work for a session whose runtime was destroyed. Raises `RuntimeDestroyed`."""
    runtime_id = tx.record(OWNER, session_id, nodes.find_owner).runtime_id
    if runtime_id is not None and runtimes.load(tx, runtime_id).state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=runtime_id)


def append(tx: Transaction, encoded: EncodedBatch) -> QueuedWorkBatch:
    """Queue a batch after all others."""
    key, now_ms = _next_key(tx), int(tx.now * 1000)
    draft = encoded.draft
    session_id, source_key, available_at = draft.session_id, draft.source_key, draft.available_at_ms
    delivery, slot, merge, payloads = encoded.delivery, encoded.slot, encoded.merge, encoded.payloads
    tx.write(
        "queue.insert",
        batch=key,
        session_id=session_id,
        source_key=source_key,
        delayed_until=available_at if available_at > now_ms else None,
        delivery=delivery,
        slot=slot,
        merge_key=merge,
        available_at=available_at,
        now_ms=now_ms,
        digest=seal(key, session_id, source_key, delivery, slot, merge, available_at, now_ms, payloads),
        payloads=payloads,
    )
    name = name_of_batch(key)
    return QueuedWorkBatch(
        session_id=session_id,
        batch_id=name,
        enqueue_seq=key,
        enqueued_at_ms=now_ms,
        source_key=source_key,
        delivery_policy=draft.delivery_policy,
        slot_policy=draft.slot_policy,
        merge_key=draft.merge_key,
        available_at_ms=available_at,
        items=items_of(draft.payloads, name),
    )


def _next_key(tx: Transaction) -> int:
    counter = tx.record(COUNTER, COUNTER, find_counter)
    last = max(counter.last, counter.floor)
    if last >= LAST_BATCH:
        raise CounterOverflow(counter="enqueue_seq")
    counter.last = last + 1
    tx.write_later(COUNTER, COUNTER, partial(_write_counter, tx, counter))
    return counter.last


def find_counter(statements: Statements, _key: str) -> Counter:
    """The counter as it is stored, under whatever key: there is one. Raises `Corrupt`."""
    last, digest, minted = _counted(statements)
    return Counter(last, digest is not None, minted // TOKEN_RAISE * TOKEN_RAISE)


def _write_counter(tx: Transaction, counter: Counter) -> None:
    name = "queue.raise_counter" if counter.stored else "queue.begin_counter"
    row = {"scheme": SHA_256, "singleton": 1} if counter.stored else {}
    counter.stored = True
    tx.write(name, last_batch=counter.last, digest=seal("queue", counter.last), **row)


def last_key(statements: Statements) -> tuple[int, bytes | None]:
    """The key of the newest batch there ever was, 0 for none; and the digest of the counter, None before there is one.

    Raises:
        Corrupt: The counter was changed, or fell below a batch that is there.
    """
    last, digest, _ = _counted(statements)
    return last, digest


def _counted(statements: Statements) -> tuple[int, bytes | None, int]:
    """The same, and the last token that was minted."""
    row = statements.one("queue.counter")
    if row is None:
        newest = statements.one("queue.last_key")
        if newest is not None and newest[0]:
            raise Corrupt(record=COUNTER, key="last_batch", detail="there are batches, and it is gone")
        return 0, None, _minted(newest)
    check_row(row[:4], (int, bytes, int, int), COUNTER, "last_batch")
    last, digest, scheme, newest_key, _ = row
    check_digest(seal("queue", last), digest, scheme, COUNTER, "last_batch")
    if last < newest_key:
        raise Corrupt(record=COUNTER, key="last_batch", detail="it is below a batch that is there")
    return last, digest, _minted(row)


def _minted(row: Row | None) -> int:
    """The last token, which stands at the end of a row; where that is damaged, who mints one hears of it."""
    return row[-1] if row is not None and type(row[-1]) is int else 0


def by_source(statements: Statements, session_id: str, source_key: str) -> QueuedWorkBatch | None:
    """The batch of a session that has a source key, or None."""
    row = statements.one("queue.by_source", session_id=session_id, source_key=source_key)
    if row is None:
        return None
    check_row(row, (int,), RECORD, source_key)
    return load(statements, row[0]).batch


def load(statements: Statements, key: int) -> StoredBatch:
    """A batch that is there. Raises `Corrupt`."""
    found = find(statements, key)
    if found is None:
        raise Corrupt(record=RECORD, key=name_of_batch(key), detail="it is not there")
    return found


def find(statements: Statements, key: int) -> StoredBatch | None:
    """A batch, or None. Raises `Corrupt`."""
    row = statements.one("queue.batch", batch=key)
    return None if row is None else decode_row(row)


def of_session(statements: Statements, session_id: str) -> list[StoredBatch]:
    """Every batch of a session, in the order of the queue. Raises `Corrupt`."""
    return [decode_row(row) for row in statements.all("queue.of_session", session_id=session_id)]


def decode_row(row: Row) -> StoredBatch:
    """A row with all columns of a batch. Raises `Corrupt`."""
    name = name_of_batch(row[0])
    check_row(row, _TYPES, RECORD, name)
    key, session_id, source_key, claim, delayed_until, fence, delivery, slot, merge, *more = row
    available_at, enqueued_at, digest, scheme, payloads = more
    computed = seal(key, session_id, source_key, delivery, slot, merge, available_at, enqueued_at, payloads)
    check_digest(computed, digest, scheme, RECORD, name)
    # One that was claimed before may wait for its next attempt; `verify` compares that with its failure.
    if (
        (fence == 0 and delayed_until not in (None, available_at))
        or (claim is not None and delayed_until is not None)
        or fence < 0
    ):
        raise Corrupt(record=RECORD, key=name, detail="where it stands in the queue contradicts what was queued")
    batch = QueuedWorkBatch(
        session_id=session_id,
        batch_id=name,
        enqueue_seq=key,
        enqueued_at_ms=enqueued_at,
        source_key=source_key,
        delivery_policy=member(DeliveryPolicy, delivery, RECORD, name),
        slot_policy=member(SlotPolicy, slot, RECORD, name),
        merge_key=decode_merge_key(merge, name),
        available_at_ms=available_at,
        items=decode_items(payloads, name),
    )
    return StoredBatch(batch=batch, claim=claim, delayed_until=delayed_until, fence=fence)
