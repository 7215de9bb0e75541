"""The files of a store that is open: who else may open them, and what happens when they go away underneath."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tenure.errors import CannotOpen, StoreBroken
from tenure.persistence.opening import open_store
from tenure.persistence.upkeep.backup import back_up
from tenure.persistence.upkeep.look import look_into
from tests.kit.stores import (
    landed,
    message,
    own,
)

ANOTHER_LIBRARY = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM hosts").fetchone())
connection.close()
"""


def look_from_another_process(path: Path) -> None:
    """As an operator does with the command line of SQLite. The last one that closes a database deletes its log."""
    subprocess.run([sys.executable, "-c", ANOTHER_LIBRARY, str(path)], check=True, capture_output=True)


async def open_again(path: Path) -> None:
    async with open_store(path) as second:
        await second.health_check()


async def copy(path: Path) -> None:
    await back_up(path, path.with_name("copy.db"))


async def look(path: Path) -> None:
    async with look_into(path):
        pass


@pytest.mark.process
@pytest.mark.parametrize("meanwhile", [open_again, copy, look])
async def test_whatever_opens_the_file_in_this_process_too_leaves_the_locks_of_the_store(
    tmp_path: Path, meanwhile: Callable[[Path], Awaitable[None]]
) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as store:
        await own(store)
        await meanwhile(path)
        look_from_another_process(path)

        assert path.with_name("agents.db-wal").exists()
        await store.commit(message(store, "m-1"))
        assert await landed(store, "m-1") == ["m-1"]


def remove(path: Path) -> None:
    path.unlink()


def remove_log(path: Path) -> None:
    path.with_name("agents.db-wal").unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def put_another_there(path: Path) -> None:
    other = path.with_name("other.db")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def drop_the_locks(path: Path) -> None:
    path.read_bytes()  # closing any descriptor of the file drops them
    look_from_another_process(path)


@pytest.mark.process
@pytest.mark.parametrize("happens", [remove, remove_log, move, put_another_there, drop_the_locks])
async def test_a_store_whose_files_are_gone_acknowledges_nothing_more(
    tmp_path: Path, happens: Callable[[Path], None]
) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as store:
        await own(store)
        happens(path)

        with pytest.raises(StoreBroken, match=r"agents\.db(-wal)? was (moved or removed|replaced)") as caught:
            await store.commit(message(store, "m-1"))

        assert caught.value.in_doubt
    assert not path.with_name("agents.db-broken").exists()


async def test_nobody_begins_a_new_database_while_hosts_have_the_moved_one_open(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "agents.db", tmp_path / "elsewhere.db"
    names = [(Path(f"{path}{end}"), Path(f"{elsewhere}{end}")) for end in ("", "-wal")]
    async with open_store(path) as store:
        await own(store)
        for here, there in names:
            here.rename(there)

        with pytest.raises(CannotOpen, match="moved or removed while hosts have it open"):
            await open_again(path)

        for here, there in names:
            there.rename(here)
        await store.commit(message(store, "m-1"))
        await open_again(path)
