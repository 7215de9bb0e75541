"""Workers on the command line: ``python -m proof.workers [--seeds N] [--first N]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from .proving import prove


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the seeds that are asked for; the exit code is 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m proof.workers", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many (100)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    asked = parser.parse_args(arguments)
    began, broken = time.perf_counter(), 0
    for seed, came, how in prove(range(asked.first, asked.first + asked.seeds)):
        broken += how is not None
        _say(f"seed {seed}: {came if how is None else f'BROKEN: {how}'}")
    _say(f"{asked.seeds} seeds, {broken} broke a promise, in {time.perf_counter() - began:.0f} s")
    return 1 if broken else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
