"""What a step costs, and how soon a run of 10,000 recorded steps stands again where it stood.

    python benchmarks/steps.py

A `freely` step is one commit, a `keyed` and a `never` one two: the dispatch is on disk before it runs. Then a run that has
recorded so many steps enters again. Measured is the time until it has reached the last one, the commits between the attempts
and the reading of its record included, and in turns with it how long that record takes to be read alone. The ratio is to stay
at about 2. All of it computes and hardly waits, so it is the time of the processor that is measured: a machine that does other
things beside does not change the ratio.
"""

from __future__ import annotations

import gc
import statistics
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, Final

import trio
from measuring.report import options, print_line, ratio, scratch

import tenure
from tenure.persistence.facets.runs import entries

ENTRIES: Final = 10_000
RESULT: Final = {"answer": "x" * 200, "tokens": 1_234}
KINDS: Final = ("freely", "keyed", "never")


async def tool(_: int, **__: str) -> dict[str, Any]:
    """A tool that takes no time, and takes a key where it is given one."""
    return RESULT


async def commits_of_a_step(path: Path, steps: int) -> dict[str, float]:
    """Commits that one step of each kind takes."""
    found: dict[str, float] = {}

    async def behaviour(run: tenure.Run) -> None:
        for kind in KINDS:
            before = supervisor.statistics().commits
            for number in range(steps):
                await run.step("tool", tool, number, repeat=kind)
            found[kind] = round((supervisor.statistics().commits - before) / steps, 2)

    async with tenure.open_supervisor(path, behaviours={"agent": behaviour}, durability="os") as supervisor:
        runtime = await supervisor.spawn("one", "agent")
        await (await runtime.accept("go")).wait_outcome()
    return found


async def enter_again(path: Path, count: int, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of the processor that a record takes to be read, and that a run takes from its begin to the end of its record.

    Each attempt fails there, and the next one begins at once.
    """
    read: list[float] = []
    entered: list[float] = []
    began = 0.0

    async def behaviour(run: tenure.Run) -> None:
        nonlocal began
        for number in range(count):
            await run.step("tool", tool, number, repeat="freely")
        if run.attempts:
            entered.append(process_time() - began)
            read.append(await read_alone(supervisor.store))
        gc.collect()
        began = process_time()
        raise ValueError("once more")

    at_once = tenure.RestartPolicy(max_attempts=repeats + 1, backoff_s=0, budget=repeats + 2)
    kinds = {"agent": tenure.Behaviour(behaviour, restart=at_once)}
    limits = tenure.Limits(run_steps=2 * count)
    async with tenure.open_supervisor(path, behaviours=kinds, durability="os", limits=limits) as supervisor:
        runtime = await supervisor.spawn("many", "agent")
        await (await runtime.accept("go")).wait_outcome()
    return read, entered


async def read_alone(store: tenure.Store) -> float:
    """Seconds of the processor that all that is recorded of the run takes to be read, in one read."""
    async with store.read_connection() as connection:
        ((run,),) = await connection.query("SELECT run FROM entries GROUP BY run ORDER BY count(*) DESC LIMIT 1")
    began = process_time()
    await store.read(partial(entries.of_run, run=run))
    return process_time() - began


async def main() -> None:
    """Count commits, then record, and enter again in turns with reading."""
    given = options(__doc__ or "").parse_args()
    count, steps = (50, 5) if given.small else (ENTRIES, 200)
    with scratch(given.folder) as name:
        commits = await commits_of_a_step(Path(name) / "commits.db", steps)
        read, entered = await enter_again(Path(name) / "steps.db", count, 1 if given.small else given.repeats)
    reading, entering = statistics.median(read), statistics.median(entered)
    print_line(
        "steps",
        durability="os",
        commits_of_a_step=commits,
        entries=count,
        read_cpu_s=round(reading, 3),
        entered_again_cpu_s=round(entering, 3),
        ratio=ratio(entering, reading),
    )


if __name__ == "__main__":
    trio.run(main)
