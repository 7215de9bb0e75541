"""Databases that this process was forked with.

SQLite keeps in its memory which locks of a file its process has. A fork copies that memory, and no lock: a connection that the
child opens counts on locks which stayed with its parent. It writes beside others, or waits for ever for a lock that its parent
had at that moment.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Final

from tenure.errors import CannotOpen

_OPEN: Final[Counter[tuple[int, int]]] = Counter()
_INHERITED: Final[set[tuple[int, int]]] = set()


def note_open(path: str) -> tuple[int, int]:
    """Note that this process opens a database that is there. Returns what `note_closed` takes."""
    found = Path(path).stat()
    identity = (found.st_dev, found.st_ino)
    _OPEN[identity] += 1
    return identity


def note_closed(identity: tuple[int, int]) -> None:
    """Note that it was closed."""
    _OPEN[identity] -= 1


def check_not_inherited(path: str) -> None:
    """Raises `CannotOpen` where the database was open in the process that this one was forked from, when it was."""
    if not _INHERITED:
        return
    try:
        found = Path(path).stat()
    except OSError:
        return  # it is not there, or what opens it says why
    if (found.st_dev, found.st_ino) in _INHERITED:
        detail = (
            "it was open in the process that this one was forked from, and its locks stayed there; "
            "open it after the fork alone, or start the process by spawn or forkserver"
        )
        raise CannotOpen(path=path, detail=detail)


def _inherit() -> None:
    _INHERITED.update(identity for identity, times in _OPEN.items() if times > 0)
    _OPEN.clear()


os.register_at_fork(after_in_child=_inherit)
