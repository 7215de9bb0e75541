"""This checkout beside another one, taking turns: the processor's time and the wall's for each commit and each input.

    python benchmarks/turns.py --beside ../other-checkout --turns 12

Each turn measures both in processes of their own, one after the other, and the next turn the other way round: what a busy
machine does to one it does to the other. Printed are medians of the ratios of the turns, this checkout to the other: below 1 is
cheaper; `least` is the ratio of the least of all turns. The workload is that of measuring/ in each checkout: boundaries of runs
through the store, inputs through a supervisor, from its opening on and through one that is warm.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from measuring.report import options, print_line, scratch

HERE: Final = Path(__file__).resolve().parents[1]

MEASURE: Final = """
import json, resource, sys, time
from pathlib import Path
import tenure, trio
from measuring.end_to_end import feed, remember, spawn_all
from measuring.workload import commit_concurrently, copy_of, messages, prepare
from tenure.persistence.opening import open_store

folder, single, shared = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

def taken():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, time.perf_counter()

async def feed_warm(count):
    # the least of eight parts, of a host that is warm: the whole process, and the thread of its loop
    bodies, parts = messages(seed=count), []
    async with tenure.open_supervisor(folder / "warm.db", behaviours={"agent": remember}) as supervisor:
        owned = await spawn_all(supervisor, 100)

        async def work(runtime):
            for number in range(max(count // 100, 1)):
                await (await runtime.accept(bodies[number % len(bodies)])).wait_outcome()

        for _ in range(9):
            before, thread = taken(), time.thread_time()
            async with trio.open_nursery() as nursery:
                for runtime in owned:
                    nursery.start_soon(work, runtime)
            parts.append([*since(before, max(count // 100, 1) * 100), 1e6 * (time.thread_time() - thread) / max(count, 100)])
    return [min(part[place] for part in parts[1:]) for place in range(3)]

def since(before, count):
    return [1e6 * (now - then) / count for now, then in zip(taken(), before)]

async def main():
    found = {}
    agents = await prepare(folder / "template.db", 100)
    for name, many, count in (("commits, 1 runtime", 1, single), ("commits, 100 runtimes", 100, shared)):
        async with open_store(copy_of(folder / "template.db", "store.db")) as store:
            await commit_concurrently(store, agents[:many], many, many)  # what is cached is cached
            before = taken()
            await commit_concurrently(store, agents[:many], many, count)
            found[name] = since(before, count)
    for name, many, count in (("inputs, 1 runtime", 1, single // 4), ("inputs, 100 runtimes", 100, shared // 4)):
        before = taken()
        await feed(folder, many, many, count)
        found[name] = since(before, count)
    cpu, wall, loop = await feed_warm(shared // 4)
    found["inputs, 100 runtimes, warm"], found["of them, the loop's thread"] = [cpu, wall], [loop, wall]
    print(json.dumps(found))

trio.run(main)
"""
"""Runs in either checkout: microseconds of the processor and of the wall for one commit, and for one input."""


def measure(checkout: Path, folder: Path, single: int, shared: int) -> dict[str, list[float]]:
    """One checkout, in a process that imports nothing of the other."""
    paths = os.pathsep.join([str(checkout), str(checkout / "benchmarks")])
    with scratch(folder) as name:
        command = [sys.executable, "-c", MEASURE, name, str(single), str(shared)]
        done = subprocess.run(  # noqa: S603 - the program above
            command, env={**os.environ, "PYTHONPATH": paths}, cwd=name, capture_output=True, text=True, check=True
        )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def main() -> None:
    """Take turns, and print one line."""
    parser = options(__doc__ or "")
    parser.add_argument(
        "--beside", type=Path, default=HERE, help="the other checkout (default: this one, which shows the noise)"
    )
    parser.add_argument("--turns", type=int, default=12)
    given = parser.parse_args()
    turns, single, shared = (1, 8, 400) if given.small else (given.turns, 400, 4_000)
    here: list[dict[str, list[float]]] = []
    beside: list[dict[str, list[float]]] = []
    with scratch(given.folder) as folder:
        for turn in range(turns):
            pair = [(HERE, here), (given.beside.resolve(), beside)]
            for checkout, found in pair if turn % 2 else reversed(pair):
                found.append(measure(checkout, Path(folder), single, shared))
    rows = {
        name: {
            clock: {
                "us": round(statistics.median(each[name][place] for each in here), 1),
                "to_the_other": round(
                    statistics.median(
                        mine[name][place] / other[name][place] for mine, other in zip(here, beside, strict=True)
                    ),
                    3,
                ),
                "least": round(min(each[name][place] for each in here) / min(each[name][place] for each in beside), 3),
            }
            for place, clock in enumerate(("processor", "wall"))
        }
        for name in here[0]
    }
    print_line("turns", turns=turns, **rows)


if __name__ == "__main__":
    main()
