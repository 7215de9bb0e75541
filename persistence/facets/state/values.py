"""Working memory of executions: bytes under keys, each until its deadline.

Time is the store's wall clock, and never earlier than the stored high-water mark: whatever was judged expired stays so, even
where the clock is set back. A reader that finds an expired value has it deleted before it answers that there is none.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat, zip_longest
from operator import itemgetter
from typing import Any, Final, final

from attrs import field, frozen

from tenure.errors import ValueConflict
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Handler
from tenure.persistence.commits.rows import NUMBER, OPTIONAL_NUMBER, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.digests import SHA_256, check_digest, seal

from .bindings import check_key, is_any_bound

SWEPT_WITH_A_WRITE: Final = 8
"""Expired values that each write with a time to live takes along, so that what expires does not pile up."""

_FIRST: Final = itemgetter(0)
_SECOND: Final = itemgetter(1)

_NEW: Final = "keys of state values that are inserted"
"""Under which a commit notes keys that are expected to have no row: their insert says so where one has."""

_TOGETHER: Final = 4
"""So many keys, and more, are read by one statement."""

_NAMES: Final = tuple([f"key_{number}" for number in range(32)])
"""What those are named in such a statement; the last of fewer stands for the rest."""


@final
@frozen(kw_only=True, slots=True)
class WriteValues(Change):
    """Store values under keys, and delete keys. Answer: how many of the keys were written; see `StateContract.write`.

    Attributes:
        values: Key and bytes of each, no key twice; None deletes.
        ttl_s: Seconds until they expire; None for never, also where the value before one would have expired.
        keep: Leave a key alone that has a value, and give the others theirs.
        fence: The token of the runtime that their executions are bound to.
        expected: What stands under keys before; None where there is no value. Refused with `ValueConflict` otherwise.
    """

    values: tuple[tuple[str, bytes | None], ...] = field(repr=False)
    ttl_s: float | None = None
    keep: bool = False
    fence: int | None = None
    expected: tuple[tuple[str, bytes | None], ...] = field(default=(), repr=False)

    @property
    def row_count(self) -> int:
        """See `Change.row_count`."""
        return len(self.values)

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        values: Iterable[bytes | None] = map(_SECOND, chain(self.values, self.expected))
        return sum(map(len, filter(None, values)))

    @property
    def is_new(self) -> bool:
        """Whether each of its keys is expected to have no value, in their order, and gets one: as most do that expect any."""
        keys = map(_FIRST, self.values)
        return self.expected == tuple(zip(keys, repeat(None), strict=False)) and None not in map(_SECOND, self.values)


@final
@frozen(kw_only=True, slots=True)
class RenewValues(Change):
    """Let values that are there live at least until a further deadline. Answer: how many there were.

    Attributes:
        keys: Of the values.
        ttl_s: Seconds until they expire, where they would do so earlier; None for never.
        fence: The token of the runtime that their executions are bound to.
    """

    keys: tuple[str, ...]
    ttl_s: float | None = None
    fence: int | None = None


@final
@frozen(kw_only=True, slots=True)
class ExpireValues(Change):
    """A reader saw at `seen` that values have expired: raise the mark, and delete them. Answer: None."""

    ingress = True  # it takes only what no read finds any more

    keys: tuple[str, ...]
    seen: float


@final
@frozen(kw_only=True, slots=True)
class SweepExpired(Change):
    """Delete at most `count` expired values. Answer: how many went."""

    ingress = True  # as above

    count: int


def _check_write(tx: Transaction, change: WriteValues) -> None:
    _check_keys(tx, map(_FIRST, change.values), change.fence)
    expected = change.expected
    if tx.by_index and expected and not change.keep:
        if change.is_new:
            tx.notes[_NEW] = set(map(_FIRST, change.values))
            return
        stored = {key for key, value in change.values if value is not None}
        tx.notes[_NEW] = new = stored.intersection([key for key, value in expected if value is None])
        expected = tuple([each for each in expected if each[0] not in new])
    absent = _find_absent(tx, [key for key, value in expected if value is None])
    for key, value in expected:
        found = None if key in absent else find_value(tx, key)
        if (None if found is None or found.expired(tx.now) else found.value) != value:
            raise ValueConflict(key=key)


def _find_absent(tx: Transaction, keys: Sequence[str]) -> Collection[str]:
    """Those of the keys that have no row, as nearly all where none is expected."""
    return set(keys).difference(_entries(tx, keys)) if keys else ()


def _check_renew(tx: Transaction, change: RenewValues) -> None:
    _check_keys(tx, change.keys, change.fence)


def _check_keys(tx: Transaction, keys: Iterable[str], fence: int | None) -> None:
    if fence is None and not is_any_bound(tx):
        return
    for key in keys:
        check_key(tx, key, fence)


def _write(tx: Transaction, change: WriteValues) -> int:
    deadline = None
    if change.ttl_s is not None:
        judged = raise_mark(tx, tx.now)
        deadline = judged + change.ttl_s
        _sweep_expired(tx, judged, SWEPT_WITH_A_WRITE)
    stored: dict[str, Any] = dict(change.values)
    deleted = 0
    for key in [key for key, value in change.values if value is None] if None in stored.values() else ():
        del stored[key]
        deleted += tx.run("state.delete", value_key=key)
    for key in _kept(tx, list(stored)) if change.keep else ():
        del stored[key]
    new: Collection[str] = tx.notes.get(_NEW, ())
    if len(new) == len(stored):
        _store(tx, "state.insert", stored, deadline)  # nearly always
    else:
        _store(tx, "state.insert", {key: value for key, value in stored.items() if key in new}, deadline)
        _store(tx, "state.put", {key: value for key, value in stored.items() if key not in new}, deadline)
    return deleted + len(stored)


def _store(tx: Transaction, name: str, values: Mapping[str, bytes], deadline: float | None) -> None:
    if not values:
        return
    count, digests = len(values), list(map(seal, values, repeat(deadline), values.values()))
    tx.insert_all(
        name,
        value_key=list(values),
        value=list(values.values()),
        deadline=[deadline] * count,
        digest=digests,
        now=[tx.now] * count,
    )


def _kept(tx: Transaction, keys: Sequence[str]) -> Collection[str]:
    """Those of the keys that have a value."""
    rows = _entries(tx, keys)
    now = tx.now if set(rows.values()) <= {None} else max(tx.now, high_water(tx) or 0.0)
    return [key for key, deadline in rows.items() if deadline is None or deadline > now]


def _entries(tx: Transaction, keys: Sequence[str]) -> dict[str, Any]:
    """The deadline of each row, by its key."""
    if len(keys) >= _TOGETHER:
        return dict(_all_of(tx, "state.entries", keys))
    rows = [(key, tx.one("state.entry", value_key=key)) for key in keys]
    return {key: row[0] for key, row in rows if row is not None}


def _renew(tx: Transaction, change: RenewValues) -> int:
    now = raise_mark(tx, tx.now)
    until = math.inf if change.ttl_s is None else now + change.ttl_s
    renewed = 0
    for key in change.keys:
        found = find_value(tx, key)
        if found is None or found.expired(now):
            continue
        renewed += 1
        if found.deadline is not None and found.deadline < until:
            deadline = None if until == math.inf else until
            digest = _value_digest(key, found.value, deadline)
            tx.write("state.renew", value_key=key, deadline=deadline, digest=digest, scheme=SHA_256)
    return renewed


def _value_digest(key: str, value: bytes, deadline: float | None) -> bytes:
    return seal(key, deadline, value)


def _expire(tx: Transaction, change: ExpireValues) -> None:
    now = raise_mark(tx, change.seen)
    for key in change.keys:
        tx.write("state.delete_expired", value_key=key, now=now)


def _sweep(tx: Transaction, change: SweepExpired) -> int:
    return _sweep_expired(tx, raise_mark(tx, tx.now), change.count)


def _sweep_expired(tx: Transaction, now: float, count: int) -> int:
    entries = tx.all("state.expired", now=now, count=count)
    return sum([tx.run("state.delete_entry", entry=entry) for (entry,) in entries])


def raise_mark(tx: Transaction, seen: float) -> float:
    """The time that values are judged by: the mark, raised to what was seen."""
    mark = high_water(tx)
    now = float(max(tx.now, seen))
    if mark is None:
        tx.write("state.begin_clock", now=now, digest=seal(now))
    elif mark < now:
        tx.write("state.raise_mark", now=now, digest=seal(now), scheme=SHA_256)
    return now if mark is None else max(mark, now)


# Reads


@final
@frozen(kw_only=True, slots=True)
class FoundValue:
    """A value as it is stored.

    Attributes:
        value: The bytes.
        deadline: When it expires, unix seconds; None for never.
        mark: The high-water mark; 0 before there is one.
    """

    value: bytes = field(repr=False)
    deadline: float | None
    mark: float

    def expired(self, now: float) -> bool:
        """Whether it has expired when the wall clock shows `now`."""
        return self.deadline is not None and (now >= self.deadline or self.mark >= self.deadline)


def high_water(statements: Statements) -> float | None:
    """The highest time that a value was judged by, or None. Raises `Corrupt`."""
    row = statements.one("state.clock")
    if row is None:
        return None
    check_row(row, (NUMBER, bytes, int), "state clock", "high_water")
    mark = float(row[0])
    check_digest(seal(mark), row[1], row[2], "state clock", "high_water")  # moved on, it would take every value along
    return mark


def any_expired(statements: Statements, now: float) -> bool:
    """Whether a value has expired when the wall clock shows `now`."""
    mark = high_water(statements) or now
    return bool(statements.all("state.expired", now=max(mark, now), count=1))


def find_value(statements: Statements, key: str) -> FoundValue | None:
    """The value under a key, expired or not, or None. Raises `Corrupt`."""
    row = statements.one("state.value", value_key=key)
    return None if row is None else _read_value(row, high_water(statements) or 0.0)


def _read_value(row: Row, mark: float) -> FoundValue:
    check_row(row, (str, bytes, OPTIONAL_NUMBER, bytes, int), "state value", row[0])
    key, value, deadline, digest, scheme = row
    check_digest(_value_digest(key, value, deadline), digest, scheme, "state value", key)
    return FoundValue(value=value, deadline=deadline, mark=mark)


@final
@frozen(kw_only=True, slots=True)
class FoundValues:
    """What a read found under several keys.

    Attributes:
        values: Key and bytes of each that has a value, in the order of the read.
        expired: Keys of the values that have expired, and were skipped.
    """

    values: list[tuple[str, bytes]] = field(repr=False, factory=list[tuple[str, bytes]])
    expired: list[str] = field(factory=list[str])

    def add(self, key: str, found: FoundValue, now: float) -> None:
        """Take a value to where it belongs when the wall clock shows `now`."""
        if found.expired(now):
            self.expired.append(key)
        else:
            self.values.append((key, found.value))


def find_values(statements: Statements, keys: Iterable[str], now: float) -> FoundValues:
    """The values under keys when the wall clock shows `now`. Raises `Corrupt`."""
    wanted, result = list(keys), FoundValues()
    if len(wanted) < _TOGETHER:
        rows = [statements.one("state.value", value_key=key) for key in wanted]
    else:
        found = {row[0]: row for row in _all_of(statements, "state.values", wanted)}
        rows = [found.get(key) for key in wanted]
    mark = (high_water(statements) or 0.0) if any(rows) else 0.0
    for key, row in zip(wanted, rows, strict=True):
        if row is not None:
            result.add(key, _read_value(row, mark), now)
    return result


def _all_of(statements: Statements, name: str, keys: Sequence[str]) -> Iterator[Row]:
    """The rows of keys, by a statement that takes as many as `_NAMES` has."""
    for start in range(0, len(keys), len(_NAMES)):
        part = keys[start : start + len(_NAMES)]
        yield from statements.all(name, **dict(zip_longest(_NAMES, part, fillvalue=part[-1])))


def find_page(
    statements: Statements, between: tuple[str, str], *, after: str | None, limit: int, reverse: bool, now: float
) -> FoundValues:
    """At most `limit` values whose keys stand in a range, its end excluded, in the order of the keys.

    Args:
        statements: Of one view.
        between: Where the range begins, and where it ends.
        after: Only what comes after this key in that order; None for all.
        limit: How many; fewer only where there are no more.
        reverse: From the last key to the first.
        now: What the wall clock shows.

    Raises:
        Corrupt: A value is not what its digest says.
    """
    (first, behind), result, mark = between, FoundValues(), high_water(statements) or 0.0
    while (count := limit - len(result.values)) > 0:
        if reverse:
            rows = statements.all("state.page_back", first=first, behind=after or behind, count=count)
        elif after is None:
            rows = statements.all("state.page", first=first, behind=behind, count=count)
        else:
            rows = statements.all("state.page_after", after=after, behind=behind, count=count)
        for row in rows:
            result.add(row[0], _read_value(row, mark), now)
        if len(rows) < count:
            break
        after = rows[-1][0]
    return result


HANDLERS: Final[Mapping[type[Change], Handler]] = {
    WriteValues: Handler(apply=_write, check=_check_write),
    RenewValues: Handler(apply=_renew, check=_check_renew),
    ExpireValues: Handler(apply=_expire),
    SweepExpired: Handler(apply=_sweep),
}
