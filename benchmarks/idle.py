"""What a host costs that has nothing to do: the looks at the other hosts of its file, every `Limits.poll_s`.

    python benchmarks/idle.py

The processor time of the whole process over ten quiet seconds, with no runtime, with 100 and with 10,000 that were spawned and
wait for input. It does not depend on what else the machine does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import trio
from measuring.end_to_end import quiet_cost_ms, remember, spawn_all
from measuring.report import options, print_line, scratch

import tenure

COUNTS: Final = (0, 100, 10_000)
QUIET_S: Final = 10.0
SETTLE_S: Final = 1.0


async def idle(folder: Path, count: int, quiet_s: float) -> float:
    """Milliseconds of processor time that one quiet second costs."""
    with scratch(folder) as name:
        async with tenure.open_supervisor(Path(name) / "idle.db", behaviours={"agent": remember}) as supervisor:
            await spawn_all(supervisor, count)
            await trio.sleep(SETTLE_S if quiet_s == QUIET_S else 0)
            return await quiet_cost_ms(quiet_s)


async def main() -> None:
    """Measure each count and print one line."""
    given = options(__doc__ or "").parse_args()
    counts, quiet_s = ((0, 20), 0.2) if given.small else (COUNTS, QUIET_S)
    with scratch(given.folder) as name:
        cost = {str(count): round(await idle(Path(name), count, quiet_s), 2) for count in counts}
    print_line("idle", quiet_s=quiet_s, poll_s=tenure.Limits().poll_wait_s, cpu_ms_a_second=cost)


if __name__ == "__main__":
    trio.run(main)
