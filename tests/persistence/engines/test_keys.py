"""Keys of new rows: the engine gives them, above every key that stands in the table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tenure.errors import CounterOverflow
from tenure.persistence.engines.sqlite.keys import LAST_KEY, Keys
from tenure.persistence.engines.statements import load_statements, table_of

STATEMENTS = {"things.insert": "INSERT INTO things (thing, again) VALUES (:key, :key)"}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    """A database with one table."""
    connection = apsw.Connection(str(tmp_path / "things.db"))
    connection.execute("CREATE TABLE things (thing INTEGER PRIMARY KEY, again INTEGER)")
    yield connection
    connection.close()


def insert(connection: apsw.Connection, key: int) -> None:
    """Write the row of a key."""
    connection.execute(STATEMENTS["things.insert"], {"key": key})


def test_keys_rise_from_what_stands_in_the_table(connection: apsw.Connection) -> None:
    insert(connection, 7)
    keys = Keys(connection, STATEMENTS)
    assert [keys.of_insert("things.insert"), keys.next("things"), keys.of_insert("things.insert")] == [8, 9, 10]


def test_keys_of_many_rows_follow_one_another_and_are_counted_on(connection: apsw.Connection) -> None:
    insert(connection, 7)
    keys = Keys(connection, STATEMENTS)
    assert [*keys.of_inserts("things.insert", 3), *keys.of_inserts("things.insert", 1)] == [8, 9, 10, 11]
    assert keys.next("things") == 12


def test_keys_of_a_group_that_landed_are_counted_on(connection: apsw.Connection) -> None:
    keys = Keys(connection, STATEMENTS)
    keys.begin(1)
    assert keys.next("things") == 1  # given, and never used
    keys.landed(2)
    keys.begin(2)
    assert keys.next("things") == 2


def test_keys_are_counted_anew_where_another_connection_has_written(connection: apsw.Connection) -> None:
    keys = Keys(connection, STATEMENTS)
    keys.begin(1)
    insert(connection, keys.next("things"))
    keys.landed(2)
    insert(connection, 40)
    keys.begin(3)
    assert keys.next("things") == 41


def test_keys_of_a_group_that_was_rolled_back_come_again(connection: apsw.Connection) -> None:
    keys = Keys(connection, STATEMENTS)
    assert keys.next("things") == 1
    keys.forget()
    assert keys.next("things") == 1


def test_no_key_is_left_after_the_last_one(connection: apsw.Connection) -> None:
    insert(connection, LAST_KEY)
    with pytest.raises(CounterOverflow):
        Keys(connection, STATEMENTS).next("things")


def test_many_rows_get_no_keys_where_one_of_them_has_none_left(connection: apsw.Connection) -> None:
    insert(connection, LAST_KEY - 2)
    keys = Keys(connection, STATEMENTS)
    with pytest.raises(CounterOverflow):
        keys.of_inserts("things.insert", 3)
    keys.forget()
    assert list(keys.of_inserts("things.insert", 2)) == [LAST_KEY - 1, LAST_KEY]


def test_every_insert_with_a_key_names_its_key_column_first() -> None:
    keyed = {name: sql for name, sql in load_statements().items() if ":key" in sql and sql.startswith("INSERT")}
    assert {"hosts", "inputs", "nodes", "runs", "runtimes", "streams"} <= {table_of(sql) for sql in keyed.values()}
    for sql in keyed.values():
        assert "RETURNING" not in sql
    with pytest.raises(ValueError, match="names its key column first"):
        table_of("INSERT INTO things (thing) SELECT 1")
