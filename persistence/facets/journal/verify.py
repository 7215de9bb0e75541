"""Verification of journals: every event at its place, every log, snapshot, fact and reference as its digest says."""

from __future__ import annotations

from collections.abc import Iterator

from tenure.errors import ReadFailed
from tenure.persistence.commits.upkept import Problem
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.events.event_types import decode_log
from tenure.persistence.model.events.journal import StreamId, decode_value

from . import facts, journal, streams

MISSING_SHOWN = 100
"""References without a fact, or events without a stream, that are named."""


def verify_streams(
    statements: Statements, after: tuple[str, int | None], count: int
) -> tuple[tuple[str, int | None] | None, list[Problem]]:
    """A page of all streams, each with its events: where the next begins, None at the end; and what is wrong."""
    stream_id, at = after
    if at is None:  # that stream is done: the next one whose id can be read
        rows = statements.readable("journal.list", after=stream_id, count=count)
        found = next((row[0] for row in rows if isinstance(row[0], str)), None)
        if found is None:
            return None, []
        stream_id, at = found, 0
    at, problems = verify_stream(statements, StreamId(stream_id), at)
    return (stream_id, at), problems


def count_streams(statements: Statements) -> int:
    """How many streams there are."""
    row = statements.one("journal.count_streams")
    return row[0] if row else 0


def verify_stream(statements: Statements, stream_id: StreamId, after: int) -> tuple[int | None, list[Problem]]:
    """A page of one stream: where the next begins, None at the end; and what is wrong.

    What stands under the id beside the events is verified with the first page.
    """
    problems = list(_beside(statements, stream_id)) if after == 0 else []
    try:
        record = streams.find(statements, stream_id)
        if record is None or not record.streamed:
            return None, problems
        page = journal.page(statements, stream_id, after)
    except ReadFailed as exc:
        problems.append(_problem(exc, "event", stream_id))
        return _behind(exc, stream_id, after), problems  # a bad event hides no other
    problems += _unreferred(statements, stream_id, page)
    last = page.events[-1][0] if page.events else after
    return (None if last >= page.head else last), problems


def _unreferred(statements: Statements, stream_id: StreamId, page: journal.EventPage) -> Iterator[Problem]:
    """Facts of a page's events that are not there, or that their stream does not refer to: `prune` would take those."""
    for key in sorted({key for _, event, _ in page.events for _, key, _ in event.references}):
        row = statements.one("facts.find", fact_key=key)
        if row is None:
            yield "event", stream_id, f"fact {key[2:]} is not there"
        elif statements.one("facts.refers", fact=row[0], stream=page.life[0], source=facts.EVENTS) is None:
            yield "reference", key[2:], f"stream {stream_id!r} has an event with it, and does not refer to it"


def _behind(error: ReadFailed, stream_id: StreamId, after: int) -> int | None:
    """The cursor after the event that an error names; None where it names none."""
    record, key = getattr(error, "record", ""), getattr(error, "key", "")
    sequence = key.removeprefix(f"{stream_id}:")
    return int(sequence) if record == "event" and sequence.isdecimal() and int(sequence) > after else None


def _beside(statements: Statements, stream_id: StreamId) -> Iterator[Problem]:
    try:
        journal.find_snapshot(statements, stream_id)
    except ReadFailed as exc:
        yield _problem(exc, "journal snapshot", stream_id)
    try:
        log = journal.find_log(statements, stream_id)
        if log is not None:
            decode_log(log, stream_id)
    except ReadFailed as exc:
        yield _problem(exc, "journal log", stream_id)


def verify_facts(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of facts: where the next begins, None at the end; and what is wrong."""
    problems: list[Problem] = []
    rows = statements.readable("facts.page", after=after, count=count)
    for fact, key in rows:
        try:
            if not isinstance(key, str):
                problems.append(("fact", str(fact), "its key is not text"))
                continue
            found = facts.find(statements, key)
            if found is not None:
                decode_value(*found, "fact", key)
        except ReadFailed as exc:
            problems.append(_problem(exc, "fact", key))
    return (rows[-1][0] if rows else None), problems


def verify_references(statements: Statements) -> list[Problem]:
    """References to facts that are not there, and events of no stream; the first of them."""
    missing = statements.readable("facts.missing", count=MISSING_SHOWN)
    strays = statements.readable("journal.strays", count=MISSING_SHOWN)
    return [
        *[("reference", str(row[0]), f"stream {row[1]!r} refers to a fact that is not there") for row in missing],
        *[("event", str(row[0]), "it is of no stream") for row in strays],
    ]


def _problem(error: ReadFailed, record: str, key: str) -> Problem:
    return getattr(error, "record", record), getattr(error, "key", key), str(error)
