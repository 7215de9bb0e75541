"""Times as rates and percentiles, and the one JSON line that a benchmark prints."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import apsw
import trio
from attrs import frozen


@final
@frozen(kw_only=True, slots=True)
class Timing:
    """One measured row.

    Attributes:
        count: Things done.
        elapsed_s: Time for all of them.
        latencies_s: Time of each, sorted; empty where only the whole was timed.
        cpu_s: Time of the processor for all of them; 0 where that was not asked.
    """

    count: int
    elapsed_s: float
    latencies_s: Sequence[float] = ()
    cpu_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Things done a second."""
        return self.count / self.elapsed_s

    def percentile_ms(self, percent: float) -> float:
        """The latency that `percent` of all stayed below, in milliseconds."""
        at = min(len(self.latencies_s) - 1, int(len(self.latencies_s) * percent / 100))
        return self.latencies_s[at] * 1000


def median_of(repeats: Sequence[Timing]) -> dict[str, float]:
    """One row of the line: medians over the repeats, and the least time of the processor for one of them."""
    row = {"per_s": round(statistics.median(each.per_s for each in repeats), 1)}
    if all(each.cpu_s for each in repeats):
        row["cpu_us"] = round(min(each.cpu_s / each.count for each in repeats) * 1e6)
    if all(each.latencies_s for each in repeats):
        for percent in (50, 99):
            row[f"p{percent}_ms"] = round(statistics.median(each.percentile_ms(percent) for each in repeats), 3)
    return row


def ratio(above: float, below: float) -> float:
    """A ratio with two digits, which is more than a shared machine can show."""
    return round(above / below, 2)


def print_line(benchmark: str, **findings: Any) -> None:
    """Print the one line, with what the numbers depend on."""
    machine = {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "trio": trio.__version__,
    }
    print(json.dumps({"benchmark": benchmark, **findings, "machine": machine}))


def options(description: str) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where databases are made (default: a fresh temporary folder)")
    parser.add_argument("--repeats", type=int, default=3, help="each row is measured so often; medians are printed")
    parser.add_argument("--small", action="store_true", help="tiny sizes: shows that it runs, and measures nothing")
    return parser


def scratch(folder: Path | None) -> tempfile.TemporaryDirectory[str]:
    """A folder for databases, gone afterwards."""
    return tempfile.TemporaryDirectory(prefix="tenure-benchmark-", dir=folder)
