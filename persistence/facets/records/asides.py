"""Runs that are put aside: each waits for a time, or for something that will come, and costs no memory (design §20).

Theory of operation. The commit that puts a run aside says when it is to be woken, and lets go of its runtime: no host owns one
that is aside, no recovery takes it, and its run is not entered. Whatever ends its wait makes it **due**, in the commit that
stores that: the answer of an ask, an input that steers, the retirement of the runtime. So there is one question, asked by the
index of what is due when: `find_due`. The commit that begins the run asks it again, and enters a run that is due alone; with
that it is not aside any more.

What a run waits for stands in its record; a row here says no more than when to look. One that is damaged is due as soon as
something touches it: a run that is woken too early goes on waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, final

from attrs import frozen

from tenure.errors import ReadFailed
from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.rows import OPTIONAL_NUMBER, OPTIONAL_TEXT, Types, check_row, sound
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import Problem, Subject
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.values import LogicalRuntimeId

from . import became, run_records, runtimes

RECORD: Final = "aside"


@final
@frozen(kw_only=True, slots=True)
class Aside:
    """One run that is put aside.

    Attributes:
        run: Key of the run.
        kind: Of its runtime.
        since: Since when, unix seconds.
        wake_at: When it is woken, unix seconds; None: by something that comes, and by no time.
        steerable: Whether what is sent to steer wakes it.
    """

    run: int
    kind: str
    since: float
    wake_at: float | None
    steerable: bool


@final
@frozen(kw_only=True, slots=True)
class Due:
    """A runtime whose run is aside and due.

    Attributes:
        runtime_id: Which runtime.
        wake_at: Since when it is due.
        runtime: Its key.
        version: Of its run.
    """

    runtime_id: LogicalRuntimeId
    wake_at: float
    runtime: int
    version: str


_TYPES: Final[Types] = (int, int, str, float, OPTIONAL_NUMBER, int, bytes, int)


def put(tx: Transaction, record: runtimes.RuntimeRecord, *, wake_at: float | None, steerable: bool) -> None:
    """Put the current run of a runtime aside, with this commit."""
    run = record.run or 0
    tx.write("asides.insert", **_columns(record, run, tx.now, wake_at, steerable=steerable))
    became.run_is(tx, record, run_records.load(tx, run).run_id, "aside", wake_at=wake_at)
    _count(tx, record, 1)


def wake(tx: Transaction, record: runtimes.RuntimeRecord, *, steered: bool = False) -> None:
    """What a run waits for has come with this commit: where it is aside, it is due from now on.

    `steered` where that was sent to steer: it wakes a run alone that waits for such.
    """
    if not record.aside:
        return
    try:
        found = _load(tx, record)
    except ReadFailed:
        found = None  # made anew below
    if found is not None and ((steered and not found.steerable) or _is_due(found, tx.now)):
        return
    since = tx.now if found is None else found.since
    steerable = found is None or found.steerable
    tx.write("asides.insert", **_columns(record, record.run or 0, since, tx.now, steerable=steerable))
    tx.past.append((record.runtime_id, record.state))  # this host looks at once; another one with the news


def end(tx: Transaction, record: runtimes.RuntimeRecord) -> None:
    """The run is entered, or has ended: it is not aside any more."""
    if record.aside:
        tx.write("asides.delete", runtime=record.runtime)
        _count(tx, record, 0)


def keeps(tx: Transaction, record: runtimes.RuntimeRecord) -> bool:
    """Whether the current run of a runtime is aside, and waits on."""
    if not record.aside:
        return False
    try:
        found = _load(tx, record)
    except ReadFailed:
        return False
    return found is not None and not _is_due(found, tx.now)


def _is_due(found: Aside, now: float) -> bool:
    return found.wake_at is not None and found.wake_at <= now


def _count(tx: Transaction, record: runtimes.RuntimeRecord, aside: int) -> None:
    record.aside = aside
    tx.write("asides.count", runtime=record.runtime, aside=aside)
    if record.run is not None:
        tx.write("asides.mark", run=record.run, aside=aside)


def _columns(
    record: runtimes.RuntimeRecord, run: int, since: float, wake_at: float | None, *, steerable: bool
) -> dict[str, Any]:
    kind = record.kind or ""
    return {
        "runtime": record.runtime,
        "run": run,
        "kind": kind,
        "since": since,
        "wake_at": wake_at,
        "steerable": int(steerable),
        "digest": _seal(record.runtime, run, kind, since, wake_at, int(steerable)),
    }


def _seal(*columns: str | float | None) -> bytes:
    """What the digest is of: every other column."""
    return seal(*columns)


def _load(statements: Statements | Transaction, record: runtimes.RuntimeRecord) -> Aside | None:
    row = statements.one("asides.load", runtime=record.runtime)
    found = None if row is None else _read(row)
    return None if found is None or found.run != record.run else found


def _read(row: Row) -> Aside:
    """One row, as it is stored. Raises `Corrupt`."""
    key = f"of runtime {row[0]}"
    check_row(row, _TYPES, RECORD, key)
    runtime, run, kind, since, wake_at, steerable, kept, scheme = row
    check_digest(_seal(runtime, run, kind, since, wake_at, steerable), kept, scheme, RECORD, key)
    return Aside(run=run, kind=kind, since=since, wake_at=wake_at, steerable=bool(steerable))


# Reads


def find_due(
    statements: Statements, kind: str, host: int, now: float, after: tuple[float, int], count: int
) -> list[Due]:
    """A page of the runtimes of a kind whose runs are due, the longest due first, of this host or of no living one.

    Those that are held, stopped, or on hold are not there. A damaged row hides no other.
    """
    rows = statements.readable(
        "asides.due", kind=kind, host=host, now=now, after_at=after[0], after=after[1], count=count
    )
    return [
        Due(runtime_id=LogicalRuntimeId(runtime_id), wake_at=float(wake_at), runtime=runtime, version=version or "")
        for runtime_id, wake_at, runtime, version in sound(rows, (str, (int, float), int, OPTIONAL_TEXT))
    ]


def find_next(statements: Statements, kind: str, now: float) -> float | None:
    """When the next run of a kind is woken by its time, unix seconds, or None."""
    row = statements.one("asides.next", kind=kind, now=now)
    return row[0] if row is not None and isinstance(row[0], int | float) else None


def any_due(statements: Statements, kinds: Iterable[str], host: int, now: float, since: float) -> bool:
    """Whether a run of one of these kinds has fallen due since a time, of this host or of no living one."""
    return any(find_due(statements, kind, host, now, (since, 0), 1) for kind in kinds)


def of_runtime(statements: Statements, runtime: int) -> Aside | None:
    """How the run of a runtime is aside, or None where it is not. Raises `Corrupt`."""
    row = statements.one("asides.load", runtime=runtime)
    return None if row is None else _read(row)


def show(statements: Statements, subject: Subject) -> dict[str, Any] | None:
    """What `show` says of a runtime."""
    try:
        found = of_runtime(statements, subject.runtime)
    except ReadFailed as exc:
        return {"error": str(exc)}
    if found is None:
        return None
    return {"since": found.since, "wake_at": found.wake_at, "steerable": found.steerable}


def verify(statements: Statements, subject: Subject) -> Iterator[Problem]:
    """What is wrong with what is stored of a runtime that is aside."""
    record = runtimes.find(statements, subject.runtime_id)
    if record is None:
        return
    try:
        found = of_runtime(statements, subject.runtime)
    except ReadFailed as exc:
        yield (RECORD, subject.runtime_id, str(exc))
        return
    if (found is not None) is not bool(record.aside):
        yield (RECORD, subject.runtime_id, "its runtime does not say whether it is aside")
    elif found is not None and found.run != record.run:
        yield (RECORD, subject.runtime_id, "it is not of the run that its runtime has")


def verify_strays(statements: Statements) -> list[Problem]:
    """Rows of runtimes that are not there."""
    return [(RECORD, str(row[0]), "its runtime is not there") for row in statements.readable("asides.strays")]


FACET: Final = Facet(name="asides", handlers={})
