"""The schema is the sum of its migrations, and files of every version since the first release open."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import apsw
import pytest

from tenure.errors import Corrupt, Internal, SchemaMismatch
from tenure.persistence.engines.sqlite.opening import migrations as sqlite_migrations
from tenure.persistence.engines.sqlite.opening.preflight import APPLICATION_ID
from tenure.persistence.engines.statements import schema_files
from tenure.persistence.opening import open_store
from tenure.persistence.upkeep.backup import back_up
from tenure.persistence.upkeep.look import look_into
from tests.kit.stores import own

FIXTURES = Path(__file__).parents[2] / "fixtures"
SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"


def schema_of(path: Path) -> Sequence[tuple[object, ...]]:
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute(SCHEMA).fetchall()
    finally:
        connection.close()


async def test_the_schema_of_a_new_store_is_the_sum_of_all_migrations(tmp_path: Path) -> None:
    async with open_store(tmp_path / "new.db"):
        pass
    summed = apsw.Connection(str(tmp_path / "summed.db"))
    for migration in schema_files():
        summed.execute(migration)
    summed.close()

    assert schema_of(tmp_path / "new.db") == schema_of(tmp_path / "summed.db")


@pytest.mark.parametrize("version", [0, -1])
async def test_a_header_whose_version_was_changed_is_damage_for_a_host_and_for_a_look(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as store:
        await own(store)
    connection = apsw.Connection(str(path))  # no host has it open
    connection.pragma("user_version", version)
    connection.close()

    for opened in (open_store, look_into):
        with pytest.raises(Corrupt, match=f"version {version}"):
            async with opened(path):
                pass


async def test_a_damaged_list_of_tables_under_a_header_of_ours_is_damage_and_no_other_programs_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as store:
        await own(store)
    with path.open("r+b") as file:  # no host has it open
        file.seek(100)
        file.write(b"\xff" * 400)

    for opened in (open_store, look_into):
        with pytest.raises(Corrupt):
            async with opened(path):
                pass


async def test_a_list_of_tables_with_a_text_that_is_no_utf_8_is_damage_for_every_way_in(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    await _open(path)
    data = path.read_bytes()
    at = data.index(b"CREATE TABLE inputs") + len("CREATE TABLE inputs (  input INTEGER")
    path.write_bytes(data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :])  # no host has it open

    for way in (_open, _look, _back_up):
        with pytest.raises(Corrupt):
            await way(path)


async def test_a_migration_lands_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as store:
        await own(store)
    before = schema_of(path)
    migrations = schema_files()

    monkeypatch.setattr(
        sqlite_migrations, "schema_files", lambda: [*migrations, "CREATE TABLE added (x);", "CREATE TABLE broken ("]
    )
    with pytest.raises(Internal):
        async with open_store(path):
            pass
    assert schema_of(path) == before

    monkeypatch.setattr(sqlite_migrations, "schema_files", lambda: [*migrations, "CREATE TABLE added (x);"])
    async with open_store(path) as store:
        assert await own(store) == 2
    assert len(schema_of(path)) == len(before) + 1


@pytest.mark.parametrize("fixture", sorted(path.name for path in FIXTURES.glob("store-v*.db")))
async def test_a_file_of_an_earlier_version_opens_and_reads_as_it_was_written(tmp_path: Path, fixture: str) -> None:
    path = tmp_path / fixture
    shutil.copyfile(FIXTURES / fixture, path)

    async with open_store(path) as store:
        same = schema_of(path) == schema_of(await _new(tmp_path))
        # Until version 1 is released its file follows the schema; afterwards a migration does.
        assert same, "the schema has changed: run `python -m tests.fixtures.make_store`"
        async with store.read_connection() as connection:
            inputs = await connection.query("SELECT idempotency_key, phase FROM inputs ORDER BY input")
            receipts = await connection.query("SELECT boundary, message_count FROM receipts ORDER BY receipt")
            payloads = await connection.query("SELECT payload FROM payloads ORDER BY input")
        assert inputs == [("m-1", "consumed"), ("m-2", "consumed"), ("m-3", "queued")]
        assert receipts == [("run_checkpoint", 1), ("run_start", 1), ("run_checkpoint", 2), ("run_start", 2)]
        assert [bytes(payload) for (payload,) in payloads] == [b'"one"', b'"two"', b'"three"']
        assert await own(store) > 1


async def _new(folder: Path) -> Path:
    async with open_store(folder / "new.db"):
        pass
    return folder / "new.db"


OTHER_TABLES = [
    "ALTER TABLE hosts RENAME COLUMN pid TO process",
    "ALTER TABLE inputs ADD COLUMN later TEXT",
    "DROP INDEX hosts_living",
    "ALTER TABLE receipts RENAME TO other",
]


async def _open(path: Path) -> None:
    async with open_store(path):
        pass


async def _look(path: Path) -> None:
    async with look_into(path):
        pass


async def _back_up(path: Path) -> None:
    await back_up(path, path.with_name("copy.db"))


@pytest.mark.parametrize("change", OTHER_TABLES)
async def test_a_store_of_the_same_version_with_other_tables_is_of_another_schema(tmp_path: Path, change: str) -> None:
    path = tmp_path / "agents.db"
    await _open(path)
    _execute(path, change)
    before = schema_of(path)

    for way in (_open, _look, _back_up):
        with pytest.raises(SchemaMismatch, match="1 with tables"):
            await way(path)
    assert schema_of(path) == before


async def test_tables_and_indexes_that_others_added_are_theirs(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    await _open(path)
    _execute(path, "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
    _execute(path, "CREATE INDEX mine ON inputs (phase)")

    before = schema_of(path)
    for way in (_open, _look, _back_up):
        await way(path)
    assert schema_of(path) == before


async def test_a_store_that_has_no_tables_yet_is_no_backup_and_not_to_be_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    await _open(path)
    path.unlink()
    path.with_name("agents.db-wal").unlink()
    _execute(path, f"PRAGMA application_id = {APPLICATION_ID}")

    for way in (_look, _back_up):
        with pytest.raises(SchemaMismatch):
            await way(path)
    await _open(path)


def _execute(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    try:
        connection.execute(statement)
    finally:
        connection.close()
