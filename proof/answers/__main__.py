"""The proof of answers on the command line: ``python -m proof.answers [--every N] [--first N] [--seeds N]``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from itertools import islice

from proof.seeded.cases import say
from tenure.testing.determinism import frozen_heap

from .play import LAYOUTS, Case
from .proving import broken_by, drawn_case, every_case
from .world import ANSWERS

MOST_BROKEN = 20
"""Cases that broke a promise, after which it ends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the cases that are asked for; the exit code is 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m proof.answers", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every so-manieth case only (1)")
    parser.add_argument("--first", type=int, default=0, help="from the case, or seed, with this number on (0)")
    parser.add_argument(
        "--seeds", type=int, default=0, help="so many cases of several deaths, drawn, in place of every case"
    )
    parser.add_argument("--how", choices=ANSWERS, action="append", help="only what becomes of this child (of all)")
    parser.add_argument("--layout", choices=LAYOUTS, action="append", help="only these hosts (all)")
    asked = parser.parse_args(arguments)
    began = time.perf_counter()
    cases: Iterable[Case] = map(drawn_case, range(asked.first, asked.first + asked.seeds))
    if not asked.seeds:
        every = every_case(asked.how or tuple(ANSWERS), asked.layout or tuple(LAYOUTS))
        cases = islice(every, asked.first, None, asked.every)
    with frozen_heap():
        played, broken = _played(cases)
    took_s, processor_s = time.perf_counter() - began, time.process_time()
    say(f"{played} cases, {broken} broke a promise, in {took_s:.0f} s, {processor_s:.0f} s of the processor")
    return 1 if broken else 0


def _played(cases: Iterable[Case]) -> tuple[int, int]:
    """How many were played, and how many of them broke a promise."""
    played = broken = 0
    for case in cases:
        played += 1
        how = broken_by(case)
        if how is not None:
            broken += 1
            say(f"BROKEN  {case}: {how}")
            if broken >= MOST_BROKEN:
                break
        if played % 200 == 0:
            say(f"{played} cases, the last one of {case}")
    return played, broken


if __name__ == "__main__":
    raise SystemExit(main())
