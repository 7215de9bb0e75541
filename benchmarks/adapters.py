"""Adapters beside the stores that their frameworks ship: the same work in one run, `synchronous=FULL` on both sides.

    pip install '.[test-adapters]'
    python benchmarks/adapters.py

Savers: one checkpoint with a message of 1 to 4 KiB for each `put`, of its own thread of LangGraph. Stores: one item with the
same message for each `put`. Sessions: one item of the OpenAI Agents SDK with such a message for each `put`, from
tasks, beside its `SQLiteSession`. The others from threads (`SqliteSaver`, `SqliteStore`, ours over
`tenure.sync`) and from tasks of asyncio (their async twins, ours over `tenure.asyncio`), with 1, 10 and 100 at once. Both sides
of a row take turns, every other turn the other way round. `cpu_us` is what one `put` takes of the processor, with its share of
opening the store; a busy machine changes it less than it does times.
What is not installed is skipped and named.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import re
import sqlite3
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Final

from measuring.report import Timing, median_of, options, print_line, ratio, scratch
from measuring.workload import messages

import tenure.asyncio
import tenure.sync

AT_ONCE: Final = (1, 10, 100)
BODIES: Final = messages(seed=1)

Blocking = Callable[[Path], AbstractContextManager[Callable[[int, int], Any]]]
Awaited = Callable[[Path], AbstractAsyncContextManager[Callable[[int, int], Awaitable[Any]]]]
"""Opens a store at a path, and gives what puts turn n of a thread into it."""


def checkpoint(thread: int, turn: int) -> tuple[Any, ...]:
    """What a saver is given: config, checkpoint, metadata, versions."""
    made = importlib.import_module("langgraph.checkpoint.base").empty_checkpoint()
    made["channel_values"] = {"message": BODIES[turn % len(BODIES)]}
    config = {"configurable": {"thread_id": str(thread), "checkpoint_ns": ""}}
    return config, made, {"source": "loop", "step": turn}, {}


def item(thread: int, turn: int) -> tuple[Any, ...]:
    """What a store is given: namespace, key, value."""
    return ("agents", str(thread)), str(turn), {"message": BODIES[turn % len(BODIES)]}


@contextmanager
def their_saver(path: Path) -> Generator[Callable[[int, int], Any]]:
    """Give the `put` of LangGraph's SqliteSaver."""
    connection = sqlite3.connect(path, check_same_thread=False)
    saver = importlib.import_module("langgraph.checkpoint.sqlite").SqliteSaver(connection)
    saver.setup()
    connection.execute("PRAGMA synchronous=FULL")
    yield lambda thread, turn: saver.put(*checkpoint(thread, turn))
    connection.close()


@contextmanager
def their_store(path: Path) -> Generator[Callable[[int, int], Any]]:
    """Give the `put` of LangGraph's SqliteStore."""
    kind = importlib.import_module("langgraph.store.sqlite").SqliteStore
    with kind.from_conn_string(str(path)) as store:
        store.setup()
        store.conn.execute("PRAGMA synchronous=FULL")
        yield lambda thread, turn: store.put(*item(thread, turn))


def theirs_on_a_loop(module: str, name: str, made: Callable[[int, int], tuple[Any, ...]]) -> Awaited:
    """The `aput` of LangGraph's AsyncSqliteSaver or AsyncSqliteStore."""

    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Callable[[int, int], Awaitable[Any]]]:
        async with getattr(importlib.import_module(module), name).from_conn_string(str(path)) as theirs:
            await theirs.setup()
            await theirs.conn.execute("PRAGMA synchronous=FULL")
            yield lambda thread, turn: theirs.aput(*made(thread, turn))

    return opened


def ours(name: str, made: Callable[[int, int], tuple[Any, ...]]) -> Blocking:
    """The `put` of ours, over a store of `tenure.sync`."""

    @contextmanager
    def opened(path: Path) -> Generator[Callable[[int, int], Any]]:
        with tenure.sync.open_store(path) as store:
            adapter = getattr(importlib.import_module("tenure.adapters.langgraph"), name)(store)
            yield lambda thread, turn: adapter.put(*made(thread, turn))

    return opened


def ours_on_a_loop(name: str, made: Callable[[int, int], tuple[Any, ...]]) -> Awaited:
    """The `aput` of ours, over a store of `tenure.asyncio`."""

    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[Callable[[int, int], Awaitable[Any]]]:
        async with tenure.asyncio.open_store(path) as store:
            adapter = getattr(importlib.import_module("tenure.adapters.langgraph"), name)(store)
            yield lambda thread, turn: adapter.aput(*made(thread, turn))

    return opened


def text_of(turn: int) -> str:
    """The text of a turn."""
    return str(BODIES[turn % len(BODIES)]["content"])


@asynccontextmanager
async def our_sessions(path: Path) -> AsyncGenerator[Callable[[int, int], Awaitable[Any]]]:
    """Give the `add_items` of our session for the OpenAI Agents SDK."""
    kind = importlib.import_module("tenure.adapters.openai_agents").TenureSession
    async with tenure.asyncio.open_store(path) as store:
        found: dict[int, Any] = {}
        yield lambda thread, turn: (found.get(thread) or found.setdefault(thread, kind(str(thread), store))).add_items(
            [said(turn)]
        )


@asynccontextmanager
async def their_sessions(path: Path) -> AsyncGenerator[Callable[[int, int], Awaitable[Any]]]:
    """Give the `add_items` of the SQLiteSession of the OpenAI Agents SDK; its connections are FULL as they come."""
    kind = importlib.import_module("agents.memory").SQLiteSession
    found: dict[int, Any] = {}
    yield lambda thread, turn: (found.get(thread) or found.setdefault(thread, kind(str(thread), str(path)))).add_items(
        [said(turn)]
    )
    for each in found.values():
        each.close()


def said(turn: int) -> dict[str, Any]:
    """What a session of the OpenAI Agents SDK is given."""
    return {"role": "user", "content": text_of(turn)}


def in_threads(opener: Blocking, path: Path, at_once: int, count: int) -> Timing:
    """Let so many threads put, each into a thread of its own."""
    turns = max(count // at_once, 1)
    with opener(path) as put, ThreadPoolExecutor(at_once) as pool:

        def work(thread: int) -> None:
            for turn in range(turns):
                put(thread, turn)

        work(at_once)  # what is made at the first call
        began = perf_counter()
        list(pool.map(work, range(at_once)))
        return Timing(count=turns * at_once, elapsed_s=perf_counter() - began)


def in_tasks(opener: Awaited, path: Path, at_once: int, count: int) -> Timing:
    """Let so many tasks put."""
    turns = max(count // at_once, 1)

    async def run() -> Timing:
        async with opener(path) as put:

            async def work(thread: int) -> None:
                for turn in range(turns):
                    await put(thread, turn)

            await work(at_once)
            began = perf_counter()
            await asyncio.gather(*[work(thread) for thread in range(at_once)])
            return Timing(count=turns * at_once, elapsed_s=perf_counter() - began)

    return asyncio.run(run())


ROWS: Final[dict[str, tuple[Callable[..., Timing], Any, Any]]] = {
    "saver, threads": (in_threads, ours("TenureSaver", checkpoint), their_saver),
    "saver, tasks": (
        in_tasks,
        ours_on_a_loop("TenureSaver", checkpoint),
        theirs_on_a_loop("langgraph.checkpoint.sqlite.aio", "AsyncSqliteSaver", checkpoint),
    ),
    "store, threads": (in_threads, ours("TenureStore", item), their_store),
    "store, tasks": (
        in_tasks,
        ours_on_a_loop("TenureStore", item),
        theirs_on_a_loop("langgraph.store.sqlite.aio", "AsyncSqliteStore", item),
    ),
    "OpenAI session, tasks": (in_tasks, our_sessions, their_sessions),
}

NEEDED: Final = {"saver": "langgraph.checkpoint.sqlite.aio", "store": "langgraph.store.sqlite.aio", "OpenAI": "agents"}
"""By the first word of a row: what must be there to measure it."""


def measure(folder: Path, row: str, at_once: int, count: int, repeats: int) -> dict[str, Any]:
    """Both sides of a row, taking turns."""
    work, *sides = ROWS[row]
    timings: dict[str, list[Timing]] = {"tenure": [], "theirs": []}
    processor: dict[str, list[float]] = {"tenure": [], "theirs": []}
    both = list(zip(("tenure", "theirs"), sides, strict=True))
    for turn in range(repeats):
        for name, opener in (
            reversed(both) if turn % 2 else both
        ):  # what one leaves to the disk meets the other as often
            with scratch(folder) as fresh:
                began = process_time()
                timings[name].append(work(opener, Path(fresh) / "agents.db", at_once, count))
                puts = timings[name][-1].count + timings[name][-1].count // at_once
                processor[name].append((process_time() - began) / puts * 1_000_000)
    found: dict[str, Any] = {
        name: {**median_of(each), "cpu_us": round(median(processor[name]))} for name, each in timings.items()
    }
    ours_to_theirs = ratio(found["tenure"]["per_s"], found["theirs"]["per_s"])
    return {**found, "ratio": ours_to_theirs, "cpu_ratio": ratio(found["tenure"]["cpu_us"], found["theirs"]["cpu_us"])}


def is_there(module: str) -> bool:
    """Whether a module is installed."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor is what it stands in
        return False


def main() -> None:
    """Measure what is installed and print one line."""
    parser = options(__doc__ or "")
    parser.add_argument("--puts", type=int, default=1_000, help="of all threads or tasks of one row together")
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), help="these alone")
    given = parser.parse_args()
    repeats, count = (1, 20) if given.small else (given.repeats, given.puts)
    rows: dict[str, Any] = {}
    missing = sorted({module for module in NEEDED.values() if not is_there(module)})
    for module in missing:
        print(f"{module} is not installed and was skipped", file=sys.stderr)
    with scratch(given.folder) as name:
        for row in [each for each in given.rows if NEEDED[re.split(r"[ ,]", each)[0]] not in missing]:
            rows[row] = {str(at_once): measure(Path(name), row, at_once, count, repeats) for at_once in AT_ONCE}
    print_line("adapters", durability="disk", rows=rows, not_installed=missing)


if __name__ == "__main__":
    main()
