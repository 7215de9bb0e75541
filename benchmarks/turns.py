"""This checkout beside another one, taking turns: the processor's time and the wall's for each commit and each input.

    python benchmarks/turns.py --beside ../other-checkout --turns 12

Each turn measures both in processes of their own, one after the other, and the next turn the other way round: what a busy
machine does to one it does to the other. Printed are medians of the ratios of the turns, this checkout to the other: below 1 is
cheaper. The workload is that of measuring/ in each checkout: boundaries of runs through the store, inputs through a supervisor.
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
import trio
from measuring.end_to_end import feed
from measuring.workload import commit_concurrently, copy_of, prepare
from tenure.persistence.store import open_store

folder, single, shared = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

def taken():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, time.perf_counter()

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
            }
            for place, clock in enumerate(("processor", "wall"))
        }
        for name in here[0]
    }
    print_line("turns", turns=turns, **rows)


if __name__ == "__main__":
    main()
