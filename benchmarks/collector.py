"""What Python's collector of cycles costs an input, and what `open_supervisor(tune_collector=True)` leaves of that.

    python benchmarks/collector.py --turns 6

Inputs end to end, one in flight for each of 100 runtimes, in hosts of one process that take turns: as it is, and with raised
thresholds. Printed are the collections of each generation in so many inputs, and the processor's time of an input: the
medians, and the median of the ratios of the turns.
"""

from __future__ import annotations

import functools
import gc
import statistics
import time
from pathlib import Path

import trio
from attrs import define, field
from measuring.end_to_end import feed
from measuring.report import options, print_line, scratch


@define
class Watch:
    """The collections while it watches, by generation."""

    collections: list[int] = field(factory=lambda: [0, 0, 0])

    def hear(self, phase: str, info: dict[str, int]) -> None:
        """See `gc.callbacks`."""
        if phase == "stop":
            self.collections[info["generation"]] += 1


async def measure(folder: Path, runtimes: int, count: int, *, tuned: bool) -> tuple[float, list[int]]:
    """Microseconds of the processor for an input, and how often the collector looked."""
    watch = Watch()
    gc.callbacks.append(watch.hear)
    began = time.process_time()
    await feed(folder, runtimes, runtimes, count, tune_collector=tuned)
    used = time.process_time() - began
    gc.callbacks.remove(watch.hear)
    return 1e6 * used / count, watch.collections


def main() -> None:
    """Take turns, and print one line."""
    parser = options(__doc__ or "")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--inputs", type=int, default=10_000)
    given = parser.parse_args()
    turns, runtimes, count = (1, 4, 40) if given.small else (given.turns, 100, given.inputs)
    rows: dict[bool, list[tuple[float, list[int]]]] = {False: [], True: []}
    with scratch(given.folder) as folder:
        for turn in range(turns):
            for tuned in (False, True) if turn % 2 else (True, False):
                run = functools.partial(measure, Path(folder), runtimes, count, tuned=tuned)
                rows[tuned].append(trio.run(run))
    ratios = [after / before for (before, _), (after, _) in zip(rows[False], rows[True], strict=True)]
    print_line(
        "collector",
        inputs=count,
        runtimes=runtimes,
        turns=turns,
        **{
            name: {
                "cpu_us": round(statistics.median(used for used, _ in rows[tuned]), 1),
                "collections": rows[tuned][-1][1],
            }
            for name, tuned in (("as_it_is", False), ("tuned", True))
        },
        tuned_to_as_it_is=round(statistics.median(ratios), 3),
    )


if __name__ == "__main__":
    main()
