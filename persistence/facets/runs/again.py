"""Runs that go on in a new one (design §18, "Time and chance"): an agent that lives long begins a new record with an old aim.

The commit that ends a run begins the next one: over one input that the run itself gives, before everything else in the inbox,
on the conversation and the own state as they stand then. No moment lies between the two in which the aim is lost or doubled.
"""

from __future__ import annotations

from typing import Final, final

import msgspec
from attrs import field, frozen

from tenure.errors import InvalidTransition
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox import inputs
from tenure.persistence.facets.records import run_records, runtimes
from tenure.persistence.model.values import InputId, InputKind, LogicalRuntimeId, RunId, RuntimeState

from . import children

_encode = msgspec.json.Encoder().encode

_KEYS: Final = f"{inputs.RESERVED_KEYS}again:"


@final
@frozen(kw_only=True, slots=True)
class RunAgain(Change):
    """Begin the run that goes on after the one that this commit ends. Stands after its `FinishRun`. Answer: `AcceptedInput`.

    The new run is of no version: whichever is the first of its host executes it, until something of it is recorded.

    Attributes:
        runtime_id: Whose.
        run_id: The run that has ended.
        next_run_id: Id of the new one.
        input_id: Id of the input that it is over.
        payload: Encoded; at most `Limits.payload_bytes`.
        payload_digest: SHA-256 of the payload.
        fitted: Version of the behaviour whose payload class took it.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    next_run_id: RunId
    input_id: InputId
    payload: bytes = field(repr=False)
    payload_digest: bytes
    fitted: str = ""

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.payload)


def derived_key(run_id: RunId) -> str:
    """The idempotency key of the input that a run goes on with; users' keys never begin so."""
    return f"{_KEYS}{run_id}"


def _again(tx: Transaction, change: RunAgain) -> inputs.AcceptedInput:
    record = runtimes.load(tx, change.runtime_id)
    if record.run is not None or record.state in (RuntimeState.STOPPED, RuntimeState.DESTROYED):
        event = f"a run after run {change.run_id}, which has not ended by itself"
        raise InvalidTransition(runtime_id=change.runtime_id, state=record.state, event=event)
    accept = inputs.AcceptInput(
        runtime_id=change.runtime_id,
        input_id=change.input_id,
        kind=InputKind.CONTINUATION,
        source=_encode({"type": "run", "run_id": change.run_id}).decode(),
        idempotency_key=derived_key(change.run_id),
        payload=change.payload,
        payload_digest=change.payload_digest,
        bound_by_inbox=False,
        fitted=change.fitted,
    )
    accepted = inputs.admit_own(tx, accept)
    session = sessions.own(tx, record)
    base, base_count = (None, 0) if session is None else (session.head, session.message_count)
    run = run_records.begin(tx, record.runtime, change.next_run_id, base, base_count, "")
    tx.write("again.bind", runtime=record.runtime, input_id=change.input_id, run=run.run)
    record.run = run.run
    runtimes.save_progress(tx, record)
    for what, key in [*tx.ended]:
        if what == "run":
            children.carry(tx, run_records.load(tx, key), run)
    return accepted


def goes_on_after(statements: Statements, run: int) -> RunId | None:
    """The run that this one goes on after; None where it does not."""
    row = statements.one("again.before", run=run, first=_KEYS, behind=f"{_KEYS[:-1]};")
    return None if row is None else RunId(str(row[0])[len(_KEYS) :])


FACET: Final = Facet(name="again", handlers={RunAgain: Handler(apply=_again)})
