"""Backups: one verified file of a store, made while it is in use, and a new store made of it."""

from __future__ import annotations

import os

import trio

from tenure.persistence.engines.choice import door_to, text_of_target
from tenure.persistence.engines.door import (
    Copy,
    Copying,
)
from tenure.persistence.seams.executors import run_to_the_end
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams


async def back_up(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    limits: Limits | None = None,
    seams: Seams | None = None,
) -> Copy:
    """Copy a store, open or not, into one new file: the state of one moment, checked, compared and on disk.

    Hosts go on meanwhile; their log is not shortened until the copy is made.

    Raises:
        CannotOpen: There is no such store, the target is there already, or the disk fails.
        NotADatabase: The source is not a store.
        Corrupt: The store is damaged.
        SchemaMismatch: A newer tenure wrote it, or one between two releases.
        StoreLocked: A host has it for itself.
        DiskFull: The copy did not fit.

    Cancellation: at any time; nothing is left of the copy. Atomic: the target is whole, or not there.
    """
    return await _run(door_to(source, limits, seams).back_up(text_of_target(target)), seams)


async def restore(
    backup: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    run_unfinished: bool = False,
    limits: Limits | None = None,
    seams: Seams | None = None,
) -> Copy:
    """Make a new store of a backup, or of a replicator's copy. Tokens minted since the copy was made are stale in it.

    What was unfinished in the copy, a run, an input that waited, a schedule, may have gone on in the original: a letter that
    was sent there would be sent again. So its runtime is held (`restored`) until a person resumes it, unless
    `run_unfinished`. Queued work is carried out again by who serves it.

    Args:
        backup: One file, or a database with its log beside it. It is left as it is.
        target: The new store.
        run_unfinished: Whether all of it goes on at the first open.
        limits: See `open_store`.
        seams: See `open_store`.

    Raises:
        CannotOpen: There is no such backup, the target is there already, or the disk fails.
        NotADatabase: The backup is none of ours.
        Corrupt: The backup is damaged.
        SchemaMismatch: A newer tenure wrote it, or one between two releases.
        InvalidInput: It is a store that hosts use, and not a copy.
        StoreLocked: Another process opens the target just now.
        DiskFull: The store did not fit.
        CounterOverflow: The counter of fence tokens cannot be raised any more.

    Cancellation: at any time; nothing is left of the store. Atomic: the target is whole, or not there.
    """
    door = door_to(target, limits, seams)
    return await _run(door.restore(text_of_target(backup), run_unfinished=run_unfinished), seams)


async def _run(copying: Copying, seams: Seams | None) -> Copy:
    executor = (seams or Seams()).reader_executor()
    try:
        return await executor.run(copying.copy)
    except trio.Cancelled:
        copying.stop()
        await run_to_the_end(executor, lambda: None)  # after the copy, which cleans up what it left
        raise
    finally:
        executor.close()
