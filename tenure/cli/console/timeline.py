"""One runtime as a timeline: what came, what was done and what was proven, in one order. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final
from urllib.parse import urlencode

from attrs import frozen

from tenure.persistence.upkeep.listing import InboxLine
from tenure.persistence.upkeep.one_runtime.sentences import human
from tenure.persistence.upkeep.one_runtime.tail import Entry
from tenure.persistence.upkeep.record import RunEntry


@final
@frozen(kw_only=True, slots=True)
class Moment:
    """One line of a timeline.

    Attributes:
        at: When, unix seconds.
        what: ``input``, ``step``, ``receipt`` or ``link``.
        status: How far it has come, in a word.
        text: What happened.
        detail: More of it, or empty.
        content: Where its content can be looked at, a path with a query; empty for nothing.
    """

    at: float
    what: str
    status: str
    text: str
    detail: str = ""
    content: str = ""


def timeline(
    runtime_id: str, inputs: Iterable[InboxLine], entries: Iterable[RunEntry], chain: Iterable[Entry]
) -> list[Moment]:
    """All of it, the newest first; of what came at one time the later in its own order first."""
    moments = [
        *(_input(runtime_id, each) for each in inputs),
        *(_step(runtime_id, each) for each in entries),
        *(_link(each) for each in chain),
    ]
    return sorted(moments, key=lambda moment: moment.at)[::-1]


def _input(runtime_id: str, line: InboxLine) -> Moment:
    failed = f", {line.attempts} failed attempts" if line.attempts else ""
    due = "" if line.due_at is None else ", delayed"
    return Moment(
        at=line.created_at if line.finished_at is None else line.finished_at,
        what="input",
        status=line.phase if line.reason is None else f"{line.phase}: {line.reason}",
        text=f"{line.kind} {line.input_id} ({line.lane}{due}{failed})",
        detail=line.error or "",
        content=f"/content?{urlencode({'id': runtime_id, 'input': line.input_id})}",
    )


def _step(runtime_id: str, entry: RunEntry) -> Moment:
    name = entry.kind if entry.name == entry.kind else f"{entry.kind} {entry.name}"
    lasted = "" if entry.ended_at is None else f", took {human(entry.ended_at - entry.started_at)}"
    version = f", version {entry.version}" if entry.version else ""
    tried = f", attempt {entry.attempt}" if entry.attempt > 1 else ""
    where = urlencode({"id": runtime_id, "run": entry.run_id, "place": entry.place})
    return Moment(
        at=entry.started_at if entry.ended_at is None else entry.ended_at,
        what="step",
        status=entry.status,
        text=f"{name} at {entry.place} ({entry.repeat}{tried}{version}{lasted})",
        content=f"/content?{where}",
    )


def _link(entry: Entry) -> Moment:
    if entry.run_id is None:
        return Moment(
            at=entry.committed_at,
            what="link",
            status=entry.event,
            text=f"number {entry.position}",
            detail=entry.detail or "",
        )
    return Moment(
        at=entry.committed_at,
        what="receipt",
        status=entry.event,
        text=f"number {entry.position} of run {entry.run_id}: {entry.inputs} inputs, {entry.message_count} messages",
    )
