"""Facts of one runtime as sentences for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tenure.persistence.facets.records.asides import Aside
from tenure.persistence.model.entries import EntryKind, EntryStatus, named_steps
from tenure.persistence.upkeep.record import RunEntry

LETTERS: Final = 1_000
"""How far dead letters and delayed inputs are counted, each in its place."""


def put_aside(aside: Aside, entry: RunEntry | None, sleeps_until: float | None, waits: str, now: float) -> str:
    """Since when a run is aside, for what, and until when."""
    since = f"its run is put aside, for {human(now - aside.since)}"
    place = place_of(entry)
    if waits:
        what = waits.removeprefix("its run ")
    elif aside.steerable:
        what = f"waits to be steered, at {place}"
    elif sleeps_until is not None:
        what = f"sleeps, at {place}"
    else:
        what = f"waits, at {place}"
    if aside.wake_at is None:
        return f"{since}: it {what}"
    left = f"for another {human(aside.wake_at - now)}" if aside.wake_at > now else "and is due"
    return f"{since}: it {what}, {left}"


def on_hold(hold: Mapping[str, Any], now: float) -> str:
    """A hold of a person, as `holds` gives it."""
    note = f", {hold['note']}" if hold["note"] else ""
    return f"the {hold['of']}, for {human(now - hold['since'])}{note}"


def in_doubt(doubts: list[tuple[str, str]]) -> str:
    """Which steps may have run, as an addition to a sentence; empty where there is none."""
    if not doubts:
        return ""
    many = "1 step" if len(doubts) == 1 else f"{len(doubts)} steps"
    return f"; {many} may have run: {named_steps(doubts)}"


def waits_for_time(count: int, next_due_at: float | None, now: float) -> str:
    """How many inputs are delayed, and when the first of them is due."""
    many = "1 input is" if count == 1 else f"{'more than ' if count >= LETTERS else ''}{min(count, LETTERS)} inputs are"
    first = "" if next_due_at is None else f", the first due in {human(next_due_at - now)}"
    return f"nothing waits in its inbox; {many} delayed{first}"


def dead_letters(count: int) -> str:
    """How many dead letters wait."""
    if count == 1:
        return "1 dead letter waits"
    return f"{'more than ' if count >= LETTERS else ''}{min(count, LETTERS)} dead letters wait"


def executing(entry: RunEntry | None, now: float) -> str:
    """At which entry a run that executes stands, as far as it is on disk: a `freely` step is there when it has ended."""
    # Cases: nothing is recorded; it waits for a person; a step that is on disk before it runs; one that tries again by
    # itself, and waits or is at it; what comes after something that has ended.
    if entry is None:
        return "its run executes, and has recorded nothing yet"
    since = f"for {human(now - entry.started_at)}"
    if entry.kind == EntryKind.WAIT:
        return f"its run waits to be steered, at {entry.place}, {since}"
    step = (
        f"{entry.kind} {entry.name} at {entry.place}"
        if entry.name != entry.kind
        else f"a {entry.kind} at {entry.place}"
    )
    if entry.status in (EntryStatus.DISPATCHED, EntryStatus.IN_DOUBT):
        version = f", version {entry.version}" if entry.version else ""
        return f"its run executes {step}, attempt {entry.attempt}{version}, {since}"
    if entry.status == EntryStatus.RETRYING and entry.next_at is not None and entry.next_at > now:
        return f"{step} failed in attempt {entry.attempt} and is tried again in {human(entry.next_at - now)}"
    if entry.status == EntryStatus.RETRYING:
        return f"its run executes {step}, attempt {entry.attempt + 1}"
    after = entry.started_at if entry.ended_at is None else entry.ended_at
    return f"its run executes what comes after {step}, for {human(now - after)}"


def place_of(entry: RunEntry | None) -> str:
    """Where it stands in its record."""
    return "no place" if entry is None else entry.place


def human(seconds: float) -> str:
    """A length of time for people: two units at most."""
    left = max(int(seconds), 0)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
