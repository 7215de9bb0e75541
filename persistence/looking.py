"""Looking into a store from outside: reads only, beside hosts that run or without any.

Whoever looks holds the store's lock as a host does, so that nobody can be alone and replace the log under it; it registers no
host, writes nothing and takes nothing over.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, final

from tenure.errors import CannotOpen, Internal

from .engines.engine import ReadConnection, Statements, UnknownOutcome
from .engines.sqlite import SqliteEngine
from .engines.sqlite_files import DatabaseFiles
from .engines.sqlite_preflight import check_path
from .engines.statements import load_statements
from .executors import Executor, run_to_the_end
from .facets.catalog import FACETS
from .limits import Limits
from .seams import Seams
from .values import DurabilityClass

T = TypeVar("T")


@final
class Look:
    """A store that is looked into. Made by `look_into`."""

    def __init__(self, connection: ReadConnection, executor: Executor) -> None:
        """Bind to an open connection and the thread that owns it."""
        self._connection = connection
        self._executor = executor

    async def read(self, read: Callable[[Statements], T]) -> T:
        """Run a sync function over one consistent view. Raises what it raises."""
        return await run_to_the_end(self._executor, lambda: self._in_one_view(read))

    def _in_one_view(self, read: Callable[[Statements], T]) -> T:
        self._connection.begin_read()
        try:
            return read(self._connection)
        except UnknownOutcome as exc:
            raise Internal(detail=f"read failed: {exc}") from exc
        finally:
            self._connection.end_read()


@asynccontextmanager
async def look_into(
    path: str | os.PathLike[str], *, limits: Limits | None = None, seams: Seams | None = None
) -> AsyncGenerator[Look]:
    """Open a store to read, whether or not hosts have it open.

    Raises:
        CannotOpen: There is no such file.
        NotADatabase: It is no store.
        SchemaMismatch: It is of another version; looking migrates nothing.
        StoreLocked: A host has it for itself.
    """
    target = os.fspath(path)
    limits, seams = limits or Limits(), seams or Seams()
    executor = seams.reader_executor()
    files = DatabaseFiles(target, seams.files, seams.locks, shared=True, vfs=seams.vfs)
    statements = load_statements([facet.name for facet in FACETS])
    engine = SqliteEngine(target, statements, DurabilityClass.DISK, limits, seams)

    def open_it() -> ReadConnection:
        check_path(target, seams.files, seams.vfs)
        if not seams.files.exists(target) or seams.files.size(target) == 0:
            raise CannotOpen(path=target, detail="there is no such file")
        files.prepare()
        files.share()
        connection = engine.open_reader()
        if connection is None:
            raise CannotOpen(path=target, detail="it can be read by its own host only")
        return connection

    try:
        connection = await run_to_the_end(executor, open_it)
        try:
            yield Look(connection, executor)
        finally:
            await run_to_the_end(executor, connection.close)
    finally:
        await run_to_the_end(executor, files.close)
        executor.close()
