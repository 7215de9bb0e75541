"""How a copy of a SQLite store is made: under a name that no one can have planted anything at, and placed when it is whole."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, final

import apsw
from attrs import frozen

from tenure.errors import CannotOpen, Contended, Corrupt, NotADatabase, StoreLocked
from tenure.persistence.engines.door import (
    Copy,
)
from tenure.persistence.engines.engine import (
    UnknownOutcome,
)
from tenure.persistence.engines.sqlite.errors import mapped_errors
from tenure.persistence.engines.sqlite.opening.migrations import check_known
from tenure.persistence.engines.sqlite.opening.preflight import (
    COPY_SUFFIX,
    check_kind,
    check_names,
    check_path,
    mapped_os_errors,
)
from tenure.persistence.engines.sqlite.system.files import Files, folder_of
from tenure.persistence.engines.sqlite.token_raise import last_token

_STEP_PAGES: Final = 2_000
_LEFT: Final = ("", "-journal", "-wal", "-shm")


@final
class Stopped(Exception):
    """The copy was stopped; nothing of it is left."""


def check_source(path: str, files: Files) -> None:
    """Raises what `check_kind` and `check_path` find, and `CannotOpen` or `NotADatabase` where there is nothing to copy."""
    check_kind(path)
    check_path(path, files, None)
    if not files.exists(path):
        raise CannotOpen(path=path, detail="there is no such file")
    if files.size(path) == 0:
        raise NotADatabase(path=path, detail="it is empty")


def check_target(path: str, files: Files) -> None:
    """Raises `CannotOpen` where the target, or what would be taken for its log, is there; or no folder for it is.

    So it does where anything was planted under a name of the store that is made.
    """
    check_names(path)
    for name in (path, f"{path}-wal", f"{path}{COPY_SUFFIX}", f"{path}-journal"):
        if files.exists(name):
            raise CannotOpen(path=path, detail=f"{name} is there already, and nothing is ever written over")
    if not files.is_folder(folder_of(path)):
        raise CannotOpen(path=path, detail="its folder does not exist")


@contextmanager
def made_file(files: Files, target: str, source: random.Random) -> Generator[str]:
    """A new file beside `target`, which gets that name where the block ends in order; else nothing of it is left.

    Its name until then is drawn, so that nothing can have been planted there, and two copies to one target do not meet: the
    one that ends later finds the name taken.
    """
    made = f"{target}-partial-{source.getrandbits(64):016x}"
    files.create(made)
    try:
        yield made
        files.sync(made)
        files.place(made, target)
        files.sync_folder(folder_of(target))
    except BaseException:
        for end in _LEFT:
            if files.exists(made + end):
                files.remove(made + end)
        raise


def connect(path: str, busy_ms: int) -> apsw.Connection:
    """A connection that writes, and moves no log when it closes."""
    connection = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(busy_ms)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    return connection


def pour(origin: apsw.Connection, copy: apsw.Connection, stopped: Callable[[], bool]) -> None:
    """Copy every page. Raises `Stopped`."""
    with copy.backup("main", origin, "main") as pages:
        while not pages.done:
            if stopped():
                raise Stopped
            pages.step(_STEP_PAGES)


def make_single(copy: apsw.Connection, path: str) -> None:
    """Make the copy one file, complete without a log."""
    if copy.pragma("journal_mode", "DELETE") != "delete":
        raise CannotOpen(path=path, detail="its journal mode cannot be set")


@final
@frozen(kw_only=True, slots=True)
class Contents:
    """What a copy is compared by."""

    schema_version: int
    schema: tuple[tuple[object, ...], ...]
    rows: Mapping[str, int]


def contents_of(connection: apsw.Connection, path: str) -> Contents:
    """Version, schema and rows. Raises what `check_known` does."""
    version = check_known(connection, path)
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    tables = (
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"
    )
    return Contents(
        schema_version=version,
        schema=tuple(connection.execute(schema).fetchall()),
        rows={str(name): _count(connection, str(name)) for (name,) in connection.execute(tables).fetchall()},
    )


def _count(connection: apsw.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    count: int = connection.execute(f'SELECT count(*) FROM "{quoted}"').get  # noqa: S608 - quoted, and from our own schema
    return count


def verify(copy: apsw.Connection, before: Contents | None, target: str) -> None:
    """Raises `Corrupt` where the copy is damaged, or is not what was read; `before` is None where SQLite did not read it."""
    found = [row[0] for row in copy.execute("PRAGMA integrity_check").fetchall()]
    if found != ["ok"]:
        raise Corrupt(record="copy", key=target, detail="; ".join(map(str, found[:3])))
    if before is not None and contents_of(copy, target) != before:
        raise Corrupt(record="copy", key=target, detail="its schema or its row counts are not those of the source")


def report(copy: apsw.Connection, target: str, size: int, held: int = 0) -> Copy:
    """What was copied."""
    contents = contents_of(copy, target)
    return Copy(
        path=target,
        size=size,
        schema_version=contents.schema_version,
        last_fence_token=last_token(copy),
        rows=contents.rows,
        held=held,
    )


@contextmanager
def known_errors(path: str) -> Generator[None]:
    """Map what can happen to a copy."""
    # Nothing of a store is in doubt here: a disk that fails spoils a copy, which is thrown away.
    try:
        with mapped_errors("copy", path), mapped_os_errors(path):
            yield
    except UnknownOutcome as exc:
        raise CannotOpen(path=path, detail=f"the disk failed: {exc}") from exc
    except Contended as exc:
        raise StoreLocked(path=path, holder=exc.detail) from exc
