"""Looking into a SQLite store from outside.

A look holds the store's lock as a host does, so that no host can be alone and replace the log under it. Where no host has the
store open it does what every open does before it reads (design §3): it writes the log that a dead host left anew, and clears
its mark.
"""

from __future__ import annotations

from typing import final

from tenure.errors import CannotOpen, NotADatabase
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import ReadConnection, StoredBytes
from tenure.persistence.engines.listeners import Listeners
from tenure.persistence.engines.sqlite.files.database import DatabaseFiles
from tenure.persistence.engines.sqlite.files.mounts import check_file_system
from tenure.persistence.engines.sqlite.system.files import Files
from tenure.persistence.seams.seams import Seams

from .engine import SqliteEngine
from .opening.preflight import (
    check_names,
    check_path,
    emptied,
    mapped_os_errors,
)
from .opening.target import MEMORY
from .options import sqlite_options


@final
class SqliteLook:
    """See `Look`."""

    def __init__(self, path: str, engine: SqliteEngine, seams: Seams) -> None:
        """Touch nothing yet."""
        options = sqlite_options(seams)
        self._path = path
        self._engine = engine
        self._vfs = options.vfs
        self._files = options.files
        self._held = DatabaseFiles(
            path, options.files, options.locks, shared=not options.one_connection, vfs=options.vfs
        )

    def open(self) -> tuple[ReadConnection, bool]:
        """See `Look.open`."""
        with mapped_os_errors(self._path):
            check_store(self._path, self._files, self._vfs)
            self._held.prepare()
            alone = self._held.alone
            try:
                return self._engine.open_look(self._held), alone
            except BaseException:
                self._held.close()  # so that it can be tried again
                raise

    @property
    def listeners(self) -> Listeners:
        """See `Look.listeners`."""
        return self._held.listeners()

    @property
    def blobs(self) -> Blobs:
        """See `Look.blobs`."""
        return self._engine.blobs

    def free_bytes(self) -> int | None:
        """See `Look.free_bytes`."""
        return self._engine.free_bytes()

    def stored_bytes(self) -> StoredBytes | None:
        """See `Look.stored_bytes`."""
        return self._engine.stored_bytes()

    def close(self) -> None:
        """See `Look.close`."""
        self._held.close()


def check_store(path: str, files: Files, vfs: str | None) -> None:
    """Look at what stands under a path before anything is opened there, as an open of a host does; it must be a store."""
    if path == MEMORY or not files.exists(path):
        raise CannotOpen(path=path, detail="there is no such file")
    if vfs is None:
        check_file_system(path)
        check_names(path)
    check_path(path, files, vfs)
    if files.size(path) == 0:
        noted = files.exists(f"{path}-lock") and files.size(f"{path}-lock") > 0
        if noted and files.size(path) == 0:  # else it has just been made
            raise emptied(path)
        raise NotADatabase(path=path, detail="it is empty")
