"""The logical hash: of every column of every table, and the same on every engine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from tenure.errors import Corrupt
from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.postgres.opening import OWN_TABLES
from tenure.persistence.engines.statements import all_tables, schema_files
from tenure.persistence.engines.tables import NOT_CARRIED, NOT_CARRIED_COLUMNS, tables_of
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.upkeep.promoting.ends import opened
from tenure.persistence.upkeep.promoting.logical_hash import NOT_HASHED, Found
from tests.kit.shares import share
from tests.persistence.contracts.damage import SCHEMA


def found(place: str | Path) -> Found:
    with opened(door_to(place), alone=False) as end:
        return end.found(lambda: None)


def test_the_tables_of_the_files_are_those_of_a_database() -> None:
    database = apsw.Connection(":memory:")
    for text in schema_files():
        database.execute(text)
    in_file: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {}
    for name in SCHEMA:
        info: list[Any] = database.execute(f"PRAGMA table_info({name})").fetchall()
        key = tuple([str(row[1]) for row in sorted(info, key=lambda row: row[5]) if row[5]])
        in_file[name] = ({str(row[1]): str(row[2]) for row in info}, key)

    assert {each.name: (dict(each.columns), each.key) for each in all_tables()} == in_file


@pytest.mark.postgres
def test_the_tables_of_a_server_are_those_of_the_files_and_its_own(url: str) -> None:
    engine = door_to(url).engine(DurabilityClass.DISK)
    engine.open().close(checkpoint=True)
    engine.close()
    with psycopg.connect(url) as server:
        rows = server.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'tenure'"
        ).fetchall()

    ours = {(each.name, column) for each in all_tables() for column in each.columns}
    own = {(table, column) for table, column in rows if (table, column) not in ours}
    assert ours <= set(rows)
    assert all(any(table in made for made in OWN_TABLES) for table, _ in own), own


@pytest.mark.parametrize(
    "line",
    ["    a INTEGER PRIMARY KEY,\n    FOREIGN KEY (a) REFERENCES t (a)", "    a TEXT PRIMARY KEY", "    a NUMERIC"],
)
def test_a_table_of_a_form_that_is_not_known_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="the table t"):
        tables_of([f"CREATE TABLE t (\n{line}\n);\n"])


def copied(filled: Path, place: Path) -> Path:
    """The same store once more, attachments and all."""
    shutil.copy(filled, place)
    shutil.copytree(f"{filled}-attachments", f"{place}-attachments", dirs_exist_ok=True)
    return place


def changed(value: Any) -> Any:
    match value:
        case None | bytes():
            return b"\0" if value is None else value + b"\0"
        case str():
            return f"{value}x"
        case _:
            return value + 1_000_000


LEFT_OUT = {*NOT_HASHED, *NOT_CARRIED_COLUMNS}


@pytest.mark.parametrize("table", share([each for each in SCHEMA if each not in NOT_CARRIED], 6))
def test_a_change_of_any_column_changes_it_but_for_those_that_are_left_out(filled: Path, table: str) -> None:
    before = found(filled).logical_hash
    for column in SCHEMA[table]:
        copy = copied(filled, filled.with_name("copy.db"))
        database = apsw.Connection(str(copy))
        row = database.execute(f"SELECT rowid, {column}, typeof({column}) FROM {table} LIMIT 1").fetchone()
        if row is None:
            assert table == "sealing"
            return
        database.execute("PRAGMA ignore_check_constraints = 1")
        kinds = dict(next(each.columns for each in all_tables() if each.name == table))
        value = (
            {"TEXT": "x", "INTEGER": 1, "REAL": 1.0, "BLOB": b"x"}[kinds[column]] if row[1] is None else changed(row[1])
        )
        database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row[0]))
        database.close()

        assert (found(copy).logical_hash != before) is ((table, column) not in LEFT_OUT), column
        for end in ("", "-wal", "-shm", "-lock"):
            copy.with_name(copy.name + end).unlink(missing_ok=True)


def test_rows_that_change_places_and_values_that_flow_together_change_it(tmp_path: Path, filled: Path) -> None:
    hashes = {found(filled).logical_hash}
    assert found(copied(filled, tmp_path / "same.db")).logical_hash in hashes
    for at, sql in enumerate(
        (
            "UPDATE holds SET note = note || 'x', kind = 'k'",
            "UPDATE holds SET note = note, kind = 'kx'",
            "DELETE FROM holds",
            "UPDATE labels SET name = 'ab', value = 'c'",
            "UPDATE labels SET name = 'a', value = 'bc'",
        )
    ):
        copy = copied(filled, tmp_path / f"{at}.db")
        database = apsw.Connection(str(copy))
        database.execute("DELETE FROM holds WHERE kind IS NULL; DELETE FROM labels WHERE label > 1")
        database.execute(sql)
        database.close()
        hashes.add(found(copy).logical_hash)

    assert len(hashes) == 6


def test_a_changed_attachment_changes_it(filled: Path) -> None:
    before = found(filled)
    path = max(filled.with_name("agents.db-attachments").iterdir(), key=lambda each: each.stat().st_size)
    path.write_bytes(path.read_bytes() + b"x")

    after = found(filled)

    assert after.logical_hash != before.logical_hash
    assert after.attachment_bytes == before.attachment_bytes + 1


def test_a_value_of_another_type_than_its_column_is_damage(filled: Path) -> None:
    database = apsw.Connection(str(filled))
    database.execute("UPDATE holds SET note = x'00'")
    database.close()

    with pytest.raises(Corrupt) as caught:
        found(filled)
    assert caught.value.record == "holds"
