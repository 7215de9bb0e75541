"""Receipts: the stored proof of each boundary, in one hash chain per runtime (design §8)."""

from __future__ import annotations

import hashlib
from typing import Final, final

import msgspec
from attrs import frozen

from tenure.persistence.commits import Change
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facet import Facet, Handler
from tenure.persistence.transaction import Transaction
from tenure.persistence.values import (
    DurabilityClass,
    InputId,
    LogicalRuntimeId,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RunId,
)

from . import runs, runtimes, sessions

_encode = msgspec.json.Encoder().encode


@final
@frozen(kw_only=True, slots=True)
class MintReceipt(Change):
    """Mint the receipt of one boundary of the current run, behind everything that the boundary writes.

    The store decides sequence, digest, count, token, time and group; the caller says only what happened.
    Answer: the `RunBoundaryReceipt` exactly as stored.

    Attributes:
        runtime_id: Whose run.
        run_id: The current run.
        boundary: Which commit point.
        contributing_input_ids: The inputs it worked on, in order.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    boundary: RunApplyBoundary
    contributing_input_ids: tuple[InputId, ...]


def chain_link(head: bytes, receipt: RunBoundaryReceipt) -> bytes:
    """The next head of a chain: SHA-256 of the last head and the receipt as JSON, fields in declared order."""
    return hashlib.sha256(head + _encode(receipt)).digest()


def _mint(tx: Transaction, change: MintReceipt) -> RunBoundaryReceipt:
    record = runtimes.load(tx, change.runtime_id)
    run = runs.current(tx, change.runtime_id, change.run_id)
    session = sessions.of_runtime(tx, change.runtime_id)
    run.boundaries += 1
    receipt = RunBoundaryReceipt(
        runtime_id=change.runtime_id,
        run_id=change.run_id,
        boundary=change.boundary,
        contributing_input_ids=change.contributing_input_ids,
        conversation_digest=session.digest.hex(),
        message_count=session.message_count,
        sequence=run.boundaries,
        fence_token=record.fence_token,
        generation=record.generation,
        durability=tx.durability,
        committed_at=tx.now,
        group=tx.group,
    )
    record.boundaries += 1
    record.chain = chain_link(record.chain, receipt)
    tx.run(
        "receipts.insert",
        runtime=record.runtime,
        run=run.run,
        sequence=receipt.sequence,
        boundary=receipt.boundary,
        input_ids=_encode(receipt.contributing_input_ids).decode(),
        conversation_digest=session.digest,
        message_count=receipt.message_count,
        fence_token=receipt.fence_token,
        generation=receipt.generation,
        durability=receipt.durability,
        host=tx.host,
        group_number=tx.group,
        chain=record.chain,
        now=tx.now,
    )
    runtimes.save(tx, record)
    runs.save(tx, run)
    return receipt


def find(
    statements: Statements, runtime_id: LogicalRuntimeId, run_id: RunId, sequence: int
) -> RunBoundaryReceipt | None:
    """One stored receipt, or None."""
    row = statements.one("receipts.load", runtime_id=runtime_id, run_id=run_id, sequence=sequence)
    return None if row is None else _receipt(row)


def of_run(statements: Statements, run: int) -> list[RunBoundaryReceipt]:
    """The receipts of a run, by sequence."""
    return [_receipt(row) for row in statements.all("receipts.of_run", run=run)]


def _receipt(row: Row) -> RunBoundaryReceipt:
    runtime_id, run_id, boundary, input_ids, digest, count, sequence, token, generation, durability, at, group = row
    return RunBoundaryReceipt(
        runtime_id=runtime_id,
        run_id=run_id,
        boundary=RunApplyBoundary(boundary),
        contributing_input_ids=tuple(InputId(each) for each in msgspec.json.decode(input_ids, type=list[str])),
        conversation_digest=None if digest is None else digest.hex(),
        message_count=count,
        sequence=sequence,
        fence_token=token,
        generation=generation,
        durability=DurabilityClass(durability),
        committed_at=at,
        group=group,
    )


FACET: Final = Facet(name="receipts", handlers={MintReceipt: Handler(apply=_mint)})
