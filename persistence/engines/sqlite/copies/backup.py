"""Copies of a SQLite store: online, verified, and complete in one file.

A copy is made in one read transaction, beside hosts that go on writing, into a file of another name; it is compared with what
was read, synced, and only then given its name. So a file under the target's name is always a whole and verified one.
"""

from __future__ import annotations

import random
from typing import final

import apsw

from tenure.errors import StoreLocked
from tenure.persistence.engines.door import (
    Copy,
)
from tenure.persistence.engines.sqlite.errors import close_quietly
from tenure.persistence.engines.sqlite.files.database import DatabaseFiles
from tenure.persistence.engines.sqlite.files.mounts import check_file_system
from tenure.persistence.engines.sqlite.opening.preflight import (
    check_names,
    check_sqlite_version,
)
from tenure.persistence.engines.sqlite.system.files import Files
from tenure.persistence.engines.sqlite.system.locks import Locks
from tenure.persistence.engines.sqlite.token_raise import raise_tokens
from tenure.persistence.model.numbers import milliseconds

from .copying import (
    check_source,
    check_target,
    connect,
    contents_of,
    known_errors,
    made_file,
    make_single,
    pour,
    report,
    verify,
)
from .restoring import bring, check_is_copy, hold_unfinished


@final
class Copier:
    """Makes backups and brings them back. Sync: runs on its own thread; `stop` may be called from another one."""

    def __init__(self, files: Files, locks: Locks, busy_s: float, source: random.Random) -> None:
        """Touch nothing yet; `source` draws the names of files that are not whole yet."""
        self._files = files
        self._locks = locks
        self._busy_s = busy_s
        self._random = source
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
        with known_errors(source):
            check_source(source, self._files)
            check_file_system(source)
            check_names(source)
            check_target(target, self._files)
            store = DatabaseFiles(source, self._files, self._locks, shared=True, vfs=None, busy_s=self._busy_s)
            # The lock is held as a host holds it: no other open is alone meanwhile.
            store.prepare()
            try:
                origin = connect(source, self._busy_ms)
                try:
                    store.check_hosts(origin)
                    contents_of(origin, source)  # reads: from now on SQLite's own locks say that a connection is there
                    store.settle()
                    store.share()
                    with made_file(self._files, target, self._random) as made:
                        return self._copy(origin, source, made, target)
                finally:
                    close_quietly(origin)
            finally:
                store.close()

    def restore(self, backup: str, target: str, *, run_unfinished: bool) -> Copy:
        """Make a new store of a backup or of a replicator's copy, with tokens raised by `TOKEN_RAISE`.

        Args:
            backup: One file, or a database with its log beside it, that no process has open. It is left as it is.
            target: The new store.
            run_unfinished: Whether runs that were unfinished go on at the first open; else their runtimes are held.

        Raises:
            CannotOpen, NotADatabase, Corrupt: What `check_path` finds; a target that is there; a disk that fails.
            StoreLocked: Another process opens the target just now.
            DiskFull: The store did not fit; nothing of it is left.
            SchemaMismatch: A newer tenure wrote the backup, or one between two releases.
            InvalidInput: It is a store that hosts use, and not a copy.
        """
        check_sqlite_version(apsw.sqlite_lib_version())
        with known_errors(target):
            check_source(backup, self._files)
            check_is_copy(backup, self._files)
            check_target(target, self._files)
            check_file_system(target)
            lock = self._locks.acquire(f"{target}-lock", exclusive=True)
            if lock is None:
                raise StoreLocked(path=target, holder="another process or store")
            try:
                check_target(target, self._files)  # once more, now that no other process creates it
                with made_file(self._files, target, self._random) as made:
                    bring(backup, made, self._files, lambda: self._stopped)
                    check_is_copy(backup, self._files)  # once more: what was written meanwhile would be torn
                    return self._make_store(made, target, run_unfinished=run_unfinished)
            finally:
                lock.release()

    def _copy(self, origin: apsw.Connection, source: str, made: str, target: str) -> Copy:
        copy = connect(made, self._busy_ms)
        try:
            origin.execute("BEGIN")
            before = contents_of(origin, source)
            pour(origin, copy, lambda: self._stopped)
            make_single(copy, made)
            verify(copy, before, target)
            return report(copy, target, self._files.size(made))
        finally:
            close_quietly(copy)

    def _make_store(self, made: str, target: str, *, run_unfinished: bool) -> Copy:
        copy = connect(made, self._busy_ms)
        try:
            make_single(copy, made)
            verify(copy, None, target)
            copy.execute("BEGIN IMMEDIATE")
            raise_tokens(copy)
            held = 0 if run_unfinished else hold_unfinished(copy)
            copy.execute("COMMIT")
            return report(copy, target, self._files.size(made), held)
        finally:
            close_quietly(copy)

    @property
    def _busy_ms(self) -> int:
        return milliseconds(self._busy_s)
