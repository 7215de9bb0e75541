"""Inputs written and read as whole records, as the contract verbs have them.

The rows are those of the facet `inputs`; here the caller has decided already where each input stands.
One rule holds all the same: no input leaves an end.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final, final

import msgspec
from attrs import evolve, frozen

from tenure.errors import (
    Corrupt,
    Error,
    IdempotencyConflict,
    InvalidInput,
    InvalidTransition,
    KeyMissing,
    PayloadTooLarge,
    ReadFailed,
    RuntimeDestroyed,
    SchemaMismatch,
    WrongKey,
)
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import NUMBER, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.records import (
    asides,
    run_records,
    runtimes,
)
from tenure.persistence.model.codec import digest
from tenure.persistence.model.digests import SHA_256, check_digest
from tenure.persistence.model.inputs.input_state import (
    INPUT_RECORD_VERSION,
    InputExtra,
    InputState,
    InputTransition,
    StoredInputState,
    check_input_state,
    encode_extra,
    seal_input,
)
from tenure.persistence.model.inputs.phases import is_terminal
from tenure.persistence.model.inputs.policies import DEFAULT_POLICIES
from tenure.persistence.model.values import (
    InputId,
    InputPhase,
    Lane,
    LogicalRuntimeId,
    RunId,
    RuntimeState,
)

from .history import history_line

PAGE: Final = 1000
"""Rows that are looked for at a time."""

RECORD: Final = "input"


@final
@frozen(kw_only=True, slots=True)
class PersistInputs(Change):
    """Write inputs as they are brought, new or known. Answer: None.

    Keys are judged when all rows are written, so that two inputs may swap theirs.

    Attributes:
        runtime_id: Whose inbox.
        states: The inputs; found well-formed by `check_input_state`.
        stamped_by: Write this run, and the sequence of its last receipt, into each of them.
    """

    may_create = True

    runtime_id: LogicalRuntimeId
    states: tuple[InputState, ...]
    stamped_by: RunId | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return sum([len(state.payload) for state in self.states])


@final
@frozen(kw_only=True, slots=True)
class _Known:
    """What is stored of an input that is to be written."""

    input: int
    phase: InputPhase
    end: tuple[str | None, str | None]
    admission: int
    payload_digest: bytes
    lane: str
    created_at: float
    generation: int


def _persist(tx: Transaction, change: PersistInputs) -> None:
    record = runtimes.find_cached(tx, change.runtime_id) or runtimes.load_or_create(tx, change.runtime_id)
    if change.states:
        runtimes.tell_owner(tx, record)
        asides.wake(tx, record)
    tx.room.pop(record.runtime, None)  # what fits into this inbox must be counted anew
    known = [_find(tx, record.runtime, state.input_id) for state in change.states]
    for state, before in zip(change.states, known, strict=True):
        _check(tx, change.runtime_id, state, before, destroyed=record.state is RuntimeState.DESTROYED)
        if before is not None:
            tx.write("input_records.drop_key", input=before.input)
    stamp = None if change.stamped_by is None else run_records.open_by_id(tx, record.runtime, change.stamped_by)
    keys: list[tuple[int, str]] = []
    for state, before in zip(change.states, known, strict=True):
        stamped = state
        if stamp is not None:
            stamped = evolve(state, last_run_id=stamp.run_id, last_boundary_sequence=stamp.boundaries)
        row = _write(tx, record, stamped, before)
        _reopen(tx, record, stamped)
        if state.idempotency_key is not None:
            keys.append((row, state.idempotency_key))
    for row, key in keys:
        if tx.one("input_records.key_owner", runtime=record.runtime, idempotency_key=key, input=row):
            raise IdempotencyConflict(runtime_id=change.runtime_id, key=key)
        tx.write("input_records.set_key", input=row, idempotency_key=key)


def _find(tx: Transaction, runtime: int, input_id: InputId) -> _Known | None:
    row = tx.one("input_records.find", input_id=input_id, runtime=runtime)
    if row is None:
        return None
    key, phase, reason, successor, admission, payload_digest, lane, created_at, generation = row
    check_row((created_at, generation), (NUMBER, int), RECORD, input_id)
    try:
        return _Known(
            input=key,
            phase=InputPhase(phase),
            end=(reason, successor),
            admission=admission,
            payload_digest=payload_digest,
            lane=lane,
            created_at=created_at,
            generation=generation,
        )
    except ValueError as exc:
        raise Corrupt(record=RECORD, key=input_id, detail="its phase is none") from exc


def _check(
    tx: Transaction, runtime_id: LogicalRuntimeId, state: InputState, before: _Known | None, *, destroyed: bool
) -> None:
    if len(state.payload) > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=len(state.payload), limit=tx.limits.payload_bytes)
    if destroyed and not state.is_terminal:
        raise RuntimeDestroyed(runtime_id=runtime_id)
    if before is None or not is_terminal(before.phase):
        return
    if (state.phase, (state.reason, state.successor)) != (before.phase, before.end):
        raise InvalidTransition(runtime_id=runtime_id, state=before.phase, event=f"an input {state.phase}")


def _write(tx: Transaction, record: runtimes.RuntimeRecord, state: InputState, before: _Known | None) -> int:
    generation = record.generation if before is None else before.generation
    created_at = state.created_at
    if created_at is None:
        created_at = tx.now if before is None else before.created_at
    lane = _lane(state, before)
    sealed = seal_input(
        record.runtime_id,
        state.input_id,
        generation,
        kind=state.kind,
        durability=state.durability,
        source=state.source,
        idempotency_key=state.idempotency_key,
        payload_digest=state.payload_digest,
        created_at=created_at,
        lane=lane,
    )
    columns: dict[str, Any] = {
        "created_at": created_at,
        "seal": sealed,
        "kind": state.kind,
        "lane": lane,
        "durability": state.durability,
        "source": state.source,
        "payload_digest": state.payload_digest,
        "phase": state.phase,
        "reason": state.reason,
        "run": None if state.last_run_id is None else run_records.open_by_id(tx, record.runtime, state.last_run_id).run,
        "attempts": state.attempt_count,
        "boundary": state.last_boundary_sequence,
        "error": state.error,
        "finished_at": tx.now if state.is_terminal else None,
        "record_version": INPUT_RECORD_VERSION,
        "supersession_key": state.supersession_key,
        "successor": state.successor,
        "extra": encode_extra(_extra(state)),
        "recoveries": state.recovery_count,
        "history": "".join([history_line(each.at, each.before, each.after, each.reason) for each in state.history]),
        "now": tx.now,
    }
    if before is None:
        key = tx.insert(
            "input_records.insert",
            input_id=state.input_id,
            runtime=record.runtime,
            generation=generation,
            admission=state.admission_sequence,
            **columns,
        )
    else:
        key = before.input
        tx.write(
            "input_records.update",
            input=key,
            admission=before.admission if state.admission_sequence is None else state.admission_sequence,
            scheme=SHA_256,
            **columns,
        )
    if before is None or before.payload_digest != state.payload_digest:
        tx.write("input_records.save_payload", input=key, payload=state.payload)
    return key


def _reopen(tx: Transaction, record: runtimes.RuntimeRecord, state: InputState) -> None:
    # What still waits belongs to the run that it names: that run is entered again when it is the runtime's turn.
    if state.last_run_id is None or state.is_terminal:
        return
    run = run_records.open_by_id(tx, record.runtime, state.last_run_id)
    if run.run != record.run:
        run_records.reopen(tx, run.run)


def _lane(state: InputState, before: _Known | None) -> str:
    # What has ended keeps the lane it had, for a retry; what is new waits where its policy says.
    if state.recovery_lane is not None:
        return state.recovery_lane
    if before is not None:
        return before.lane
    return (state.policy or DEFAULT_POLICIES[state.kind]).lane


def _extra(state: InputState) -> InputExtra:
    return InputExtra(
        correlation_id=state.correlation_id,
        policy=state.policy,
        reconstruction_source=state.reconstruction_source,
        traceparent=state.traceparent,
    )


# Reads


def find(statements: Statements, runtime_id: LogicalRuntimeId, input_id: InputId) -> StoredInputState | None:
    """One input, or None where the runtime has no such input.

    Raises:
        Corrupt: It is there and cannot be decoded.
        SchemaMismatch: It is of another version.
    """
    row = statements.one("input_records.key_of", runtime_id=runtime_id, input_id=input_id)
    return None if row is None else _load(statements, row[0])


def of_runtime(statements: Statements, runtime_id: LogicalRuntimeId) -> list[StoredInputState | ReadFailed]:
    """Every input of a runtime, by admission; in place of one that cannot be given, why. Those stand last."""
    found: list[StoredInputState] = []
    failed: list[StoredInputState | ReadFailed] = []
    for key in _keys(statements, runtime_id):
        try:
            found.append(_load(statements, key))
        except ReadFailed as exc:
            failed.append(exc)
    found.sort(key=lambda each: each.state.admission_sequence or 0)
    return [*found, *failed]


def _keys(statements: Statements, runtime_id: LogicalRuntimeId) -> Iterator[int]:
    return (key for (key,) in statements.all("input_records.keys", runtime_id=runtime_id))


def _load(statements: Statements, key: int) -> StoredInputState:
    # Row by row: a text that is not UTF-8 fails the whole of a query, and one bad row may not hide the others.
    row = statements.one("input_records.load", input=key)
    if row is None:
        raise Corrupt(record=RECORD, key=str(key), detail="it went away while it was read")
    try:
        return _decode(row)
    except (Error, ValueError, TypeError, AttributeError, msgspec.MsgspecError) as exc:
        if isinstance(exc, (SchemaMismatch, KeyMissing, WrongKey)):
            raise  # it is not damaged: another release, or a key, reads it
        raise Corrupt(record=RECORD, key=str(row[0]), detail=_describe(exc)) from exc


def _describe(exc: Exception) -> str:
    # Never the content: only which rule is broken, and where.
    if isinstance(exc, InvalidInput):
        return f"{exc.field}: {exc.detail}"
    return f"{type(exc).__name__}: {exc}" if isinstance(exc, msgspec.ValidationError) else type(exc).__name__


def _decode(row: Row) -> StoredInputState:
    (input_id, version, kind, phase, payload, source, durability, key, supersession_key, lane, admission, history) = (
        row[:12]
    )
    (reason, successor, error, attempts, run_id, boundary, extra, created_at, updated_at) = row[12:21]
    payload_digest, run, recoveries, pruned_at, runtime_id, generation, sealed, scheme = row[21:]
    if type(version) is not int or version != INPUT_RECORD_VERSION:
        raise SchemaMismatch(what=f"input {input_id}", expected=INPUT_RECORD_VERSION, actual=str(version))
    sealed_as = partial(
        seal_input,
        runtime_id,
        input_id,
        generation,
        kind=kind,
        durability=durability,
        source=source,
        idempotency_key=key,
        payload_digest=payload_digest,
        created_at=created_at,
    )
    sealed_now = sealed_as(lane=lane)
    if sealed_now != sealed:
        sealed_now = sealed_as(lane=None)  # a row from when the lane was in no seal
    check_digest(sealed_now, sealed, scheme, RECORD, input_id)
    if pruned_at is not None and payload is None:
        payload = b""  # a dead letter that was dropped: the row remembers its key, and no more
    elif not isinstance(payload, bytes) or digest(payload) != payload_digest:
        raise InvalidInput(detail="it is not what its digest says", field="payload")
    if run is not None and run_id is None:
        raise InvalidInput(detail="it names a run that has no row", field="last_run_id")
    lane = Lane(lane)
    more = InputExtra() if extra is None else msgspec.json.decode(extra, type=InputExtra)
    state = msgspec.convert(
        {
            "input_id": input_id,
            "kind": kind,
            "phase": phase,
            "source": source,
            "durability": durability,
            "idempotency_key": key,
            "supersession_key": supersession_key,
            "admission_sequence": admission,
            "reason": reason,
            "successor": successor,
            "error": error,
            "attempt_count": attempts,
            "last_run_id": run_id,
            "last_boundary_sequence": boundary,
            "created_at": created_at,
            "updated_at": updated_at,
            "recovery_count": recoveries,
        },
        InputState,
    )
    state = evolve(
        state,
        payload=payload,
        recovery_lane=None if state.is_terminal else lane,
        history=_decode_history(history),
        correlation_id=more.correlation_id,
        traceparent=more.traceparent,
        policy=more.policy,
        reconstruction_source=more.reconstruction_source,
    )
    check_input_state(state)
    return StoredInputState(state=state, stored_input_state_version=version)


def _decode_history(history: str) -> tuple[InputTransition, ...]:
    lines = msgspec.json.Decoder(tuple[float, InputPhase | None, InputPhase, str | None]).decode_lines(history)
    return tuple(InputTransition(at=at, before=before, after=after, reason=why) for at, before, after, why in lines)


FACET: Final = Facet(name="input_records", handlers={PersistInputs: Handler(apply=_persist)})
