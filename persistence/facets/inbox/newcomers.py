"""Newcomers: runtimes that begin with an input, made in the commit that accepts it, by a process that may own nothing."""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.errors import KindMismatch
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.records import labels, runtimes
from tenure.persistence.model.labels import Labels
from tenure.persistence.model.values import LogicalRuntimeId, SessionId

MAKE_IT: Final = "check the id, or give its kind to make it"
"""What to do where there is no runtime that something is for."""


@final
@frozen(kw_only=True, slots=True)
class Newcomer:
    """What a runtime is that may not be there yet.

    Attributes:
        kind: Names its behaviour; compared with that of a known runtime.
        session_id: Session of a new one.
        labels: Of a new one; one that is there keeps what it has.
    """

    kind: str
    session_id: SessionId
    labels: Labels = ()


def find(tx: Transaction, runtime_id: LogicalRuntimeId, newcomer: Newcomer | None) -> runtimes.RuntimeRecord | None:
    """The record of a runtime that is there; None where it is new, and may be made.

    Raises:
        NotFound: It is not there, and is not to be made.
        KindMismatch: It is of another kind.
    """
    if newcomer is None:
        return load_target(tx, runtime_id)
    record = runtimes.find_cached(tx, runtime_id)
    if record is not None and record.kind not in (None, newcomer.kind):
        raise KindMismatch(runtime_id=runtime_id, stored=record.kind, given=newcomer.kind)
    return record


def load_target(tx: Transaction, runtime_id: LogicalRuntimeId) -> runtimes.RuntimeRecord:
    """The record of a runtime that something is for. Raises `NotFound`, which says how it is made."""
    return runtimes.load(tx, runtime_id, advice=MAKE_IT)


def make(tx: Transaction, runtime_id: LogicalRuntimeId, newcomer: Newcomer) -> runtimes.RuntimeRecord:
    """A new runtime, idle, that no host owns: its first owner mints its first token."""
    session = tx.key("sessions")
    record = runtimes.insert(tx, runtime_id, kind=newcomer.kind, session=session)
    sessions.create_as(tx, session, newcomer.session_id, record.runtime)
    labels.give(tx, record, newcomer.labels)
    return record


def give_kind(tx: Transaction, record: runtimes.RuntimeRecord, newcomer: Newcomer) -> None:
    """Say of what kind a runtime is that store verbs have made: without one no host takes it over."""
    if record.kind is None:
        record.kind = newcomer.kind
        runtimes.save(tx, record)
