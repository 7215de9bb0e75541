"""A `trio.run` in which the same seed gives the same run."""

from __future__ import annotations

import gc
import importlib
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import trio
import trio.testing

from tenure.persistence.engines.sqlite.opening.migrations import tables_made_by
from tenure.persistence.engines.statements import schema_files
from tenure.supervisor.process_signals import may_handle_sigterm

from .drive.mounts import Mounts
from .drive.recording_vfs import RecordingVfs
from .machine import Room

T = TypeVar("T")

_FROZEN_AT_FIRST: Final = gc.get_freeze_count()
"""What the interpreter itself has frozen."""


def run_seeded(function: Callable[[Room], Awaitable[T]], seed: int) -> T:
    """Run `function` with a room for machines, on a virtual clock that jumps when all tasks wait.

    Trio's choice between tasks that are ready and SQLite's own random bytes follow from the seed,
    for the whole process while this runs. A SIGTERM interrupts it, as Ctrl-C does, where the program has no handler for it.
    """
    tables_made_by(schema_files())  # takes random bytes of SQLite, but only the first time in a process

    async def main() -> T:
        with RecordingVfs(mounts) as vfs, vfs.seeded_randomness(seed):
            return await function(Room(mounts=mounts, vfs_name=vfs.vfs_name))

    mounts = Mounts()
    clock = trio.testing.MockClock(autojump_threshold=0)
    with seeded_scheduling(seed), frozen_heap(), sigterm_interrupts():
        return trio.run(main, clock=clock)


@contextmanager
def frozen_heap() -> Generator[None]:
    """Leave what is there now out of the collector's walks. Inside of another one it does nothing."""
    # Thousands of images make garbage while a recording and the host program's own objects live on: left out of the
    # collector's walks, they cost a sixth of the images in a second. Who plays many short cases freezes around all of them: the
    # collection before it takes as long as half a case.
    if gc.get_freeze_count() > _FROZEN_AT_FIRST:
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def sigterm_interrupts() -> Generator[None]:
    """Let a SIGTERM interrupt what is played, as Ctrl-C does, where the program has no handler for it."""
    # It is meant for the process, of which the hosts in here know nothing: one that ended in order for it would be judged as if
    # no signal had come.
    handles = may_handle_sigterm()
    if handles:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if handles:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


@contextmanager
def seeded_scheduling(seed: int) -> Generator[None]:
    """Let trio's choice between tasks that are ready follow from the seed, for the whole process while this is open."""
    # Trio shuffles the tasks that are ready, and offers a switch and its random source to
    # Hypothesis alone. It has no public name for them, so this goes where trio's own Hypothesis
    # plugin goes.
    scheduler: Any = importlib.import_module("trio._core._run")
    was_deterministic, state = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()  # noqa: SLF001
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # noqa: SLF001
    scheduler._r.seed(seed)  # noqa: SLF001
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = was_deterministic  # noqa: SLF001
        scheduler._r.setstate(state)  # noqa: SLF001
