"""What makes a new store of a copy: its bytes are brought, its tokens raised, and what was in flight is held.

A copy is what `tenure backup` made, or what a replicator brought back: a database file, with or without its log. Its bytes are
copied as they are, so that nothing is written beside it, and SQLite puts file and log together in the new place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import apsw

from tenure.errors import InvalidInput
from tenure.persistence.engines.sqlite.files.names import has_log
from tenure.persistence.engines.sqlite.opening.preflight import is_connected
from tenure.persistence.engines.sqlite.system.files import Files
from tenure.persistence.model.values import HeldReason

from .copying import Stopped

_CHUNK: Final = 8 << 20
_DETAIL: Final = "it had work to do in the copy that this store was made of: {what}; the original may have done it"

_TO_DO: Final = (
    ("a run", "run IS NOT NULL"),
    ("what waits in its inbox", "runtime IN (SELECT runtime FROM inputs WHERE finished_at IS NULL)"),
    ("a schedule", "runtime_id IN (SELECT runtime_id FROM schedules WHERE fires_at IS NOT NULL)"),
)
"""What the original may have gone on with, each with the condition of its runtimes."""


def check_is_copy(path: str, files: Files) -> None:
    """Raises `InvalidInput` for a store that hosts use: its lock is beside it, or it is open."""
    if not has_log(path, None):
        return
    if files.exists(f"{path}-lock"):
        detail = "it is a store, which goes on changing, and no backup; make one with `tenure backup`"
        raise InvalidInput(detail=detail, field="backup")
    if is_connected(path, None, unknown=False):
        raise InvalidInput(detail="another program has it open, and may go on changing it", field="backup")


def bring(backup: str, made: str, files: Files, stopped: Callable[[], bool]) -> None:
    """Copy the bytes of a database and of its log to the file `made` and beside it. Raises `Stopped`."""
    _pour(backup, made, files, stopped)
    log = f"{backup}-wal"
    if has_log(backup, None) and files.exists(log) and files.size(log):
        files.create(f"{made}-wal")
        _pour(log, f"{made}-wal", files, stopped)


def hold_unfinished(copy: apsw.Connection) -> int:
    """Hold each runtime that has work to do: what it did in the original after the copy is not known here. How many."""
    held = 0
    for what, condition in _TO_DO:
        copy.execute(
            f"UPDATE runtimes SET held = ?, held_detail = ? WHERE {condition} AND held IS NULL AND state != 'destroyed'",  # noqa: S608 - conditions of our own
            (HeldReason.RESTORED, _DETAIL.format(what=what)),
        )
        held += copy.changes()
    return held


def _pour(source: str, target: str, files: Files, stopped: Callable[[], bool]) -> None:
    # A descriptor of a database drops the locks of this process when it is closed (see `read_head`): nothing has it open here.
    offset = 0
    while chunk := files.read_at(source, offset, _CHUNK):
        if stopped():
            raise Stopped
        files.write_at(target, offset, chunk)
        offset += len(chunk)
