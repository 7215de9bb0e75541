"""The same durable step in libraries that a reader may know, at equal durability (`synchronous=FULL`).

    python -m venv peers && peers/bin/pip install . langgraph-checkpoint-sqlite dbos
    peers/bin/python benchmarks/peers.py

One thing a commit: a message of 1 to 4 KiB for its own conversation. LangGraph's savers write one checkpoint row, DBOS the
record of one step, tenure the boundary commit of measuring/workload.py (4 rows in 4 tables). Each with 1 and with 100
conversations at once, on threads or tasks as the library has it. A library that is not installed is skipped and named.
"""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import trio
from measuring.report import Timing, median_of, options, print_line, ratio, scratch
from measuring.workload import commit_concurrently, copy_of, messages, prepare

from tenure.persistence.store import open_store

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


def dbos_steps(folder: Path, at_once: int, count: int) -> Timing:
    """Steps of DBOS workflows on SQLite as it ships, one workflow on a thread for each conversation."""
    dbos = importlib.import_module("dbos")
    bodies = messages(seed=count)
    turns = count // at_once
    url = f"sqlite:///{folder / f'dbos-{at_once}.db'}"
    instance = dbos.DBOS(config={"name": "peers", "system_database_url": url, "log_level": "ERROR"})

    @dbos.DBOS.step()
    def step(turn: int) -> Any:
        return bodies[turn % len(bodies)]

    @dbos.DBOS.workflow()
    def talk() -> None:
        for turn in range(turns):
            step(turn)

    try:
        instance.launch()
        elapsed = in_threads(lambda _: talk(), at_once)
    finally:
        instance.destroy(destroy_registry=True)
    return Timing(count=turns * at_once, elapsed_s=elapsed)


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


def in_threads(work: Callable[[int], None], count: int) -> float:
    """Seconds until `count` threads have each done the work."""
    with ThreadPoolExecutor(count) as pool:
        began = perf_counter()
        list(pool.map(work, range(count)))
        return perf_counter() - began


PEERS: dict[str, tuple[str, Measure, int]] = {
    "langgraph SqliteSaver": ("langgraph.checkpoint.sqlite", sqlite_saver, 2_000),
    "langgraph AsyncSqliteSaver": ("langgraph.checkpoint.sqlite", async_sqlite_saver, 2_000),
    "dbos steps": ("dbos", dbos_steps, 500),
}


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
    for at_once in (1, 100):
        timings: list[Timing] = []
        for _ in range(repeats):
            with scratch(folder) as name:
                timings.append(measured(Path(name), at_once, max(count, at_once)))
        rows[str(at_once)] = median_of(timings)
    return rows


def main() -> None:
    """Measure what is installed and print one line."""
    given = options(__doc__ or "").parse_args()
    repeats = 1 if given.small else given.repeats
    with scratch(given.folder) as name:
        folder = Path(name)
        ours = measure(folder, tenure_store, 100 if given.small else 5_000, repeats)
        peers: dict[str, Any] = {}
        missing: list[str] = []
        for peer, (module, measured, count) in PEERS.items():
            if is_installed(module):
                peers[peer] = measure(folder, measured, 100 if given.small else count, repeats)
            else:
                missing.append(peer)
                print(f"{peer} is not installed and was skipped", file=sys.stderr)
    ratios = {
        peer: {at_once: ratio(ours[at_once]["per_s"], rows[at_once]["per_s"]) for at_once in rows}
        for peer, rows in peers.items()
    }
    print_line("peers", durability="disk", tenure=ours, peers=peers, tenure_to_peer=ratios, not_installed=missing)


if __name__ == "__main__":
    main()
