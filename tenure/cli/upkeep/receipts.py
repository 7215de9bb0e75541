"""``tenure verify --receipts``: which receipts that a client kept the store still has."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final, final

import msgspec

from tenure.cli.exits import REFUSED
from tenure.cli.output import Output
from tenure.cli.upkeep.keys import seams
from tenure.errors import CannotOpen, InvalidInput, NotFound
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox import receipts
from tenure.persistence.facets.prunable import find_anchor, first_link_at
from tenure.persistence.model.values import RunBoundaryReceipt, check_runtime_id
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.one_runtime.tail import Tail

_COLUMNS: Final = ("line", "runtime_id", "run_id", "sequence", "found")


@final
class Kept(StrEnum):
    """What a store has of a receipt that a client kept."""

    THERE = "there"
    """It stands in the store as the client has it."""

    BEYOND = "beyond the head"
    """The chain of its runtime ends before it, or has not begun: the store is of an earlier moment."""

    PRUNED = "pruned"
    """The part of the chain where it stood was deleted by age."""

    OTHER = "of another chain"
    """The chain goes on past its time without it, or has another receipt in its place: the history went another way."""


def look_for(statements: Statements, receipt: RunBoundaryReceipt) -> Kept:
    """What the store has of a receipt. Raises `Corrupt` where its row cannot be read."""
    found = receipts.find(statements, receipt.runtime_id, receipt.run_id, receipt.sequence)
    if found is not None:
        return Kept.THERE if found == receipt else Kept.OTHER
    try:
        newest = Tail(receipt.runtime_id).newest(statements, count=1)
    except NotFound:
        return Kept.BEYOND
    anchor = find_anchor(statements, receipt.runtime_id)
    if not newest:
        return Kept.BEYOND if anchor is None or receipt.committed_at > anchor.pruned_at else Kept.PRUNED
    if receipt.committed_at > newest[-1].committed_at:
        return Kept.BEYOND
    first = first_link_at(statements, receipt.runtime_id)
    is_before = first is not None and receipt.committed_at < first
    return Kept.PRUNED if anchor is not None and is_before else Kept.OTHER


async def compare(output: Output, target: str, path: str) -> int | None:
    """Print what the store has of each receipt in a file; 1 where one is beyond the head or of another chain."""
    lines: list[dict[str, object]] = []
    lost = False
    async with look_into(target, seams=seams()) as look:
        for number, receipt in _read(path):
            found = await look.read(partial(look_for, receipt=receipt))
            lost = lost or found in (Kept.BEYOND, Kept.OTHER)
            facts = {name: getattr(receipt, name) for name in ("runtime_id", "run_id", "sequence")}
            lines.append({"line": number, **facts, "found": found.value})
    output.rows("Receipts", _COLUMNS, lines)
    return REFUSED if lost else None


def _read(path: str) -> Iterator[tuple[int, RunBoundaryReceipt]]:
    """The receipts of a file, each with the number of its line; empty lines are passed by.

    Raises:
        CannotOpen: The file is not there, or may not be read.
        InvalidInput: It holds something else.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _receipt(number, line)
    except OSError as exc:
        raise CannotOpen(path=path, detail=exc.strerror or str(exc)) from exc
    except UnicodeDecodeError as exc:
        raise InvalidInput(detail=f"it cannot be read: {exc}", field="--receipts") from exc


def _receipt(number: int, line: str) -> RunBoundaryReceipt:
    try:
        receipt = msgspec.json.decode(line, type=RunBoundaryReceipt)
        check_runtime_id(receipt.runtime_id)
    except (msgspec.MsgspecError, InvalidInput) as exc:
        raise InvalidInput(detail=f"line {number} is not a receipt: {exc}", field="--receipts") from exc
    return receipt
