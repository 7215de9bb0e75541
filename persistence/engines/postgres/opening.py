"""What is checked of a server before it is trusted with a store, and how the tables are made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import psycopg

from tenure.errors import CannotOpen, NotADatabase, SchemaMismatch
from tenure.persistence.engines.engine import Again
from tenure.persistence.engines.statements import schema_files

from .protocol.translation import translated_schema
from .server.timeline import TABLE, Timeline, settle_in
from .target import Target

OLDEST_SERVER: Final = 150_000
"""As libpq numbers them: 150004 is 15.4."""

OWN_TABLES: Final = (
    """CREATE TABLE schema_version (
        singleton INTEGER PRIMARY KEY CHECK (singleton = 1), version INTEGER NOT NULL, digest TEXT COLLATE "C" NOT NULL
    )""",
    'CREATE TABLE attachment_files (name TEXT COLLATE "C" PRIMARY KEY, kept BOOLEAN NOT NULL)',
    """CREATE TABLE attachment_parts (
        name TEXT COLLATE "C" NOT NULL, at BIGINT NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (name, at)
    )""",
    "ALTER TABLE inputs ADD COLUMN landed XID8 NOT NULL DEFAULT pg_current_xact_id()",
    "CREATE INDEX inputs_by_landing ON inputs (landed) WHERE finished_at IS NULL AND landed IS NOT NULL",
    TABLE,
)
"""What only this engine has: the version and a digest of the tables, the bytes of attachments, which all hosts reach, with
which transaction an input landed, by which hosts hear of it, and where the store stands. That it is not null is said in the
index for the planner: of an empty table all partial indexes cost the same, and plans stay, so that none of another statement
may fit."""

_VERSION: Final = "SELECT version, to_jsonb(v) ->> 'digest' FROM schema_version v"
"""The digest as what may not be there: tables of before it were of the same version."""

_NAMES: Final = re.compile(r"CREATE TABLE (\w+)")

_LACKS: Final = """
SELECT c.relname, needed.may FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN (VALUES ('r', 'SELECT'), ('r', 'INSERT'), ('r', 'UPDATE'), ('r', 'DELETE'), ('S', 'USAGE'), ('S', 'UPDATE'))
     AS needed (kind, may) ON needed.kind = c.relkind::text
WHERE n.nspname = %(schema)s AND (c.relkind = 'S' OR c.relname = ANY(%(tables)s))
  AND (c.relname <> 'schema_version' OR needed.may = 'SELECT')
  AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, needed.may)
                         ELSE has_table_privilege(c.oid, needed.may) END
ORDER BY c.relname, needed.may LIMIT 1
"""
"""The first right of a host that the role does not have."""

_MAKING: Final = 0x6E757265
"""The advisory lock of those who make or change tables."""


def check_server(connection: psycopg.Connection, target: Target) -> None:
    """Refuse a server that cannot hold a store.

    Raises:
        CannotOpen: It is too old, a standby that only reads, or its texts are not UTF-8.
    """
    version = connection.pgconn.server_version
    if version < OLDEST_SERVER:
        detail = f"PostgreSQL {version // 10_000} is before {OLDEST_SERVER // 10_000}"
        raise CannotOpen(path=target.shown, detail=detail)
    row: Any = connection.execute("SELECT pg_is_in_recovery(), current_setting('server_encoding')").fetchone()
    standby, encoding = row
    if standby:
        raise CannotOpen(path=target.shown, detail="it is a standby, which only reads")
    if encoding != "UTF8":
        raise CannotOpen(path=target.shown, detail=f"its texts are {encoding}, and not UTF8")


@contextmanager
def asking(target: Target, doing: str) -> Generator[None]:
    """Have the server's errors be those of an open. Raises `Again` where the connection was lost, and `CannotOpen`."""
    try:
        yield
    except psycopg.OperationalError as exc:
        raise Again(f"{doing}: {exc}") from exc
    except psycopg.Error as exc:
        raise CannotOpen(path=target.shown, detail=f"{doing}: {exc}") from exc


def make_ready(connection: psycopg.Connection, target: Target, here: Timeline, now: float) -> Timeline:
    """Make the tables where there are none; what is there must be of this version, and is settled in `here`, see `settle_in`.

    Returns what that returns.

    Raises:
        CannotOpen: No right to make or use them, or to settle in after a fail-over.
        NotADatabase: Another program's tables stand in the schema.
        SchemaMismatch: Another version of tenure made them.
        CounterOverflow: See `settle_in`.
        Again: The connection was lost.
    """
    with asking(target, "making the tables"), connection.transaction():
        # First come, first served: who comes second finds the tables.
        connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_MAKING, target.schema))
        if not check_schema(connection, target):
            _make(connection, target)
        _check_rights(connection, target)
        return settle_in(connection, here, now)


def _check_rights(connection: psycopg.Connection, target: Target) -> None:
    """Refuse a role at once that lacks a right of a host, that to settle in after a fail-over too. Raises `CannotOpen`."""
    tables = [name for text in making(target) for name in _NAMES.findall(text)]
    row: Any = connection.execute(_LACKS, {"schema": target.schema, "tables": tables}).fetchone()
    if row is not None:
        detail = f"permission denied: the role needs {row[1]} on {row[0]}"
        raise CannotOpen(path=target.shown, detail=detail)


def check_schema(connection: psycopg.Connection, target: Target) -> bool:
    """Whether a store of this version stands there; False where nothing does.

    Raises:
        NotADatabase, SchemaMismatch: See `make_ready`.
    """
    row: Any = connection.execute(
        "SELECT to_regclass(%(version)s) IS NOT NULL, EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relkind = 'r')",
        {"version": f"{target.schema}.schema_version", "schema": target.schema},
    ).fetchone()
    has_version, has_tables = row
    if not has_tables:
        return False
    if not has_version:
        raise NotADatabase(path=target.shown, detail="its tables are another program's")
    found: Any = connection.execute(_VERSION).fetchone()
    newest = len(schema_files())
    if found is None or found[0] != newest:
        raise SchemaMismatch(what=target.shown, expected=newest, actual=None if found is None else found[0])
    if found[1] != digest_of_tables():
        expected, actual = (f"{newest} with tables {each}" for each in (digest_of_tables(), found[1]))
        raise SchemaMismatch(what=target.shown, expected=expected, actual=actual)
    return True


def check_made(connection: psycopg.Connection, target: Target) -> None:
    """A store of this version must stand there. Raises as `check_schema`, and `NotADatabase` where nothing does."""
    if not check_schema(connection, target):
        raise NotADatabase(path=target.shown, detail="there are no tables")


def _make(connection: psycopg.Connection, target: Target) -> None:
    for text in making(target):
        connection.execute(text.encode())


@cache
def digest_of_tables() -> str:
    """A digest of the tables that are made here: those of a commit between two releases have the same number."""
    texts = (*map(translated_schema, schema_files()), *OWN_TABLES)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]


def making(target: Target) -> Sequence[str]:
    """What makes the tables, for a connection that looks into the schema; the name of a schema has no quotes."""
    return (
        f'CREATE SCHEMA IF NOT EXISTS "{target.schema}"',
        *map(translated_schema, schema_files()),
        *OWN_TABLES,
        f"INSERT INTO schema_version VALUES (1, {len(schema_files())}, '{digest_of_tables()}')",  # noqa: S608 - a number, and hex
    )


def script(target: Target) -> str:
    """The same for a person with other rights, who runs it in one piece."""
    statements = ("BEGIN", f'SET LOCAL search_path TO "{target.schema}"', *making(target), "COMMIT")
    return "".join(f"{each.strip().removesuffix(';')};\n" for each in statements)
