"""Statements as SQLite executes them: values by place, the tables they touch, many rows by one of them. Of all there are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import apsw
import apsw.ext
import pytest

from tenure.errors import Internal
from tenure.persistence.engines.engine import FailedLate
from tenure.persistence.engines.sqlite.executing.forms import SIZES, Many, form_of
from tenure.persistence.engines.sqlite.executing.kept import Kept
from tenure.persistence.engines.statements import all_tables, load_statements, schema_files

STATEMENTS = load_statements()
MANY = {name: many for name, sql in STATEMENTS.items() if (many := form_of(sql).many) is not None}
HOT = (
    *("sessions.insert_node", "sessions.update", "receipts.insert", "runtimes.progress", "runs.end", "entries.record"),
    *(
        "inputs.insert_payload",
        "queue.insert",
        "queue.raise_counter",
        "claims.insert",
        "claims.delete",
        "journal.insert",
    ),
)
_TOUCHES = (apsw.SQLITE_READ, apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE)


class ByName(dict[str, Any]):
    """Gives each name as its own value."""

    def __missing__(self, name: str) -> str:
        return name


@pytest.fixture
def database() -> Iterator[apsw.Connection]:
    connection = empty()
    yield connection
    connection.close()


@cache
def schema() -> bytes:
    connection = apsw.Connection(":memory:")
    for text in schema_files():
        connection.execute(text)
    return connection.serialize("main")


def empty() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.deserialize("main", schema())
    return connection


def test_values_stand_in_the_order_in_which_sqlite_counts_their_names(database: apsw.Connection) -> None:
    given = {name: form_of(sql).values(ByName()) for name, sql in STATEMENTS.items()}

    assert given == {name: apsw.ext.query_info(database, sql).bindings_names for name, sql in STATEMENTS.items()}
    assert sum(map(len, given.values())) > 1_000


def test_every_table_that_a_statement_touches_is_known_of_it(database: apsw.Connection) -> None:
    tables = {table.name for table in all_tables()}
    touched: set[str] = set()

    def authorize(what: int, table: str | None, *_: object) -> int:
        if what in _TOUCHES and table in tables:
            touched.add(str(table))
        return apsw.SQLITE_OK

    database.authorizer = authorize
    seen = 0
    for name, sql in STATEMENTS.items():
        touched.clear()
        apsw.ext.query_info(database, sql)
        assert touched <= form_of(sql).tables, name
        seen += len(touched)

    assert seen > 1_000


def test_a_statement_for_many_rows_touches_one_table_and_reads_no_other(database: apsw.Connection) -> None:
    assert set(HOT) <= set(MANY)
    for name, many in MANY.items():
        assert form_of(STATEMENTS[name]).tables & {table.name for table in all_tables()} >= {many.table}
        for text in many.texts.values():
            (touched,) = {form_of(text).tables - columns_named_as_tables(many.table)}
            assert touched == {many.table}, name
            apsw.ext.query_info(database, text)


@pytest.mark.parametrize(
    "name",
    ["ownership.release_all", "prunable.free_nodes", "state.renew", "input_records.update", "queue.take", "runs.begin"],
)
def test_what_may_write_several_rows_or_reads_what_was_there_goes_alone(name: str) -> None:
    assert name not in MANY
    assert form_of(STATEMENTS[name]).sql == STATEMENTS[name]


def columns_named_as_tables(table: str) -> set[str]:
    """Columns of a table that are called as another table is: a look at words takes them for that table, which is no harm."""
    (found,) = [each for each in all_tables() if each.name == table]
    return {each.name for each in all_tables()} & set(found.columns) - {table}


def test_many_rows_by_one_statement_are_what_they_are_one_by_one() -> None:
    refused: list[str] = []
    for name, many in MANY.items():
        form, rows = form_of(STATEMENTS[name]), drawn_rows(many, random.Random(name))
        one_by_one, together = filled(many.table), filled(many.table)
        kept = Kept(together)
        for row in rows:
            kept.keep(many, row)
        try:
            kept.write()
        except FailedLate:  # a table that takes no such values; then all of it is carried out again, one by one
            refused.append(name)
            continue
        for row in rows:
            one_by_one.execute(form.sql, form.values(row))
        query = f"SELECT * FROM {many.table}"
        found = [sorted(each.execute(query).fetchall(), key=repr) for each in (together, one_by_one)]
        assert found[0] == found[1], name

    assert len(refused) < len(MANY) / 10, refused


def drawn_rows(many: Many, draw: random.Random) -> list[dict[str, Any]]:
    """Values for more rows than the largest statement takes; keys of new rows differ, keys of others come again."""
    names = [*dict.fromkeys(map(str, many.values(ByName())))]
    (table,) = [each for each in all_tables() if each.name == many.table]
    count = sum(SIZES) + 1
    rows: list[dict[str, Any]] = []
    for number in range(count):
        row: dict[str, Any] = {each: value_of(draw, number) for each in names}
        if many.keyed:
            row[names[-1]] = draw.randint(1, KEYS)
        else:
            row.update({each: 1_000 + number for each in names if each in {"key", *table.key}})
        rows.append(row)
    return rows


def value_of(draw: random.Random, number: int) -> int | str | bytes:
    return draw.choice((1_000 + number, f"text {number}", b"%d" % number))


KEYS = 40


def filled(table_name: str) -> apsw.Connection:
    """A database with some rows of a table, of any values."""
    connection = empty()
    (table,) = [each for each in all_tables() if each.name == table_name]
    if len(table.key) == 1:
        columns = ", ".join(table.columns)
        places = ", ".join("?" * len(table.columns))
        for key in range(1, KEYS + 1):
            values = [key if column in table.key else f"{column} {key}" for column in table.columns]
            connection.execute(f"INSERT OR IGNORE INTO {table_name} ({columns}) VALUES ({places})", values)
    return connection


# What is kept


def test_rows_are_written_where_their_table_is_touched_and_others_stay(database: apsw.Connection) -> None:
    kept = Kept(database)
    kept.keep(MANY["queue.insert"], batch(1))
    kept.keep(MANY["queue.insert"], batch(2))
    kept.keep(MANY["queue.raise_counter"], {"last_batch": 1, "digest": b"", "scheme": 1, "singleton": 1})

    kept.touch(form_of(STATEMENTS["claims.by_id"]).tables)
    assert list(kept.tables) == ["queue_batches", "queue_counter"]
    kept.touch(form_of(STATEMENTS["queue.front"]).tables)

    assert list(kept.tables) == ["queue_counter"]
    assert database.execute("SELECT batch FROM queue_batches").fetchall() == [(1,), (2,)]
    assert (kept.count, kept.written) == (3, 2)


def test_a_row_of_another_statement_of_a_table_comes_after_those_before_it(database: apsw.Connection) -> None:
    kept = Kept(database)
    kept.keep(MANY["claims.insert"], claim(1))
    kept.keep(MANY["claims.delete"], {"claim": 1})
    kept.keep(MANY["claims.insert"], claim(1))
    kept.write()

    assert database.execute("SELECT claim FROM queue_claims").fetchall() == [(1,)]


def test_of_two_updates_of_a_row_the_last_one_counts_and_one_is_written(database: apsw.Connection) -> None:
    kept = Kept(database)
    database.execute(STATEMENTS["queue.begin_counter"], {"last_batch": 0, "digest": b""})
    for last in range(1, 21):
        kept.keep(MANY["queue.raise_counter"], {"last_batch": last, "digest": b"", "scheme": 1, "singleton": 1})
    kept.write()

    assert database.execute("SELECT last_batch FROM queue_counter").fetchall() == [(20,)]
    assert (kept.count, kept.written) == (20, 1)


@pytest.mark.parametrize("spoil", ["a row that is not there", "a constraint", "half a character", "no value of SQL"])
def test_an_error_of_what_was_kept_is_of_no_commit(database: apsw.Connection, spoil: str) -> None:
    kept = Kept(database)
    match spoil:
        case "a row that is not there":
            kept.keep(MANY["queue.raise_counter"], {"last_batch": 1, "digest": b"", "scheme": 1, "singleton": 1})
        case "a constraint":
            for _ in range(2):
                kept.keep(MANY["queue.insert"], batch(1))
        case "half a character":
            kept.keep(MANY["queue.insert"], batch(1) | {"session_id": "\ud800"})
        case _:
            no_value: Any = Internal(detail="")
            kept.keep(MANY["queue.insert"], batch(1) | {"session_id": no_value})
    with pytest.raises(FailedLate):
        kept.write()


def test_what_was_rolled_back_is_not_written(database: apsw.Connection) -> None:
    kept = Kept(database)
    kept.keep(MANY["queue.insert"], batch(1))
    kept.forget()
    kept.write()

    assert not database.execute("SELECT batch FROM queue_batches").fetchall()


def batch(key: int) -> dict[str, Any]:
    return {
        "batch": key,
        "session_id": "s",
        "source_key": None,
        "delayed_until": None,
        "delivery": "",
        "slot": "",
        "merge_key": "",
        "available_at": 0,
        "now_ms": 0,
        "digest": b"",
        "payloads": b"",
    }


def claim(key: int) -> dict[str, Any]:
    numbers = dict.fromkeys(("fencing_token", "host", "ttl_ms", "claimed_at", "expires_at"), 0)
    texts = dict.fromkeys(("session_id", "claim_id", "owner_id", "lease_token", "batches"), "")
    return {"key": key, **texts, **numbers, "digest": b""}
