"""Copies of a SQLite store: online, verified, and complete in one file.

A copy is made in one read transaction, beside hosts that go on writing, into a file of another name; it is compared with what
was read, synced, and only then given its name. So a file under the target's name is always a whole and verified one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, final

import apsw
from attrs import frozen

from tenure.errors import CannotOpen, Contended, Corrupt, InvalidInput, StoreLocked
from tenure.persistence.engines.engine import UnknownOutcome
from tenure.persistence.seams.files import (
    Files,
    folder_of,
)
from tenure.persistence.seams.locks import Locks

from .errors import (
    close_quietly,
    mapped_errors,
)
from .files import DatabaseFiles
from .migrations import check_known
from .mounts import check_file_system
from .preflight import (
    COPY_SUFFIX,
    check_names,
    check_path,
    check_sqlite_version,
    mapped_os_errors,
    read_head,
)
from .tokens import last_token, raise_tokens

_STEP_PAGES: Final = 2_000
_WAL_VERSION: Final = 2


@final
@frozen(kw_only=True, slots=True)
class Copy:
    """What was copied.

    Attributes:
        path: The new file.
        size: Its length in bytes.
        schema_version: Version of the schema.
        last_fence_token: The last token that was minted; in a restored store, raised by `tokens.TOKEN_RAISE`.
        rows: Rows by table.
    """

    path: str
    size: int
    schema_version: int
    last_fence_token: int
    rows: Mapping[str, int]


@final
class Copier:
    """Makes backups and brings them back. Sync: runs on a thread of its own; `stop` may be called from another one."""

    def __init__(self, files: Files, locks: Locks, busy_s: float) -> None:
        """Touch nothing yet."""
        self._files = files
        self._locks = locks
        self._busy_ms = int(busy_s * 1000)
        self._stopped = False

    def stop(self) -> None:
        """Have the copy that is being made end with `Stopped`, soon."""
        self._stopped = True

    def backup(self, source: str, target: str) -> Copy:
        """Copy a store, which may be open in any number of hosts, into a new file.

        Raises:
            CannotOpen, NotADatabase, Corrupt: What `check_path` finds; a target that is there; a disk that fails.
            StoreLocked: A host has the store for itself.
            DiskFull: The copy did not fit; nothing of it is left.
            SchemaMismatch: A newer tenure wrote the store, or one between two releases.
        """
        check_sqlite_version(apsw.sqlite_lib_version())
        with _known_errors(source):
            self._check_source(source)
            check_file_system(source)
            check_names(source)
            self._check_target(target)
            busy_s = self._busy_ms / 1000
            store = DatabaseFiles(source, self._files, self._locks, shared=True, vfs=None, busy_s=busy_s)
            # The lock is held as a host holds it: no other open is alone meanwhile.
            store.prepare()
            try:
                origin = self._connect(source, apsw.SQLITE_OPEN_READWRITE)
                try:
                    store.check_hosts(origin)
                    _contents(origin, source)  # reads: from now on SQLite's own locks say that somebody is there
                    store.settle()
                    store.share()
                    return self._copy(origin, source, target, _leave)
                finally:
                    close_quietly(origin)
            finally:
                store.close()

    def restore(self, backup: str, target: str) -> Copy:
        """Make a new store of a backup, with the counter of fence tokens raised by `tokens.TOKEN_RAISE`.

        Raises:
            CannotOpen, NotADatabase, Corrupt: What `check_path` finds; a target that is there; a disk that fails.
            StoreLocked: Somebody opens the target just now.
            DiskFull: The store did not fit; nothing of it is left.
            SchemaMismatch: A newer tenure wrote the backup, or one between two releases.
            InvalidInput: It is no backup but a store.
        """
        check_sqlite_version(apsw.sqlite_lib_version())
        with _known_errors(target):
            self._check_source(backup)
            if read_head(backup, None, 20)[18:20] == bytes((_WAL_VERSION, _WAL_VERSION)):
                detail = "it is a store, which goes on changing, and no backup; make one with `tenure backup`"
                raise InvalidInput(detail=detail, field="backup")
            self._check_target(target)
            check_file_system(target)
            lock = self._locks.acquire(f"{target}-lock", exclusive=True)
            if lock is None:
                raise StoreLocked(path=target, holder="another process or store")
            try:
                self._check_target(target)  # once more, now that nobody else creates it
                origin = self._connect(backup, apsw.SQLITE_OPEN_READONLY)
                try:
                    return self._copy(origin, backup, target, raise_tokens)
                finally:
                    close_quietly(origin)
            finally:
                lock.release()

    def _check_source(self, path: str) -> None:
        check_path(path, self._files, None)
        if not self._files.exists(path) or self._files.size(path) == 0:
            raise CannotOpen(path=path, detail="there is no such file")

    def _check_target(self, path: str) -> None:
        for name in (path, f"{path}-wal", f"{path}{COPY_SUFFIX}", f"{path}-journal"):
            if self._files.exists(name):
                raise CannotOpen(path=path, detail=f"{name} is there already, and nothing is ever written over")
        if not self._files.is_folder(folder_of(path)):
            raise CannotOpen(path=path, detail="its folder does not exist")

    def _copy(
        self, origin: apsw.Connection, source: str, target: str, change: Callable[[apsw.Connection], None]
    ) -> Copy:
        partial = f"{target}-partial"
        try:
            self._files.write(partial, b"")  # with our mode; what an earlier attempt left is cut to nothing
            copy = self._connect(partial, apsw.SQLITE_OPEN_READWRITE)
            try:
                origin.execute("BEGIN")
                before = _contents(origin, source)
                self._pour(origin, copy)
                # One file, complete without a log.
                if copy.pragma("journal_mode", "DELETE") != "delete":
                    raise CannotOpen(path=partial, detail="its journal mode cannot be set")
                _verify(copy, before, target)
                change(copy)
                report = _report(copy, target, self._files.size(partial))
            finally:
                close_quietly(copy)
            self._files.sync(partial)
            self._files.rename(partial, target)
            self._files.sync_folder(folder_of(target))
        except BaseException:
            for left in (partial, f"{partial}-journal"):
                if self._files.exists(left):
                    self._files.remove(left)
            raise
        return report

    def _connect(self, path: str, flags: int) -> apsw.Connection:
        connection = apsw.Connection(path, flags)
        connection.set_busy_timeout(self._busy_ms)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        return connection

    def _pour(self, origin: apsw.Connection, copy: apsw.Connection) -> None:
        with copy.backup("main", origin, "main") as pages:
            while not pages.done:
                if self._stopped:
                    raise Stopped
                pages.step(_STEP_PAGES)


@final
class Stopped(Exception):
    """The copy was stopped; nothing of it is left."""


@final
@frozen(kw_only=True, slots=True)
class _Contents:
    schema_version: int
    schema: tuple[tuple[object, ...], ...]
    rows: Mapping[str, int]


def _contents(connection: apsw.Connection, path: str) -> _Contents:
    version = check_known(connection, path)
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    tables = (
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"
    )
    return _Contents(
        schema_version=version,
        schema=tuple(connection.execute(schema).fetchall()),
        rows={str(name): _count(connection, str(name)) for (name,) in connection.execute(tables).fetchall()},
    )


def _count(connection: apsw.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    count: int = connection.execute(f'SELECT count(*) FROM "{quoted}"').get  # noqa: S608 - quoted, and from our own schema
    return count


def _verify(copy: apsw.Connection, before: _Contents, target: str) -> None:
    found = [row[0] for row in copy.execute("PRAGMA integrity_check").fetchall()]
    if found != ["ok"]:
        raise Corrupt(record="copy", key=target, detail="; ".join(map(str, found[:3])))
    if _contents(copy, target) != before:
        raise Corrupt(record="copy", key=target, detail="its schema or its row counts are not those of the source")


def _leave(_copy: apsw.Connection) -> None:
    """A backup is what was read."""


def _report(copy: apsw.Connection, target: str, size: int) -> Copy:
    contents = _contents(copy, target)
    return Copy(
        path=target,
        size=size,
        schema_version=contents.schema_version,
        last_fence_token=last_token(copy),
        rows=contents.rows,
    )


@contextmanager
def _known_errors(path: str) -> Generator[None]:
    # Nothing of a store is in doubt here: a disk that fails spoils a copy, which is thrown away.
    try:
        with mapped_errors("copy", path), mapped_os_errors(path):
            yield
    except UnknownOutcome as exc:
        raise CannotOpen(path=path, detail=f"the disk failed: {exc}") from exc
    except Contended as exc:
        raise StoreLocked(path=path, holder=exc.detail) from exc
