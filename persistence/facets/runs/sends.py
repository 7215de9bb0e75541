"""Sends: messages of a run to other runtimes, which land with the run's own commit (design §7).

A send becomes an input of its target under a key derived from (run, index), so that a run that enters again sends nothing
twice. A target that cannot take it never fails the sender: the message stays with the sender, as a dead letter, until it is
sent again under its key or dropped (`dead_letters`).
"""

from __future__ import annotations

from typing import Final, final

import msgspec
from attrs import frozen

from tenure.errors import (
    Corrupt,
)
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    NUMBER,
    OPTIONAL_TEXT,
    Types,
    check_row,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.inbox import inputs
from tenure.persistence.facets.records import run_records
from tenure.persistence.facets.runs.addressed import (
    REFUSALS,
    Addressed,
    SendTerms,
    address,
    content_digest,
    read_terms,
)
from tenure.persistence.model.codec import digest
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.entries import CARRIED, EntryKind, EntryStatus, Repeat, seal_of
from tenure.persistence.model.values import (
    InputId,
    InputKind,
    LogicalRuntimeId,
    RunId,
    SessionId,
)

_encode = msgspec.json.Encoder().encode


def terms_of(stored: str | None, key: object) -> SendTerms:
    """What stands beside a send. Raises `Corrupt`."""
    try:
        return read_terms(stored)
    except (msgspec.MsgspecError, UnicodeEncodeError) as exc:
        raise Corrupt(record="send", key=str(key), detail="its terms cannot be read") from exc


def _read_fits(stored: str | None, key: object) -> tuple[tuple[str, str], ...]:
    if stored is None:
        return ()
    try:
        return msgspec.json.decode(stored, type=tuple[tuple[str, str], ...])
    except (msgspec.MsgspecError, UnicodeEncodeError) as exc:
        raise Corrupt(record="send", key=str(key), detail="which kinds took it cannot be read") from exc


@final
@frozen(kw_only=True, slots=True)
class Send(Addressed):
    """Send one message from the current run. Answer: `Sent`.

    Attributes:
        index: Which send of the run, from 1; where there is a place the store gives one below 0.
        place: The entry that it lands with, where it was sent in a branch.
    """

    index: int
    place: str | None = None


@final
@frozen(kw_only=True, slots=True)
class Sent:
    """What became of a send.

    Attributes:
        target: The receiver.
        input_id: The input that it became, or None where it was refused.
        refused: Why it was refused, or None.
    """

    target: LogicalRuntimeId
    input_id: InputId | None
    refused: str | None


def derived_key(run_id: RunId, index: int) -> str:
    """The idempotency key of a send; users' keys never begin so."""
    return f"{inputs.RESERVED_KEYS}send:{run_id}:{index}"


def _send(tx: Transaction, change: Send) -> Sent:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    refused: str | None = None
    terms = change.terms.stored()
    index, boundary = change.index, run.boundaries + 1
    if change.place is not None:
        index, boundary = min((tx.one("sends.lowest", run=run.run) or (0,))[0] or 0, 0) - 1, 0
    try:
        input_id = address(tx, change, InputKind.PEER_MESSAGE, derived_key(change.run_id, index))
    except REFUSALS as exc:
        input_id, refused = None, str(exc)
    kept = None if refused is None else change.input_id
    tx.write(
        "sends.insert",
        run=run.run,
        send_index=index,
        boundary=boundary,
        target=change.target,
        payload_digest=change.payload_digest,
        seal=_seal(change.run_id, index, boundary, change.target, change.payload_digest, kept, terms),
        terms=terms,
        fits=None if refused is None or not change.fits else _encode(change.fits).decode(),
        refused=refused,
        input_id=kept,
        payload=None if refused is None else change.payload,
        place=change.place,
        now=tx.now,
    )
    return Sent(target=change.target, input_id=input_id, refused=refused)


def _seal(
    run_id: str,
    index: int,
    boundary: int,
    target: str,
    payload_digest: bytes,
    input_id: str | None,
    terms: str | None,
) -> bytes:
    """Who was sent what, on what terms, and as what it is kept where it was refused."""
    return seal(run_id, index, boundary, target, payload_digest, input_id, terms)


_REFUSED: Final[Types] = (int, str, int, str, bytes, bytes, int, bytes, int, OPTIONAL_TEXT, OPTIONAL_TEXT)


def send_again(tx: Transaction, runtime: int, runtime_id: LogicalRuntimeId, input_id: InputId) -> Sent | None:
    """Send a refused message again, under its key and on its terms; None where the runtime has no such dead letter.

    It fits its target as far as it did when it was sent: a class that takes it no more holds that, and rejects nothing.

    Raises:
        NotFound: The target is not there.
        NotAccepting, RuntimeDestroyed, PayloadTooLarge: It cannot take it; the message stays with its sender.
    """
    row = tx.one("sends.find_refused", runtime=runtime, input_id=input_id)
    if row is None:
        return None
    check_row(row, _REFUSED, "refused send", input_id)
    key, run_id, index, target, payload, payload_digest, boundary, sealed, scheme, terms, fits = row
    check_digest(digest(payload), payload_digest, scheme, "refused send", input_id)
    whole = _seal(run_id, index, boundary, target, payload_digest, input_id, terms)
    check_digest(whole, sealed, scheme, "refused send", input_id)
    send = Send(
        runtime_id=runtime_id,
        run_id=run_id,
        index=index,
        target=target,
        input_id=input_id,
        payload=payload,
        payload_digest=payload_digest,
        fits=_read_fits(fits, input_id),
        terms=terms_of(terms, input_id),
        session_id=SessionId(input_id),  # drawn once, and no session has it
    )
    became = address(tx, send, InputKind.PEER_MESSAGE, derived_key(send.run_id, send.index))
    tx.write("sends.landed", send=key)
    return Sent(target=target, input_id=became, refused=None)


def drop(tx: Transaction, runtime: int, input_id: InputId) -> bool:
    """Let a refused message go; False where the runtime has no such dead letter."""
    row = tx.one("sends.find_refused", runtime=runtime, input_id=input_id)
    if row is not None:
        tx.write("sends.drop_payload", send=row[0])
    return row is not None


@final
@frozen(kw_only=True, slots=True)
class RecordedSend:
    """A send as the journal of its run has it.

    Attributes:
        index: Which send of the run, from 1.
        boundary: Sequence of the boundary it landed with.
        target: The receiver.
        payload_digest: SHA-256 of the payload.
        refused: Why it was refused, or None.
        terms: On what terms.
        forgotten: Whether a person has taken it out of the record.
        sent_at: Unix seconds.
        place: The entry that it landed with, where it was sent in a branch.
    """

    index: int
    boundary: int
    target: LogicalRuntimeId
    payload_digest: bytes
    refused: str | None
    terms: SendTerms
    forgotten: bool
    sent_at: float
    place: str | None


def of_run(statements: Statements, run: int) -> list[RecordedSend]:
    """The sends of a run, in their order. Raises `Corrupt`."""
    return [_recorded(row) for row in statements.all("sends.of_run", run=run)]


def _recorded(row: Row) -> RecordedSend:
    types = (
        int,
        int,
        str,
        bytes,
        OPTIONAL_TEXT,
        OPTIONAL_TEXT,
        str,
        bytes,
        int,
        OPTIONAL_TEXT,
        int,
        NUMBER,
        OPTIONAL_TEXT,
    )
    check_row(row, types, "send", row[0])
    index, boundary, target, payload_digest, why, input_id, run_id, sealed, scheme, terms, *rest = row
    whole = _seal(run_id, index, boundary, target, payload_digest, input_id, terms)
    check_digest(whole, sealed, scheme, "send", f"{run_id}:{index}")
    return RecordedSend(
        index=index,
        boundary=boundary,
        target=target,
        payload_digest=payload_digest,
        refused=why,
        terms=terms_of(terms, f"{run_id}:{index}"),
        forgotten=bool(rest[0]),
        sent_at=rest[1],
        place=rest[2],
    )


def carry(tx: Transaction, run: int, into: int, version: str) -> int:
    """Give what a run has sent to the run that takes its place, each message as an entry; how many there are.

    What was refused goes along too, as long as it waits to be sent again.
    """
    stands = {row[0] for row in tx.all("sends.that_stand", run=run)}
    carried = [each for each in of_run(tx, run) if each.index in stands]
    for send in carried:
        arguments = content_digest(send.payload_digest, send.terms)
        tx.write(
            "sends.carry",
            run=into,
            place=f"{CARRIED}{_place(send.index)}",
            kind=EntryKind.SEND,
            target=send.target,
            repeat=Repeat.FREELY,
            arguments_digest=arguments,
            status=EntryStatus.SUCCEEDED,
            version=version,
            result_digest=seal_of(
                send.target,
                arguments,
                None,
                None,
                None,
                terms=(EntryKind.SEND, Repeat.FREELY, EntryStatus.SUCCEEDED),
            ),
            sent_at=send.sent_at,
        )
    return len(carried)


def forget(tx: Transaction, run: int, which: str) -> int:
    """Take what a run has sent to this target, or at this place, out of its record; how many there were."""
    return tx.run("sends.forget", run=run, which=which, place=_place(""))


def _place(index: int | str) -> str:
    return f"{EntryKind.SEND}/{index}"


@final
@frozen(kw_only=True, slots=True)
class RefusedSend:
    """A dead letter with its sender.

    Attributes:
        input_id: The input that it will be when it is retried.
        run_id: The run that sent it.
        index: Which send of the run.
        target: Who could not take it.
        refused: Why.
        payload: Encoded.
    """

    input_id: InputId
    run_id: RunId
    index: int
    target: LogicalRuntimeId
    refused: str
    payload: bytes


def refused(
    statements: Statements, runtime_id: LogicalRuntimeId, after: InputId, count: int
) -> tuple[RefusedSend, ...]:
    """At most `count` refused sends of a runtime whose input id comes after `after`, by id. Raises `Corrupt`."""
    rows = statements.all("sends.refused", runtime_id=runtime_id, after=after, count=count)
    return tuple([_refused(row) for row in rows])


def _refused(row: Row) -> RefusedSend:
    check_row(row, (str, str, int, str, str, bytes, bytes, int, bytes, int, OPTIONAL_TEXT), "refused send", row[0])
    input_id, run_id, index, target, why, payload, payload_digest, boundary, sealed, scheme, terms = row
    check_digest(digest(payload), payload_digest, scheme, "refused send", input_id)
    whole = _seal(run_id, index, boundary, target, payload_digest, input_id, terms)
    check_digest(whole, sealed, scheme, "refused send", input_id)
    return RefusedSend(input_id=input_id, run_id=run_id, index=index, target=target, refused=why, payload=payload)


FACET: Final = Facet(name="sends", handlers={Send: Handler(apply=_send)})
