"""The SQLite engine, through APSW.

Theory of operation: one connection writes and belongs to the writer's executor; a few others read. The database runs in
WAL mode; ``synchronous`` is set before each BEGIN from the durability class and from what the group writes; checkpoints
happen between groups and never on close. Errors of the driver are mapped here and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import final

import apsw

from tenure.errors import CannotOpen, DiskFull, WeakDurability
from tenure.persistence.engines.engine import (
    HostProofs,
    QueryConnectionOfItsOwn,
    QueryParameters,
    ReadConnection,
    Row,
    SqlValue,
    UnknownOutcome,
    WriteConnection,
)
from tenure.persistence.engines.sqlite.files.database import DatabaseFiles, FilesMoved
from tenure.persistence.engines.sqlite.files.hosts import HostLocks, NoOtherHosts
from tenure.persistence.engines.sqlite.files.mounts import check_file_system
from tenure.persistence.engines.sqlite.log.upkeep import LogUpkeep
from tenure.persistence.engines.target import MEMORY
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

from .connections import Connection, Query, Reader
from .errors import (
    STATEMENT_ERRORS,
    close_quietly,
    is_full,
    map_statement_error,
    mapped_errors,
)
from .keys import Keys
from .migrations import (
    check_current,
    claim,
    migrate,
)
from .preflight import (
    check_names,
    check_sqlite_version,
    mapped_os_errors,
)
from .tokens import raise_tokens
from .user_queries import run_query

_SYNCHRONOUS = {DurabilityClass.DISK: "FULL", DurabilityClass.OS: "NORMAL", DurabilityClass.MEMORY: "OFF"}
_LEVELS = ("OFF", "NORMAL", "FULL")
_STATEMENT_CACHE = 256  # every constant SQL text stays prepared: a miss doubles the CPU of a statement


@final
class SqliteEngine:
    """One SQLite file, or ``:memory:``.

    Attributes:
        has_cut: Whether this open raised the tokens because a damaged log was cut off.
    """

    name = "sqlite"
    requires_network = False

    def __init__(
        self,
        path: str,
        statements: Mapping[str, str],
        durability: DurabilityClass,
        limits: Limits,
        seams: Seams,
        *,
        cut_damage: bool = False,
    ) -> None:
        """Keep what opening needs; touch nothing. With `cut_damage` a damaged log is cut off, and the tokens raised."""
        self.has_cut = False
        self._path = path
        self._statements = statements
        self._durability = durability
        self._limits = limits
        self._seams = seams
        self.shared = path != MEMORY and not seams.one_connection
        self.authority_key = None if path == MEMORY else f"sqlite:{os.path.realpath(path)}"
        self._files: DatabaseFiles | None = None
        if path != MEMORY:
            self._files = DatabaseFiles(
                path,
                seams.files,
                seams.locks,
                shared=self.shared,
                vfs=seams.vfs,
                busy_s=limits.busy_s,
                cut_damage=cut_damage,
            )
        self._host_locks = None
        if self.shared and self._files is not None:
            self._host_locks = HostLocks(path, seams.files, seams.locks, self._files)

    @property
    def hosts(self) -> HostProofs:
        """See `Engine.hosts`."""
        return self._host_locks or NoOtherHosts()

    @property
    def alone(self) -> bool:
        """See `Engine.alone`."""
        return self._files is None or self._files.alone

    def share(self) -> None:
        """See `Engine.share`."""
        if self._files is not None:
            with mapped_os_errors(self._path):
                self._files.share()

    def open(self) -> WriteConnection:
        """See `Engine.open`. Takes the lock first, then recovers the log, then connects."""
        check_sqlite_version(apsw.sqlite_lib_version())
        try:
            if self._files is not None:
                self._prepare(self._files)
            connection = self._connect(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
            try:
                if self._files is not None:
                    self._files.check_hosts(connection)
                self._configure(connection)
                with mapped_errors("migration", self._path, connection):
                    self._make_ready(connection)
                if self._files is not None:
                    with mapped_os_errors(self._path):
                        self._files.settle()
            except BaseException:
                close_quietly(connection)
                raise
        except UnknownOutcome as exc:
            self.mark_broken(str(exc))
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        return _Writer(connection, self._statements, self._durability, self._limits, self._files)

    def _make_ready(self, connection: apsw.Connection) -> None:
        # Whatever an open commits is synced in every class before a group is written: else a torn tail looks like damage.
        connection.pragma("synchronous", "FULL")
        migrate(connection, self._path, self._limits.busy_s)
        if self._files is not None and self._files.alone and self._files.was_cut:
            with connection:
                raise_tokens(connection)
            self.has_cut = True
            with mapped_os_errors(self._path):
                self._files.forget_cut()
        connection.pragma("synchronous", _SYNCHRONOUS[self._durability])

    def open_reader(self) -> ReadConnection | None:
        """See `Engine.open_reader`."""
        if self._path == MEMORY or self._seams.one_connection:
            return None
        self._check_unmoved()  # a new connection finds its files by name
        return self._open_reader(None)

    def open_look(self, files: DatabaseFiles) -> ReadConnection:
        """A connection that reads, for who is no host and holds the lock by `files`; it lets others in.

        Raises:
            CannotOpen: Hosts have other files open than those that have these names now.
            SchemaMismatch, NotADatabase: See `check_current`.
        """
        return self._open_reader(files)

    def _open_reader(self, files: DatabaseFiles | None) -> ReadConnection:
        connection = self._connect(apsw.SQLITE_OPEN_READWRITE)
        try:
            if files is not None:
                files.check_hosts(connection)
            with mapped_errors("open", self._path, connection):
                check_current(connection, self._path)
                connection.pragma("query_only", True)
            if files is not None:
                files.settle()
                files.share()
            self._check_unmoved()
        except BaseException:
            close_quietly(connection)
            raise
        return Reader(connection, self._statements)

    def open_query(self) -> QueryConnectionOfItsOwn | None:
        """See `Engine.open_query`."""
        if self._path == MEMORY or self._seams.one_connection:
            return None
        self._check_unmoved()
        connection = self._connect(apsw.SQLITE_OPEN_READONLY)
        connection.pragma("query_only", True)
        return Query(connection)

    def mark_broken(self, detail: str) -> None:
        """See `Engine.mark_broken`."""
        if self._files is not None:
            self._files.mark_broken(detail)

    def close(self) -> None:
        """See `Engine.close`. This host's own proof goes first: while it is held, others wait for it."""
        if self._host_locks is not None:
            self._host_locks.close()
        if self._files is not None:
            self._files.close()

    def _check_unmoved(self) -> None:
        if self._files is not None:
            self._files.check_unmoved()

    def _prepare(self, files: DatabaseFiles) -> None:
        with mapped_os_errors(self._path):
            if self._seams.vfs is None:  # another VFS need not be on this system's files at all
                check_file_system(self._path)
                check_names(self._path)
            files.prepare()
            if self._host_locks is not None and self.alone:
                self._host_locks.clear()

    def _connect(self, flags: int) -> apsw.Connection:
        with mapped_errors("open", self._path):
            connection = apsw.Connection(self._path, flags, self._seams.vfs, _STATEMENT_CACHE)
            connection.set_busy_timeout(int(self._limits.busy_s * 1000))
            # A close never checkpoints: after a failed fsync it would write what it cannot know to be true.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
            # Plans never depend on bound values. Without this a LIMIT or a partial index behind a parameter has the
            # statement prepared anew each time it is bound: 35 µs instead of 10 for `inputs.stage_oldest`.
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
            connection.wal_autocheckpoint(0)
        return connection

    def _configure(self, connection: apsw.Connection) -> None:
        in_memory = self._path == MEMORY
        with mapped_errors("open", self._path, connection):
            if self._seams.one_connection and not in_memory:
                connection.pragma("locking_mode", "EXCLUSIVE")
            if connection.readonly("main"):
                raise CannotOpen(path=self._path, detail="the file may be read but not written")
            claim(connection, self._path)
            mode = connection.pragma("journal_mode", "MEMORY" if in_memory else "WAL")
            for pragma in ("fullfsync", "checkpoint_fullfsync"):  # macOS; no effect elsewhere
                connection.pragma(pragma, self._durability is not DurabilityClass.MEMORY)
            asked = _SYNCHRONOUS[self._durability]
            connection.pragma("synchronous", asked)
            given = connection.pragma("synchronous")
        if mode != ("memory" if in_memory else "wal"):
            raise WeakDurability(asked=f"{self._durability} with journal_mode wal", given=f"journal_mode {mode}")
        if given != _LEVELS.index(asked):
            raise WeakDurability(asked=f"{self._durability} with synchronous {asked}", given=f"synchronous {given}")


@final
class _Writer(Connection):
    def __init__(
        self,
        connection: apsw.Connection,
        statements: Mapping[str, str],
        durability: DurabilityClass,
        limits: Limits,
        files: DatabaseFiles | None,
    ) -> None:
        super().__init__(connection, statements)
        self._files = files  # a database in memory has none
        self._durability = durability
        self._synced_now = durability is DurabilityClass.DISK
        self._log = LogUpkeep(connection, limits.wal_pages)
        self._keys = Keys(connection, statements)

    def write(self, name: str, /, **parameters: SqlValue) -> None:
        try:
            self._db.execute(self._statements[name], parameters)
        except STATEMENT_ERRORS as exc:
            raise map_statement_error(exc, name, self._db) from exc

    def run(self, name: str, /, **parameters: SqlValue) -> int:
        self.write(name, **parameters)
        return self._db.changes()

    def insert(self, name: str, /, **parameters: SqlValue) -> int:
        key = self._keys.of_insert(name)
        self.write(name, key=key, **parameters)
        return key

    def key(self, table: str, /) -> int:
        return self._keys.next(table)

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    @property
    def rows_written(self) -> int:
        return self._db.total_changes()

    @property
    def version(self) -> int:
        return self._db.data_version("main")

    def begin(self, *, synced: bool) -> None:
        self._look()  # beside another log or index not a byte is written
        if self._durability is not DurabilityClass.DISK and synced is not self._synced_now:
            # Before BEGIN: SQLite ignores the pragma inside a transaction.
            self._execute(f"PRAGMA synchronous={'FULL' if synced else _SYNCHRONOUS[self._durability]}")
            self._synced_now = synced
        self._execute("BEGIN IMMEDIATE")
        self._keys.begin(self.version)

    def commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except apsw.Error as exc:
            if is_full(exc, self._db):
                raise DiskFull from exc
            # Anything else at COMMIT leaves open what is on disk (design §3, fail-stop).
            message = f"COMMIT: {exc}"
            raise UnknownOutcome(message) from exc
        self._keys.landed(self.version)
        self._look()  # what was written into a file without a name is gone with this process

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
        self._keys.forget()
        if self._db.in_transaction:
            try:
                self._db.execute("ROLLBACK")
            except apsw.Error as exc:
                message = f"ROLLBACK: {exc}"
                raise UnknownOutcome(message) from exc

    def savepoint(self) -> None:
        self._execute("SAVEPOINT one_commit")

    def release(self) -> None:
        self._execute("RELEASE one_commit")

    def rollback_to_savepoint(self) -> None:
        self._execute("ROLLBACK TO one_commit")
        self._execute("RELEASE one_commit")
        self._keys.forget()  # what it wrote is gone: its keys are free, as where it is left out

    @property
    def needs_maintenance(self) -> bool:
        return self._log.is_due

    @property
    def log_pages(self) -> int:
        return self._log.pages

    def make_room(self) -> bool:
        before = self._log.unmoved
        if before:
            self._log.checkpoint()
        return self._log.unmoved < before

    def maintain(self) -> None:
        self._log.checkpoint()

    def close(self, *, checkpoint: bool) -> None:
        try:
            if checkpoint:
                # Whoever still reads is not waited for: what cannot be moved now stays in the log, and is safe there.
                self._db.set_busy_timeout(0)
                self._log.checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
            else:
                with suppress(UnknownOutcome):  # why it broke is said already; it may be that the log was removed
                    self._look()
        finally:
            close_quietly(self._db)

    def begin_read(self) -> None:
        # No transaction: nothing else runs on this connection meanwhile.
        self._execute("PRAGMA query_only=1")

    def end_read(self) -> None:
        self._execute("PRAGMA query_only=0")

    def query(self, sql: str, parameters: QueryParameters, limit: int, stopped: Callable[[], bool], /) -> list[Row]:
        self.begin_read()
        try:
            return run_query(self._db, sql, parameters, limit, stopped)
        finally:
            self.end_read()
