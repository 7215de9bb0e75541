"""A message in, handled, its outcome on disk and its sender told: tenure, and libraries that a reader may know.

Each has one message of 1 to 4 KiB in flight for each conversation, on threads or tasks as the library has it, and flushes
before it answers (`synchronous=FULL`). What they promise is not the same: huey loses a task that is in hand at a crash.
"""

from __future__ import annotations

import importlib
import sqlite3
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import trio

from .end_to_end import feed
from .report import Timing
from .workload import messages


def tenure_inputs(folder: Path, at_once: int, count: int) -> Timing:
    """Inputs of tenure: accepted, run, consumed."""
    timing = trio.run(partial(feed, folder, at_once, at_once, count))
    return Timing(count=timing.count, elapsed_s=timing.elapsed_s)


def durabl_runs(folder: Path, at_once: int, count: int) -> Timing:
    """Workflows of durabl with one tool, which takes the message; it ships with `synchronous=NORMAL`."""
    durabl = importlib.import_module("durabl")
    bodies = messages(seed=count)

    def keep(body: Any) -> int:
        return len(str(body))

    def handle(_ctx: Any, body: Any) -> Generator[Any, Any, Any]:
        size: Any = yield durabl.ToolCall("keep", {"body": body})
        return size

    workflow = durabl.workflow(
        handle, register=False
    )  # its registry is the process's, and this function another each time
    path, tools, workflows = str(folder / "durabl.db"), [durabl.tool(keep)], [workflow]
    opened = partial(durabl.Runtime, db=path, tools=tools, workflows=workflows, synchronous="FULL")
    opened()  # which makes the tables
    of_thread = threading.local()

    def turn(number: int) -> None:
        if not hasattr(of_thread, "runtime"):  # its connection is of one thread
            of_thread.runtime = opened()
        of_thread.runtime.run("handle", {"body": bodies[number % len(bodies)]})

    return _timed(turn, at_once, count)


def huey_tasks(folder: Path, at_once: int, count: int) -> Timing:
    """Tasks of huey on SQLite with fsync: queued, taken, executed, the result fetched."""
    huey = importlib.import_module("huey").SqliteHuey("peers", filename=str(folder / "huey.db"), fsync=True, timeout=60)
    bodies = messages(seed=count)

    def handle(body: Any) -> int:
        return len(str(body))

    task = huey.task()(handle)

    def turn(number: int) -> None:
        asked = task(bodies[number % len(bodies)])
        found = huey.dequeue()
        while found is None:
            found = huey.dequeue()
        huey.execute(found)
        asked.get(blocking=True, backoff=1.0, max_delay=0.001)

    return _timed(turn, at_once, count)


def langgraph_nodes(folder: Path, at_once: int, count: int) -> Timing:
    """A LangGraph graph of one node over SqliteSaver, durability `sync`, one thread for each conversation."""
    graphs = importlib.import_module("langgraph.graph")
    saver_class = importlib.import_module("langgraph.checkpoint.sqlite").SqliteSaver
    bodies = messages(seed=count)
    connection = sqlite3.connect(folder / "graph.db", check_same_thread=False)
    saver = saver_class(connection)
    saver.setup()
    connection.execute("PRAGMA synchronous=FULL")

    def keep(state: dict[str, Any]) -> dict[str, int]:
        return {"size": len(str(state))}

    builder = graphs.StateGraph(dict)
    builder.add_node("keep", keep)
    builder.add_edge(graphs.START, "keep")
    graph = builder.compile(checkpointer=saver)

    def turn(number: int) -> None:
        config = {"configurable": {"thread_id": str(number % at_once)}}
        graph.invoke({"body": bodies[number % len(bodies)]}, config, durability="sync")

    timing = _timed(turn, at_once, count)
    connection.close()
    return timing


def dbos_workflows(folder: Path, at_once: int, count: int) -> Timing:
    """Workflows of DBOS with one step, on SQLite as it ships."""
    dbos = importlib.import_module("dbos")
    bodies = messages(seed=count)
    url = f"sqlite:///{folder / 'dbos.db'}"
    instance = dbos.DBOS(config={"name": "peers", "system_database_url": url, "log_level": "ERROR"})

    @dbos.DBOS.step()
    def keep(number: int) -> int:
        return len(str(bodies[number % len(bodies)]))

    @dbos.DBOS.workflow()
    def handle(number: int) -> int:
        return keep(number)

    try:
        instance.launch()
        return _timed(handle, at_once, count)
    finally:
        instance.destroy(destroy_registry=True)


def _timed(turn: Callable[[int], object], at_once: int, count: int) -> Timing:
    """As many threads, each of which takes its turns one after the other."""

    def work(thread: int) -> None:
        for number in range(count // at_once):
            turn(number * at_once + thread)

    with ThreadPoolExecutor(at_once) as pool:
        began = perf_counter()
        list(pool.map(work, range(at_once)))
        return Timing(count=count // at_once * at_once, elapsed_s=perf_counter() - began)
