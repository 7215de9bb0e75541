"""Schema versions of a SQLite store.

The schema is the sum of the numbered files in ``engines/schema/``; ``user_version`` says how many are applied and
``application_id`` that the file is a store of tenure. All that is missing is applied in one transaction.

A number alone does not say what the tables are: a commit between two releases may have had others under it. So a digest of
tenure's own tables, as the file has them, is compared with what the numbered files make; tables that others added are theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Final

import apsw

from tenure.errors import Contended, Corrupt, NotADatabase, SchemaMismatch
from tenure.persistence.engines.statements import schema_files

from .preflight import APPLICATION_ID

_SCHEMA: Final = "SELECT name, type, tbl_name, sql FROM sqlite_schema ORDER BY name"


def claim(connection: apsw.Connection, path: str) -> None:
    """Find out whose database it is before anything of it changes, and sign a new one.

    The signature is in the file itself before there is a log, so that an open knows it from the header alone.

    Raises:
        NotADatabase: Another program's database, or none.
        SchemaMismatch: A newer tenure wrote it.
        Corrupt: Its version is not that of its tables, or what it says of its tables is damaged.
    """
    with _looking(path):
        application_id, version = _stamp(connection)
        _check(path, connection, application_id, version, len(schema_files()))
        if application_id == 0:
            connection.pragma("application_id", APPLICATION_ID)


def migrate(connection: apsw.Connection, path: str, busy_s: float) -> None:
    """Bring the schema of an open database to this version.

    Raises:
        NotADatabase: Another program's database, or none.
        SchemaMismatch: A newer tenure wrote it.
        Corrupt: Its version is not that of its tables, or what it says of its tables is damaged.
        Contended: Another process held the write lock for `busy_s` seconds.
    """
    migrations = schema_files()
    try:
        with _looking(path):
            application_id, version = _stamp(connection)
            _check(path, connection, application_id, version, len(migrations))
            if version == len(migrations):
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                # Read again under the lock: another process may have migrated in the meantime.
                application_id, version = _stamp(connection)
                _check(path, connection, application_id, version, len(migrations))
                for migration in migrations[version:]:
                    connection.execute(migration)
                connection.pragma("user_version", len(migrations))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    except apsw.BusyError as exc:
        raise Contended(detail=f"migration waited {busy_s} s: {exc}") from exc


def check_current(connection: apsw.Connection, path: str) -> None:
    """A reader migrates nothing, and can read nothing but its own version.

    Raises:
        NotADatabase: Another program's database, or none.
        SchemaMismatch: Of another version, newer or older; an open of an older one brings it to this version.
        Corrupt: Its version is not that of its tables, or what it says of its tables is damaged.
    """
    newest = len(schema_files())
    with _looking(path):
        application_id, version = _stamp(connection)
        _check(path, connection, application_id, version, newest)
    if version != newest:
        raise SchemaMismatch(what=path, expected=newest, actual=version)


@contextmanager
def _looking(path: str) -> Generator[None]:
    """SQLite's word on a file, for what it says of the store."""
    try:
        yield
    except apsw.NotADBError as exc:
        raise NotADatabase(path=path, detail=str(exc)) from exc
    except apsw.CorruptError as exc:  # the header was found to be ours before
        raise Corrupt(record="database", key=path, detail=str(exc)) from exc


def _stamp(connection: apsw.Connection) -> tuple[int, int]:
    return connection.pragma("application_id"), connection.pragma("user_version")


def check_known(connection: apsw.Connection, path: str) -> int:
    """The version of a store whose tables are those of its version; what is copied need not be of the newest.

    Raises:
        NotADatabase: Another program's database, or none.
        SchemaMismatch: A newer tenure wrote it, or one between two releases; or there is no table in it yet.
    """
    newest = len(schema_files())
    application_id, version = _stamp(connection)
    _check(path, connection, application_id, version, newest)
    if version == 0:
        raise SchemaMismatch(what=path, expected=newest, actual=None)
    return version


def _check(path: str, connection: apsw.Connection, application_id: int, version: int, newest: int) -> None:
    if application_id == APPLICATION_ID:
        if version > newest:
            raise SchemaMismatch(what=path, expected=newest, actual=version)
        _check_tables(path, connection, version)
        return
    if application_id != 0 or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
        raise NotADatabase(path=path, detail="it is a SQLite database of another program")


def _check_tables(path: str, connection: apsw.Connection, version: int) -> None:
    migrations = tuple(schema_files())
    expected = tables_made_by(migrations[: max(version, 0)])
    try:
        there = {str(row[0]): row for row in connection.execute(_SCHEMA).fetchall()}
    except UnicodeDecodeError as exc:
        raise Corrupt(record="database", key=path, detail="its list of tables cannot be read") from exc
    ours = {name: there[name] for name in expected if name in there}
    if ours != expected:
        raise SchemaMismatch(what=path, expected=_named(version, expected), actual=_named(version, ours))
    if version < 0 or there.keys() & (tables_made_by(migrations).keys() - expected.keys()):
        detail = f"its header says that it is of version {version}, and it has tables of another one"
        raise Corrupt(record="database", key=path, detail=detail)


@cache
def tables_made_by(migrations: tuple[str, ...]) -> Mapping[str, tuple[object, ...]]:
    """What these migrations make, by name, as SQLite describes it; asked of a database in memory, once a process."""
    if not migrations:
        return {}
    connection = apsw.Connection(":memory:")
    try:
        for migration in migrations:
            connection.execute(migration)
        return {str(row[0]): row for row in connection.execute(_SCHEMA).fetchall()}
    finally:
        connection.close()


def _named(version: int, tables: Mapping[str, tuple[object, ...]]) -> str:
    digest = hashlib.sha256(repr(sorted(tables.values())).encode("utf-8", "backslashreplace"))
    return f"{version} with tables {digest.hexdigest()[:8]}"
