"""Why a runtime does not run, and what it has done: read for people from outside, without any content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

import msgspec
from attrs import frozen

from tenure.errors import NotFound, Unreadable
from tenure.persistence.commits.rows import (
    NUMBER,
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    Types,
    check_row,
)
from tenure.persistence.engines.engine import (
    Row,
    Statements,
)
from tenure.persistence.facets.inbox import delays
from tenure.persistence.facets.records import asides, holds
from tenure.persistence.facets.runs import entries
from tenure.persistence.facets.runs.again import goes_on_after
from tenure.persistence.model.entries import EntryKind, EntryStatus, named_steps
from tenure.persistence.model.inputs.input_state import origin_of
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RuntimeState,
)

from .listing import keeps_hosts_away
from .record import RunEntry, described, entry_of_now

LONGEST_CHAIN: Final = 20
"""Waits for one another that are followed."""

LETTERS: Final = 1_000
"""How far dead letters are counted, in each of three places."""

_WHY: Final[Types] = (
    str,
    OPTIONAL_TEXT,
    OPTIONAL_TEXT,
    OPTIONAL_TEXT,
    int,
    OPTIONAL_INT,
    OPTIONAL_TEXT,
    OPTIONAL_TEXT,
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
)


def explain(
    statements: Statements,
    runtime_id: LogicalRuntimeId,
    now: float,
    *,
    no_host: bool = False,
    after: tuple[LogicalRuntimeId, ...] = (),
) -> dict[str, Any]:
    """Say why a runtime does not run, in one sentence with its facts, as a JSON object.

    Args:
        statements: A view of the store.
        runtime_id: Which runtime.
        now: Unix seconds.
        no_host: Whether it is known that no host lives, though one that was killed is still written as the owner.
        after: Runtimes whose wait led here.

    Raises:
        NotFound: There is no such runtime.
        Corrupt: Its row cannot be read.
    """
    row = statements.one("verification.why", runtime_id=runtime_id)
    if row is None:
        raise NotFound(what="runtime", key=runtime_id)
    check_row(row, _WHY, "runtime", runtime_id)
    state, held, detail, kind, key, run, incarnation, host_name, pid, gone_at, run_id, attempts, retry_at, error = row
    staged = run is not None and statements.one("verification.staged", run=run) is not None
    entry = None if run is None or run_id is None else entry_of_now(statements, run, run_id)
    letters: int = (statements.one("verification.dead_letters", runtime=key, count=LETTERS) or (0,))[0]
    wake_at = None if run is None else _sleeps_until(statements, run)
    count: int = (statements.one("verification.open_inputs", runtime=key) or (0,))[0]
    delayed, next_due_at = delays.of_runtime(statements, key, LETTERS)
    kept = holds.of_runtime(statements, runtime_id, kind)
    owned = incarnation is not None and gone_at is None and not no_host
    aside = asides.of_runtime(statements, key)
    doubts = [] if held is None or run is None else entries.in_doubt(statements, run)
    waits = "" if not staged and aside is None else _asks(statements, (*after, runtime_id), now, no_host=no_host)
    # The first that holds keeps it from running, whatever else there is.
    cases: tuple[tuple[bool, str], ...] = (
        (state == RuntimeState.DESTROYED, "it was destroyed, and never comes back"),
        (state == RuntimeState.STOPPED, "it is stopped until it is spawned again"),
        (held is not None, f"it is held until a person resumes it: {held}{_doubts(doubts)}"),
        (bool(kept), f"a person keeps it on hold: {'; '.join(_hold(each, now) for each in kept)}"),
        (not count and run is None and state == RuntimeState.RETIRED, "it is retired, and has nothing left to drain"),
        (not count and run is None and letters > 0, f"nothing waits in its inbox; {_letters(letters)} to be retried"),
        (not count and run is None and delayed > 0, _delayed(delayed, next_due_at, now)),
        (not count and run is None, "nothing waits in its inbox"),
        (aside is not None, "" if aside is None else _aside(aside, entry, wake_at, waits, now)),
        (not owned, "" if owned else f"no living host has it: {keeps_hosts_away(statements, kind, no_host=no_host)}"),
        (retry_at is not None and retry_at > now, "its run has failed and waits to be tried again"),
        (staged and wake_at is not None and wake_at > now, f"its run sleeps, at {_place(entry)}"),
        (bool(waits), waits),
        (staged, _executing(entry, now)),
    )
    return {
        "runtime_id": runtime_id,
        "because": next((why for holds, why in cases if holds), "") or _begins(statements, key),
        "state": state,
        "kind": kind,
        "held": None
        if held is None
        else {"reason": held, "detail": detail, "in_doubt": [{"place": place, "name": name} for place, name in doubts]},
        "on_hold": kept,
        "owner": {"incarnation": incarnation, "host": host_name, "pid": pid} if owned else None,
        "run": None
        if run_id is None
        else {
            "run_id": run_id,
            "goes_on_after": None if run is None else goes_on_after(statements, run),
            "failed_attempts": attempts,
            "last_error": error,
            "retry_at": retry_at,
            "sleeps_until": wake_at,
            "aside": None if aside is None else {"since": aside.since, "wake_at": aside.wake_at},
            "entry": None if entry is None else described(entry),
        },
        "dead_letters": letters,
        "unfinished_inputs": count,
        "oldest_input": _oldest(statements, key, now),
        "delayed_inputs": delayed,
        "next_due_at": next_due_at,
        "open_requests": [verb for verb, _ in statements.all("verification.open_requests", runtime=key)],
    }


def _aside(aside: asides.Aside, entry: RunEntry | None, sleeps_until: float | None, waits: str, now: float) -> str:
    """Since when a run is aside, for what, and until when."""
    since = f"its run is put aside, for {human(now - aside.since)}"
    place = _place(entry)
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


def _hold(hold: dict[str, Any], now: float) -> str:
    note = f", {hold['note']}" if hold["note"] else ""
    return f"the {hold['of']}, for {human(now - hold['since'])}{note}"


def _doubts(doubts: list[tuple[str, str]]) -> str:
    if not doubts:
        return ""
    many = "1 step" if len(doubts) == 1 else f"{len(doubts)} steps"
    return f"; {many} may have run: {named_steps(doubts)}"


def _asks(statements: Statements, chain: tuple[LogicalRuntimeId, ...], now: float, *, no_host: bool) -> str:
    """For whom the run of the last of a chain waits, and what that one does: to the end of the chain."""
    row = statements.one("asks.waited_for", runtime_id=chain[-1])
    if row is None:
        return ""
    check_row(row, (str, str, NUMBER), "ask", chain[-1])
    place, other, since = row
    waits = f"its run waits for the answer of {other}, at {place}, for {human(now - since)}"
    if other in chain or len(chain) >= LONGEST_CHAIN:
        return waits
    try:
        why = explain(statements, LogicalRuntimeId(other), now, no_host=no_host, after=chain)["because"]
    except (NotFound, Unreadable) as exc:
        why = str(exc)
    return f"{waits}; {other}: {why}"


def _delayed(count: int, next_due_at: float | None, now: float) -> str:
    many = "1 input is" if count == 1 else f"{'more than ' if count >= LETTERS else ''}{min(count, LETTERS)} inputs are"
    first = "" if next_due_at is None else f", the first due in {human(next_due_at - now)}"
    return f"nothing waits in its inbox; {many} delayed{first}"


def _letters(count: int) -> str:
    if count == 1:
        return "1 dead letter waits"
    return f"{'more than ' if count >= LETTERS else ''}{min(count, LETTERS)} dead letters wait"


def _place(entry: RunEntry | None) -> str:
    return "no place" if entry is None else entry.place


def _executing(entry: RunEntry | None, now: float) -> str:
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


def human(seconds: float) -> str:
    """A length of time for people: two units at most."""
    left = max(int(seconds), 0)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def _sleeps_until(statements: Statements, run: int) -> float | None:
    row = statements.one("verification.last_step", run=run)
    if row is None or row[0] != EntryKind.SLEEP or not isinstance(row[3], bytes):
        return None
    try:
        return msgspec.json.decode(row[3], type=float)
    except msgspec.MsgspecError:
        return None  # damaged; the host that enters the run gets the error


def _begins(statements: Statements, runtime: int) -> str:
    if statements.one("verification.queued", runtime=runtime) is not None:
        return "nothing holds it back: its host begins a run"
    return (
        "none of its inputs is queued: what a store verb wrote in another phase waits for its caller, or the next owner"
    )


def _oldest(statements: Statements, runtime: int, now: float) -> dict[str, Any] | None:
    row = statements.one("verification.oldest_input", runtime=runtime)
    if row is None:
        return None
    check_row(row, (str, str, str, str, int, NUMBER, OPTIONAL_TEXT), "input", row[0])
    input_id, kind, phase, lane, attempts, created_at, extra = row
    origin = origin_of(extra, input_id)
    return {
        "input_id": input_id,
        "kind": kind,
        "phase": phase,
        "lane": lane,
        "failed_attempts": attempts,
        "age_s": round(now - created_at, 1),
        "correlation_id": origin.correlation_id,
        "traceparent": origin.traceparent,
    }


@final
@frozen(kw_only=True, slots=True)
class Entry:
    """One entry of a runtime's hash chain: a receipt, or a link such as a reset.

    Attributes:
        position: Its place in the chain, from 1.
        committed_at: Unix seconds.
        event: Which boundary, or what the link stands for.
        run_id: Of a receipt.
        sequence: Of a receipt in its run.
        message_count: Messages of the conversation after a receipt.
        inputs: How many inputs contributed to a receipt.
        detail: Of a link.
    """

    position: int
    committed_at: float
    event: str
    run_id: str | None = None
    sequence: int | None = None
    message_count: int | None = None
    inputs: int | None = None
    detail: str | None = None


@final
class Tail:
    """Reads what a runtime's chain has grown by since it was last asked."""

    def __init__(self, runtime_id: LogicalRuntimeId) -> None:
        """Know of nothing yet."""
        self._runtime_id = runtime_id
        self._receipt = 0
        self._link = 0

    def newest(self, statements: Statements, count: int) -> list[Entry]:
        """The last entries, at most `count`, oldest first. Raises `NotFound`."""
        key = self._key(statements)
        receipts = statements.all("verification.newest_receipts", runtime=key, count=max(count, 1))[::-1]
        links = statements.all("verification.newest_links", runtime=key, count=max(count, 1))[::-1]
        found = self._entries(receipts, links)
        return found[-count:] if count else []

    def more(self, statements: Statements) -> list[Entry]:
        """What has landed since, in its order. Raises `NotFound`."""
        key = self._key(statements)
        receipts = statements.all("verification.receipts_after", runtime=key, after=self._receipt)
        return self._entries(receipts, statements.all("verification.links_after", runtime=key, after=self._link))

    def _key(self, statements: Statements) -> int:
        row = statements.one("verification.runtime", runtime_id=self._runtime_id)
        if row is None:
            raise NotFound(what="runtime", key=self._runtime_id)
        key: int = row[0]
        return key

    def _entries(self, receipts: list[Row], links: list[Row]) -> list[Entry]:
        self._receipt = receipts[-1][0] if receipts else self._receipt
        self._link = links[-1][0] if links else self._link
        found = [*_each(receipts, _RECEIPT, _receipt), *_each(links, _LINK, _link)]
        return sorted(found, key=lambda entry: entry.position)


_RECEIPT: Final[Types] = (int, int, NUMBER, str, str, int, int, str)
_LINK: Final[Types] = (int, int, NUMBER, str, str)


def _each(rows: list[Row], types: Types, make: Callable[[Row], Entry]) -> list[Entry]:
    for row in rows:
        check_row(row, types, "entry of a chain", row[0])
    return [make(row) for row in rows]


def _receipt(row: Row) -> Entry:
    _, position, committed_at, boundary, run_id, sequence, count, input_ids = row
    return Entry(
        position=position,
        committed_at=committed_at,
        event=boundary,
        run_id=run_id,
        sequence=sequence,
        message_count=count,
        inputs=len(msgspec.json.decode(input_ids, type=list[str])),
    )


def _link(row: Row) -> Entry:
    _, position, committed_at, event, detail = row
    return Entry(position=position, committed_at=committed_at, event=event, detail=detail or None)
