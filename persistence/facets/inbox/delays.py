"""Delays: inputs that come into their inbox at a time, and are accepted until then (design §21).

A delayed input is on disk like any other, with the time it is due, and is not in the inbox: no run takes it, recovery
leaves it alone, and it counts against `Limits.delayed_inputs`. The commit that finds it due queues it, and gives it its place
then: it stands after what waits, those of one commit by the time they were due, then as they were accepted. What its policy
does with others that wait is done in that commit too. Where a person keeps its runtime on hold, it waits for the end of that.
"""

from __future__ import annotations

from typing import Final, final

import msgspec
from attrs import frozen

from tenure.errors import Corrupt
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    OPTIONAL_TEXT,
    Types,
    check_row,
    member,
    sound,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records import asides, holds, runtimes
from tenure.persistence.model.inputs.input_state import InputExtra
from tenure.persistence.model.inputs.policies import DEFAULT_POLICIES, QueueMode, replaced_phase
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    InputKind,
    InputPhase,
    Lane,
    LogicalRuntimeId,
    RuntimeState,
)

from . import inputs
from .history import abandoned, history_line

PAGE: Final = 500
"""Inputs that one commit queues, and runtimes that are read at a time."""


@final
@frozen(kw_only=True, slots=True)
class QueueDue(Change):
    """Queue the delayed inputs of a runtime that are due, the first `PAGE` of them. Answer: `DueQueued`.

    Only for the host that owns it, or where none does: another one would not let its owner hear of it.
    """

    ingress = True

    runtime_id: LogicalRuntimeId


@final
@frozen(kw_only=True, slots=True)
class Replaced:
    """Inputs that ended because a delayed one took their place.

    Attributes:
        input_ids: Which, in admission order.
        phase: How they have ended.
    """

    input_ids: tuple[InputId, ...]
    phase: InputPhase


@final
@frozen(kw_only=True, slots=True)
class DueQueued:
    """What came into an inbox.

    Attributes:
        input_ids: Which inputs, in the order in which they stand there.
        steers: Whether some of them were sent to steer.
        replaced: What ended for them.
    """

    input_ids: tuple[InputId, ...] = ()
    steers: bool = False
    replaced: tuple[Replaced, ...] = ()


NOTHING_DUE: Final = DueQueued()


def _queue(tx: Transaction, change: QueueDue) -> DueQueued:
    record = runtimes.load(tx, change.runtime_id)
    elsewhere = record.owner not in (None, tx.host) and runtimes.living_holder(tx, record.owner) is not None
    if elsewhere or record.state is RuntimeState.DESTROYED or holds.keeps(tx, record.runtime_id, record.kind):
        return NOTHING_DUE
    rows = tx.all("delays.due", runtime=record.runtime, now=tx.now, count=PAGE)
    tx.room.pop(record.runtime, None)  # what fits into this inbox must be counted anew
    replaced = [each for row in rows if (each := _queue_one(tx, record.runtime, row)) is not None]
    steers = any(row[3] == Lane.STEER for row in rows)
    if steers:
        asides.wake(tx, record, steered=True)
    gone = {input_id for each in replaced for input_id in each.input_ids}
    return DueQueued(
        input_ids=tuple([row[1] for row in rows if row[1] not in gone]),
        steers=steers,
        replaced=tuple(replaced),
    )


_DUE: Final[Types] = (int, str, str, str, OPTIONAL_TEXT, OPTIONAL_TEXT)


def _queue_one(tx: Transaction, runtime: int, row: Row) -> Replaced | None:
    check_row(row, _DUE, "input", row[1])
    key, input_id, kind_text, _, supersession_key, extra = row
    line = history_line(tx.now, InputPhase.ACCEPTED, InputPhase.QUEUED, "due")
    tx.write("delays.queue", input=key, admission=tx.key("inputs"), line=line, now=tx.now)
    kind = member(InputKind, kind_text, "input", input_id)
    policy = _extra(extra, input_id).policy or DEFAULT_POLICIES[kind]
    if policy.queue_mode is QueueMode.PRIORITY:
        tx.write("inputs.to_front", input=key)
    ending = replaced_phase(kind, policy)
    if ending is None or supersession_key is None:
        return None
    ended = inputs.replace(tx, runtime, kind, supersession_key, key, input_id, ending)
    return Replaced(input_ids=ended, phase=ending) if ended else None


def _extra(stored: str | None, input_id: str) -> InputExtra:
    if stored is None:
        return InputExtra()
    try:
        return msgspec.json.decode(stored, type=InputExtra)
    except (msgspec.MsgspecError, UnicodeEncodeError) as exc:
        raise Corrupt(record="input", key=input_id, detail="what stands beside it cannot be read") from exc


def abandon_delayed(tx: Transaction, runtime: int, reason: AbandonReason) -> tuple[InputId, ...]:
    """Abandon every input of a runtime that is not due, by the time it would have been."""
    line = history_line(tx.now, InputPhase.ACCEPTED, InputPhase.ABANDONED, reason)
    rows = tx.all("delays.abandon", runtime=runtime, reason=reason, line=line, now=tx.now)
    return abandoned(tx, rows, reason, runtime=runtime)


# Reads


def find_due(statements: Statements, host: int, now: float, after: str) -> list[LogicalRuntimeId]:
    """A page of the runtimes with inputs that are due, of this host or of no living one; a damaged row hides no other."""
    rows = sound(statements.readable("delays.runtimes", host=host, now=now, after=after, count=PAGE), (str,))
    return [LogicalRuntimeId(row[0]) for row in rows]


def find_next(statements: Statements, now: float) -> float | None:
    """When the next delayed input of any runtime is due, unix seconds, or None."""
    row = statements.one("delays.next", now=now)
    return row[0] if row is not None and isinstance(row[0], int | float) else None


def of_runtime(statements: Statements, runtime: int, most: int) -> tuple[int, float | None]:
    """How many inputs of a runtime are delayed, counted up to `most`, and when the first of them is due."""
    row = statements.one("delays.of_runtime", runtime=runtime, count=most)
    if row is None:
        return 0, None
    return row[0], row[1] if isinstance(row[1], int | float) else None


FACET: Final = Facet(name="delays", handlers={QueueDue: Handler(apply=_queue)})
