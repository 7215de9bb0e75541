"""How long a commit takes while the trio loop is never idle: one task spins in slices of 2 ms.

    python benchmarks/busy_loop.py

The writer's thread needs the interpreter lock, and a loop that is always runnable hardly ever lets go of it. The aim is a p99
of at most 40 ms, with 1 and with 100 runtimes committing. `spun_share` says how much of the time was left to the spinning task.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

import trio
from measuring.report import Timing, median_of, options, print_line, scratch
from measuring.workload import Agent, boundary_commit, copy_of, messages, prepare

from tenure.persistence.opening import open_store
from tenure.persistence.store import Store

SLICE_S: Final = 0.002
SIZES: Final = (1, 100)


async def spin(spun: list[float]) -> None:
    """Keep the loop busy: a slice of work, one checkpoint, and again."""
    while True:
        began = perf_counter()
        while perf_counter() - began < SLICE_S:
            pass
        spun.append(perf_counter() - began)
        await trio.lowlevel.checkpoint()


async def commit_for(store: Store, agents: Sequence[Agent], duration_s: float) -> tuple[Timing, float]:
    """Commit with all agents at once beside a spinning task. Also returns the spinning task's share of the time."""
    bodies = messages(seed=1)
    latencies: list[float] = []
    spun: list[float] = []

    async def work(agent: Agent) -> None:
        while perf_counter() < end:
            began = perf_counter()
            await store.commit(boundary_commit(agent, bodies[len(latencies) % len(bodies)]))
            latencies.append(perf_counter() - began)

    began = perf_counter()
    end = began + duration_s
    async with trio.open_nursery() as spinning:
        spinning.start_soon(spin, spun)
        async with trio.open_nursery() as working:
            for agent in agents:
                working.start_soon(work, agent)
        elapsed = perf_counter() - began
        spinning.cancel_scope.cancel()
    return Timing(count=len(latencies), elapsed_s=elapsed, latencies_s=sorted(latencies)), sum(spun) / elapsed


async def main() -> None:
    """Measure each size and print one line."""
    given = options(__doc__ or "").parse_args()
    sizes = (1, 2) if given.small else SIZES
    duration_s, repeats = (0.05, 1) if given.small else (2.0, given.repeats)
    rows: dict[str, dict[str, float]] = {}
    with scratch(given.folder) as name:
        template = Path(name) / "template.db"
        agents = await prepare(template, max(sizes))
        for size in sizes:
            timings: list[Timing] = []
            shares: list[float] = []
            for _ in range(repeats):
                async with open_store(copy_of(template, "busy.db")) as store:
                    timing, share = await commit_for(store, agents[:size], duration_s)
                timings.append(timing)
                shares.append(share)
            rows[str(size)] = {**median_of(timings), "spun_share": round(statistics.median(shares), 2)}
    print_line("busy_loop", durability="disk", slice_ms=SLICE_S * 1000, runtimes=rows)


if __name__ == "__main__":
    trio.run(main)
