"""The proof of edits on the command line: ``python -m proof.edits [--every N] [--program NAME] [--shares N]``.

A case that breaks a promise is told with its program and number: ``--program NAME --first NUMBER --every 100000`` is it alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from proof.seeded.cases import say

from .programs import PROGRAMS
from .proving import Report, proved


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the cases that are asked for; the exit code is 1 where a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m proof.edits", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, help="take every so-manieth case only (1)")
    parser.add_argument("--first", type=int, default=0, help="from the case with this number on (0)")
    parser.add_argument("--program", choices=PROGRAMS, action="append", help="only this program (all)")
    parser.add_argument("--shares", type=int, default=1, help="tell what came of it after each of so many shares (1)")
    asked = parser.parse_args(arguments)
    began = time.perf_counter()
    report, told = Report(recorded=0), 0
    for report in proved(asked.every, asked.first, tuple(asked.program or PROGRAMS), shares=asked.shares):
        for case, how in report.broken[told:]:
            say(f"BROKEN  {case}: {how}")
        told = len(report.broken)
        say(f"{report.cases} cases in {time.perf_counter() - began:.0f} s, {told} broke a promise")
    for came, count in sorted(report.came.items()):
        say(f"{count:7} {came}")
    say(f"{report.same:7} as one of these: not held, so that another way out is the same case")
    say(f"{report.cases} cases over {report.recorded} recorded runs in {time.perf_counter() - began:.0f} s")
    if report.broken:
        say(f"{len(report.broken)} broke a promise")
        return 1
    say("nothing was done twice, and nothing left out in silence")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
