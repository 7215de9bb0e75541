"""Going on with a damaged log, knowingly: it is cut off where it can no longer be read."""

from __future__ import annotations

import os

from tenure.errors import StoreBroken
from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.door import (
    Door,
    LogCut,
)
from tenure.persistence.engines.engine import (
    UnknownOutcome,
)
from tenure.persistence.seams.executors import run_to_the_end
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams


async def cut_log(
    target: str | os.PathLike[str], *, limits: Limits | None = None, seams: Seams | None = None
) -> LogCut:
    """Cut a damaged log off after the last group before the damage. What was acknowledged later is lost.

    Whether it is damaged is asked as an open asks it; a log that is not stays as it is. Copy the files away before.

    Raises:
        CannotOpen, NotADatabase, SchemaMismatch: As for an open; there is no such store.
        StoreLocked: A host has it open.
        Corrupt: The database itself is damaged, or nothing is left before the damage: restore a backup.
        DiskFull: There is no room for the copy of the log.
        StoreBroken: An I/O error; do it again.
        CounterOverflow: The counter of fence tokens cannot be raised any more.

    Cancellation: none; it is bounded by the log. Atomic: a crash in the middle is gone on from by the next open.
    """
    seams = seams or Seams()
    door = door_to(target, limits, seams)
    executor = seams.writer_executor()
    try:
        return await run_to_the_end(executor, lambda: _cut(door))
    finally:
        executor.close()


def _cut(door: Door) -> LogCut:
    try:
        return door.cut_log()
    except UnknownOutcome as exc:
        raise StoreBroken(incarnation="none", group=None, in_doubt=False, detail=str(exc)) from exc
