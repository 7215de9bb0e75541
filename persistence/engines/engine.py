"""The narrow waist between what is written and how it is stored.

An engine gives transactions, savepoints, named statements and an error map; facets know nothing below it (design §16, §23).
Every method here is sync and runs on the executor that owns the connection.

A group is one transaction. `WriteConnection.begin` gets all that an engine may need to know before the first statement:
who writes, how durable, and which runtimes. What ends a group early is one of five: an `Error` (known, nothing landed), `Again`
(nothing landed, and the same group may land when it is tried once more), `FailedLate` (nothing landed, and savepoints will say
whose fault it is), `UnknownOutcome` (the store stops), or a defect. Every method that talks to an engine may raise them.

A second engine is written against this module and `door`, which has what stands before anything is open. It is registered by
its scheme in `choice`, and may override named statements. Some rely on groups that land one after the other, in the order
of their keys; an engine whose groups land side by side overrides them, or has the groups that need them land so:

- ``arrivals.mark`` and ``arrivals.since``: what landed after a mark;
- ``output.head``, ``output.sizes_of_all`` and ``output.page_of_all``: the same for those who follow every output;
- ``queue.counter``, ``rates.by_name`` and ``node_floor.find``: a change reads them in order to write, so they lock their row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol, final

import msgspec
from attrs import frozen

from tenure.persistence.model.values import DurabilityClass

from .blobs import Blobs
from .housekeeping import Housekeeping
from .listeners import NOWHERE, Elsewhere, Listeners
from .proofs import HostProofs

Row = tuple[Any, ...]
SqlValue = None | int | float | str | bytes
QueryParameters = Sequence[SqlValue] | Mapping[str, SqlValue]

Versions = int | Mapping[str, int]
"""What says whether another connection has written since: one number for the whole database, or one by runtime, which changes
when its row, or that of its current run or of its conversation, is written."""

Strand = Callable[[], None]
"""A part of a group: it neither reads nor writes what another part writes."""

MOST_VIEWS: Final = 3
"""So often a read is begun whose view is lost with its connection. An engine that waits for a new one waits for this share of
`Limits.busy_s`."""


class UnknownOutcome(Exception):
    """The engine cannot say what is on disk: an I/O error, or any unexpected error at COMMIT. The store stops.

    Attributes:
        in_doubt: Whether what was being carried out may have landed.
    """

    in_doubt = True


class Moved(UnknownOutcome):
    """The store stands where a part of its past may be lost, and what this host remembers may be of that part. It stops."""

    def __init__(self, detail: str, *, in_doubt: bool = False) -> None:
        """Say where it stands."""
        super().__init__(detail)
        self.in_doubt = in_doubt


class Again(Exception):
    """Nothing of the group landed, and through no fault of a commit: a conflict with another host, say. Try all of it again."""


class FailedLate(Exception):
    """A statement that was sent without waiting, or kept for later, has failed: of which commit is not known.

    Nothing of the group landed. It is carried out again with a savepoint for each commit: there its error comes with `release`.
    """


class NotStorable(Exception):
    """The engine does not take such a value there: a row of its cannot be damaged in this way."""


class QueryStopped(Exception):
    """A query of a user was stopped from outside."""


class Statements(Protocol):
    """Reads by name. Errors are tenure's own (`Contended`, `DiskFull`, `Corrupt`, `Internal`), `Again` or `UnknownOutcome`."""

    def one(self, name: str, /, **parameters: SqlValue) -> Row | None:
        """The first row, or None."""
        ...

    def all(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """Every row."""
        ...

    def readable(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """Every row that can be decoded: for looks over many runtimes, where one bad row may not hide the others."""
        ...


class Reading(Statements, Protocol):
    """What can give a consistent view: a connection that reads, or the one that writes, between its groups."""

    def begin_read(self) -> None:
        """Begin one consistent view, in which nothing can be written."""
        ...

    def end_read(self) -> None:
        """Give the view up. No view outlives a call."""
        ...


class ReadConnection(Reading, Protocol):
    """A connection that only reads."""

    def close(self) -> None:
        """Close the connection."""
        ...


class Querying(Protocol):
    """Runs SQL of users, which can read everything and change nothing."""

    def query(self, sql: str, parameters: QueryParameters, limit: int, stopped: Callable[[], bool], /) -> list[Row]:
        """Every row; `stopped` is asked again and again.

        Raises:
            QueryStopped: `stopped` said so.
            InvalidInput: No SQL, or more than a read.
            LimitReached: More rows than `limit`.
        """
        ...


class QueryConnectionOfItsOwn(Querying, Protocol):
    """A connection for queries alone."""

    def close(self) -> None:
        """Close the connection."""
        ...


class Group(Protocol):
    """What an engine may know of a group before its first statement. The three sets are computed when they are asked for."""

    size: int
    """How many commits it has; where it has one with one change, how many rows that may write."""

    host: int
    """Key of the row of the host that writes."""

    incarnation: str
    """The name of that host, which its row has."""

    @property
    def number(self) -> int:
        """Number of the group: one above that of the last one of this host that landed."""
        ...

    @property
    def synced(self) -> bool:
        """Whether its COMMIT is fsynced before anything of it is acknowledged."""
        ...

    @property
    def written(self) -> Collection[str]:
        """The runtimes that their owners write, under their tokens."""
        ...

    @property
    def reached(self) -> Collection[str]:
        """The runtimes that are written without their token: inputs and requests that come in."""
        ...

    @property
    def moved(self) -> Collection[str]:
        """The runtimes that get another owner or another token. What a change finds only as it is applied is not among them."""
        ...

    @property
    def names_all(self) -> bool:
        """Whether each of its changes names a runtime. One that names none may write what any other group writes."""
        ...


@final
class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A group has begun. A frozen struct, as `Commit`.

    Attributes:
        alive: Whether the host's row is neither closed nor lost. Only then were number and lease written, and only then may
            anything be written in this transaction.
        now: The store's wall clock, unix seconds: that of the group's rows.
        shared_now: The same by a clock of all hosts, read after all that landed before a group that lands alone; None: `now`.
        versions: Where they are what `WriteConnection.commit` returned last, no other connection has committed since, and what
            was cached then still holds. One number speaks for the whole database. Numbers by runtime speak each for one that
            the group names, and for nothing else. An engine that cannot know never gives the same number twice.
        elsewhere: Of the runtimes that the group reaches those that its host does not own, with the host that does, or None.
            Empty from an engine whose hosts give no hints.
    """

    alive: bool
    now: float
    versions: Versions
    shared_now: float | None = None
    elsewhere: Elsewhere = NOWHERE


class WriteConnection(Reading, Querying, Protocol):
    """The one connection that writes."""

    def write(self, name: str, /, **parameters: SqlValue) -> None:
        """Execute. What is written and asks for no answer: an engine may send it with what comes next, or keep it."""
        ...

    def run(self, name: str, /, **parameters: SqlValue) -> int:
        """Execute, and return how many rows were inserted, updated or deleted."""
        ...

    def insert(self, name: str, /, **parameters: SqlValue) -> int:
        """Insert one row under a new key, and return the key.

        The statement names its key column first and gives it ``:key``, which it may use again (an admission is the key of its
        row). Keys rise along the commits of one runtime, or of one session, whichever hosts write them. Those of rows that are
        written side by side need not become visible in their order, and not every key gets a row.
        """
        ...

    def insert_all(self, name: str, /, **columns: Sequence[SqlValue]) -> None:
        """`insert` of rows that are given by column: one row for each place, in their order, and under rising keys."""
        ...

    def key(self, table: str, /) -> int:
        """A new key of a table whose rows come by `insert`. Raises `CounterOverflow`. It need not be used."""
        ...

    def raw(self, sql: str, parameters: Sequence[SqlValue] = (), /) -> list[Row]:
        """Execute any SQL, for tests and the proof (`writing.inside`). Raises `NotStorable`; else what the driver raises."""
        ...

    @property
    def tables(self) -> Sequence[str]:
        """The names of all tables, in order. For tests and the proof, as `raw`."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open: some errors end it."""
        ...

    @property
    def rows_written(self) -> int:
        """Rows inserted, updated and deleted since the connection was opened, also where they were rolled back.

        A statement that was sent without waiting, or is kept, counts as one, whatever it does.
        """
        ...

    def begin(self, group: Group, /) -> Begun:
        """Open the transaction of a group, and write its number and the host's lease where the host is alive.

        Raises:
            Contended: Another process held the lock for `Limits.busy_s` seconds.
            Again: See there.
            Internal: The wall clock shows no time.
            UnknownOutcome: See there.
        """
        ...

    @property
    def side_by_side(self) -> Callable[[Sequence[Strand]], None] | None:
        """What carries out the strands of a group so that they wait for their answers together; it raises as they do.

        None where an answer is not waited for: strands would gain nothing.
        """
        ...

    def begin_unnumbered(self) -> None:
        """Open a transaction that is not a group, and always fsynced: a host registers itself. Raises as `begin`."""
        ...

    def commit(self) -> Versions:
        """End the transaction; the versions that it made, see `Begun.versions`.

        A connection that was lost on the way is settled here: an engine that can find out whether the group landed says so.

        Raises:
            DiskFull: Nothing landed; the transaction may be open.
            Again, FailedLate: Nothing landed; the transaction is over.
            UnknownOutcome: What is on disk cannot be known.
        """
        ...

    def rollback(self) -> None:
        """Undo whatever is open; does nothing outside a transaction. Raises `UnknownOutcome`."""
        ...

    def savepoint(self) -> None:
        """Begin the savepoint of one commit."""
        ...

    def release(self) -> None:
        """Keep what the savepoint wrote. Raises what a statement of it raised that was sent without waiting."""
        ...

    def rollback_to_savepoint(self) -> None:
        """Undo what the savepoint wrote and end it."""
        ...

    @property
    def housekeeping(self) -> Housekeeping | None:
        """What keeps its files in order; None where a server does that."""
        ...

    def close(self, *, checkpoint: bool) -> None:
        """Close; `checkpoint` first moves the log into the database, which an orderly shutdown does."""
        ...


@final
@frozen(kw_only=True, slots=True)
class StoredBytes:
    """How large a store is, in bytes: its database, and its log, 0 where there is none."""

    database: int
    log: int


class Engine(Protocol):
    """One way to store. Opened once, by the store."""

    name: str
    requires_network: bool
    blobs: Blobs

    @property
    def durability(self) -> DurabilityClass:
        """What its commits survive. Once it is open."""
        ...

    @property
    def hosts(self) -> HostProofs:
        """The proofs of life of the hosts that share the store."""
        ...

    @property
    def listeners(self) -> Listeners:
        """Those who wait for what is written. Once it is open."""
        ...

    @property
    def authority_key(self) -> str | None:
        """What all handles of one database share; None where no other handle can have it."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other hosts can have the store open at the same time."""
        ...

    @property
    def alone(self) -> bool:
        """Whether no other host has the store open; certain until `share`."""
        ...

    def free_bytes(self) -> int | None:
        """How many bytes are free where the store writes; None where that cannot be known. May be asked from any thread."""
        ...

    def stored_bytes(self) -> StoredBytes | None:
        """How large the store is; None where that cannot be known. May be asked from any thread."""
        ...

    def share(self) -> None:
        """Let other hosts in: opening has ended. Raises `UnknownOutcome`."""
        ...

    def open(self) -> WriteConnection:
        """Check, create or migrate what is there and return the connection that writes. Raises what preflight finds."""
        ...

    def open_reader(self) -> ReadConnection | None:
        """Another connection that reads; None where reads share the writer's connection between groups."""
        ...

    def open_query(self) -> QueryConnectionOfItsOwn | None:
        """A connection for queries of users; None where they share the writer's connection between groups."""
        ...

    def mark_broken(self, detail: str) -> None:
        """Leave a mark that the store stopped with an unknown outcome: the next open must be alone. Never raises."""
        ...

    def close(self) -> None:
        """Give up locks."""
        ...
