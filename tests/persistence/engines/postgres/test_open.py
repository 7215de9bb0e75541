"""What an open on a server makes, and what it refuses."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import trio
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from proof.fleet.server import OwnServer
from tenure.errors import (
    CannotOpen,
    Contended,
    Error,
    InvalidInput,
    NotADatabase,
    SchemaMismatch,
    Unsupported,
    WeakDurability,
)
from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.postgres import opening
from tenure.persistence.engines.postgres.engine import writing_statements
from tenure.persistence.engines.postgres.protocol.errors import is_not_yet
from tenure.persistence.engines.postgres.protocol.translation import translated
from tenure.persistence.engines.postgres.target import target_of
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.engines.statements import load_statements, schema_files
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store, ground_of
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit import postgres
from tests.kit.stores import landed, message, own

Refused = TypeVar("Refused", bound=Error)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for each in statements:
            connection.execute(each.encode())


def tables_of(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'tenure' ORDER BY 1").fetchall()
    return [table for (table,) in rows]


async def refused(url: str, error: type[Refused], limits: Limits | None = None) -> Refused:
    """What an open raises."""
    with pytest.raises(error) as caught:
        async with open_store(url, limits=limits):
            pass
    return caught.value


async def refused_look(url: str, error: type[Refused]) -> Refused:
    """What a look raises."""
    with pytest.raises(error) as caught:
        async with look_into(url):
            pass
    return caught.value


async def test_the_tables_are_made_once_and_found_again(empty_url: str) -> None:
    async with open_store(empty_url) as store:
        await own(store)
        await store.commit(message(store, "m"))
        assert store.name == "postgresql"
        assert store.requires_network

    async with open_store(empty_url) as store:
        assert await landed(store, "m", "n") == ["m"]
    async with look_into(empty_url) as look:
        assert not look.alone
        assert (await look.read(lambda statements: statements.one("ownership.last_token"))) == (1,)


async def test_tables_are_made_by_what_is_printed_for_a_role_that_may_make_none(empty_url: str) -> None:
    role = f"host_of_{postgres.name_of(empty_url)}"
    parts = urlsplit(empty_url)
    theirs = urlunsplit(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}", query="schema=user"))
    execute(empty_url, f"CREATE ROLE {role} LOGIN")
    try:
        assert "permission denied" in (await refused(theirs, CannotOpen)).detail
        for text in (door_to(theirs).tables(), GRANTS.format(role)):
            execute(empty_url, text)
        async with open_store(theirs) as store:
            await own(store)
            await store.commit(message(store, "m"))
            assert await landed(store, "m") == ["m"]
        execute(empty_url, 'UPDATE "user".timeline SET number = number - 1')  # as after a fail-over
        async with open_store(theirs, limits=Limits(busy_s=0.3)) as store:
            assert await own(store) > 2**32
            execute(empty_url, f'REVOKE INSERT ON "user".inputs FROM {role}')
            with pytest.raises(Contended, match="permission denied for table inputs") as lacking:
                await store.commit(message(store, "n"))
            assert re.search(r"tried [2-9] times", lacking.value.detail), "as long as busy_s, with a pause after each"
            execute(empty_url, f'GRANT INSERT ON "user".inputs TO {role}')
            await store.commit(message(store, "n"))
            execute(empty_url, f'REVOKE USAGE ON SCHEMA "user" FROM {role}')  # then no table is seen at all
            with pytest.raises(Contended, match=r'relation "[a-z]+" does not exist'):
                await store.commit(message(store, "o"))
            with pytest.raises(Contended, match=r'permission denied for schema user|relation "[a-z]+" does not exist'):
                await landed(store, "o")
            execute(empty_url, f'GRANT USAGE ON SCHEMA "user" TO {role}')
            await store.commit(message(store, "o"))
            assert await landed(store, "n", "o") == ["n", "o"]

        for right in ("INSERT ON hosts", "UPDATE ON runs_run_seq"):
            may, _, name = right.split()
            execute(empty_url, f'REVOKE {may} ON "user".{name} FROM {role}')
            assert f"needs {may} on {name}" in (await refused(theirs, CannotOpen)).detail
            execute(empty_url, f'GRANT {may} ON "user".{name} TO {role}')
    finally:
        execute(empty_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


GRANTS = """
GRANT USAGE ON SCHEMA "user" TO {0};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "user" TO {0};
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA "user" TO {0};
"""


async def test_each_schema_of_a_database_is_a_store_of_its_own(empty_url: str) -> None:
    async with open_store(f"{empty_url}?schema=one") as one, open_store(f"{empty_url}?schema=two") as two:
        await own(one)
        await one.commit(message(one, "m"))
        await own(two)

        assert await landed(one, "m") == ["m"]
        assert await landed(two, "m") == []


async def test_a_store_is_sound_after_work(url: str) -> None:
    async with open_store(url) as store:
        await own(store)
        for n in range(10):
            await store.commit(message(store, f"m-{n}"))
        assert all(part.is_sound for part in await verify_parts(store))


@pytest.mark.parametrize(
    "target",
    ["postgresql://host/db?schema=A", "postgresql://host/db?schema=pg_mine", "postgresql://host/db?no_such_word=1"],
)
def test_a_url_that_says_nothing_is_refused(target: str) -> None:
    with pytest.raises(InvalidInput):
        door_to(target)


def test_no_password_is_shown() -> None:
    target = target_of("postgresql://me:secret@host:6000/db?schema=s")

    assert target.shown == "postgresql://host:6000/db (schema s)"
    assert "secret" not in repr(target)
    with pytest.raises(InvalidInput) as refused:
        target_of("postgresql://me:secret@host/db?no_such_word=secret")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("postgresql:///?service=one", "postgresql://:/ (service one, schema tenure)"),
        ("postgresql:///db?service=two&port=6000", "postgresql://:6000/db (service two, schema tenure)"),
        ("postgresql:///db?hostaddr=10.0.0.1", "postgresql://10.0.0.1:5432/db (schema tenure)"),
    ],
)
def test_what_leads_elsewhere_is_shown_as_another_place(target: str, shown: str) -> None:
    assert target_of(target).shown == shown


@pytest.mark.parametrize(
    ("said", "then"),
    [
        ("connection failed: Connection refused\n\tIs the server running on that host", "waits"),
        ("connection timeout expired", "waits"),
        ("could not translate host name: Temporary failure in name resolution", "waits"),
        ("connection to server failed: No route to host", "waits"),
        ("connection to server failed: FATAL:  the database system is not yet accepting connections", "waits"),
        ("connection to server failed: FATAL:  terminating connection due to administrator command", "waits"),
        ("connection to server failed: FATAL:  remaining connection slots are reserved for roles", "waits"),
        ('connection to server failed: FATAL:  too many connections for role "me"', "waits"),
        ("FATAL:  server login has been failing, cached error: connect failed (server_login_retry)", "waits"),
        ("could not receive data from server: Connection reset by peer", "waits"),
        ("could not translate host name: Name or service not known", "refuses"),
        ('failed: could not open certificate file "a": No such file or directory', "refuses"),
        ('FATAL:  database "a" is not currently accepting connections', "refuses"),
        ('FATAL:  password authentication failed for user "me"', "refuses"),
        ('FATAL:  database "a" does not exist', "refuses"),
    ],
)
def test_what_goes_away_by_itself_is_waited_for_and_no_more(said: str, then: str) -> None:
    assert is_not_yet(said, None) == (then == "waits")


@pytest.mark.parametrize(
    "target",
    [
        "postgresql://me:hid@den@host/db",
        "postgresql://me:hid/den@host/db",
        "postgresql://me:hid%zzden@host/db",
        "postgresql://me:hid\0den@host/db",
        "postgresql://me:hidden@[::1/db",
        "postgresql://me:hidden@host/d\ud800",
    ],
)
def test_a_password_that_spoils_the_url_is_refused_and_not_quoted(target: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        target_of(target)
    assert "hid" not in str(refused.value)
    assert "den" not in str(refused.value)


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        ("postgresql:///db?host=/a/socket", "host", "/a/socket"),
        ("postgresql:///db?schema=s", "dbname", "db"),
        ("postgresql://host/db?options=-c%20a%3D5&schema=s", "options", "-c a=5"),
        ("postgresql://me:a#[b]?@host/db?schema=s", "password", "a#[b]?"),
    ],
)
def test_every_other_setting_goes_to_libpq_as_it_stands(target: str, name: str, value: str) -> None:
    assert conninfo_to_dict(target_of(target).url)[name] == value


def test_options_of_another_engine_and_verbs_of_files_are_refused() -> None:
    with pytest.raises(InvalidInput):
        door_to("postgresql://host/db", seams=Seams(engine=SqliteOptions()))
    door = door_to("postgres://host/db")
    for verb in (lambda: door.back_up("a"), lambda: door.restore("a", run_unfinished=False), door.cut_log):
        with pytest.raises(Unsupported):
            verb()
    with pytest.raises(Unsupported):
        door_to("a.db").tables()


async def test_a_class_that_a_server_cannot_give_is_refused(url: str) -> None:
    for durability in ("os", "memory"):
        with pytest.raises(WeakDurability):
            async with open_store(url, durability=durability):
                pass


async def test_tables_of_another_program_are_not_touched(empty_url: str) -> None:
    execute(empty_url, "CREATE SCHEMA tenure", "CREATE TABLE tenure.mine (a int)")
    error = await refused(empty_url, NotADatabase)
    assert error.path == target_of(empty_url).shown
    assert error.detail == "its tables are another program's"
    assert tables_of(empty_url) == ["mine"]


async def test_a_schema_of_another_version_is_not_touched(url: str) -> None:
    execute(url, "UPDATE tenure.schema_version SET version = 99", "DROP TABLE tenure.labels")
    before = tables_of(url)
    for error in (await refused(url, SchemaMismatch), await refused_look(url, SchemaMismatch)):
        assert (error.what, error.expected, error.actual) == (target_of(url).shown, len(schema_files()), 99)
    assert tables_of(url) == before, "the table that is missing is not made"


@pytest.mark.parametrize(
    "change", ["UPDATE tenure.schema_version SET digest = 'f00'", "ALTER TABLE tenure.schema_version DROP digest"]
)
async def test_tables_of_a_commit_between_two_releases_are_not_touched(url: str, change: str) -> None:
    execute(url, change, "DROP TABLE tenure.labels")
    before = tables_of(url)
    for error in (await refused(url, SchemaMismatch), await refused_look(url, SchemaMismatch)):
        assert str(error.expected).startswith(f"{len(schema_files())} with tables ")
        assert error.actual != error.expected
    assert tables_of(url) == before, "the table that is missing is not made"


async def test_a_look_makes_no_tables(empty_url: str) -> None:
    assert (await refused_look(empty_url, NotADatabase)).detail == "there are no tables"
    assert tables_of(empty_url) == []


async def test_a_role_without_rights_is_refused(url: str) -> None:
    role = f"reader_of_{postgres.name_of(url)}"
    execute(url, f"DROP ROLE IF EXISTS {role}", f"CREATE ROLE {role} LOGIN")
    parts = urlsplit(url)
    theirs = urlunsplit(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}"))
    try:
        for error in (await refused(theirs, CannotOpen), await refused_look(theirs, CannotOpen)):
            assert error.path == target_of(theirs).shown
            assert "permission denied for schema tenure" in error.detail
        execute(
            url,
            f"GRANT USAGE ON SCHEMA tenure TO {role}",
            f"GRANT SELECT ON tenure.schema_version, tenure.timeline, tenure.sealing, tenure.hosts TO {role}",
        )
        async with look_into(theirs) as look:  # it sees what its role may read, and no more
            assert await look.read(lambda statements: statements.all("promotion.groups")) == []
            with pytest.raises(CannotOpen, match="permission denied for table runtimes"):
                await look.read(lambda statements: statements.one("verification.count_runtimes"))
    finally:
        execute(url, f"DROP OWNED BY {role}")
        execute(url, f"DROP ROLE {role}")


async def test_a_database_that_is_not_there_is_refused(url: str) -> None:
    elsewhere = urlunsplit(urlsplit(url)._replace(path="/no_such_database"))
    for error in (await refused(elsewhere, CannotOpen), await refused_look(elsewhere, CannotOpen)):
        assert error.path == target_of(elsewhere).shown
        assert 'database "no_such_database" does not exist' in error.detail


async def test_a_server_that_is_not_there_is_waited_for_and_then_refused() -> None:
    with pytest.raises(Contended, match="refused"):
        async with open_store("postgresql://127.0.0.1:1/db", limits=Limits(busy_s=0.2)):
            pass
    with pytest.raises(Contended, match="refused"):
        async with look_into("postgresql://127.0.0.1:1/db"):
            pass


async def test_a_server_that_has_no_place_left_for_a_role_is_waited_for(url: str) -> None:
    role = f"one_of_{postgres.name_of(url)}"
    execute(url, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    parts = urlsplit(url)
    theirs = urlunsplit(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}"))
    try:
        with psycopg.connect(theirs):
            await refused(theirs, Contended, limits=Limits(busy_s=0.2))
            await refused_look(theirs, Contended)
    finally:
        execute(url, f"DROP ROLE {role}")


async def test_a_socket_that_its_server_has_removed_is_waited_for(tmp_path: Path) -> None:
    gone = f"postgresql:///db?host={tmp_path}"
    await refused(gone, Contended, limits=Limits(busy_s=0.2))
    await refused_look(gone, Contended)


REFUSES = """
import socket, sys
state, words = sys.argv[1:]
fields = f"SFATAL\\0VFATAL\\0C{state}\\0M{words}\\0\\0".encode()
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    with listener.accept()[0] as client:
        while client.recv(1024)[:8] in {bytes.fromhex("0000000804d2162f"), bytes.fromhex("0000000804d21630")}:
            client.sendall(b"N")
        client.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
"""
"""A server that refuses every connection, in a process of its own: libpq keeps the interpreter lock while it asks."""


@contextmanager
def refusing(state: str, words: str) -> Generator[str]:
    with subprocess.Popen([sys.executable, "-c", REFUSES, state, words], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"postgresql://me@127.0.0.1:{int(server.stdout.readline())}/db"
        finally:
            server.kill()


@pytest.mark.process
async def test_a_server_that_starts_is_waited_for_in_every_language() -> None:
    with refusing("57P03", "das Datenbanksystem startet") as url:
        await refused(url, Contended, limits=Limits(busy_s=0.2))
        await refused_look(url, Contended)
    with refusing("28P01", "Passwort-Authentifizierung fehlgeschlagen") as url:
        await refused(url, CannotOpen)
        await refused_look(url, CannotOpen)


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH])
def test_what_the_system_says_of_the_way_is_understood_in_its_language(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def in_german(error: int) -> str:
        return "Keine Route zum Zielrechner" if error == number else "nichts"

    monkeypatch.setattr(os, "strerror", in_german)
    assert is_not_yet(f"connection to server failed: {in_german(number)}", None)
    assert is_not_yet("failed to resolve host 'a': [Errno -3] Temporärer Fehler bei der Namensauflösung", None)
    assert not is_not_yet("failed to resolve host 'a': [Errno -2] Der Name oder der Dienst ist nicht bekannt", None)


async def test_a_read_waits_for_a_table_that_another_locks_for_as_long_as_a_host_may(url: str) -> None:
    async with open_store(url, limits=Limits(busy_s=0.6)) as store:
        await own(store)
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE tenure.inputs")
            began = trio.current_time()
            with pytest.raises(Contended, match="lock timeout"):
                await landed(store, "m")
            assert 0.5 < trio.current_time() - began < 1.2, "it was three times as long"
        assert await landed(store, "m") == []


async def test_a_look_goes_on_where_its_connection_is_cut(url: str) -> None:
    async with open_store(url) as store, look_into(url) as look:
        await own(store)
        postgres.end_sessions(url)
        assert (await look.read(lambda statements: statements.one("ownership.last_token"))) == (1,)


async def test_tables_with_the_names_of_ours_are_another_programs(empty_url: str) -> None:
    execute(empty_url, "CREATE SCHEMA tenure", "CREATE TABLE tenure.schema_version (a int)")
    for error in (await refused(empty_url, CannotOpen), await refused_look(empty_url, CannotOpen)):
        assert 'column "version" does not exist' in error.detail
    assert tables_of(empty_url) == ["schema_version"]


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_forgets_what_it_acknowledged_is_refused(own_server: OwnServer, setting: str) -> None:
    own_server.stop()
    own_server.start(**{setting: "off"})
    error = await refused(own_server.url, WeakDurability)
    assert (error.asked, error.given) == ("disk", f"{setting} = off")
    assert tables_of(own_server.url) == []


async def test_a_standby_is_refused(own_server: OwnServer) -> None:
    own_server.stop()
    own_server.stand_by()
    error = await refused(own_server.url, CannotOpen)
    assert error.path == target_of(own_server.url).shown
    assert error.detail == "it is a standby, which only reads"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP", "MULE_INTERNAL"])
async def test_a_database_whose_texts_are_not_utf_8_is_refused(empty_url: str, encoding: str) -> None:
    name = f"{postgres.name_of(empty_url)}_{encoding.lower()}"
    theirs = urlunsplit(urlsplit(empty_url)._replace(path=f"/{name}"))
    execute(empty_url, f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    try:
        error = await refused(theirs, CannotOpen)
        assert error.path == target_of(theirs).shown
        assert encoding in error.detail
    finally:
        postgres.drop([name])


def test_a_server_before_15_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "OLDEST_SERVER", 10**6)
    with pytest.raises(CannotOpen, match="is before 100"):
        door_to(url).engine(None).open()


async def test_a_commit_waits_for_the_disk_whatever_the_server_is_set_to(url: str) -> None:
    execute(url, f"ALTER DATABASE {postgres.name_of(url)} SET synchronous_commit = off")

    async def given(store: Store) -> object:
        async with store.read_connection() as connection:
            return await connection.query("SELECT current_setting('synchronous_commit')")

    async with open_store(url) as store:
        assert await given(store) == [("off",)], "a connection that reads has the server's"
        rows = await postgres_raw(store, "SELECT current_setting('synchronous_commit')")
        assert rows == [("local",)]

        postgres.end_sessions(url)
        await own(store)
        rows = await postgres_raw(store, "SELECT current_setting('synchronous_commit')")
        assert rows == [("local",)], "a connection that was made anew"


async def test_numbers_that_only_a_server_has_are_read(url: str) -> None:
    async with open_store(url) as store, store.read_connection() as connection:
        rows = await connection.query("SELECT 'Infinity'::numeric, '-Infinity'::numeric, -12::numeric, 1.5::numeric")
        assert rows == [(float("inf"), float("-inf"), -12, 1.5)]


async def test_a_number_is_read_whole_whatever_the_server_is_set_to(url: str) -> None:
    execute(url, f"ALTER DATABASE {postgres.name_of(url)} SET extra_float_digits = 0")
    async with open_store(url) as store, store.read_connection() as connection:
        assert await connection.query("SELECT ?::float8", [0.1 + 0.2]) == [(0.1 + 0.2,)]


async def test_a_query_goes_on_where_its_connection_was_cut_since_the_last_one(url: str) -> None:
    async with open_store(url) as store, store.read_connection() as connection:
        for _ in range(3):
            assert await connection.query("SELECT 1") == [(1,)]
            execute(
                url,
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE 'tenure %'",  # others test on this server
            )
        with pytest.raises(Contended):  # it is not asked again, for it may be what the server dies of
            await connection.query("SELECT pg_terminate_backend(pg_backend_pid())")
        assert await connection.query("SELECT 1") == [(1,)]


async def test_nothing_of_a_query_is_left_for_the_next_one(url: str) -> None:
    async with open_store(url) as store, store.read_connection() as connection:
        await connection.query("SELECT set_config('search_path', 'public', false), pg_advisory_lock(7)")
        assert await connection.query("SELECT current_setting('search_path')") == [("tenure",)]
        with psycopg.connect(url) as other:
            assert other.execute("SELECT pg_try_advisory_lock(7)").fetchone() == (True,)


def test_the_connection_that_writes_asks_queries_of_users_elsewhere(url: str) -> None:
    engine = door_to(url).engine(None)
    writer = engine.open()
    try:
        writer.begin_unnumbered()
        assert writer.query("SELECT count(*) FROM hosts", (), 10, lambda: False) == [(0,)]
        with pytest.raises(InvalidInput):
            writer.query("DELETE FROM hosts", (), 10, lambda: False)
        postgres.end_sessions(url)
        assert writer.query("SELECT count(*) FROM hosts", (), 10, lambda: False) == [(0,)]
    finally:
        writer.close(checkpoint=False)
        engine.close()


async def postgres_raw(store: Store, sql: str) -> object:
    return await ground_of(store).between_groups(lambda connection: connection.raw(sql))


def test_the_server_takes_every_statement_and_infers_its_types(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path TO tenure")
        for name, sql in {**load_statements("postgres/statements.sql"), **writing_statements()}.items():
            prepared = connection.pgconn.prepare(name.encode(), translated(sql).sql.encode())
            assert prepared.status == pq.ExecStatus.COMMAND_OK, f"{name}: {prepared.error_message.decode()}"


OF_A_DATABASE = {
    "search_path": "public",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "1ms",
    "exit_on_error": "on",
    "lock_timeout": "1ms",
    "idle_session_timeout": "50ms",
    "transaction_timeout": "50ms",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "timezone": "Asia/Tokyo",
    "extra_float_digits": "0",
    "client_encoding": "LATIN1",
}
"""What a database may be set to, for its other users."""


@pytest.mark.parametrize("name", OF_A_DATABASE)
async def test_no_setting_of_the_database_reaches_a_store(url: str, name: str) -> None:
    with psycopg.connect(url) as connection:
        if name == "transaction_timeout" and connection.pgconn.server_version < 170_000:
            pytest.skip("servers before 17 have none")
    execute(url, f"ALTER DATABASE {postgres.name_of(url)} SET {name} = '{OF_A_DATABASE[name]}'")
    query = "SELECT ?::float8, '\\x00ff'::bytea, '1970-01-01T00:00Z'::timestamptz::text, 'a\\b', pg_sleep(0.1) IS NULL"
    async with open_store(url) as store:
        await own(store)
        for turn in ("as it was opened", "made anew"):
            await store.commit(message(store, turn))
            assert await landed(store, turn) == [turn]
            assert await postgres_raw(store, f"SELECT current_setting('{name}')") != [(OF_A_DATABASE[name],)], turn
            kept = await store.attachments.put(turn, b"\x00\xff\\")
            assert await store.attachments.get(turn, kept) == b"\x00\xff\\"
            async with store.read_connection() as connection:
                rows = await connection.query(query, [0.1 + 0.2])
            assert rows == [(0.1 + 0.2, b"\x00\xff", "1970-01-01 00:00:00+00", "a\\b", 0)], turn
            postgres.end_sessions(url)
