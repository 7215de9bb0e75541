"""The proof of re-entry on the command line: ``python -m proof.reentry [--seeds N] [--first N] [--asyncio]``.

A seed that breaks a promise is printed with its number: ``--seeds 1 --first NUMBER`` is it alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial

from proof.seeded.cases import broken_by, file_of_its_own, played, say
from tenure.testing.determinism import frozen_heap

from . import real_time
from .play import Came, play

MOST_BROKEN = 20
"""Seeds that broke a promise, after which it ends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the seeds that are asked for; the exit code is 1 where a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m proof.reentry", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100, help="how many (100)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--asyncio", action="store_true", help="on asyncio, in real time")
    asked = parser.parse_args(arguments)
    began, (seeds, broken, came) = time.perf_counter(), (0, 0, Came())
    with frozen_heap():
        for seed in range(asked.first, asked.first + asked.seeds):
            found, how = (broken_on_asyncio if asked.asyncio else broken_of)(seed)
            seeds += 1
            came += found
            if how is not None:
                broken += 1
                say(f"BROKEN  seed {seed}: {how}")
                if broken >= MOST_BROKEN:
                    break
    took_s, processor_s = time.perf_counter() - began, time.process_time()
    say(f"{seeds} seeds, {broken} broke a promise: {came}; in {took_s:.0f} s, {processor_s:.0f} s of the processor")
    return 1 if broken else 0


def broken_of(seed: int) -> tuple[Came, str | None]:
    """What there was in the case of a seed, and how it broke a promise or None."""
    try:
        came, how = broken_by(partial(played, partial(play, seed), seed))
    except BaseException as exc:
        exc.add_note(f"in seed {seed}")
        raise
    return came or Came(), how


def broken_on_asyncio(seed: int) -> tuple[Came, str | None]:
    """As `broken_of`, of the case as it is played on asyncio."""
    with file_of_its_own() as file:
        came, how = broken_by(partial(real_time.play, seed, file))
    return came or Came(), how


if __name__ == "__main__":
    raise SystemExit(main())
