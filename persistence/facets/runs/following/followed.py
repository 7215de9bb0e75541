"""What a follow-up is over: the batch that was abandoned, and what its run had recorded."""

from __future__ import annotations

from contextlib import suppress
from typing import final

import msgspec
from attrs import frozen

from tenure.errors import Corrupt, Unreadable
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox.batches import BatchMember, read_member
from tenure.persistence.facets.runs import entries
from tenure.persistence.model.entries import EntryKind
from tenure.persistence.model.values import InputId, RunId


@final
@frozen(kw_only=True, slots=True)
class Batch:
    """What a follow-up is over: the payload of its input.

    Attributes:
        reason: Why the batch was abandoned.
        run_id: The run that had it, or None.
        input_ids: Its members, in admission order.
    """

    reason: str
    run_id: RunId | None
    input_ids: tuple[InputId, ...]


@final
@frozen(kw_only=True, slots=True)
class Followed:
    """The batch that a follow-up is over.

    Attributes:
        reason: Why it was abandoned.
        run: Key of the run that had it, or None.
        members: What is left of it, in admission order: not what was dropped since.
    """

    reason: str
    run: int | None
    members: tuple[BatchMember, ...]


def find_followed(statements: Statements, runtime: int, payload: bytes) -> Followed:
    """The batch that the payload of a follow-up's input names. Raises `Corrupt`."""
    try:
        batch = msgspec.json.decode(payload, type=Batch)
    except (msgspec.MsgspecError, UnicodeEncodeError) as exc:
        raise Corrupt(record="input", key=str(runtime), detail="it does not say which batch it follows") from exc
    members: list[BatchMember] = []
    for input_id in batch.input_ids:
        row = statements.one("follow_ups.member", runtime=runtime, input_id=input_id)
        if row is not None:
            with suppress(Unreadable):  # it may have been abandoned for that: the others are refunded all the same
                members.append(read_member(row))
    run = None
    if batch.run_id is not None:
        found = statements.one("follow_ups.run_by_id", runtime=runtime, run_id=batch.run_id)
        run = None if found is None else found[0]
    return Followed(reason=batch.reason, run=run, members=tuple(members))


def recorded_steps(statements: Statements, run: int, name: str) -> list[entries.RecordedEntry]:
    """The steps that a run has recorded under a name, in order. Raises `Corrupt`."""
    found = entries.of_run(statements, run)
    return [entry for entry in found if entry.name == name and entry.kind is EntryKind.STEP]
