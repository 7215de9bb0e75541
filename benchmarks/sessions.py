"""Sessions: a node appended, the active path read, and a fork; in ratio to raw APSW with the same statements for the appends.

    python benchmarks/sessions.py

Appends commit one node of 1 KiB by `store.sessions.commit_runtime_state`, on disk when they return, one after the other. Raw
APSW inserts the same row and moves the same head, one transaction each. Reading takes the active path of a session of 1,000
nodes, whole and to its middle. A fork moves the head to the middle of the path and back, each in one commit.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Final

import apsw
import trio
from measuring.report import Timing, median_of, options, print_line, ratio, scratch

from tenure import ActivePath, RuntimeCommit, SessionNodeRecord
from tenure.persistence.opening import open_store
from tenure.persistence.store import Store

SESSION: Final = "talk"
PAYLOAD: Final = b"x" * 1024


def node(number: int) -> SessionNodeRecord:
    """The n-th node, after the one before it."""
    parent = None if number == 1 else f"node-{number - 1}"
    return SessionNodeRecord(node_id=f"node-{number}", payload=PAYLOAD, parent_node_id=parent)


async def appends(store: Store, count: int) -> Timing:
    """One commit a node."""
    latencies: list[float] = []
    began = perf_counter()
    for number in range(1, count + 1):
        commit = RuntimeCommit(session_id=SESSION, expected_head_revision=number - 1, nodes=(node(number),))
        at = perf_counter()
        await store.sessions.commit_runtime_state(commit)
        latencies.append(perf_counter() - at)
    return Timing(count=count, elapsed_s=perf_counter() - began, latencies_s=sorted(latencies))


async def reads(store: Store, leaf: str | None, times: int) -> Timing:
    """The active path, to the head or to a node."""
    latencies: list[float] = []
    began = perf_counter()
    for _ in range(times):
        at = perf_counter()
        await store.sessions.load_session(SESSION, ActivePath(leaf))
        latencies.append(perf_counter() - at)
    return Timing(count=times, elapsed_s=perf_counter() - began, latencies_s=sorted(latencies))


async def forks(store: Store, count: int, times: int) -> Timing:
    """The head to the middle of the path and back."""
    latencies: list[float] = []
    began = perf_counter()
    for number in range(times):
        leaf = f"node-{count // 2 if number % 2 == 0 else count}"
        commit = RuntimeCommit(session_id=SESSION, expected_head_revision=count + number, leaf_node_id=leaf)
        at = perf_counter()
        await store.sessions.commit_runtime_state(commit)
        latencies.append(perf_counter() - at)
    return Timing(count=times, elapsed_s=perf_counter() - began, latencies_s=sorted(latencies))


def raw(path: Path, count: int) -> Timing:
    """The same rows by APSW alone, one transaction each."""
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = wal; PRAGMA synchronous = full")
    connection.execute("CREATE TABLE heads (head INTEGER PRIMARY KEY, revision INTEGER, leaf INTEGER, digest BLOB)")
    connection.execute(
        "CREATE TABLE nodes"
        " (node INTEGER PRIMARY KEY, parent INTEGER, position INTEGER, digest BLOB, node_id TEXT, payload BLOB)"
    )
    connection.execute("CREATE UNIQUE INDEX nodes_by_id ON nodes (node_id)")
    connection.execute("INSERT INTO heads VALUES (1, 0, NULL, x'00')")
    latencies: list[float] = []
    began = perf_counter()
    for number in range(1, count + 1):
        at, digest = perf_counter(), number.to_bytes(32, "big")
        with connection:
            connection.execute(
                "INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?)",
                (number, number - 1, number, digest, f"node-{number}", PAYLOAD),
            )
            connection.execute(
                "UPDATE heads SET revision = ?, leaf = ?, digest = ? WHERE head = 1", (number, number, digest)
            )
        latencies.append(perf_counter() - at)
    elapsed = perf_counter() - began
    connection.close()
    return Timing(count=count, elapsed_s=elapsed, latencies_s=sorted(latencies))


async def measured(folder: Path, count: int, times: int) -> dict[str, Timing]:
    """One repeat."""
    async with open_store(folder / "sessions.db") as store:
        found = {"append": await appends(store, count)}
        found["read whole"] = await reads(store, None, times)
        found["read to the middle"] = await reads(store, f"node-{count // 2}", times)
        found["fork"] = await forks(store, count, times)
    found["raw append"] = raw(folder / "raw.db", count)
    return found


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--count", type=int, default=1_000, help="nodes of the session (1000)")
    asked = parser.parse_args()
    count, times = (20, 4) if asked.small else (asked.count, 100)
    repeats: list[dict[str, Timing]] = []
    for _ in range(1 if asked.small else asked.repeats):
        with scratch(asked.folder) as folder:
            repeats.append(trio.run(measured, Path(folder), count, times))
    rows = {name: median_of([each[name] for each in repeats]) for name in repeats[0]}
    of_raw = ratio(rows["append"]["per_s"], rows["raw append"]["per_s"])
    print_line("sessions", nodes=count, rows=rows, of_raw=of_raw)


if __name__ == "__main__":
    main()
