"""The SQLite engine, through APSW.

Theory of operation: one connection writes (`writer`) and belongs to the writer's executor; a few others read. The database
runs in WAL mode. Errors of the driver are mapped in this package and nowhere else.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import final

import apsw

from tenure.errors import CannotOpen, WeakDurability
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import (
    QueryConnectionOfItsOwn,
    ReadConnection,
    StoredBytes,
    UnknownOutcome,
    WriteConnection,
)
from tenure.persistence.engines.listeners import Listeners, NoListeners
from tenure.persistence.engines.proofs import HostProofs, NoProofs
from tenure.persistence.engines.sqlite.files.database import DatabaseFiles
from tenure.persistence.engines.sqlite.files.hosts import HostLocks
from tenure.persistence.engines.sqlite.files.mounts import check_file_system
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

from .blobs import FolderBlobs, MemoryBlobs
from .connections import Query, Reader
from .errors import (
    close_quietly,
    mapped_errors,
)
from .opening.migrations import (
    check_current,
    claim,
    migrate,
)
from .opening.preflight import (
    ATTACHMENTS_SUFFIX,
    check_names,
    check_sqlite_version,
    mapped_os_errors,
)
from .opening.target import MEMORY
from .options import sqlite_options
from .system.forks import check_not_inherited, note_closed, note_open
from .token_raise import raise_tokens
from .writer import SYNCHRONOUS, Writer

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
        self.durability = durability
        self._limits = limits
        self._seams = seams
        self._folder = Path(os.path.realpath(path)).parent
        self._options = sqlite_options(seams)
        self.shared = path != MEMORY and not self._options.one_connection
        self.authority_key = None if path == MEMORY else f"sqlite:{os.path.realpath(path)}"
        self.blobs: Blobs = (
            MemoryBlobs() if path == MEMORY else FolderBlobs(path + ATTACHMENTS_SUFFIX, self._options.files)
        )
        self._files: DatabaseFiles | None = None
        self._is_on_system = path != MEMORY and self._options.vfs is None
        self._noted: tuple[int, int] | None = None
        if path != MEMORY:
            self._files = DatabaseFiles(
                path,
                self._options.files,
                self._options.locks,
                shared=self.shared,
                vfs=self._options.vfs,
                busy_s=limits.busy_s,
                cut_damage=cut_damage,
            )
        self._host_locks = None
        if self.shared and self._files is not None:
            self._host_locks = HostLocks(path, self._options.files, self._options.locks, self._files)

    @property
    def hosts(self) -> HostProofs:
        """See `Engine.hosts`."""
        return self._host_locks or NoProofs()

    @property
    def listeners(self) -> Listeners:
        """See `Engine.listeners`."""
        return self._files.listeners() if self._files is not None and self.shared else NoListeners()

    @property
    def alone(self) -> bool:
        """See `Engine.alone`."""
        return self._files is None or self._files.alone

    def free_bytes(self) -> int | None:
        """See `Engine.free_bytes`. Unknown in memory, and where another VFS keeps the file."""
        if self._path == MEMORY or self._options.vfs is not None:
            return None
        try:
            return shutil.disk_usage(self._folder).free
        except OSError:
            return None

    def stored_bytes(self) -> StoredBytes | None:
        """See `Engine.stored_bytes`. Unknown where `free_bytes` is."""
        if self._path == MEMORY or self._options.vfs is not None:
            return None
        try:
            database, log = Path(self._path), Path(f"{self._path}-wal")
            return StoredBytes(database=database.stat().st_size, log=log.stat().st_size if log.exists() else 0)
        except OSError:
            return None

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
            if self._is_on_system:
                self._noted = note_open(self._path)
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
        return Writer(
            connection,
            self._statements,
            self.durability,
            self._limits,
            self._options,
            self._seams.wall_clock,
            self._files,
        )

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
        connection.pragma("synchronous", SYNCHRONOUS[self.durability])

    def open_reader(self) -> ReadConnection | None:
        """See `Engine.open_reader`."""
        if self._path == MEMORY or self._options.one_connection:
            return None
        self._check_unmoved()  # a new connection finds its files by name
        return self._open_reader(None)

    def open_look(self, files: DatabaseFiles) -> ReadConnection:
        """A connection that reads, for a look, which is not a host and holds the lock by `files`; it lets others in.

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
                if self._options.one_connection:  # as the one that writes: there may be no shared memory
                    connection.pragma("locking_mode", "EXCLUSIVE")
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
        if self._path == MEMORY or self._options.one_connection:
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
        if self._noted is not None:
            note_closed(self._noted)
            self._noted = None

    def _check_unmoved(self) -> None:
        if self._files is not None:
            self._files.check_unmoved()

    def _prepare(self, files: DatabaseFiles) -> None:
        with mapped_os_errors(self._path):
            if self._options.vfs is None:  # another VFS need not be on this system's files at all
                check_not_inherited(self._path)
                check_file_system(self._path)
                check_names(self._path)
            files.prepare()
            if self._host_locks is not None and self.alone:
                self._host_locks.clear()

    def _connect(self, flags: int) -> apsw.Connection:
        if self._is_on_system:
            check_not_inherited(self._path)  # also of what is only looked into
        with mapped_errors("open", self._path):
            connection = apsw.Connection(self._path, flags, self._options.vfs, _STATEMENT_CACHE)
            connection.set_busy_timeout(self._limits.busy_ms)
            # A close never checkpoints: after a failed fsync it would write what it cannot know to be true.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
            # Plans never depend on bound values. Without this a LIMIT or a partial index chosen by a parameter has the
            # statement prepared anew each time it is bound: 35 µs instead of 10 for `inputs.stage_oldest`.
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
            connection.wal_autocheckpoint(0)
            # No temporary files: they need a folder and a descriptor, and would hold contents outside of the store.
            connection.pragma("temp_store", "MEMORY")
        return connection

    def _configure(self, connection: apsw.Connection) -> None:
        in_memory = self._path == MEMORY
        with mapped_errors("open", self._path, connection):
            if self._options.one_connection and not in_memory:
                connection.pragma("locking_mode", "EXCLUSIVE")
            if connection.readonly("main"):
                raise CannotOpen(path=self._path, detail="the file may be read but not written")
            claim(connection, self._path)
            mode = connection.pragma("journal_mode", "MEMORY" if in_memory else "WAL")
            for pragma in ("fullfsync", "checkpoint_fullfsync"):  # macOS; no effect elsewhere
                connection.pragma(pragma, self.durability is not DurabilityClass.MEMORY)
            # What is deleted is overwritten, from the first day on: `erase` could not find it later.
            connection.pragma("secure_delete", True)
            asked = SYNCHRONOUS[self.durability]
            connection.pragma("synchronous", asked)
            given = connection.pragma("synchronous")
        if mode != ("memory" if in_memory else "wal"):
            raise WeakDurability(asked=f"{self.durability} with journal_mode wal", given=f"journal_mode {mode}")
        if given != _LEVELS.index(asked):
            raise WeakDurability(asked=f"{self.durability} with synchronous {asked}", given=f"synchronous {given}")
