"""What proofs share that play cases: each in a file of its own on virtual time, and seeds from the command line."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import trio

import tenure
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.engines.sqlite.system.locks import Locks
from tenure.persistence.model.texts import leaves
from tenure.persistence.seams.executors import Executor, InlineExecutor
from tenure.testing.determinism import frozen_heap, run_seeded

T = TypeVar("T")

EPOCH: Final = 1_800_000_000.0
"""The wall clock at the beginning of a case, unix seconds."""

ROOM: Final = 1 << 30
"""Bytes that must be free in memory for a proof to put its files there."""

Seed = tuple[int, str, str | None]
"""A seed that was played: its result, and how it broke a promise or None."""


class Broken(AssertionError):
    """A promise was broken."""


def wall_clock() -> float:
    """Goes with the time of trio."""
    return EPOCH + trio.current_time()


def virtual_seams(
    source: random.Random, executor: Callable[[], Executor] = InlineExecutor, locks: Locks | None = None
) -> tenure.Seams:
    """No threads but those of `executor`, and both clocks on virtual time. None: the locks of this system."""
    return tenure.Seams(
        writer_executor=executor,
        reader_executor=executor,
        step_executor=executor,
        wall_clock=wall_clock,
        boot_clock=trio.current_time,
        random=source,
        engine=None if locks is None else SqliteOptions(locks=locks),
    )


def played(play: Callable[[Path], Awaitable[T]], seed: int) -> T:
    """Play a case in a file of its own, by its seed. Raises `Broken`, in a group, and whatever else goes wrong."""
    with file_of_its_own() as file:
        return run_seeded(lambda _room: play(file), seed)


@contextmanager
def file_of_its_own() -> Generator[Path]:
    """Where a store may be made; it goes at the end, with all beside it."""
    with tempfile.TemporaryDirectory(prefix="tenure-proof-", dir=memory_folder()) as folder:
        yield Path(folder) / "agents.db"


def broken_by(play: Callable[[], T]) -> tuple[T | None, str | None]:
    """What a case comes to, and None; or None, and how it broke a promise."""
    how: str | None = None
    try:
        return play(), None
    except* Broken as group:
        how = str(next(iter(leaves(group))))
    return None, how


def prove(play: Callable[[int, Path], Awaitable[str]], seeds: Iterable[int]) -> Iterator[Seed]:
    """Play seeds."""
    for seed in seeds:
        came, how = broken_by(lambda seed=seed: played(lambda file: play(seed, file), seed))
        yield seed, came or "", how


def command(name: str, about: str | None, play: Callable[[int, Path], Awaitable[str]]) -> Callable[..., int]:
    """The command line of a proof that plays seeds: ``python -m NAME [--seeds N] [--first N]``."""

    def main(arguments: Sequence[str] | None = None) -> int:
        """Play the seeds that are asked for; the exit code is 1 where a promise was broken."""
        parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about)
        parser.add_argument("--seeds", type=int, default=100, help="how many (100)")
        parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
        asked = parser.parse_args(arguments)
        began, broken = time.perf_counter(), 0
        with frozen_heap():
            for seed, came, how in prove(play, range(asked.first, asked.first + asked.seeds)):
                broken += how is not None
                say(f"seed {seed}: {came if how is None else f'BROKEN: {how}'}")
        say(f"{asked.seeds} seeds, {broken} broke a promise, in {time.perf_counter() - began:.0f} s")
        return 1 if broken else 0

    return main


def memory_folder() -> str | None:
    """Where the system has a folder of memory with room in it; None for the usual place of temporary files."""
    memory = "/dev/shm"  # noqa: S108 - inside it, a folder with a random name; a container may have a small one
    return memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM else None


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
