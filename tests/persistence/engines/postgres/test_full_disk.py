"""A disk of a server that is full: what does not fit is refused and says so, and the store goes on when there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from proof.fleet.server import OwnServer
from tenure.errors import DiskFull
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.opening import open_store
from tests.kit.stores import name, own

MESSAGE = 256 * 1024


@pytest.fixture
def small(own_server: OwnServer) -> Generator[Path]:
    """A file system of its own with 32 MiB, where we may mount one: a database stands on it, and the server's log does not."""
    folder = own_server.folder / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no permission to mount a small file system")
    try:
        (folder / "space").mkdir()
        if own_server.user is not None:
            shutil.chown(folder, own_server.user)
            shutil.chown(folder / "space", own_server.user)
        yield folder
    finally:
        own_server.stop()
        subprocess.run(["umount", str(folder)], check=True)


def say(token: int, text: bytes) -> Commit:
    return Commit(
        runtime_id=name("a"),
        fence_token=token,
        changes=(AppendMessages(runtime_id=name("a"), messages=(text,)),),
    )


@pytest.mark.slow
async def test_a_full_disk_is_told_and_the_store_goes_on_when_there_is_room(own_server: OwnServer, small: Path) -> None:
    with psycopg.connect(own_server.url, autocommit=True) as admin:
        admin.execute(f"CREATE TABLESPACE small LOCATION '{small / 'space'}'".encode())
        admin.execute("CREATE DATABASE small TABLESPACE small")
    url = own_server.url.rpartition("/")[0] + "/small"
    async with open_store(url) as store:
        token = await own(store)
        filler = small / "filler"
        filler.write_bytes(bytes(4 * 1024 * 1024))
        said = 0

        async def fill() -> None:
            nonlocal said
            while said < 1_000:
                await store.commit(say(token, os.urandom(MESSAGE)))
                said += 1

        with pytest.raises(DiskFull):
            await fill()

        async with store.read_connection() as connection:
            assert await connection.query("SELECT count(*) FROM nodes") == [(said,)]
        filler.unlink()
        await store.commit(say(token, b"there is room"))
        async with store.read_connection() as connection:
            assert await connection.query("SELECT count(*) FROM nodes") == [(said + 1,)]
        assert store.broken is None
