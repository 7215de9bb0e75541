"""What only SQLite has."""

from __future__ import annotations

from typing import final

from attrs import field, frozen

from tenure.errors import InvalidInput
from tenure.persistence.engines.sqlite.system.files import Files, OsFiles
from tenure.persistence.engines.sqlite.system.locks import Locks, OsLocks
from tenure.persistence.model.numbers import (
    count,
)
from tenure.persistence.seams.options import EngineOptions
from tenure.persistence.seams.seams import Seams


@final
@frozen(kw_only=True, slots=True)
class SqliteOptions(EngineOptions):
    """Options of a SQLite store, for `Seams.engine`. Raises `InvalidInput` for a number that makes no sense.

    Attributes:
        wal_pages: Pages in the write-ahead log after which the writer checkpoints.
        keep_from: Commits of a group, or keys of the one `store.state.write` that it has, from which on its rows are kept, and
            written many by one statement where nothing reads them before. For fewer it saves as much as it takes.
        vfs: Name of a registered SQLite VFS, None for SQLite's own.
        one_connection: Keep one connection, with ``locking_mode=EXCLUSIVE``; reads run on it between groups. A memory VFS
            has no shared memory and needs this.
        files: File operations outside SQLite.
        locks: OS locks on files beside the database.
    """

    wal_pages: int = field(default=1_000, validator=count())
    keep_from: int = field(default=16, validator=count())
    vfs: str | None = None
    one_connection: bool = False
    files: Files = field(factory=OsFiles)
    locks: Locks = field(factory=OsLocks)


def sqlite_options(seams: Seams) -> SqliteOptions:
    """The options that a host was given, or the defaults. Raises `InvalidInput` for those of another engine."""
    given = seams.engine
    if given is None:
        return SqliteOptions()
    if not isinstance(given, SqliteOptions):
        raise InvalidInput(detail=f"a SQLite store takes SqliteOptions, and not {type(given).__name__}", field="engine")
    return given
