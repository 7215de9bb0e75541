"""Other programs that have the database open while hosts are killed and started again: they and the store stay sound."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from tenure.persistence.opening import open_store
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.verify import runtime_ids, verify_runtime
from tests.kit.shares import share
from tests.kit.stores import landed, own

ROOT = Path(__file__).parents[3]
BOUND_S = 60.0

HOST = """
import sys, trio
from tenure.persistence.opening import open_store
from tests.kit.stores import message, own

async def main():
    async with open_store(sys.argv[1]) as store:
        await own(store, sys.argv[2])
        for n in range(int(sys.argv[3])):
            await store.commit(message(store, f"{sys.argv[2]}-{n}", sys.argv[2]))
            print(f"{sys.argv[2]}-{n}", flush=True)
        print("done", flush=True)
        sys.stdin.readline()

trio.run(main)
"""

READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    if line.strip() == "close":
        connection.close()
        print("closed", flush=True)
    else:
        print(connection.execute(line).fetchall(), flush=True)
"""


@contextmanager
def child(code: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    """A Python child that ends with the block."""
    command = [sys.executable, "-c", code, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=BOUND_S)


def tell(process: subprocess.Popen[str], line: str) -> str:
    """Write a line to a child and read its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def run_host(path: Path, name: str, count: int, *, kill: bool) -> list[str]:
    """Run a host that acknowledges so many messages, and kill it or have it close; returns their keys."""
    with child(HOST, str(path), name, str(count)) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            if line.strip() == "done":
                break
            said.append(line.strip())
        if not kill:
            process.communicate("\n", timeout=BOUND_S)
            assert process.returncode == 0
    assert len(said) == count
    return said


async def check(path: Path, lives: dict[str, list[str]]) -> None:
    """Everything that was acknowledged is there, and the file is sound by tenure's word and by SQLite's."""
    async with open_store(path) as store:
        for name, keys in lives.items():
            assert await landed(store, *keys, runtime_id=name) == keys
        await own(store, "last")
    async with look_into(path) as look:
        walks = await look.read(lambda view: [verify_runtime(view, each) for each in runtime_ids(view)])
    assert len(walks) > len(lives)
    assert all(walk.is_sound for walk in walks)
    with child(READER, str(path)) as reader:
        assert tell(reader, "PRAGMA integrity_check") == "[('ok',)]"


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(
    ("reading", "kill"),
    share(
        [("SELECT count(*) FROM hosts", True), ("BEGIN; SELECT count(*) FROM hosts", True), ("BEGIN; SELECT 1", False)],
        3,
    ),
)
async def test_a_reader_that_is_held_over_kills_and_restarts_harms_nothing(
    tmp_path: Path, reading: str, *, kill: bool
) -> None:
    path = tmp_path / "agents.db"
    lives = {"first": await trio.to_thread.run_sync(lambda: run_host(path, "first", 40, kill=kill))}
    with child(READER, str(path)) as reader:
        for statement in reading.split("; "):
            assert tell(reader, statement).startswith("[")
        for name in ("second", "third"):
            lives[name] = await trio.to_thread.run_sync(lambda name=name: run_host(path, name, 40, kill=kill))
        assert tell(reader, "close") == "closed"
        await check(path, lives)


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
async def test_a_reader_that_closes_while_a_host_works_leaves_it_its_log(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    lives = {"first": await trio.to_thread.run_sync(lambda: run_host(path, "first", 40, kill=True))}
    with child(READER, str(path)) as reader:
        assert tell(reader, "SELECT count(*) FROM hosts").startswith("[")
        async with open_store(path) as store:
            await own(store, "second")
            assert tell(reader, "close") == "closed"
            await own(store, "third")
    await check(path, lives)


@pytest.mark.slow
@pytest.mark.process
async def test_a_reader_that_checkpoints_between_two_hosts_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    lives: dict[str, list[str]] = {}
    with child(READER, str(path)) as reader:
        for number, mode in enumerate(("PASSIVE", "FULL", "RESTART", "TRUNCATE")):
            name = f"life {number}"
            lives[name] = await trio.to_thread.run_sync(lambda name=name: run_host(path, name, 30, kill=True))
            assert tell(reader, f"PRAGMA wal_checkpoint({mode})").startswith("[(0,")
        await check(path, lives)
