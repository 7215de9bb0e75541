"""``tenure migrate --print``: the SQL of the tables of a server, which is not connected to."""

from __future__ import annotations

from pathlib import Path

from tenure.cli.exits import DONE, WRONG_USE
from tests.cli.test_backup_commands import call


def test_the_sql_of_a_server_is_printed_in_one_piece() -> None:
    result = call("migrate", "--print", "postgresql://host.invalid/db?schema=mine")

    assert result.exit_code == DONE
    assert result.stdout.startswith('BEGIN;\nSET LOCAL search_path TO "mine";\nCREATE SCHEMA IF NOT EXISTS "mine";\n')
    assert "CREATE TABLE runtimes (" in result.stdout
    assert result.stdout.endswith("COMMIT;\n")


def test_a_file_is_made_by_its_first_open_and_nothing_is_done_without_print(tmp_path: Path) -> None:
    assert call("migrate", "--print", tmp_path / "a.db").exit_code == WRONG_USE
    assert call("migrate", "postgresql://host.invalid/db").exit_code == WRONG_USE
    assert not [*tmp_path.iterdir()]
