"""The same durable step in libraries that a reader may know, at equal durability (`synchronous=FULL`).

    python -m venv peers
    peers/bin/pip install . langgraph langgraph-checkpoint-sqlite dbos durabl huey eventsourcing openai-agents
    peers/bin/python benchmarks/peers.py

`peers`: one thing a commit, a message of 1 to 4 KiB for its own conversation. LangGraph's savers write one checkpoint row, DBOS
the record of one step, eventsourcing one event, OpenAI's session one item, tenure the boundary commit of
measuring/workload.py (4 rows in 4 tables). `handled`: the message comes in, is handled, and its sender is told
(measuring/handled.py). Each with 1, 10 and 100 conversations at once, on threads or tasks as the library has it. A library
that is not installed is skipped and named.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import trio
from measuring import handled
from measuring.dbos_steps import dbos_steps, in_threads
from measuring.report import Timing, median_of, options, print_line, ratio, scratch
from measuring.workload import commit_concurrently, copy_of, messages, prepare

from tenure.persistence.opening import open_store

Measure = Callable[[Path, int, int], Timing]


def checkpoint_of(thread: int, turn: int, bodies: Sequence[Any]) -> tuple[Any, ...]:
    """What a LangGraph saver is given: config, checkpoint, metadata, versions."""
    checkpoint: dict[str, Any] = importlib.import_module("langgraph.checkpoint.base").empty_checkpoint()
    checkpoint["channel_values"] = {"message": bodies[turn % len(bodies)]}
    config = {"configurable": {"thread_id": str(thread), "checkpoint_ns": ""}}
    return config, checkpoint, {"source": "loop", "step": turn}, {}


def sqlite_saver(folder: Path, at_once: int, count: int) -> Timing:
    """LangGraph's SqliteSaver, one thread for each conversation."""
    saver_class = importlib.import_module("langgraph.checkpoint.sqlite").SqliteSaver
    bodies = messages(seed=count)
    connection = sqlite3.connect(folder / f"saver-{at_once}.db", check_same_thread=False)
    saver = saver_class(connection)
    saver.setup()
    connection.execute("PRAGMA synchronous=FULL")

    def work(thread: int) -> None:
        for turn in range(count // at_once):
            saver.put(*checkpoint_of(thread, turn, bodies))

    elapsed = in_threads(work, at_once)
    connection.close()
    return Timing(count=count // at_once * at_once, elapsed_s=elapsed)


def async_sqlite_saver(folder: Path, at_once: int, count: int) -> Timing:
    """LangGraph's AsyncSqliteSaver, one asyncio task for each conversation."""
    saver_class = importlib.import_module("langgraph.checkpoint.sqlite.aio").AsyncSqliteSaver
    bodies = messages(seed=count)

    async def run() -> float:
        async with saver_class.from_conn_string(str(folder / f"async-{at_once}.db")) as saver:
            await saver.setup()
            await saver.conn.execute("PRAGMA synchronous=FULL")

            async def work(thread: int) -> None:
                for turn in range(count // at_once):
                    await saver.aput(*checkpoint_of(thread, turn, bodies))

            began = perf_counter()
            tasks: list[Awaitable[None]] = [work(thread) for thread in range(at_once)]
            await asyncio.gather(*tasks)
            return perf_counter() - began

    elapsed = asyncio.run(run())
    return Timing(count=count // at_once * at_once, elapsed_s=elapsed)


def dbos_on_sqlite(folder: Path, at_once: int, count: int) -> Timing:
    """Steps of DBOS workflows on SQLite as it ships, one workflow on a thread for each conversation."""
    return dbos_steps(f"sqlite:///{folder / f'dbos-{at_once}.db'}", at_once, count)


def recorder(folder: Path, at_once: int, count: int) -> Timing:
    """The recorder of eventsourcing, one thread for each stream."""
    sqlite = importlib.import_module("eventsourcing.sqlite")
    stored: Any = importlib.import_module("eventsourcing.persistence").StoredEvent
    datastore = sqlite.SQLiteDatastore(str(folder / "events.db"), lock_timeout=60, pool_timeout=120.0)
    found = sqlite.SQLiteAggregateRecorder(datastore)
    found.create_table()
    bodies = [json.dumps(body).encode() for body in messages(seed=count)]

    def work(_thread: int) -> None:
        originator = uuid4()
        for turn in range(count // at_once):
            found.insert_events([stored(originator, turn + 1, "measured", bodies[turn % len(bodies)])])

    elapsed = in_threads(work, at_once)
    datastore.close()
    return Timing(count=count // at_once * at_once, elapsed_s=elapsed)


def openai_session(folder: Path, at_once: int, count: int) -> Timing:
    """Sessions of the OpenAI Agents SDK in one file, one asyncio task for each conversation."""
    session_class = importlib.import_module("agents").SQLiteSession
    bodies = messages(seed=count)

    async def work(session: Any) -> None:
        for turn in range(count // at_once):
            await session.add_items([bodies[turn % len(bodies)]])

    async def run() -> float:
        sessions = [session_class(str(number), folder / "session.db") for number in range(at_once)]
        began = perf_counter()
        tasks: list[Awaitable[None]] = [work(session) for session in sessions]
        await asyncio.gather(*tasks)
        elapsed = perf_counter() - began
        for session in sessions:
            session.close()
        return elapsed

    return Timing(count=count // at_once * at_once, elapsed_s=asyncio.run(run()))


def tenure_store(folder: Path, at_once: int, count: int) -> Timing:
    """Tenure's store, one trio task for each conversation."""

    async def run() -> Timing:
        template = folder / "template.db"
        template.unlink(missing_ok=True)
        agents = await prepare(template, at_once)
        async with open_store(copy_of(template, "tenure.db")) as store:
            return await commit_concurrently(store, agents, at_once, count)

    timing = trio.run(run)
    return Timing(count=timing.count, elapsed_s=timing.elapsed_s)


PEERS: dict[str, tuple[str, Measure, int]] = {
    "langgraph SqliteSaver": ("langgraph.checkpoint.sqlite", sqlite_saver, 2_000),
    "langgraph AsyncSqliteSaver": ("langgraph.checkpoint.sqlite", async_sqlite_saver, 2_000),
    "dbos steps": ("dbos", dbos_on_sqlite, 500),
    "eventsourcing recorder": ("eventsourcing.sqlite", recorder, 2_000),
    "openai SQLiteSession": ("agents", openai_session, 2_000),
}

HANDLED: dict[str, tuple[str, Measure, int]] = {
    "durabl": ("durabl", handled.durabl_runs, 500),
    "huey": ("huey", handled.huey_tasks, 500),
    "langgraph node": ("langgraph.graph", handled.langgraph_nodes, 300),
    "dbos workflow": ("dbos", handled.dbos_workflows, 300),
}

AT_ONCE = (1, 10, 100)


def is_installed(module: str) -> bool:
    """Whether a peer can be imported."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def measure(folder: Path, measured: Measure, count: int, repeats: int) -> dict[str, dict[str, float]]:
    """The rows of one library."""
    rows: dict[str, dict[str, float]] = {}
    for at_once in AT_ONCE:
        timings: list[Timing] = []
        for _ in range(repeats):
            with scratch(folder) as name:
                timings.append(measured(Path(name), at_once, max(count, at_once)))
        rows[str(at_once)] = median_of(timings)
    return rows


def beside(
    folder: Path, ours: tuple[Measure, int], peers: Mapping[str, tuple[str, Measure, int]], repeats: int, *, small: bool
) -> tuple[dict[str, Any], list[str]]:
    """One table, and what is not installed of it."""
    mine = measure(folder, ours[0], 100 if small else ours[1], repeats)
    found: dict[str, Any] = {}
    missing: list[str] = []
    for peer, (module, measured, count) in peers.items():
        if is_installed(module):
            found[peer] = measure(folder, measured, 100 if small else count, repeats)
        else:
            missing.append(peer)
            print(f"{peer} is not installed and was skipped", file=sys.stderr)
    ratios = {
        peer: {at_once: ratio(mine[at_once]["per_s"], rows[at_once]["per_s"]) for at_once in rows}
        for peer, rows in found.items()
    }
    return {"tenure": mine, "peers": found, "tenure_to_peer": ratios}, missing


def main() -> None:
    """Measure what is installed and print one line."""
    given = options(__doc__ or "").parse_args()
    repeats = 1 if given.small else given.repeats
    with scratch(given.folder) as name:
        folder = Path(name)
        records, missing = beside(folder, (tenure_store, 5_000), PEERS, repeats, small=given.small)
        whole, more = beside(folder, (handled.tenure_inputs, 2_000), HANDLED, repeats, small=given.small)
    print_line("peers", durability="disk", **records, handled=whole, not_installed=[*missing, *more])


if __name__ == "__main__":
    main()
