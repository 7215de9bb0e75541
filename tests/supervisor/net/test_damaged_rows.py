"""Rows that go bad while a host runs: whatever a background task reads in them, it goes on, and so do the runtimes beside them.

The rows are those that the host's own tasks read: hosts, requests, runtimes, inputs, runs. Another process writes junk into
each column in turn, as a disk or another program might, and each time the host looks, takes over, and answers its tickets.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.supervisor.supervisor import host_of
from tests.kit.hosting import (
    consumed,
    host,
    nothing,
)
from tests.kit.shares import share

SHARE = 25
"""Columns with junk in one turn."""

JUNK: tuple[Any, ...] = (None, -1, 2**63 - 1, 1e308, "", "junk", "\x7f[{", {"blob": "ff00"})

TABLES = ("hosts", "requests", "runtimes", "inputs", "runs")

QUICK = tenure.Limits(lease_s=6.0, renew_s=2.0, poll_s=1.0)
"""So that the whole walk fits into the virtual time that a host of a test has."""

WRITER = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
connection.execute("PRAGMA ignore_check_constraints = ON")
def plain(value):
    return bytes.fromhex(value["blob"]) if isinstance(value, dict) else value
for line in sys.stdin:
    sql, values = json.loads(line)
    try:
        answer = connection.execute(sql, [plain(value) for value in values]).fetchall()
    except sqlite3.Error as exc:
        answer = str(exc)
    print(json.dumps(answer, default=lambda data: {"blob": data.hex()}), flush=True)
"""


class Writer:
    """Another process that writes what it is told into the file."""

    def __init__(self, database: Path) -> None:
        command = [sys.executable, "-c", WRITER, str(database)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, sql: str, *values: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([sql, values]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=30)


@pytest.fixture
def writer(database: Path) -> Generator[Writer]:
    found = Writer(database)
    yield found
    found.end()


async def live_before(database: Path) -> str:
    """A host that has gone, and left an input of a kind that no other host knows; its id."""
    async with host(database, {"unknown": tenure.Behaviour(sleeping)}) as before:
        mallory = await before.spawn("mallory", "unknown")
        ticket = await mallory.accept("go")
        await mallory.accept("too")
        await trio.testing.wait_all_tasks_blocked()
    return ticket.input_id


async def sleeping(run: tenure.Run) -> None:
    await run.sleep(10_000.0)


@pytest.mark.sqlite("a server has types of its own")
@pytest.mark.slow
async def test_no_junk_in_a_row_that_a_background_task_reads_ends_the_host(
    database: Path, writer: Writer, autojump_clock: trio.testing.MockClock
) -> None:
    tried = landed = 0
    input_id = await live_before(database)
    async with host(database, {"kind": nothing}, limits=QUICK) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await supervisor.spawn("victim", "kind")
        ask = "INSERT INTO requests (request_id, runtime, verb, arguments, host, created_at) "
        ask += "SELECT 'asked', runtime, 'retire', '{}', 1, 0 FROM runtimes WHERE runtime_id = 'victim'"
        for table, column, junk in chosen(writer):
            tried += 1
            key = writer.run(f"SELECT name FROM pragma_table_info('{table}') WHERE pk = 1")[0][0]
            if table == "requests":
                writer.run("DELETE FROM requests")
                writer.run(ask)
            rows = writer.run(f"SELECT {key}, {column} FROM {table} WHERE {only(table)}")
            waiting = await supervisor.ticket("mallory", input_id=input_id)
            damaged: Any = writer.run(f"UPDATE {table} SET {column} = ? WHERE {only(table)} RETURNING 1", junk)
            landed += type(damaged) is list and damaged != []

            host_of(supervisor).news.stir()
            host_of(supervisor).takeovers.leave_over()
            await trio.sleep(3 * supervisor.store.limits.renew_s)

            assert host_of(supervisor).tasks.failure is None, (table, column, junk)
            del waiting
            for row, before in rows:
                writer.run(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", before, row)
            await trio.sleep(supervisor.store.limits.poll_wait_s)
        await consumed(alice, "go")
        await consumed(await supervisor.spawn("bob", "kind"), "go")

    assert landed > tried * 2 // 3, f"{landed} of {tried}: the others the database itself refused"


def only(table: str) -> str:
    """Which rows are damaged: never those of the host under test, or of the runtimes that must go on."""
    return {
        "hosts": "closed_at IS NOT NULL",
        "runtimes": "runtime_id IN ('mallory', 'victim')",
    }.get(table, "1")


def chosen(writer: Writer) -> list[tuple[str, str, Any]]:
    everything = [
        (table, column, junk)
        for table in TABLES
        for (column,) in writer.run(f"SELECT name FROM pragma_table_info('{table}') WHERE pk = 0")
        for junk in JUNK
    ]
    return share(random.Random(0).sample(everything, len(everything)), len(everything) // SHARE)
