"""Receipts: the stored proof of each boundary, in one hash chain per runtime (design §8)."""

from __future__ import annotations

from types import NoneType
from typing import Final, final

import msgspec
from attrs import evolve, frozen

from tenure.errors import Corrupt, DuplicateReceipt, ReceiptConflict
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.records import (
    chain,
    run_records,
    runtimes,
)
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RunId,
)

_encode = msgspec.json.Encoder().encode


@final
@frozen(kw_only=True, slots=True)
class MintReceipt(Change):
    """Mint the receipt of one boundary of the current run, after everything that the boundary writes.

    The store decides sequence, digest, count, token, time and group; the caller says only what happened.
    Answer: the `RunBoundaryReceipt` exactly as stored.

    Attributes:
        runtime_id: Whose run.
        run_id: The current run.
        boundary: Which commit point.
        contributing_input_ids: The inputs it worked on, in order.
        any_run: Take the run by its id, also where it is not current or not known yet (contract verbs).
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    boundary: RunApplyBoundary
    contributing_input_ids: tuple[InputId, ...]
    any_run: bool = False


@final
@frozen(kw_only=True, slots=True)
class BringReceipt(Change):
    """Store a receipt that its caller has made; the store adds what only the store knows.

    Answer: the `RunBoundaryReceipt` exactly as stored. The run need not be current, nor known.

    Attributes:
        runtime_id: Whose run.
        receipt: Run, boundary, inputs, digest, count and sequence are taken from it.
        path: Digest and count of the snapshot that stands in the same commit, or None where there is none.
    """

    may_create = True

    runtime_id: LogicalRuntimeId
    receipt: RunBoundaryReceipt
    path: tuple[bytes, int] | None = None


def _mint(tx: Transaction, change: MintReceipt) -> RunBoundaryReceipt:
    if change.any_run:
        record = runtimes.load_or_create(tx, change.runtime_id)
        run = run_records.open_by_id(tx, record.runtime, change.run_id)
    else:
        record = runtimes.load(tx, change.runtime_id)
        run = run_records.current(tx, change.runtime_id, change.run_id)
    return _mint_next(tx, record, run, change.boundary, change.contributing_input_ids)


def mint_immediate(
    tx: Transaction, record: runtimes.RuntimeRecord, run_id: RunId, input_id: InputId
) -> RunBoundaryReceipt:
    """Mint the receipt of an input that is consumed without a run."""
    run = run_records.open_by_id(tx, record.runtime, run_id)
    return _mint_next(tx, record, run, RunApplyBoundary.IMMEDIATE, (input_id,))


def _mint_next(
    tx: Transaction,
    record: runtimes.RuntimeRecord,
    run: run_records.RunRecord,
    boundary: RunApplyBoundary,
    contributing_input_ids: tuple[InputId, ...],
) -> RunBoundaryReceipt:
    session = sessions.own(tx, record)
    receipt = RunBoundaryReceipt(
        run_id=run.run_id,
        boundary=boundary,
        contributing_input_ids=contributing_input_ids,
        conversation_digest=None if session is None else session.digest.hex(),
        message_count=0 if session is None else session.message_count,
        sequence=run.boundaries + 1,
        runtime_id=record.runtime_id,
        fence_token=record.fence_token,
        generation=record.generation,
        durability=tx.durability,
        committed_at=tx.now,
        group=tx.group,
    )
    return _store(tx, record, run, receipt)


def _refuse_known(tx: Transaction, change: BringReceipt) -> None:
    # At the place of idempotent replay: before anything else is looked at, a known sequence is refused, whatever is in it.
    record = runtimes.find_cached(tx, change.runtime_id)
    run = None if record is None else run_records.find_by_id(tx, record.runtime, change.receipt.run_id)
    sequence = change.receipt.sequence
    if run is not None and tx.one("receipts.exists", run=run.run, sequence=sequence):
        raise DuplicateReceipt(runtime_id=change.runtime_id, run_id=change.receipt.run_id, sequence=sequence)


def _check_brought(tx: Transaction, change: BringReceipt) -> None:
    record = runtimes.find_cached(tx, change.runtime_id)
    run = None if record is None else run_records.find_by_id(tx, record.runtime, change.receipt.run_id)
    due = 1 if run is None else run.boundaries + 1
    if change.receipt.sequence != due:
        raise _conflict(change, f"its sequence is {change.receipt.sequence}, and {due} comes next")
    if change.receipt.runtime_id not in {"", change.runtime_id}:
        raise _conflict(change, f"it names runtime {change.receipt.runtime_id!r}")
    if change.path is None:
        return
    digest, count = change.path
    if change.receipt.conversation_digest != digest.hex():
        raise _conflict(change, f"its digest is {change.receipt.conversation_digest}, and the delta has {digest.hex()}")
    if change.receipt.message_count != count:
        raise _conflict(change, f"it counts {change.receipt.message_count} messages, and the delta has {count}")


def _conflict(change: BringReceipt, detail: str) -> ReceiptConflict:
    return ReceiptConflict(runtime_id=change.runtime_id, run_id=change.receipt.run_id, detail=detail)


def _bring(tx: Transaction, change: BringReceipt) -> RunBoundaryReceipt:
    record = runtimes.load_or_create(tx, change.runtime_id)
    receipt = evolve(
        change.receipt,
        runtime_id=record.runtime_id,
        fence_token=record.fence_token,
        generation=record.generation,
        durability=tx.durability,
        committed_at=tx.now,
        group=tx.group,
    )
    return _store(tx, record, run_records.open_by_id(tx, record.runtime, change.receipt.run_id), receipt)


def _store(
    tx: Transaction, record: runtimes.RuntimeRecord, run: run_records.RunRecord, receipt: RunBoundaryReceipt
) -> RunBoundaryReceipt:
    run.boundaries = receipt.sequence
    position = chain.extend(record, receipt)
    digest = receipt.conversation_digest
    tx.write(
        "receipts.insert",
        runtime=record.runtime,
        run=run.run,
        sequence=receipt.sequence,
        position=position,
        boundary=receipt.boundary,
        input_ids=_encode(receipt.contributing_input_ids).decode(),
        conversation_digest=None if digest is None else bytes.fromhex(digest),
        message_count=receipt.message_count,
        fence_token=receipt.fence_token,
        generation=receipt.generation,
        durability=receipt.durability,
        host=tx.host,
        group_number=tx.group,
        chain=record.chain,
        now=tx.now,
    )
    runtimes.save_progress(tx, record)
    return receipt


def find(
    statements: Statements, runtime_id: LogicalRuntimeId, run_id: RunId, sequence: int
) -> RunBoundaryReceipt | None:
    """One stored receipt, or None."""
    row = statements.one("receipts.load", runtime_id=runtime_id, run_id=run_id, sequence=sequence)
    return None if row is None else decode(row)


def of_run(statements: Statements, run: int) -> list[RunBoundaryReceipt]:
    """The receipts of a run, by sequence."""
    return [decode(row) for row in statements.all("receipts.of_run", run=run)]


def decode(row: Row) -> RunBoundaryReceipt:
    """A receipt from a row of ``receipts.load``. Raises `Corrupt`."""
    runtime_id, run_id, boundary, input_ids, digest, count, sequence, token, generation, durability, at, group = row
    check_row((input_ids, digest), (str, (bytes, NoneType)), "receipt", f"{run_id}:{sequence}")
    try:
        # Not asked of `convert`, which would take a blob for a text: digest and list are decoded here.
        found = {
            "contributing_input_ids": msgspec.json.decode(input_ids, type=list[str]),
            "conversation_digest": None if digest is None else digest.hex(),
        }
        return msgspec.convert(
            {
                **found,
                "runtime_id": runtime_id,
                "run_id": run_id,
                "boundary": boundary,
                "message_count": count,
                "sequence": sequence,
                "fence_token": token,
                "generation": generation,
                "durability": durability,
                "committed_at": at,
                "group": group,
            },
            RunBoundaryReceipt,
        )
    except (msgspec.ValidationError, msgspec.DecodeError, AttributeError, TypeError, ValueError) as exc:
        raise Corrupt(record="receipt", key=f"{run_id}:{sequence}", detail=f"{type(exc).__name__}: {exc}") from exc


FACET: Final = Facet(
    name="receipts",
    handlers={
        MintReceipt: Handler(apply=_mint),
        BringReceipt: Handler(apply=_bring, replay=_refuse_known, check=_check_brought),
    },
)
