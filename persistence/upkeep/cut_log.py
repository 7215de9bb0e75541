"""Going on with a damaged log, knowingly: it is cut off where it can no longer be read."""

from __future__ import annotations

import os
from typing import final

from attrs import frozen

from tenure.errors import CannotOpen, StoreBroken
from tenure.persistence.engines.engine import UnknownOutcome
from tenure.persistence.engines.sqlite.engine import SqliteEngine
from tenure.persistence.engines.sqlite.preflight import mapped_os_errors
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.engines.target import path_of
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.executors import run_to_the_end
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

from .look import check_store


@final
@frozen(kw_only=True, slots=True)
class LogCut:
    """What was done.

    Attributes:
        cut: Whether the log was damaged, and is cut off; else nothing was changed.
        last_fence_token: The last token that was minted; raised by 2**32 where the log was cut, so that no token that was
            minted in the part that is lost is minted again.
    """

    cut: bool
    last_fence_token: int


async def cut_log(
    target: str | os.PathLike[str], *, limits: Limits | None = None, seams: Seams | None = None
) -> LogCut:
    """Cut a damaged log off behind the last group before the damage. What was acknowledged behind it is lost.

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
    path = path_of(target)
    limits, seams = limits or Limits(), seams or Seams()
    engine = SqliteEngine(path, load_statements(), DurabilityClass.DISK, limits, seams, cut_damage=True)
    executor = seams.writer_executor()
    try:
        return await run_to_the_end(executor, lambda: _cut(path, engine, seams))
    finally:
        executor.close()


def _cut(path: str, engine: SqliteEngine, seams: Seams) -> LogCut:
    try:
        with mapped_os_errors(path):
            check_store(path, seams)
        connection = engine.open()
        try:
            if not engine.alone:
                detail = "hosts have it open; a log that they go on in is not damaged"
                raise CannotOpen(path=path, detail=detail)
            row = connection.one("ownership.last_token")
        finally:
            connection.close(checkpoint=False)
            engine.close()
    except UnknownOutcome as exc:
        raise StoreBroken(incarnation="none", group=None, in_doubt=False, detail=str(exc)) from exc
    return LogCut(cut=engine.has_cut, last_fence_token=row[0] if row else 0)
