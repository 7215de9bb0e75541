"""A store's own files, named by a caller as what is to be attached: the host keeps its locks."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tenure.errors import CannotOpen

VERBS: dict[str, Callable[[tenure.Store, Path], Awaitable[Any]]] = {
    "put_file": lambda store, path: store.attachments.put_file("talk", str(path)),
    "id_of": lambda store, path: store.attachments.id_of(path),
}

LOCK = """
import apsw, sys
connection = apsw.Connection(sys.argv[1])
connection.pragma("locking_mode", "EXCLUSIVE")
try:
    connection.execute("BEGIN EXCLUSIVE")
except apsw.BusyError:
    print("it is locked")
"""


@pytest.mark.parametrize("verb", VERBS)
async def test_a_database_that_this_process_has_open_is_not_read_and_keeps_its_locks(tmp_path: Path, verb: str) -> None:
    """Not by any of its names, and of no store that the process has open."""
    database, other = tmp_path / "agents.db", tmp_path / "other.db"
    async with tenure.open_store(database) as store, tenure.open_store(other):
        link = database.with_name("link")
        link.symlink_to(database)
        for path in (database, other, link, Path(f"{database}-shm")):
            with pytest.raises(CannotOpen, match="drop its locks"):
                await VERBS[verb](store, path)
        for path in (database, other):
            asked = await trio.run_process([sys.executable, "-c", LOCK, str(path)], capture_stdout=True)
            assert asked.stdout == b"it is locked\n"
        await store.attachments.put("talk", b"goes on")
