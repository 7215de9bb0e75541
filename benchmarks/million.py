"""What a host costs on a file of 1,000 runtimes and on one of 1,000,000: opening, looking, listing, an input, idling, memory.

    python benchmarks/million.py
    python benchmarks/million.py --small             # the share that stands in the tests

Nobody owns the runtimes, which are at rest; 100 more, of a kind that the host does not know, have work that nobody does. Both
files are written in bulk: one runtime is spawned, and its rows are multiplied. Each figure is taken by a process of its own,
and the processes take turns; medians are printed, and their ratios, large to small (the aim is 1.5):

- `open_ms`, `open_cpu_ms`: until the host is open;
- `look_cpu_us`: a look for work that nobody owns;
- `page_cpu_us`: a page of 50 of the list, from the middle of the ids on;
- `input_ms`, `input_cpu_us`: one input to a runtime that nobody owns, until its outcome is there; each to another runtime;
- `idle_cpu_ms`: processor time of a second without work;
- `mib`: resident memory at the end.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

import trio
from measuring.end_to_end import remember
from measuring.report import options, print_line, ratio, scratch

import tenure
from tenure.persistence.upkeep.inspect import list_runtimes
from tenure.supervisor.operators.unowned import FIRST, unfinished
from tenure.testing.observing import inside_of, seen

FEW: Final = 1_000
MANY: Final = 1_000_000
STRANGERS: Final = 100
INPUTS: Final = 200
LOOKS: Final = 50
PAGE: Final = 50
QUIET_S: Final = 3.0

NUMBERED: Final = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {last})"

RUNTIMES: Final = """
INSERT INTO runtimes (runtime, runtime_id, kind, record_version, state, generation, fence_token, epoch, session, crashes,
                      failures, boundaries, chain, created_at, updated_at)
{numbered}
SELECT r.runtime + i, 'agent/' || substr('0000000' || i, -7), r.kind, r.record_version, r.state, r.generation,
       r.fence_token + i, r.epoch, r.session + i, r.crashes, r.failures, r.boundaries, r.chain, r.created_at, r.updated_at
FROM n CROSS JOIN runtimes r WHERE r.runtime_id = 'agent/0000000'"""

SESSIONS: Final = """
INSERT INTO sessions (session, session_id, runtime, revision, message_count, digest, scheme)
{numbered}
SELECT s.session + i, 'talk/' || substr('0000000' || i, -7), s.runtime + i, s.revision, s.message_count, s.digest, s.scheme
FROM n CROSS JOIN sessions s JOIN runtimes r ON r.session = s.session WHERE r.runtime_id = 'agent/0000000'"""


async def fill(path: Path, count: int) -> None:
    """A store with so many runtimes at rest, and the strangers."""
    opened = partial(
        tenure.open_supervisor, path, behaviours={"agent": remember, "stranger": remember}, durability="os"
    )
    async with opened(seams=seen()) as host:
        await host.spawn("agent/0000000", "agent")
        numbered = NUMBERED.format(last=count - 1)
        tokens = ("UPDATE store SET last_fence_token = last_fence_token + ?", (count,))
        rows = [(text.format(numbered=numbered), ()) for text in (RUNTIMES, SESSIONS)]
        await inside_of(host.store).write_past([*rows, tokens])
    async with opened() as host:  # which counts its keys from there on
        await host.hold(kind="stranger")
        for number in range(STRANGERS):
            await (await host.spawn(f"stranger/{number}", "stranger")).accept("wait")


async def measure(path: Path, count: int, inputs: int, quiet_s: float) -> dict[str, float]:
    """All figures of one store, as one process has them."""
    found: dict[str, float] = {}
    began, cpu = perf_counter(), process_time()
    async with tenure.open_supervisor(path, behaviours={"agent": remember}) as host:
        found["open_ms"], found["open_cpu_ms"] = (perf_counter() - began) * 1e3, (process_time() - cpu) * 1e3
        look, middle = partial(unfinished, offers={}, after=FIRST), f"agent/{count // 2:07}"
        found["look_cpu_us"] = await typical(partial(host.store.read, look))
        page = partial(list_runtimes, after=middle, count=PAGE)
        found["page_cpu_us"] = await typical(partial(host.store.read, page))
        cpu, times = process_time(), list[float]()
        for number in range(inputs):
            began = perf_counter()
            ticket = await host.accept(f"agent/{number * (count // inputs):07}", "hello")
            await ticket.wait_outcome()
            times.append(perf_counter() - began)
        found["input_cpu_us"] = (process_time() - cpu) / inputs * 1e6
        found["input_ms"] = statistics.median(times) * 1e3
        before = process_time()
        await trio.sleep(quiet_s)
        found["idle_cpu_ms"] = (process_time() - before) / quiet_s * 1e3
        found["mib"] = resident_mib()
    return found


async def typical(read: Callable[[], Awaitable[object]]) -> float:
    """Processor time of a read, in microseconds: the mean of some, after one that fills the cache of pages."""
    await read()
    cpu = process_time()
    for _ in range(LOOKS):
        await read()
    return (process_time() - cpu) / LOOKS * 1e6


def resident_mib() -> float:
    """The highest resident memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)


def child(what: str, path: Path, count: int, *, small: bool) -> str:
    """What a process of its own prints."""
    command = [sys.executable, __file__, f"--{what}", str(path), "--count", str(count), *(["--small"] if small else [])]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - this file itself


def main() -> None:
    """Fill, measure in turns and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--fill", type=Path, help="only make a store at this path")
    parser.add_argument("--measure", type=Path, help="only measure the store at this path")
    parser.add_argument("--count", type=int, default=MANY, help="runtimes of the large store")
    asked = parser.parse_args()
    count = 2 * FEW if asked.small and asked.count == MANY else asked.count
    if asked.fill is not None:
        trio.run(fill, asked.fill, count)
        return
    if asked.measure is not None:
        inputs, quiet_s = (10, 0.1) if asked.small else (INPUTS, QUIET_S)
        print(json.dumps(trio.run(measure, asked.measure, count, inputs, quiet_s)))
        return
    sizes, seen_of = (FEW, count), dict[int, list[dict[str, float]]]()
    with scratch(asked.folder) as folder:
        began = perf_counter()
        for size in sizes:
            child("fill", Path(folder) / f"{size}.db", size, small=asked.small)
        filled_s = perf_counter() - began
        for _ in range(1 if asked.small else asked.repeats):
            for size in sizes:
                line = child("measure", Path(folder) / f"{size}.db", size, small=asked.small)
                seen_of.setdefault(size, []).append(json.loads(line))
        file_mib = [round((Path(folder) / f"{size}.db").stat().st_size / (1 << 20), 1) for size in sizes]
    few, many = (_medians(seen_of[size]) for size in sizes)
    print_line(
        "million",
        runtimes=sizes,
        file_mib=file_mib,
        filled_s=round(filled_s, 1),
        few=few,
        many=many,
        ratios={name: ratio(many[name], few[name]) for name in few},
    )


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(each[name] for each in found), 2) for name in found[0]}


if __name__ == "__main__":
    main()
