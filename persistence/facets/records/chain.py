"""The hash chain of a runtime: its receipts, and links for what changes the conversation or the life without one (design §8).

Each link hashes the head before it and its own content; the runtime's row keeps the head. Positions are dense from 1 over
both tables, so that a link that was taken out leaves a hole as well as a wrong hash.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final, final

import msgspec
from attrs import frozen

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RunBoundaryReceipt,
)

from . import runtimes
from .runtimes import RuntimeRecord

_encode = msgspec.json.Encoder().encode


@final
class LinkEvent(StrEnum):
    """What a link stands for that is not a receipt."""

    RESET = "reset"
    REWRITE = "rewrite"
    CLEAR = "clear"


@final
@frozen(kw_only=True, slots=True)
class ChainLink:
    """A link that is not a receipt.

    Attributes:
        runtime_id: Whose chain.
        event: What happened.
        detail: The revision that a rewrite led to, the generation that a reset began; empty for a clear.
        fence_token: The token it was written under.
        generation: The life it belongs to.
        committed_at: Unix seconds.
        group: Number of the group that committed it.
    """

    runtime_id: LogicalRuntimeId
    event: LinkEvent
    detail: str
    fence_token: int
    generation: int
    committed_at: float
    group: int


def next_head(head: bytes, link: RunBoundaryReceipt | ChainLink) -> bytes:
    """The next head of a chain: SHA-256 of the last head and the link as JSON, fields in declared order."""
    return hashlib.sha256(head + _encode(link)).digest()


def extend(record: RuntimeRecord, link: RunBoundaryReceipt | ChainLink) -> int:
    """Put a link on the record's chain; its position. The caller saves the record."""
    record.boundaries += 1
    record.chain = next_head(record.chain, link)
    return record.boundaries


def add(tx: Transaction, record: RuntimeRecord, event: LinkEvent, detail: str = "") -> None:
    """Append a link that is not a receipt."""
    link = ChainLink(
        runtime_id=record.runtime_id,
        event=event,
        detail=detail,
        fence_token=record.fence_token,
        generation=record.generation,
        committed_at=tx.now,
        group=tx.group,
    )
    position = extend(record, link)
    tx.write(
        "chain.insert",
        runtime=record.runtime,
        position=position,
        event=event,
        detail=detail,
        fence_token=link.fence_token,
        generation=link.generation,
        group_number=tx.group,
        chain=record.chain,
        now=tx.now,
    )
    runtimes.save_progress(tx, record)


FACET: Final = Facet(name="chain", handlers={})
