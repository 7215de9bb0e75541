"""How long an accept takes: one runtime, 100 senders, each with one accept in flight.

    python benchmarks/accept.py

Accepts of one runtime share groups, so many senders do not wait for one fsync each. Measured twice: with a runtime that only
takes in (it is held back by a run that waits), and with one that consumes what it accepts at the same time.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Final

import trio
from measuring.report import Timing, median_of, options, print_line, scratch
from measuring.workload import messages

import tenure

SENDERS: Final = 100


async def consume(run: tenure.Run) -> None:
    """Take the batch and do nothing with it."""
    await trio.lowlevel.checkpoint()
    run.session.append(len(run.inputs))


async def wait(run: tenure.Run) -> None:
    """Hold the runtime in its first run, so that nothing but accepts is written."""
    run.session.append("waiting")
    await trio.sleep_forever()


async def send(folder: Path, kind: str, senders: int, count: int) -> Timing:
    """Let all senders accept until `count` inputs are in."""
    bodies = messages(seed=count)
    latencies: list[float] = []
    behaviours = {"consuming": tenure.Behaviour(consume, batch=64), "waiting": wait}

    async def work() -> None:
        for turn in range(count // senders):
            began = perf_counter()
            await runtime.accept(bodies[turn % len(bodies)])
            latencies.append(perf_counter() - began)

    with scratch(folder) as name:
        limits = tenure.Limits(inbox_inputs=count + senders)
        async with tenure.open_supervisor(Path(name) / "accept.db", behaviours=behaviours, limits=limits) as host:
            runtime = await host.spawn("agent", kind)
            began = perf_counter()
            async with trio.open_nursery() as nursery:
                for _ in range(senders):
                    nursery.start_soon(work)
            elapsed = perf_counter() - began
            await runtime.stop()  # the rest of the inbox is not what is measured
    return Timing(count=len(latencies), elapsed_s=elapsed, latencies_s=sorted(latencies))


async def main() -> None:
    """Measure both kinds and print one line."""
    given = options(__doc__ or "").parse_args()
    senders, count, repeats = (5, 20, 1) if given.small else (SENDERS, 10_000, given.repeats)
    with scratch(given.folder) as name:
        rows = {
            kind: median_of([await send(Path(name), kind, senders, count) for _ in range(repeats)])
            for kind in ("waiting", "consuming")
        }
    print_line("accept", durability="disk", senders=senders, runtimes=1, accepts=rows)


if __name__ == "__main__":
    trio.run(main)
