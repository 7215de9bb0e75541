"""How often work may begin, over all hosts: a rate under a name, and a row for each start within its time (design §10).

At most `starts` begin in any `per_ms`: a further one waits until the start so many places before it is that old. It is judged
by one wall clock (`Transaction.shared_now`), which every host reads when no other group is on its way: starts that lie ahead
were stored before that was set back, and count as of now. A start is taken for a part of a millisecond later than it was, and
what comes after it for as much earlier: never are two a little too close.
"""

from __future__ import annotations

import math
from typing import Final, final

from attrs import frozen

from tenure.errors import Corrupt
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import Pruning, counted, spared
from tenure.persistence.engines.engine import Row, SqlValue, Statements
from tenure.persistence.model.digests import SHA_256, check_digest, seal
from tenure.persistence.model.lifecycles.retention import Ages

RECORD: Final = "rate"
STARTS: Final = 10_000
"""Most starts of a rate: each that counts has a row."""

_START: Final = 4
"""Columns of a start."""


@final
@frozen(kw_only=True, slots=True)
class SetRate(Change):
    """Store a rate, in place of what it was. Answer: None."""

    ingress = True

    name: str
    starts: int
    per_ms: int


@final
@frozen(kw_only=True, slots=True)
class StoredRate:
    """A rate as it is stored: its key, its name, and most starts in a time."""

    rate: int
    name: str
    starts: int
    per_ms: int


def set_rate(tx: Transaction, change: SetRate) -> None:
    """Carry out `SetRate`."""
    found = find(tx, change.name)
    if found is not None and (found.starts, found.per_ms) == (change.starts, change.per_ms):
        return
    digest = seal(change.name, change.starts, change.per_ms)
    if found is None:
        tx.insert("rates.insert", name=change.name, starts=change.starts, per_ms=change.per_ms, digest=digest)
    else:
        tx.write(
            "rates.update",
            rate=found.rate,
            starts=change.starts,
            per_ms=change.per_ms,
            digest=digest,
            scheme=SHA_256,
        )


def find(statements: Statements, name: str) -> StoredRate | None:
    """A rate, or None. Raises `Corrupt`."""
    row = statements.one("rates.by_name", name=name)
    return None if row is None else _decode(row)


def find_or_set(tx: Transaction, wanted: SetRate) -> StoredRate:
    """The rate of a name; as it is wanted where none is stored, which is where it was pruned. Raises `Corrupt`."""
    found = find(tx, wanted.name)
    if found is None:
        set_rate(tx, wanted)
        found = find(tx, wanted.name)
    if found is None:
        raise Corrupt(record=RECORD, key=wanted.name, detail="it was stored, and is not there")
    return found


def load(statements: Statements, rate: int) -> StoredRate | None:
    """A rate by its key, or None. Raises `Corrupt`."""
    row = statements.one("rates.by_key", rate=rate)
    return None if row is None else _decode(row)


@final
@frozen(kw_only=True, slots=True)
class Standing:
    """Where the starts of a rate stand: the place and time of the last one, and when that began which the next waits for."""

    last: int = 0
    last_at: int = 0
    waits_for: int | None = None


def standing(statements: Statements, rate: StoredRate) -> Standing:
    """The starts of a rate that decide when the next may be. Raises `Corrupt`."""
    row = statements.one("rates.standing", rate=rate.rate, before=rate.starts - 1)
    if row is None:
        return Standing()
    last, last_at = _decode_start(row[:_START], rate.rate)
    first = row[_START:]
    waits_for = None if first[0] is None else _decode_start(first, rate.rate)[1]
    return Standing(last=last, last_at=last_at, waits_for=waits_for)


def wait_ms(tx: Transaction, rate: StoredRate, now: Standing) -> int | None:
    """Milliseconds until the next start may be, at most the time of the rate; None: it may be now."""
    now_ms, latest_ms = int(tx.shared_now * 1000), math.ceil(tx.shared_now * 1000)
    if now.last_at > latest_ms:  # the last start is the latest: only where it lies ahead may others
        for place, _ in _starts(tx, rate.rate, "rates.ahead", now_ms=latest_ms):
            tx.write("rates.set_start", **_start(rate.rate, place, latest_ms))
    if now.waits_for is None:
        return None
    left_ms = min(now.waits_for, latest_ms) + rate.per_ms - now_ms
    return left_ms if left_ms > 0 else None


def start(tx: Transaction, rate: StoredRate, now: Standing) -> None:
    """Count a start, and forget those that no longer count."""
    now_ms, latest_ms = int(tx.shared_now * 1000), math.ceil(tx.shared_now * 1000)
    place = now.last + 1
    tx.write("rates.insert_start", **_start(rate.rate, place, latest_ms))
    tx.write("rates.forget", rate=rate.rate, place=place - rate.starts, before=now_ms - rate.per_ms)


def check_starts(statements: Statements, rate: int) -> None:
    """Read a rate and its starts: none is missing between the first and the last. Raises `Corrupt`."""
    load(statements, rate)
    places = [place for place, _ in _starts(statements, rate, "rates.all_starts")]
    if places and places != list(range(places[0], places[0] + len(places))):
        raise Corrupt(record=RECORD, key=str(rate), detail="a start is missing")


def _starts(statements: Statements, rate: int, name: str, **bindings: int) -> list[tuple[int, int]]:
    return [_decode_start(row, rate) for row in statements.all(name, rate=rate, **bindings)]


def _decode(row: Row) -> StoredRate:
    check_row(row, (int, str, int, int, bytes, int), RECORD, row[1])
    found = StoredRate(rate=row[0], name=row[1], starts=row[2], per_ms=row[3])
    check_digest(seal(found.name, found.starts, found.per_ms), row[4], row[5], RECORD, found.name)
    return found


def _decode_start(row: Row, rate: int) -> tuple[int, int]:
    check_row(row, (int, int, bytes, int), RECORD, rate)
    place, started_at, digest, scheme = row
    check_digest(seal(rate, place, started_at), digest, scheme, RECORD, rate)
    return place, started_at


def _start(rate: int, place: int, at_ms: int) -> dict[str, SqlValue]:
    return {
        "rate": rate,
        "place": place,
        "started_at": at_ms,
        "digest": seal(rate, place, at_ms),
        "scheme": SHA_256,
    }


# Pruning: a rate under which nothing has begun for so long, and of whose starts none counts any more


@final
@frozen(kw_only=True, slots=True)
class PruneRates(Change):
    """Delete those of some rates under which nothing has begun after a time, unix seconds. Answer: how many.

    A service that still goes by one stores it again with its next claim: see `ServeNext`.
    """

    ingress = True  # judged again in the commit

    rates: tuple[int, ...]
    before: float


def _idle(statements: Statements, after: int, count: int, ages: Ages) -> tuple[int, ...]:
    bounds = {"before": int(ages.before * 1000), "now_ms": int(ages.now * 1000)}
    return tuple([row[0] for row in statements.all("rates.idle", after=after, count=count, **bounds)])


def _prune(tx: Transaction, change: PruneRates) -> int:
    bounds = {"before": int(change.before * 1000), "now_ms": int(tx.shared_now * 1000)}
    gone = 0
    for rate in change.rates:
        with spared():
            check_starts(tx, rate)
            if tx.one("rates.is_idle", rate=rate, **bounds) is not None:
                tx.write("rates.delete_starts", rate=rate)
                gone += tx.run("rates.delete", rate=rate)
    return gone


FACET: Final = Facet(
    name="rates",
    handlers={SetRate: Handler(apply=set_rate), PruneRates: Handler(apply=_prune)},
    prune=(
        Pruning(
            counts=("rates",),
            look=_idle,
            change=lambda keys, ages: PruneRates(rates=keys, before=ages.before),
            page=counted("rates"),
        ),
    ),
)
