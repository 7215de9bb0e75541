"""The SQLite connection that writes: transactions, savepoints, keys, and what keeps its log short.

``synchronous`` is set before each BEGIN from the durability class and from what the group writes; checkpoints happen between
groups and never on close.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, final

import apsw

from tenure.errors import DiskFull
from tenure.persistence.engines.engine import (
    Begun,
    FailedLate,
    Group,
    NotStorable,
    QueryParameters,
    Row,
    SqlValue,
    UnknownOutcome,
)
from tenure.persistence.engines.housekeeping import Housekeeping
from tenure.persistence.engines.sqlite.files.database import DatabaseFiles, FilesMoved
from tenure.persistence.engines.sqlite.log.upkeep import LogUpkeep
from tenure.persistence.engines.statements import rows_of
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import read_clock

from .connections import Connection
from .errors import STATEMENT_ERRORS, close_quietly, is_full, is_temporary, map_statement_error
from .executing.kept import Kept
from .keys import Keys
from .options import SqliteOptions
from .user_queries import run_query

SYNCHRONOUS: Final = {DurabilityClass.DISK: "FULL", DurabilityClass.OS: "NORMAL", DurabilityClass.MEMORY: "OFF"}
"""What ``synchronous`` is in each class."""


@final
class Writer(Connection):
    """See `WriteConnection`."""

    def __init__(
        self,
        connection: apsw.Connection,
        statements: Mapping[str, str],
        durability: DurabilityClass,
        limits: Limits,
        options: SqliteOptions,
        wall_clock: Callable[[], float],
        files: DatabaseFiles | None,
    ) -> None:
        """Take the connection."""
        super().__init__(connection, statements)
        self._lease_s = limits.lease_s
        self._busy_ms = limits.busy_ms
        self._wall_clock = wall_clock
        self._files = files  # a database in memory has none
        self._durability = durability
        self._synced_now = durability is DurabilityClass.DISK
        self._log = LogUpkeep(connection, options.wal_pages)
        self._kept = Kept(connection)
        self._keep_from = options.keep_from
        self._keeps = False  # whether the group on its way keeps rows
        self._keys = Keys(connection, statements, self._kept.write)

    def one(self, name: str, /, **parameters: SqlValue) -> Row | None:
        """See `Statements.one`."""
        if self._kept.tables:
            self._kept.touch(self._forms[name].tables)
        return super().one(name, **parameters)

    def all(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.all`."""
        if self._kept.tables:
            self._kept.touch(self._forms[name].tables)
        return super().all(name, **parameters)

    def readable(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.readable`."""
        if self._kept.tables:
            self._kept.touch(self._forms[name].tables)
        return super().readable(name, **parameters)

    def write(self, name: str, /, **parameters: SqlValue) -> None:
        """See `WriteConnection.write`: in a group of several commits its row may be kept for a while, see `Kept`."""
        form = self._forms[name]
        if self._keeps:
            if form.many is not None:
                self._kept.keep(form.many, parameters)
                return
            self._kept.touch(form.tables)
        try:
            self._db.execute(form.sql, form.values(parameters))
        except apsw.ConstraintError as exc:
            raise FailedLate(str(exc)) from exc  # as where the row is kept
        except STATEMENT_ERRORS as exc:
            raise map_statement_error(exc, name, self._db) from exc

    def run(self, name: str, /, **parameters: SqlValue) -> int:
        """See `WriteConnection.run`."""
        form = self._forms[name]
        if self._kept.tables:
            self._kept.touch(form.tables)
        try:
            self._db.execute(form.sql, form.values(parameters))
        except STATEMENT_ERRORS as exc:
            raise map_statement_error(exc, name, self._db) from exc
        return self._db.changes()

    def insert(self, name: str, /, **parameters: SqlValue) -> int:
        """See `WriteConnection.insert`."""
        parameters["key"] = key = self._keys.of_insert(name)
        if self._keeps and (many := self._forms[name].many) is not None:  # as `write`, without its arguments once more
            self._kept.keep(many, parameters)
        else:
            self.write(name, **parameters)
        return key

    def insert_all(self, name: str, /, **columns: Sequence[SqlValue]) -> None:
        """See `WriteConnection.insert_all`."""
        if self._keeps and (many := self._forms[name].many) is not None:
            columns["key"] = self._keys.of_inserts(name, len(next(iter(columns.values()))))
            self._kept.keep_all(many, columns)
            return
        for row in rows_of(columns):
            self.insert(name, **row)

    def key(self, table: str, /) -> int:
        """See `WriteConnection.key`."""
        return self._keys.next(table)

    def raw(self, sql: str, parameters: Sequence[SqlValue] = (), /) -> list[Row]:
        """See `WriteConnection.raw`."""
        self._kept.write()
        try:
            return self._db.execute(sql, tuple(parameters)).fetchall()
        except (apsw.ConstraintError, apsw.MismatchError) as exc:
            raise NotStorable(str(exc)) from exc

    @property
    def tables(self) -> Sequence[str]:
        """See `WriteConnection.tables`."""
        rows = self.raw("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        return tuple([str(name) for (name,) in rows])

    @property
    def in_transaction(self) -> bool:
        """See `WriteConnection.in_transaction`."""
        return self._db.in_transaction

    @property
    def rows_written(self) -> int:
        """See `WriteConnection.rows_written`."""
        return self._db.total_changes() - self._kept.written + self._kept.count

    def begin(self, group: Group, /) -> Begun:
        """See `WriteConnection.begin`."""
        self._begin(synced=group.synced)
        now = read_clock(self._wall_clock)  # not before the lock was there: times of later groups would be earlier
        version = self._db.data_version("main")
        self._keys.begin(version)
        alive = self.run(
            "ownership.begin_group",
            host=group.host,
            incarnation=group.incarnation,
            group_number=group.number,
            lease_until=now + self._lease_s,
        )
        self._keeps = group.size >= self._keep_from
        return Begun(alive=bool(alive), now=now, versions=version)

    @property
    def side_by_side(self) -> None:
        """See `WriteConnection.side_by_side`: an answer is there at once."""
        return

    def begin_unnumbered(self) -> None:
        """See `WriteConnection.begin_unnumbered`."""
        self._begin(synced=True)
        self._keys.begin(self._db.data_version("main"))

    def _begin(self, *, synced: bool) -> None:
        self._keeps = False
        self._look()  # beside another log or index not a byte is written
        if synced is not self._synced_now:
            self._set_synced(synced=synced)
        self._execute("BEGIN IMMEDIATE")

    def _set_synced(self, *, synced: bool) -> None:
        # Before BEGIN: SQLite ignores the pragma inside a transaction.
        self._execute(f"PRAGMA synchronous={'FULL' if synced else SYNCHRONOUS[self._durability]}")
        self._synced_now = synced

    def commit(self) -> int:
        """See `WriteConnection.commit`."""
        self._kept.write()
        try:
            self._db.execute("COMMIT")
        except apsw.Error as exc:
            if is_full(exc, self._db):
                raise DiskFull from exc
            # Anything else at COMMIT leaves open what is on disk (design §3, fail-stop).
            message = f"COMMIT: {exc}"
            raise UnknownOutcome(message) from exc
        version: int = self._db.data_version("main")
        self._keys.landed(version)
        self._look()  # what was written into a file without a name is gone with this process
        return version

    def _look(self) -> None:
        # One call of the system, about 3 µs, where no name in the folder has changed.
        if self._files is None:
            return
        try:
            self._files.check_unmoved()
        except FilesMoved as exc:
            if exc.name == "log" and self._files.may_save_log():
                # All that was acknowledged is in a log that no newcomer finds: it goes into the database, which has its name.
                with suppress(UnknownOutcome):
                    self._log.checkpoint(apsw.SQLITE_CHECKPOINT_FULL)
            raise

    def rollback(self) -> None:
        """See `WriteConnection.rollback`."""
        self._keys.forget()
        self._kept.forget()
        if self._db.in_transaction:
            try:
                self._db.execute("ROLLBACK")
            except apsw.Error as exc:
                message = f"ROLLBACK: {exc}"
                raise UnknownOutcome(message) from exc

    def savepoint(self) -> None:
        """See `WriteConnection.savepoint`: what a commit writes in one is written at once, and its error its own."""
        self._keeps = False
        self._execute("SAVEPOINT one_commit")

    def release(self) -> None:
        """See `WriteConnection.release`."""
        self._execute("RELEASE one_commit")

    def rollback_to_savepoint(self) -> None:
        """See `WriteConnection.rollback_to_savepoint`."""
        self._execute("ROLLBACK TO one_commit")
        self._execute("RELEASE one_commit")
        self._keys.forget()  # what it wrote is gone: its keys are free, as where it is left out

    @property
    def housekeeping(self) -> Housekeeping:
        """See `WriteConnection.housekeeping`: this connection does it itself."""
        return self

    @property
    def is_due(self) -> bool:
        """See `Housekeeping.is_due`."""
        return self._log.is_due

    @property
    def log_pages(self) -> int:
        """See `Housekeeping.log_pages`."""
        return self._log.pages

    @property
    def log_held(self) -> bool:
        """See `Housekeeping.log_held`."""
        return self._log.is_held

    def make_room(self) -> bool:
        """See `Housekeeping.make_room`."""
        before = self._log.unmoved
        if before:
            self._log.checkpoint()
        return self._log.unmoved < before

    def checkpoint(self) -> None:
        """See `Housekeeping.checkpoint`."""
        self._log.checkpoint()

    @property
    def size_bytes(self) -> int:
        """See `Housekeeping.size_bytes`."""
        return int(self._db.pragma("page_count")) * int(self._db.pragma("page_size"))

    def rewrite(self, most_bytes: int, /) -> bool:
        """See `Housekeeping.rewrite`."""
        # secure_delete overwrites what is deleted where it stands now. Pages that were balanced since may hold a copy where it
        # stood before, beside the rows of a page: in 3 of 9,000 pages of a store that was written and deleted at random.
        if self.size_bytes > most_bytes:
            return False
        self._look()
        if not self._synced_now:
            self._set_synced(synced=True)
        self._keys.forget()
        try:
            self._db.execute("PRAGMA temp_store=FILE")  # it makes a whole copy first
            self._db.execute("VACUUM")
        except apsw.BusyError:
            return False
        except apsw.Error as exc:
            if is_full(exc, self._db) or is_temporary(exc):
                return False
            message = f"VACUUM: {exc}"
            raise UnknownOutcome(message) from exc
        finally:
            self._db.execute("PRAGMA temp_store=MEMORY")
        self._look()
        return True

    def empty_log(self) -> bool:
        """See `Housekeeping.empty_log`."""
        if self._files is None:
            return True  # a database in memory has none
        self._db.set_busy_timeout(0)
        try:
            return self._log.empty()
        finally:
            self._db.set_busy_timeout(self._busy_ms)

    def close(self, *, checkpoint: bool) -> None:
        """See `WriteConnection.close`."""
        try:
            if checkpoint:
                # A connection that still reads is not waited for: what cannot be moved now stays in the log, and is safe there.
                self._db.set_busy_timeout(0)
                self._log.checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
            else:
                with suppress(UnknownOutcome):  # why it broke is said already; it may be that the log was removed
                    self._look()
        finally:
            close_quietly(self._db)

    def begin_read(self) -> None:
        """See `Reading.begin_read`."""
        # No transaction: nothing else runs on this connection meanwhile.
        self._execute("PRAGMA query_only=1")

    def end_read(self) -> None:
        """See `Reading.end_read`."""
        self._execute("PRAGMA query_only=0")

    def query(self, sql: str, parameters: QueryParameters, limit: int, stopped: Callable[[], bool], /) -> list[Row]:
        """See `Querying.query`."""
        self.begin_read()
        try:
            return run_query(self._db, sql, parameters, limit, stopped)
        finally:
            self.end_read()
