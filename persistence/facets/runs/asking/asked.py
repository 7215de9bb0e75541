"""The rows of asks: who waits for which input, and what came of it."""

from __future__ import annotations

from typing import Final, final

import msgspec
from attrs import evolve, field, frozen

from tenure.errors import Corrupt
from tenure.persistence.commits.rows import OPTIONAL_INT, OPTIONAL_TEXT, Types, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.runs import entries
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.entries import EntryStatus
from tenure.persistence.model.values import InputId, LogicalRuntimeId

RECORD: Final = "ask"

ANSWERED: Final = "answered"
LATE: Final = "late"
REFUSED: Final = "refused"
ERASED: Final = "erased"
REJECTED: Final = "rejected"
ABANDONED: Final = "abandoned"
CYCLE: Final = "cycle"

_encode = msgspec.json.Encoder().encode


@final
@frozen(kw_only=True, slots=True)
class Answer:
    """What came of an ask.

    Attributes:
        status: ``answered``; or why not: ``abandoned``, ``rejected``, ``refused``, ``erased``, ``late``, ``cycle``.
        result: The answer, encoded, where there is one.
        phase: How the asked input ended, or None.
        reason: Why it was abandoned, or None.
        error: What is said of it, for people, or None.
        begun: Whether a run had taken it.
    """

    status: str
    result: bytes | None = field(default=None, repr=False)
    phase: str | None = None
    reason: str | None = None
    error: str | None = None
    begun: bool = False


@final
@frozen(kw_only=True, slots=True)
class Asked:
    """One ask, as it is stored."""

    ask: int
    run: int
    place: str
    target: int
    input: int
    response_id: InputId
    correlation_id: str | None
    answer: Answer | None


_TYPES: Final[Types] = (
    *(int, int, str, int, int, str, OPTIONAL_TEXT, OPTIONAL_TEXT),
    *(OPTIONAL_TEXT, OPTIONAL_TEXT, OPTIONAL_TEXT, OPTIONAL_INT, bytes, int),
)


def read_ask(row: Row) -> Asked:
    """An ask as it is stored. Raises `Corrupt`."""
    key = f"{row[0]} of run {row[1]}"
    check_row(row, _TYPES, RECORD, key)
    (
        ask,
        run,
        place,
        target,
        input_key,
        response_id,
        correlation_id,
        status,
        phase,
        reason,
        error,
        begun,
        kept,
        scheme,
    ) = row
    answer = None
    if status is not None:
        answer = Answer(status=status, phase=phase, reason=reason, error=error, begun=bool(begun))
    whole = seal_ask(
        target=target, input=input_key, response_id=response_id, correlation_id=correlation_id, answer=answer
    )
    check_digest(whole, kept, scheme, RECORD, key)
    return Asked(
        ask=ask,
        run=run,
        place=place,
        target=target,
        input=input_key,
        response_id=InputId(response_id),
        correlation_id=correlation_id,
        answer=answer,
    )


def seal_ask(*, target: int, input: int, response_id: str, correlation_id: str | None, answer: Answer | None) -> bytes:  # noqa: A002
    """Who was asked what, and what came of it; a restart carries asks over, so that their run is not in it."""
    whole = [None] if answer is None else [answer.status, answer.phase, answer.reason, answer.error, int(answer.begun)]
    return seal(target, input, response_id, correlation_id, *whole)


def find_input(statements: Statements, run: int, place: str) -> tuple[LogicalRuntimeId, InputId] | None:
    """Who was asked at a place of a run, and by which input; None where that is not there, or was erased."""
    row = statements.one("asks.input_at", run=run, place=place)
    return None if row is None else (row[0], row[1])


def of_run(statements: Statements, run: int) -> None:
    """Read every ask of a run. Raises `Corrupt`."""
    for row in statements.all("asks.of_run", run=run):
        read_ask(row)


def keep(tx: Transaction, found: Asked, answer: Answer) -> None:
    """Keep what came of an ask."""
    tx.write(
        "asks.end",
        ask=found.ask,
        status=answer.status,
        phase=answer.phase,
        reason=answer.reason,
        error=answer.error,
        begun=int(answer.begun),
        digest=seal_ask(
            target=found.target,
            input=found.input,
            response_id=found.response_id,
            correlation_id=found.correlation_id,
            answer=answer,
        ),
        now=tx.now,
    )


def over(entry: entries.RecordEntry, answer: Answer, now: float) -> entries.RecordEntry:
    """The entry with its answer: it executes nothing any more, and gives or raises the same each time."""
    if answer.status == ANSWERED:
        return evolve(entry, status=EntryStatus.SUCCEEDED, result=answer.result or b"null", ended_at=now, next_at=None)
    failure = [answer.status, answer.phase, answer.reason, answer.error, answer.begun]
    return evolve(entry, status=EntryStatus.CAUGHT, error=_encode(failure).decode(), ended_at=now, next_at=None)


def read_failure(error: str | None, key: str) -> Answer:
    """Why an ask has no answer, as its entry says it. Raises `Corrupt`."""
    try:
        status, phase, reason, text, begun = msgspec.json.decode(
            error or "", type=tuple[str, str | None, str | None, str | None, bool]
        )
    except (msgspec.MsgspecError, UnicodeEncodeError) as exc:
        raise Corrupt(record="entry", key=key, detail="why it was not answered cannot be read") from exc
    return Answer(status=status, phase=phase, reason=reason, error=text, begun=begun)


def carry(tx: Transaction, run: int, into: int) -> None:
    """Give what a run asks for to the run that takes its place."""
    tx.write("asks.carry", run=run, into=into)
    tx.write("asks.carry_responses", run=run, into=into)
