"""How many runtimes a host spawns a second, and what an idle one costs in memory.

    python benchmarks/spawn.py

Each spawn is an ownership commit: a new runtime, its session, its token. A runtime that was spawned and not used yet is as
small as a passivated one; the first input gives it an actor, which stays until it is passivated. Bytes are
measured in another run, by `tracemalloc`, which slows everything else down.
"""

from __future__ import annotations

import gc
import statistics
import tracemalloc
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

import trio
import trio.testing
from measuring.end_to_end import remember, spawn_all
from measuring.report import Timing, median_of, options, print_line, ratio, scratch

import tenure
from tenure.persistence.commits.transaction import RECORDS_KEPT

FEW: Final = 1_000

RUNTIMES: Final = 20_000

STILL: Final = tenure.Limits(poll_s=3600, passivate_s=2.0)
"""Without looks at other hosts, so that there is a moment in which nothing runs."""


async def spawn_each(folder: Path, count: int) -> tuple[Timing, float]:
    """Time the spawns, all asked for at once; and microseconds of the processor for each."""
    with scratch(folder) as name:
        async with tenure.open_supervisor(Path(name) / "spawn.db", behaviours={"agent": remember}) as supervisor:
            began, cpu = perf_counter(), process_time()
            await spawn_all(supervisor, count)
            elapsed, cpu = perf_counter() - began, process_time() - cpu
    return Timing(count=count, elapsed_s=elapsed), cpu / count * 1e6


async def spawn_together(folder: Path, count: int) -> tuple[Timing, float]:
    """The same runtimes, spawned by one call."""
    with scratch(folder) as name:
        async with tenure.open_supervisor(Path(name) / "spawn.db", behaviours={"agent": remember}) as supervisor:
            began, cpu = perf_counter(), process_time()
            await supervisor.spawn_many([f"agent/{number:06}" for number in range(count)], "agent")
            elapsed, cpu = perf_counter() - began, process_time() - cpu
    return Timing(count=count, elapsed_s=elapsed), cpu / count * 1e6


async def weigh(folder: Path, count: int) -> dict[str, int]:
    """Bytes that one runtime keeps allocated: passivated, and idle with an actor and a handle.

    Of the former as many as the writer keeps records of, twice: it keeps as many of the second as of the first.
    """
    some = 2 * RECORDS_KEPT if count > FEW else 2 * count

    async def grown(name: str) -> int:
        before = await allocated()
        await supervisor.spawn_many([f"{name}/{number:06}" for number in range(some)], "agent")
        await trio.sleep(2 * STILL.passivate_s)
        return await allocated() - before

    with scratch(folder) as scratched:
        path = Path(scratched) / "spawn.db"
        async with tenure.open_supervisor(path, behaviours={"agent": remember}, limits=STILL) as supervisor:
            await use(await supervisor.spawn("warm", "agent"))
            tracemalloc.start()
            await grown("first")
            passivated = await grown("second") + await grown("third")
            began = await allocated()
            owned = await spawn_all(supervisor, count)
            async with trio.open_nursery() as nursery:
                for runtime in owned:
                    nursery.start_soon(use, runtime)
            active = await allocated() - began
            tracemalloc.stop()
    return {"active": round(active / count), "passivated": round(passivated / 2 / some)}


async def use(runtime: tenure.Runtime) -> None:
    """Let a runtime consume one input."""
    ticket = await runtime.accept("wake up")
    await ticket.wait_outcome()


async def allocated() -> int:
    """Bytes that Python has allocated since tracing began, once everything is idle."""
    await trio.testing.wait_all_tasks_blocked(0.1)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def main() -> None:
    """Measure both and print one line."""
    given = options(__doc__ or "").parse_args()
    count, repeats = (20, 1) if given.small else (RUNTIMES, given.repeats)
    with scratch(given.folder) as name:
        pairs = [(await spawn_each(Path(name), count), await spawn_together(Path(name), count)) for _ in range(repeats)]
        spawned, together = (median_of([pair[which][0] for pair in pairs]) for which in (0, 1))
        cpu_us = [round(statistics.median(pair[which][1] for pair in pairs), 1) for which in (0, 1)]
        weight = await weigh(Path(name), min(count, 5_000))
    print_line(
        "spawn",
        durability="disk",
        runtimes=count,
        spawned={**spawned, "cpu_us": cpu_us[0]},
        spawn_many={**together, "cpu_us": cpu_us[1]},
        to_spawn=ratio(together["per_s"], spawned["per_s"]),
        cpu_of_spawn=ratio(cpu_us[1], cpu_us[0]),
        bytes_each=weight,
    )


if __name__ == "__main__":
    trio.run(main)
