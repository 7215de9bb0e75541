"""The proof of edits on the command line: ``python -m proof.edits [--every N] [--program NAME]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from .programs import PROGRAMS
from .proving import prove


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the cases that are asked for; the exit code is 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m proof.edits", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every so-manieth case only (1)")
    parser.add_argument("--first", type=int, default=0, help="from the case with this number on (0)")
    parser.add_argument("--program", choices=PROGRAMS, action="append", help="only this program (all)")
    asked = parser.parse_args(arguments)
    began = time.perf_counter()
    report = prove(asked.every, asked.first, tuple(asked.program or PROGRAMS))
    for came, count in sorted(report.came.items()):
        _say(f"{count:7} {came}")
    for case, how in report.broken:
        _say(f"BROKEN  {case}: {how}")
    cases = report.came.total() + len(report.broken)
    _say(f"{cases} cases over {report.recorded} recorded runs in {time.perf_counter() - began:.0f} s")
    if report.broken:
        _say(f"{len(report.broken)} broke a promise")
        return 1
    _say("nothing was done twice, and nothing left out in silence")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    raise SystemExit(main())
