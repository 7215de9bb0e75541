"""Events: appended, resumed and folded; in ratio to raw APSW, and beside the SQLite recorder of the library eventsourcing.

    pip install eventsourcing
    python benchmarks/events.py

Appends of one event of 200 bytes, on disk when they return, by 1 and by 100 streams at once. Raw APSW inserts the same row
and moves the same cursor, as many of them in one transaction as there are streams. The recorder has one thread a stream;
without the library its row is None. Resuming opens a log whose snapshot stands 1,000 events before the head, beside a read
of those 1,000 alone. Folding reads a long stream without a snapshot into a count, and says how much memory that took.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

import apsw
import trio
from measuring.report import Timing, median_of, options, print_line, ratio, scratch

from tenure.persistence.opening import open_store
from tenure.persistence.store import Store

AT_ONCE: Final = (1, 100)
EVENT: Final = {"kind": "measured", "text": "x" * 160, "n": 1}
TAIL: Final = 1_000
LARGE: Final = 64 * 1024


async def appends(path: Path, at_once: int, count: int) -> Timing:
    """Appends by so many streams at once."""
    latencies: list[float] = []

    async def work(stream: str) -> None:
        for at in range(count // at_once):
            began = perf_counter()
            await store.journal.append(stream, [EVENT], at)
            latencies.append(perf_counter() - began)

    async with open_store(path) as store:
        began = perf_counter()
        async with trio.open_nursery() as nursery:
            for number in range(at_once):
                nursery.start_soon(work, f"stream-{number}")
        elapsed = perf_counter() - began
    return Timing(count=len(latencies), elapsed_s=elapsed, latencies_s=sorted(latencies))


def raw(path: Path, at_once: int, count: int) -> Timing:
    """The same rows by APSW alone: one transaction for an event of each stream."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "WAL")
    connection.pragma("synchronous", "FULL")
    connection.execute(
        "CREATE TABLE streams (stream INTEGER PRIMARY KEY, stream_id TEXT UNIQUE, cursor INTEGER NOT NULL);"
        "CREATE TABLE events (event INTEGER PRIMARY KEY, stream INTEGER, sequence INTEGER, digest BLOB, recorded_at REAL,"
        " payload BLOB); CREATE UNIQUE INDEX events_by_sequence ON events (stream, sequence)"
    )
    connection.executemany(
        "INSERT INTO streams VALUES (?, ?, 0)", [(each, f"stream-{each}") for each in range(at_once)]
    )
    payload, digest = json.dumps(EVENT).encode(), bytes(32)
    began = perf_counter()
    for at in range(count // at_once):
        connection.execute("BEGIN IMMEDIATE")
        for stream in range(at_once):
            connection.execute("SELECT cursor FROM streams WHERE stream_id = ?", (f"stream-{stream}",)).fetchall()
            connection.execute(
                "INSERT INTO events (stream, sequence, digest, recorded_at, payload) VALUES (?, ?, ?, ?, ?)",
                (stream, at + 1, digest, 0.0, payload),
            )
            connection.execute("UPDATE streams SET cursor = ? WHERE stream = ?", (at + 1, stream))
        connection.execute("COMMIT")
    elapsed = perf_counter() - began
    connection.close()
    return Timing(count=count // at_once * at_once, elapsed_s=elapsed)


def recorder(path: Path, at_once: int, count: int) -> Timing:
    """The recorder of eventsourcing, one thread a stream."""
    sqlite = importlib.import_module("eventsourcing.sqlite")
    stored: Any = importlib.import_module("eventsourcing.persistence").StoredEvent
    datastore = sqlite.SQLiteDatastore(str(path), lock_timeout=60, pool_timeout=120.0)
    found = sqlite.SQLiteAggregateRecorder(datastore)
    found.create_table()
    state = json.dumps(EVENT).encode()

    def work() -> None:
        originator = uuid4()
        for at in range(count // at_once):
            found.insert_events([stored(originator, at + 1, "measured", state)])

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    began = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = perf_counter() - began
    datastore.close()
    return Timing(count=count // at_once * at_once, elapsed_s=elapsed)


def count_events(state: int, _event: object) -> int:
    """A fold into a small state."""
    return state + 1


async def resume(path: Path, count: int, tail: int, repeats: int) -> dict[str, float]:
    """Open a log from its snapshot, beside a read of the events after it alone."""
    async with open_store(path, durability="os") as store:
        for begin in range(0, count, TAIL):
            await store.journal.append("long", [EVENT] * min(TAIL, count - begin))
        await store.journal.save_snapshot("long", count - tail, str(count - tail).encode())
        opened: list[float] = []
        read: list[float] = []
        for _ in range(repeats):
            began = perf_counter()
            async with store.journal.open("long", count_events, 0) as log:
                opened.append(perf_counter() - began)
                expect(log.state, count)
            began = perf_counter()
            expect(len([each async for each in store.journal.stream("long", count - tail)]), tail)
            read.append(perf_counter() - began)
    open_s, read_s = statistics.median(opened), statistics.median(read)
    return {"open_ms": round(open_s * 1000, 2), "read_ms": round(read_s * 1000, 2), "ratio": ratio(open_s, read_s)}


def expect(found: float, wanted: float) -> None:
    """What was measured was done."""
    if found != wanted:
        message = f"{found} in place of {wanted}"
        raise RuntimeError(message)


async def fill(store: Store, total: int) -> int:
    """Append events of 64 KiB until they are so many bytes; how many there are."""
    event, count = {"text": "x" * (LARGE - 11)}, 0
    while count * LARGE < total:
        count = await store.journal.append("large", [event] * 16)
    return count


def memory_kib(field: str) -> int:
    """What this process takes now (``VmRSS``), or took at most (``VmHWM``); `ru_maxrss` would count its parent too."""
    status = Path("/proc/self/status")
    if not status.exists():  # not on Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
    (line,) = [each for each in status.read_text().splitlines() if each.startswith(field)]
    return int(line.split()[1])


async def fold_alone(path: str) -> None:
    """In its own process: fold a stream, and print the events and how much the process has grown."""
    async with open_store(path, durability="os") as store:
        await store.journal.exists("large")
        before = memory_kib("VmRSS")
        began = perf_counter()
        async with store.journal.open("large", count_events, 0) as log:
            folded = log.state
        elapsed = perf_counter() - began
        grown = memory_kib("VmHWM") - before
    print(json.dumps({"events": folded, "grown_mib": round(grown / 1024, 1), "elapsed_s": round(elapsed, 2)}))


async def fold(path: Path, total: int) -> dict[str, float]:
    """Fold a stream of so many bytes without a snapshot, in its own process."""
    async with open_store(path, durability="os") as store:
        count = await fill(store, total)
    done = subprocess.run(  # noqa: ASYNC221, S603 - this very program, and nothing else runs
        [sys.executable, __file__, "--fold", str(path)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    expect(found["events"], count)
    return {**found, "mib": round(count * LARGE / 2**20)}


async def main() -> None:
    """Measure each size and print one line."""
    parser = options(__doc__ or "")
    parser.add_argument("--fold", help="only fold the stream of this store, and say how much memory that took")
    given = parser.parse_args()
    if given.fold is not None:
        await fold_alone(given.fold)
        return
    sizes = (1, 2) if given.small else AT_ONCE
    repeats = 1 if given.small else given.repeats
    there = importlib.util.find_spec("eventsourcing") is not None
    rows: dict[str, Any] = {}
    with scratch(given.folder) as name:
        folder = Path(name)
        for size in sizes:
            count = size * (5 if given.small else 1_000 if size == 1 else 100)
            ours: list[Timing] = []
            alone: list[Timing] = []
            theirs: list[Timing] = []
            for at in range(repeats):
                ours.append(await appends(folder / f"ours-{size}-{at}.db", size, count))
                alone.append(raw(folder / f"raw-{size}-{at}.db", size, count))
                if there:
                    theirs.append(recorder(folder / f"theirs-{size}-{at}.db", size, count))
            row: dict[str, Any] = {"tenure": median_of(ours), "raw": median_of(alone)}
            row["to_raw"] = ratio(row["tenure"]["per_s"], row["raw"]["per_s"])
            beside = median_of(theirs) if theirs else None
            row["eventsourcing"] = beside
            row["to_eventsourcing"] = ratio(row["tenure"]["per_s"], beside["per_s"]) if beside else None
            rows[str(size)] = row
        resumed = await resume(folder / "long.db", *((300, 100) if given.small else (100_000, TAIL)), repeats)
        folded = await fold(folder / "large.db", 2**21 if given.small else 2**30)
    print_line("events", durability="disk", streams=rows, resume=resumed, fold=folded)


if __name__ == "__main__":
    trio.run(main)
