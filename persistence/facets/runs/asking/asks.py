"""Asks: a run waits for the outcome of an input of another runtime (design §20, "Ask").

Theory of operation. The asked input and the wait for it land in one commit of the asking run. Whatever ends that input, and
in whose commit, its answer comes back in that commit: `settle` looks at the end of each commit of a runtime that was asked.
The answer is an input of the asker, consumed as it comes, that no run takes. The asking run then records it in another commit,
and that commit alone decides whether the answer or the clock was first.
"""

from __future__ import annotations

from typing import Final, final

import msgspec
from attrs import evolve, frozen

from tenure.errors import Corrupt, NotFound
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import (
    OPTIONAL_BYTES,
    check_row,
    sound,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.inbox import inputs
from tenure.persistence.facets.inbox.history import abandoned, history_line
from tenure.persistence.facets.records import run_records, runtimes
from tenure.persistence.facets.runs import entries
from tenure.persistence.facets.runs.addressed import REFUSALS, Addressed, address
from tenure.persistence.model.codec import digest
from tenure.persistence.model.entries import stands_in
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    InputKind,
    InputPhase,
    LogicalRuntimeId,
    RunId,
)

from .asked import (
    ANSWERED,
    CYCLE,
    LATE,
    RECORD,
    REFUSED,
    Answer,
    Asked,
    find_input,
    keep,
    over,
    read_ask,
    seal_ask,
)
from .responses import settle

_encode = msgspec.json.Encoder().encode


@final
@frozen(kw_only=True, slots=True)
class Ask(Addressed):
    """Ask another runtime, for the current run, and record that it waits. Answer: `Answer` where that is known, else None.

    Attributes:
        response_id: Id of the input that the answer will be.
        entry: The entry of the record, as it is while it waits.
    """

    response_id: InputId
    entry: entries.RecordEntry


@final
@frozen(kw_only=True, slots=True)
class EndAsk(Change):
    """Record what came of an ask: its answer where it is there, else that it came too late. Answer: `Answer`, or None.

    None where it has not ended and is not `late`; then nothing is written. Who is late is no longer waited for, and what was
    asked is abandoned where no run has taken it.

    Attributes:
        runtime_id: Who asked.
        run_id: Its current run.
        entry: The entry of the record, as it is when it is over.
        late: Whether the time is over.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    entry: entries.RecordEntry
    late: bool


@final
@frozen(kw_only=True, slots=True)
class GiveUpAsks(Change):
    """Wait no longer for what the current run has asked where others were first, or a scope has cut it off.

    Answer: what was abandoned, as no run had taken it: whose input, and which.

    Attributes:
        runtime_id: Who asked.
        run_id: Its current run.
        branches: The paths of the branches; or places: of an ask, or of what has branches.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    branches: tuple[str, ...]


def _ask(tx: Transaction, change: Ask) -> Answer | None:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    asker = runtimes.load(tx, change.runtime_id)
    answer = _circle(tx, asker, change)
    target: runtimes.RuntimeRecord | None = None
    if answer is None:
        try:
            key = f"{inputs.RESERVED_KEYS}ask:{change.response_id}"
            address(tx, change, InputKind.PEER_REQUEST, key)
            target = runtimes.load(tx, change.target)
        except REFUSALS as exc:
            answer = Answer(status=REFUSED, error=str(exc))
    if answer is not None or target is None:
        entries.write(tx, over(change.entry, answer or Answer(status=REFUSED), tx.now))
        return answer
    entries.write(tx, change.entry)
    row = tx.one("asks.input", runtime=target.runtime, input_id=change.input_id)
    if row is None:
        raise NotFound(what="input", key=change.input_id)
    correlation_id = change.terms.correlation_id
    sealed = seal_ask(
        target=target.runtime, input=row[0], response_id=change.response_id, correlation_id=correlation_id, answer=None
    )
    tx.insert(
        "asks.insert",
        run=run.run,
        place=change.entry.place,
        correlation_id=correlation_id,
        target=target.runtime,
        input=row[0],
        response_id=change.response_id,
        digest=sealed,
        now=tx.now,
    )
    target.asked += 1
    tx.write("asks.count", runtime=target.runtime, asked=target.asked)
    return None


def _circle(tx: Transaction, asker: runtimes.RuntimeRecord, change: Ask) -> Answer | None:
    """Whether who is asked waits, over however many, for who asks: each would wait for ever."""
    chain = [change.target]
    if change.target == change.runtime_id:
        return Answer(status=CYCLE, error=_encode(chain).decode())
    seen, waiting = {change.target}, [change.target]
    while waiting:
        for (asked,) in sound(tx.all("asks.asked_by", runtime_id=waiting.pop()), (str,)):
            if asked == asker.runtime_id:
                return Answer(status=CYCLE, error=_encode([*chain, asked]).decode())
            if asked not in seen:
                seen.add(asked)
                waiting.append(asked)
                chain.append(asked)
    return None


def _end(tx: Transaction, change: EndAsk) -> Answer | None:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    row = tx.one("asks.of_place", run=run.run, place=change.entry.place)
    if row is None:
        raise Corrupt(record=RECORD, key=f"of run {run.run_id}", detail="what it asked is not there")
    found = read_ask(row)
    answer = found.answer
    if answer is None and not change.late:
        return None
    answer = _give_up(tx, found) if answer is None else _with_result(tx, change, found, answer)
    entries.write(tx, over(change.entry, answer, tx.now))
    return answer


def _with_result(tx: Transaction, change: EndAsk, found: Asked, answer: Answer) -> Answer:
    if answer.status != ANSWERED:
        return answer
    runtime = runtimes.load(tx, change.runtime_id).runtime
    row = tx.one("asks.response", runtime=runtime, input_id=found.response_id)
    if row is None:
        raise Corrupt(record="input", key=found.response_id, detail="the answer to an ask is not there")
    check_row(row, (OPTIONAL_BYTES, bytes), "input", found.response_id)
    payload, payload_digest = row
    if payload is None or digest(payload) != payload_digest:
        raise Corrupt(
            record="input", key=found.response_id, detail="its payload is gone, or is not what its digest says"
        )
    return evolve(answer, result=payload)


def _give_up(tx: Transaction, found: Asked) -> Answer:
    reason = AbandonReason.DEADLINE_EXCEEDED
    line = history_line(tx.now, InputPhase.QUEUED, InputPhase.ABANDONED, reason)
    ended = abandoned(
        tx,
        tx.all("asks.abandon", input=found.input, reason=reason, line=line, now=tx.now),
        reason,
        runtime=found.target,
    )
    answer = Answer(status=LATE, begun=True)
    if ended:
        answer = Answer(status=LATE, phase=InputPhase.ABANDONED, reason=reason)
    keep(tx, found, answer)
    return answer


def _give_up_all(tx: Transaction, change: GiveUpAsks) -> tuple[tuple[LogicalRuntimeId, InputId], ...]:
    run, gone = run_records.current(tx, change.runtime_id, change.run_id), list[tuple[LogicalRuntimeId, InputId]]()
    for row in tx.all("asks.open_of_run", run=run.run):
        found = read_ask(row)
        if any(found.place == path or stands_in(found.place, path) for path in change.branches):
            whose = find_input(tx, run.run, found.place)
            if _give_up(tx, found).phase is not None and whose is not None:
                gone.append(whose)
    return tuple(gone)


FACET: Final = Facet(
    name="asks",
    handlers={Ask: Handler(apply=_ask), EndAsk: Handler(apply=_end), GiveUpAsks: Handler(apply=_give_up_all)},
    settle=settle,
)
