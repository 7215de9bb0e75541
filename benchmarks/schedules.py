"""What schedules cost a host while none of them is due: the looks at what comes next.

    python benchmarks/schedules.py

The processor time of the whole process over quiet seconds, with 10 schedules and with 10,000, in turns; the least of each. The
next instants lie a day ahead. The ratio of the two is the point: it is to be at most 1.2.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import trio
from measuring.end_to_end import quiet_cost_ms
from measuring.report import options, print_line, scratch

import tenure

COUNTS: Final = (10, 10_000)
QUIET_S: Final = 10.0
SETTLE_S: Final = 2.0
ROUNDS: Final = 3
TOGETHER: Final = 200


async def nothing(_run: tenure.Run) -> None:
    """No input comes."""


async def fill(database: Path, count: int) -> None:
    """Make so many schedules, each for another agent, a day away."""
    async with tenure.open_supervisor(database, behaviours={"agent": nothing}) as supervisor:
        for first in range(0, count, TOGETHER):
            async with trio.open_nursery() as nursery:
                for number in range(first, min(first + TOGETHER, count)):
                    create = partial(supervisor.schedules.create, kind="agent")
                    when = tenure.Every(86_400 + number)
                    nursery.start_soon(create, f"s{number}", f"a{number}", when, {"number": number})


async def idle(database: Path, quiet_s: float) -> float:
    """Milliseconds of processor time that one quiet second costs."""
    async with tenure.open_supervisor(database, behaviours={"agent": nothing}):
        await trio.sleep(SETTLE_S if quiet_s == QUIET_S else 0)
        return await quiet_cost_ms(quiet_s)


async def main() -> None:
    """Measure both counts in turns and print one line."""
    given = options(__doc__ or "").parse_args()
    counts, quiet_s, rounds = ((2, 20), 0.2, 1) if given.small else (COUNTS, QUIET_S, ROUNDS)
    with scratch(given.folder) as name:
        stores = {count: Path(name) / f"{count}.db" for count in counts}
        for count, database in stores.items():
            await fill(database, count)
        found: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(rounds):
            for count, database in stores.items():
                found[count].append(await idle(database, quiet_s))
    least = {count: min(each) for count, each in found.items()}
    print_line(
        "schedules",
        quiet_s=quiet_s,
        rounds=rounds,
        cpu_ms_a_second={str(count): round(each, 2) for count, each in least.items()},
        ratio=round(least[counts[1]] / least[counts[0]], 3),
    )


if __name__ == "__main__":
    trio.run(main)
