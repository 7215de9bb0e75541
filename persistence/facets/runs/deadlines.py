"""Deadlines of inputs: what is not done by its deadline is abandoned with ``deadline_exceeded`` (design §20).

Cases: an input that waits, and that no run has, is abandoned by whichever host sees it, for it is judged by what is stored; no
run takes it from its deadline on. A member of a batch beside others ends with the next boundary of its run. Where nothing else
of the batch is left, the run is dropped, also one that waits to be tried again. While a person keeps a runtime on hold, none of
its deadlines passes.
"""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import sound
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox.history import abandoned, history_line
from tenure.persistence.facets.records import holds, run_records, runtimes
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    InputPhase,
    LogicalRuntimeId,
    RunId,
)

from . import interrupted

PAGE: Final = 500
"""Runtimes with inputs that are late, as they are read at a time."""

LATE: Final = AbandonReason.DEADLINE_EXCEEDED


@final
@frozen(kw_only=True, slots=True)
class ExpireInputs(Change):
    """Abandon the inputs of a runtime that are late and that no run has. Answer: their ids, in admission order."""

    ingress = True

    runtime_id: LogicalRuntimeId


def _expire(tx: Transaction, change: ExpireInputs) -> tuple[InputId, ...]:
    record = runtimes.load(tx, change.runtime_id)
    if holds.keeps(tx, record.runtime_id, record.kind):
        return ()
    line = history_line(tx.now, InputPhase.QUEUED, InputPhase.ABANDONED, LATE)
    rows = tx.all("deadlines.expire", runtime=record.runtime, reason=LATE, line=line, now=tx.now)
    return abandoned(tx, rows, LATE, runtime=record.runtime)


@final
@frozen(kw_only=True, slots=True)
class ExpireMembers(Change):
    """Abandon the members of the current run's batch that are late, and spare the rest.

    Answer: their ids, in admission order. Empty where all that is left of the batch is late: that run is over, and is dropped.

    Attributes:
        runtime_id: Whose.
        run_id: Which run; must be the current one.
        ends: Whether the run ends with this commit: then all that is late goes.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    ends: bool = False


def _expire_members(tx: Transaction, change: ExpireMembers) -> tuple[InputId, ...]:
    run, record = run_records.current(tx, change.runtime_id, change.run_id), runtimes.load(tx, change.runtime_id)
    if holds.keeps(tx, record.runtime_id, record.kind):
        return ()
    line = history_line(tx.now, InputPhase.STAGED, InputPhase.ABANDONED, LATE)
    rows = tx.all("deadlines.expire_members", run=run.run, reason=LATE, line=line, ends=int(change.ends), now=tx.now)
    return abandoned(tx, rows, LATE, run=run.run)


@final
@frozen(kw_only=True, slots=True)
class DropLateRun(Change):
    """End the current run where all that is left of its batch is late. Answer: as of `DropRun`; empty where it goes on."""

    runtime_id: LogicalRuntimeId


def _drop_late(tx: Transaction, change: DropLateRun) -> tuple[InputId, ...]:
    record = runtimes.load(tx, change.runtime_id)
    if record.run is None or holds.keeps(tx, record.runtime_id, record.kind):
        return ()
    if tx.one("deadlines.all_late", run=record.run, now=tx.now) is None:
        return ()
    return interrupted.drop(tx, interrupted.DropRun(runtime_id=change.runtime_id, reason=LATE))


@final
@frozen(kw_only=True, slots=True)
class LateInputs:
    """A runtime that has inputs which are late.

    Attributes:
        runtime_id: Which.
        wait: Whether no run has some of them.
        of_run: Whether its current run has some of them.
    """

    runtime_id: LogicalRuntimeId
    wait: bool
    of_run: bool


def find_late(statements: Statements, host: int, now: float) -> list[LateInputs]:
    """A page of the runtimes with late inputs that this host owns, or no living one; a damaged row hides no other."""
    rows = sound(statements.readable("deadlines.late", host=host, now=now, count=PAGE), (str, int, int))
    return [LateInputs(runtime_id=row[0], wait=bool(row[1]), of_run=bool(row[2])) for row in rows]


def find_next(statements: Statements, now: float) -> float | None:
    """When the next deadline of an unfinished input is, unix seconds, or None."""
    row = statements.one("deadlines.next", now=now)
    return row[0] if row is not None and isinstance(row[0], int | float) else None


FACET: Final = Facet(
    name="deadlines",
    handlers={
        ExpireInputs: Handler(apply=_expire),
        ExpireMembers: Handler(apply=_expire_members),
        DropLateRun: Handler(apply=_drop_late),
    },
)
