"""What a facet sees while its changes are applied: one commit inside one group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar, final

from attrs import frozen

from tenure.persistence.engines.engine import SqlValue, Statements, Versions
from tenure.persistence.model.lifecycles.retention import Retention
from tenure.persistence.model.values import (
    AbandonReason,
    DurabilityClass,
    InputId,
    LogicalRuntimeId,
    RuntimeState,
)
from tenure.persistence.seams.limits import Limits

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

RUNTIME: Final = "runtime"
"""The kind of the records that have their own version where an engine gives versions by runtime; the key is the id."""

RECORDS_KEPT: Final = 8_192
"""So many new records begin another generation; the one before is kept for what is used of it. Both are about 12 MB at most."""


Place = tuple[str, Hashable]
"""Where a record is cached: its kind, and its key."""


class Guarding(Protocol):
    """A record whose version is that of other records too."""

    @property
    def guards(self) -> Iterable[Place]:
        """The places of those other records."""
        ...


@final
@frozen(kw_only=True, slots=True)
class _Kept:
    """The cached records of one runtime, and the version under which they hold."""

    version: int
    found: Mapping[Place, Any]


@final
class Records:
    """The cached records: rows that nearly every commit needs, as the last group left them.

    A record is loaded once and changed together with its row. It holds until another connection commits; that is checked after
    BEGIN, when no other connection can write. A statement that changes such a row past its record drops the record
    (`Transaction.drop`).

    What is in use is kept: once a generation is full the next one begins, into which a record comes that is asked for, and the
    one before it goes.

    Where the engine has one version for the whole database, everything is kept or dropped with it. Where it has versions by
    runtime, a group sees the records of the runtimes that it names, each under its own version; those of other runtimes wait
    for a group that names them, and what belongs to no runtime is read again.

    Attributes:
        found: What the group on its way has cached.
        older: The generation before, where everything has one version: what is asked for moves to `found`.
    """

    def __init__(self) -> None:
        """Nothing is cached."""
        self.found: dict[Place, Any] = {}
        self.older: dict[Place, Any] = {}
        self._version: int | None = None
        self._kept: dict[str, _Kept] = {}
        self._kept_older: dict[str, _Kept] = {}

    @property
    def all(self) -> dict[Place, Any]:
        """All that is cached for the group on its way."""
        return {**self.older, **self.found}

    def begin_group(self, versions: Versions) -> None:
        """Keep what is cached and was not written since by another connection; `versions` are those of `Begun`."""
        if versions == self._version:  # the one number of the whole database, as nearly always where there is one
            if len(self.found) >= RECORDS_KEPT:
                self.found, self.older = {}, self.found
        elif isinstance(versions, int):
            self.clear()
        else:
            self._begin_by_runtime(versions)

    def end_group(self, versions: Versions) -> None:
        """The group has landed; `versions` are those of its COMMIT."""
        if not isinstance(versions, int):
            self._end_by_runtime(versions)
        else:
            self._version = versions

    def clear(self) -> None:
        """The group was rolled back, or what is cached may have changed since."""
        for cached in (self.found, self.older, self._kept, self._kept_older):
            if cached:
                cached.clear()

    def keep(self, place: Place, record: object) -> None:
        """Cache a record as it is now."""
        if self.older:
            self.older.pop(place, None)
        self.found[place] = record

    def drop(self, place: Place) -> None:
        """Let go of one record."""
        self.found.pop(place, None)
        self.older.pop(place, None)

    def part(self, parts: Iterable[tuple[Collection[str], Records]]) -> None:
        """Give the records of the runtimes of each strand to that strand alone; `join` takes them back.

        What is of no strand is let go: it is read again where it is asked for.
        """
        cached, self.found = self.found, {}
        for names, part in parts:
            for runtime_id in names:
                record: Guarding | None = cached.get((RUNTIME, runtime_id))
                if record is not None:
                    part.found[RUNTIME, runtime_id] = record
                    part.found.update({place: cached[place] for place in record.guards if place in cached})

    def join(self, parts: Iterable[Records]) -> None:
        """Take what strands have cached of their runtimes."""
        for part in parts:
            self.found.update(part.found)
            part.found.clear()

    def _begin_by_runtime(self, versions: Mapping[str, int]) -> None:
        self.found.clear()
        if len(self._kept) >= RECORDS_KEPT // 2:  # a runtime has two as a rule
            self._kept, self._kept_older = {}, self._kept
        for runtime_id, version in versions.items():
            # The group has them, and keeps them anew: what it lets go may have been changed in memory.
            kept = self._kept.pop(runtime_id, None) or self._kept_older.pop(runtime_id, None)
            if kept is not None and kept.version == version:
                self.found.update(kept.found)

    def _end_by_runtime(self, versions: Mapping[str, int]) -> None:
        for kind, key in self.found:
            if kind == RUNTIME:
                self._let_go(str(key))  # of a runtime that the group reached without naming it, too
        for runtime_id, version in versions.items():
            record: Guarding | None = self.found.get((RUNTIME, runtime_id))
            if record is not None:
                places = [(RUNTIME, runtime_id), *record.guards]
                found = {place: self.found[place] for place in places if place in self.found}
                self._kept[runtime_id] = _Kept(version=version, found=found)

    def _let_go(self, runtime_id: str) -> None:
        self._kept.pop(runtime_id, None)
        self._kept_older.pop(runtime_id, None)


@final
@frozen(kw_only=True, slots=True)
class Abandoned:
    """Inputs that were abandoned together.

    Attributes:
        runtime: Key of their runtime; None where `run` says it.
        run: Key of the run that had them all, or None.
        reason: Why.
        input_ids: Which, in admission order.
    """

    runtime: int | None = None
    run: int | None = None
    reason: AbandonReason
    input_ids: tuple[InputId, ...]


class Writing(Statements, Protocol):
    """What a transaction needs of the connection that writes."""

    def write(self, name: str, /, **parameters: SqlValue) -> None:
        """See `WriteConnection.write`."""
        ...

    def run(self, name: str, /, **parameters: SqlValue) -> int:
        """See `WriteConnection.run`."""
        ...

    def insert(self, name: str, /, **parameters: SqlValue) -> int:
        """See `WriteConnection.insert`."""
        ...

    def insert_all(self, name: str, /, **columns: Sequence[SqlValue]) -> None:
        """See `WriteConnection.insert_all`."""
        ...

    def key(self, table: str, /) -> int:
        """See `WriteConnection.key`."""
        ...


@final
class Transaction:
    """Named statements, the facts of the group, and the cached records.

    A record (a runtime, a session, a run) is changed in memory and written once, when the commit's changes have all been
    applied. A commit that fails drops the records that it asked for with its savepoint.

    Attributes:
        host: Key of this host's row.
        group: Number of the group.
        now: The store's wall clock when the group began, unix seconds.
        shared_now: As `now`, by the one clock that all hosts read: from group to group that lands alone it never goes back, but
            where that clock was set back.
        durability: Class of the group, for receipts.
        limits: The store's limits.
        retention: How much output a runtime keeps.
        savepoints: Whether each commit of the group has its own savepoint.
        by_index: Whether the commit is of one change, and that may leave it to a unique index to find a row that is there: this
            ends the try of the group, and in the next one, which has savepoints, the row is looked for.
        room: By runtime, how many inputs surely still fit into its inbox; kept for the whole group.
        notes: What the handlers of one commit leave for one another.
        asked: Runtimes of one commit that others wait for.
        ended: Runs and runtimes that others may end with, and that one commit has ended: ``run`` or ``runtime``, and its key.
        past: Runtimes whose state one commit has written past their owner, each with that state.
        abandoned: What one commit has abandoned and a run may follow, in the order in which it did.
    """

    __slots__ = (
        "_asked",
        "_dirty",
        "_records",
        "abandoned",
        "all",
        "asked",
        "by_index",
        "durability",
        "ended",
        "group",
        "host",
        "insert",
        "insert_all",
        "key",
        "limits",
        "notes",
        "now",
        "one",
        "past",
        "readable",
        "retention",
        "room",
        "run",
        "savepoints",
        "shared_now",
        "write",
    )

    def __init__(
        self,
        connection: Writing,
        records: Records,
        *,
        limits: Limits,
        retention: Retention,
    ) -> None:
        """Bind it to the connection that writes; `begin` has the facts of each group. Made once: there is a group a commit."""
        self.one = connection.one
        self.all = connection.all
        self.readable = connection.readable
        self.run = connection.run
        self.write = connection.write
        self.insert = connection.insert
        self.insert_all = connection.insert_all
        self.key = connection.key
        self.host = self.group = 0
        self.now = self.shared_now = 0.0
        self.durability = DurabilityClass.MEMORY
        self.limits = limits
        self.retention = retention
        self.savepoints = self.by_index = False
        self.room: dict[int, int] = {}
        self.notes: dict[str, Any] = {}
        self.asked: set[LogicalRuntimeId] = set()
        self.ended: list[tuple[str, int]] = []
        self.past: list[tuple[LogicalRuntimeId, RuntimeState]] = []
        self.abandoned: list[Abandoned] = []
        self._records = records
        self._asked: list[Place] = []
        self._dirty: dict[Place, Callable[[], None]] = {}

    def begin(
        self,
        host: int,
        group: int,
        now: float,
        shared_now: float | None,
        durability: DurabilityClass,
        *,
        savepoints: bool,
    ) -> None:
        """A group has begun. What a commit of an earlier one had is gone: it has ended, or `forget` was called."""
        self.host = host
        self.group = group
        self.now = now
        self.shared_now = now if shared_now is None else shared_now
        self.durability = durability
        self.savepoints = savepoints
        if self.room:
            self.room = {}

    def beside(self, connection: Writing, records: Records) -> Transaction:
        """For a strand with these records; `follow` has the facts of its group."""
        return Transaction(connection, records, limits=self.limits, retention=self.retention)

    def follow(self, group: Transaction) -> None:
        """A strand, from `beside`, of this group: whatever it had of an earlier one is gone."""
        self.forget()
        self.begin(group.host, group.group, group.now, group.shared_now, group.durability, savepoints=group.savepoints)
        self.room = group.room

    def record(self, kind: str, key: K, load: Callable[[Transaction, K], T]) -> T:
        """The record of a kind under `key`, loaded where it is not cached. One that is not there is asked for again."""
        place: Place = (kind, key)
        self._asked.append(place)
        records = self._records
        found: T | None = records.found.get(place)
        if found is None:
            found = records.older.pop(place, None) if records.older else None
            if found is None:
                found = load(self, key)
            if found is not None:
                records.found[place] = found
        return found

    def keep(self, kind: str, key: Hashable, record: object) -> None:
        """Cache the record of a row that was written just now, in place of what was cached of it."""
        place: Place = (kind, key)
        self._asked.append(place)
        self._records.keep(place, record)

    def drop(self, kind: str, key: Hashable) -> None:
        """Let go of a record whose row was written, or deleted, past that record."""
        self._records.drop((kind, key))

    def drop_all(self) -> None:
        """Let go of every record: rows of many were written by one statement."""
        self._records.clear()

    def write_later(self, kind: str, key: Hashable, write: Callable[[], None]) -> None:
        """Write the record once the commit's changes are applied; asking again takes the place of what was asked first."""
        self._dirty[kind, key] = write

    def write_if_nothing_else(self, kind: str, key: Hashable, write: Callable[[], None]) -> None:
        """Write a part of the record, unless more of it is written later in this commit."""
        self._dirty.setdefault((kind, key), write)

    def flush(self) -> None:
        """Write what was asked for: the end of a commit."""
        if self._dirty:
            for write in self._dirty.values():
                write()
            self._dirty.clear()
        self._end()

    def forget(self) -> None:
        """Drop pending writes and whatever this commit had cached: it failed."""
        for place in self._asked:
            self._records.drop(place)
        self._dirty.clear()
        self._end()

    def _end(self) -> None:
        self._asked.clear()
        if self.notes:
            self.notes.clear()
        if self.asked:
            self.asked.clear()
        if self.ended or self.past or self.abandoned:
            self.ended.clear()
            self.past.clear()
            self.abandoned.clear()
