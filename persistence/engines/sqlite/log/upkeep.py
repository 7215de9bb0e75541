"""How long the log of the connection that writes is, and when it is moved into the database.

Theory of operation. A checkpoint moves the log's pages into the database; once all are moved and no reader needs them, the
next commit begins the log anew, from its first page, and cuts the file down to `_KEPT` times what a checkpoint is asked for. A
reader that holds a view is in the way of both: the log grows for as long as it stays. Then it is not asked with every group
whether the reader has left, but with every `_PATIENCE` groups.
"""

from __future__ import annotations

from typing import Final, final

import apsw

from tenure.persistence.engines.engine import UnknownOutcome
from tenure.persistence.engines.sqlite.errors import is_full

_KEPT: Final = 2
_LONG: Final = 4
_PATIENCE: Final = 16


@final
class LogUpkeep:
    """The log of one connection that writes.

    Attributes:
        pages: Pages of the log that are in use, moved or not.
    """

    def __init__(self, connection: apsw.Connection, due_pages: int) -> None:
        """Count from now on; a checkpoint is due when `due_pages` have not been moved."""
        self.pages = 0
        self._db = connection
        self._due_pages = due_pages
        self._moved = 0
        self._commits = 0
        self._cut = False
        connection.pragma("journal_size_limit", _KEPT * due_pages * int(connection.pragma("page_size")))
        connection.set_wal_hook(self._count)

    @property
    def unmoved(self) -> int:
        """Pages that are still to be moved."""
        return max(self.pages - self._moved, 0)

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint should be tried before the next group."""
        unmoved = self.pages - self._moved
        return unmoved >= self._due_pages or (unmoved > 0 and self._commits >= _PATIENCE and self.is_held)

    @property
    def is_held(self) -> bool:
        """Whether it has grown far beyond where it would have been begun anew: something is in the way of that."""
        return self.pages >= _LONG * self._due_pages

    def checkpoint(self, mode: int = apsw.SQLITE_CHECKPOINT_PASSIVE) -> None:
        """Move what can be moved. Raises `UnknownOutcome`."""
        self._commits = 0
        self._cut = False
        try:
            pages, moved = self._db.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            return  # a reader or another process is in the way: the log stays and the next time tries again
        except apsw.Error as exc:
            if is_full(exc, self._db):
                return  # the log keeps everything; groups that need room will say DiskFull themselves
            message = f"checkpoint: {exc}"
            raise UnknownOutcome(message) from exc
        self.pages, self._moved = max(pages, 0), max(moved, 0)
        self._cut = mode == apsw.SQLITE_CHECKPOINT_TRUNCATE and pages <= 0

    def empty(self) -> bool:
        """Move all of it, and cut the file to nothing; whether it is empty. It waits for no reader. Raises `UnknownOutcome`."""
        self.checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        return self._cut

    def _count(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        # Once everything is moved, the log begins anew. Where a reader is in the way of that it grows on after what was
        # moved, which need not be moved again with every group.
        if pages < self._moved:
            self._moved = 0
        self.pages = pages
        self._commits += 1
        return apsw.SQLITE_OK
