"""Journals and execution state: what was appended, kept and set is there; nothing half, nothing without an owner."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from proof.stories.journals import ONE_WRITE, journal_of_day, journals, state_of_day, states
from tenure.persistence.facets.journal import facts, journal
from tenure.persistence.facets.journal.verify import verify_facts, verify_references, verify_stream
from tenure.persistence.facets.state import own_state, state, values
from tenure.persistence.facets.state.verify import (
    verify_executions,
    verify_own_states,
    verify_own_values,
    verify_own_writes,
    verify_values,
)
from tenure.persistence.model.events.journal import StreamId

from .facet import (
    FacetProof,
    Promised,
    Rows,
)
from .pruned import erased_runtimes

BRIEF: Final = "brief"
"""What has an id that begins so, or a key that holds it, is deleted, or expires, by the story itself: it may have gone."""


def appended(change: journal.AppendEvents, answer: int) -> Promised:
    """Exactly these events stand up to this cursor."""
    first = answer - len(change.events) + 1
    return [
        ("event", (change.stream, place, hashlib.sha256(event.payload).digest()))
        for place, event in enumerate(change.events, start=first)
        if not change.stream.startswith(BRIEF)
    ] + [("fact", each.key) for each in change.facts if not change.stream.startswith(BRIEF)]


def snapshot_kept(change: journal.SaveStreamSnapshot, answer: bool) -> Promised:  # noqa: FBT001 - an answer
    """A snapshot of this cursor, or a newer one, is kept."""
    kept = answer and not change.stream.startswith(BRIEF)
    return [("stream snapshot", (change.stream, change.snapshot.cursor))] if kept else []


def log_saved(change: journal.SaveLog, _answer: None) -> Promised:
    """A log is kept under the id."""
    return [] if change.stream.startswith(BRIEF) else [("log", change.stream)]


def execution_saved(change: state.SaveExecution, answer: bool) -> Promised:  # noqa: FBT001 - an answer
    """A snapshot of this sequence, or a newer one, is kept."""
    name, sequence = change.snapshot.execution_id, change.snapshot.sequence
    return [("execution", (name, sequence))] if answer and not name.startswith(BRIEF) else []


def values_written(change: values.WriteValues, _answer: int) -> Promised:
    """There is a value under every key that got one, or kept one."""
    return [("value", key) for key, value in change.values if value is not None and BRIEF not in key]


def check_journal(rows: Rows) -> None:
    """Every stream is whole, and has every event that was acknowledged at its place."""
    stored = {
        (stream, sequence): hashlib.sha256(payload).digest()
        for stream, sequence, payload in rows.of(
            "SELECT s.stream_id, e.sequence, e.payload FROM events e JOIN streams s USING (stream)"
        )
    }
    for stream, sequence, digest in rows.history.acknowledged("event"):
        found = stored.get((stream, sequence))
        assert found == digest, f"event {sequence} of {stream} was acknowledged, and is lost or another"
    for (stream_id,) in rows.of("SELECT stream_id FROM streams WHERE stream_id IS NOT NULL"):
        at: int | None = 0
        while at is not None:
            at, problems = verify_stream(rows.statements, StreamId(stream_id), at)
            assert not problems, problems
    for stream, cursor in rows.history.acknowledged("stream snapshot"):
        kept = journal.find_snapshot(rows.statements, StreamId(stream))
        assert kept is not None, f"the snapshot of {stream} is lost"
        assert kept.cursor >= cursor, f"the snapshot of {stream} went back"
    for stream in rows.history.acknowledged("log"):
        assert journal.find_log(rows.statements, StreamId(stream)) is not None, f"the log {stream} is lost"


def check_facts(rows: Rows) -> None:
    """Every fact that something refers to is there, as it was stored."""
    problems: list[Any] = verify_references(rows.statements)
    at: int | None = 0
    while at is not None:
        at, found = verify_facts(rows.statements, at, 500)
        problems += found
    assert not problems, problems
    for key in rows.history.acknowledged("fact"):
        assert facts.find(rows.statements, key) is not None, f"the fact {key} is lost"


def check_state(rows: Rows) -> None:
    """Every value and snapshot that was acknowledged is there, and none is damaged."""
    at: str | None = ""
    while at is not None:
        at, problems = verify_values(rows.statements, at, 500)
        assert not problems, problems
    at = ""
    while at is not None:
        at, problems = verify_executions(rows.statements, at, 500)
        assert not problems, problems
    for name, sequence in rows.history.acknowledged("execution"):
        found = state.find_execution(rows.statements, name)
        assert found is not None, f"the snapshot of {name} is lost"
        assert found.sequence_number >= sequence, f"the snapshot of {name} went back"
    for key in rows.history.acknowledged("value"):
        assert values.find_value(rows.statements, key) is not None, f"the value {key} is lost"
    pair = [values.find_value(rows.statements, key) is None for key in ONE_WRITE]
    assert pair[0] == pair[1], "half of what one commit wrote is there"
    rows.none(
        "SELECT binding FROM execution_bindings WHERE runtime NOT IN (SELECT runtime FROM runtimes)",
        "an execution that is bound to no runtime",
    )


def kept(change: own_state.WriteOwnState, answer: int) -> Promised:
    """The state has this revision, or a later one, and its values are these, or later ones."""
    return [
        ("own value", (change.runtime_id, name, answer, None if value is None else hashlib.sha256(value).digest()))
        for name, value in change.values
    ]


def check_own_states(rows: Rows) -> None:
    """What runtimes keep is whole, and nothing that was acknowledged is lost or went back."""
    for page in (verify_own_values, verify_own_writes, verify_own_states):
        at: int | None = 0
        while at is not None:
            at, problems = page(rows.statements, at, 500)
            assert not problems, problems
    heads = dict(rows.of("SELECT runtime_id, revision FROM own_states JOIN runtimes USING (runtime)"))
    newest = {
        (runtime_id, name): (revision, value)
        for runtime_id, name, revision, value in rows.of(
            "SELECT runtime_id, name, revision, value FROM own_values JOIN runtimes USING (runtime) ORDER BY revision"
        )
    }
    erased = erased_runtimes(rows)
    for runtime_id, name, revision, digest in rows.history.acknowledged("own value"):
        if runtime_id in erased:
            continue
        assert heads.get(runtime_id, 0) >= revision, f"the state of {runtime_id} was at {revision}, and went back"
        found, value = newest.get((runtime_id, name), (None, None))
        if found is None:
            assert digest is None or heads[runtime_id] > revision, f"{name} of {runtime_id} is lost"
        else:
            assert found >= revision, f"{name} of {runtime_id} went back"
            stored = None if value is None else hashlib.sha256(value).digest()
            assert found > revision or stored == digest, f"{name} of {runtime_id} is another"
    rows.none(
        "SELECT w.own_write FROM own_writes w WHERE NOT EXISTS"
        " (SELECT 1 FROM receipts c WHERE c.run = w.run AND c.sequence = w.boundary)",
        "a write before its boundary",
    )
    rows.none(
        "SELECT w.own_write FROM own_writes w JOIN runs u USING (run) WHERE u.outcome = 'finished'",
        "a run has ended, and its writes are still noted",
    )


PROOFS: Final = (
    FacetProof(
        name="journal",
        story=journals,
        everyday=journal_of_day,
        promises={
            journal.AppendEvents: appended,
            journal.SaveStreamSnapshot: snapshot_kept,
            journal.SaveLog: log_saved,
        },
        check=check_journal,
    ),
    FacetProof(name="facts", check=check_facts, quiet=(facts.PruneFacts, facts.SaveFact)),
    FacetProof(
        name="state",
        story=states,
        everyday=state_of_day,
        promises={state.SaveExecution: execution_saved, values.WriteValues: values_written},
        check=check_state,
        quiet=(state.SaveExecution, values.SweepExpired),
    ),
    FacetProof(name="own_state", promises={own_state.WriteOwnState: kept}, check=check_own_states),
)
