"""Why a runtime does not run: the one thing that keeps it from running, of all that is stored of it."""

from __future__ import annotations

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
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox import delays
from tenure.persistence.facets.records import asides, holds
from tenure.persistence.facets.runs import entries
from tenure.persistence.facets.runs.again import goes_on_after
from tenure.persistence.model.entries import EntryKind
from tenure.persistence.model.inputs.input_state import origin_of
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState
from tenure.persistence.upkeep.listing import keeps_hosts_away
from tenure.persistence.upkeep.record import RunEntry, described, entry_of_now

from . import sentences
from .sentences import LETTERS, human

LONGEST_CHAIN: Final = 20
"""Waits for one another that are followed."""


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
    facts = _read(statements, runtime_id, now, no_host=no_host, after=after)
    aside, run_id = facts.aside, facts.run_id
    return {
        "runtime_id": runtime_id,
        "because": _because(facts, now) or _begins(statements, facts.key),
        "state": facts.state,
        "kind": facts.kind,
        "held": None
        if facts.held is None
        else {
            "reason": facts.held,
            "detail": facts.held_detail,
            "in_doubt": [{"place": place, "name": name} for place, name in facts.doubts],
        },
        "on_hold": facts.kept,
        "owner": facts.owner,
        "run": None
        if run_id is None
        else {
            "run_id": run_id,
            "goes_on_after": None if facts.run is None else goes_on_after(statements, facts.run),
            "failed_attempts": facts.failed_attempts,
            "last_error": facts.last_error,
            "retry_at": facts.retry_at,
            "sleeps_until": facts.wake_at,
            "aside": None if aside is None else {"since": aside.since, "wake_at": aside.wake_at},
            "entry": None if facts.entry is None else described(facts.entry),
        },
        "dead_letters": facts.letters,
        "unfinished_inputs": facts.unfinished,
        "oldest_input": _oldest(statements, facts.key, now),
        "delayed_inputs": facts.delayed,
        "next_due_at": facts.next_due_at,
        "open_requests": [verb for verb, _ in statements.all("verification.open_requests", runtime=facts.key)],
    }


@final
@frozen(kw_only=True, slots=True)
class _Facts:
    """What is stored of a runtime that may keep it from running. Times are unix seconds.

    Attributes:
        key: Of its row.
        state: Its lifecycle state.
        kind: Names its behaviour.
        held: Why it is held, if it is.
        held_detail: What is said of that.
        kept: The holds that a person keeps on it, on its kind or on all.
        doubts: Place and name of each step in doubt, where it is held.
        owner: The living host that has it.
        away: Without one: what keeps hosts away.
        run: Key of its open run.
        run_id: Its id.
        staged: Whether that run has begun.
        failed_attempts: Of that run.
        last_error: Of the last of them.
        retry_at: Before which it is not tried again.
        wake_at: Until when its last step sleeps.
        entry: What that run has recorded last.
        aside: Since when it is put aside, and for what.
        waits: The sentence that says for whose answer it waits; empty for none.
        letters: How many dead letters it has, as far as `LETTERS` lets them be counted.
        unfinished: How many inputs have not ended and are not delayed.
        delayed: How many are delayed, counted as `letters`.
        next_due_at: When the first of these is due.
    """

    key: int
    state: str
    kind: str | None
    held: str | None
    held_detail: str | None
    kept: list[dict[str, Any]]
    doubts: list[tuple[str, str]]
    owner: dict[str, Any] | None
    away: str
    run: int | None
    run_id: str | None
    staged: bool
    failed_attempts: int | None
    last_error: str | None
    retry_at: float | None
    wake_at: float | None
    entry: RunEntry | None
    aside: asides.Aside | None
    waits: str
    letters: int
    unfinished: int
    delayed: int
    next_due_at: float | None


def _read(
    statements: Statements,
    runtime_id: LogicalRuntimeId,
    now: float,
    *,
    no_host: bool,
    after: tuple[LogicalRuntimeId, ...],
) -> _Facts:
    row = statements.one("verification.why", runtime_id=runtime_id)
    if row is None:
        raise NotFound(what="runtime", key=runtime_id)
    check_row(row, _WHY, "runtime", runtime_id)
    state, held, detail, kind, key, run, incarnation, host_name, pid, gone_at, run_id, attempts, retry_at, error = row
    is_owned = incarnation is not None and gone_at is None and not no_host
    staged = run is not None and statements.one("verification.staged", run=run) is not None
    aside = asides.of_runtime(statements, key)
    delayed, next_due_at = delays.of_runtime(statements, key, LETTERS)
    is_waiting = staged or aside is not None
    return _Facts(
        key=key,
        state=state,
        kind=kind,
        held=held,
        held_detail=detail,
        kept=holds.of_runtime(statements, runtime_id, kind),
        doubts=[] if held is None or run is None else entries.in_doubt(statements, run),
        owner={"incarnation": incarnation, "host": host_name, "pid": pid} if is_owned else None,
        away="" if is_owned else keeps_hosts_away(statements, kind, no_host=no_host),
        run=run,
        run_id=run_id,
        staged=staged,
        failed_attempts=attempts,
        last_error=error,
        retry_at=retry_at,
        wake_at=None if run is None else _sleeps_until(statements, run),
        entry=None if run is None or run_id is None else entry_of_now(statements, run, run_id),
        aside=aside,
        waits=_asks(statements, (*after, runtime_id), now, no_host=no_host) if is_waiting else "",
        letters=(statements.one("verification.dead_letters", runtime=key, count=LETTERS) or (0,))[0],
        unfinished=(statements.one("verification.open_inputs", runtime=key) or (0,))[0],
        delayed=delayed,
        next_due_at=next_due_at,
    )


def _because(facts: _Facts, now: float) -> str:
    """The first that holds keeps it from running, whatever else there is; empty where nothing does."""
    held, aside, retry_at, wake_at, entry = facts.held, facts.aside, facts.retry_at, facts.wake_at, facts.entry
    is_empty = not facts.unfinished and facts.run is None
    cases: tuple[tuple[bool, str], ...] = (
        (facts.state == RuntimeState.DESTROYED, "it was destroyed, and never comes back"),
        (facts.state == RuntimeState.STOPPED, "it is stopped until it is spawned again"),
        (held is not None, f"it is held until a person resumes it: {held}{sentences.in_doubt(facts.doubts)}"),
        (
            bool(facts.kept),
            f"a person keeps it on hold: {'; '.join(sentences.on_hold(each, now) for each in facts.kept)}",
        ),
        (is_empty and facts.state == RuntimeState.RETIRED, "it is retired, and has nothing left to drain"),
        (
            is_empty and facts.letters > 0,
            f"nothing waits in its inbox; {sentences.dead_letters(facts.letters)} to be retried",
        ),
        (is_empty and facts.delayed > 0, sentences.waits_for_time(facts.delayed, facts.next_due_at, now)),
        (is_empty, "nothing waits in its inbox"),
        (aside is not None, "" if aside is None else sentences.put_aside(aside, entry, wake_at, facts.waits, now)),
        (facts.owner is None, f"no living host has it: {facts.away}"),
        (retry_at is not None and retry_at > now, "its run has failed and waits to be tried again"),
        (
            facts.staged and wake_at is not None and wake_at > now,
            f"its run sleeps, at {sentences.place_of(entry)}",
        ),
        (bool(facts.waits), facts.waits),
        (facts.staged, sentences.executing(entry, now)),
    )
    return next((why for holds, why in cases if holds), "")


def _begins(statements: Statements, runtime: int) -> str:
    if statements.one("verification.queued", runtime=runtime) is not None:
        return "nothing holds it back: its host begins a run"
    return (
        "none of its inputs is queued: what a store verb wrote in another phase waits for its caller, or the next owner"
    )


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


def _sleeps_until(statements: Statements, run: int) -> float | None:
    row = statements.one("verification.last_step", run=run)
    if row is None or row[0] != EntryKind.SLEEP or not isinstance(row[3], bytes):
        return None
    try:
        return msgspec.json.decode(row[3], type=float)
    except msgspec.MsgspecError:
        return None  # damaged; the host that enters the run gets the error


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
