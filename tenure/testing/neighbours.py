"""Other programs that have the database of a machine open: SQLite connections that act at any operation of its disk.

Theory of operation. They are asked, as faults are, before each operation that the machine does; then one of them may act:
read, hold a read, checkpoint in any mode, close as the last one (which moves the log into the database
and deletes it), or vanish as a killed process does. They write no row. What they do to the disk is an operation like any other.
They live on when the machine's process is killed, with the memory that they share; a power cut ends them.

They also end the machine's process: from one operation on, nothing that it does reaches the disk, which is what a kill is.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

import apsw

from .drive.operations import Operation

MOST: Final = 3
"""So many connections at once."""

CHECKPOINTS: Final = (
    apsw.SQLITE_CHECKPOINT_PASSIVE,
    apsw.SQLITE_CHECKPOINT_FULL,
    apsw.SQLITE_CHECKPOINT_RESTART,
    apsw.SQLITE_CHECKPOINT_TRUNCATE,
)

_IN_THE_WAY: Final = (apsw.BusyError, apsw.LockedError, apsw.ProtocolError)


@final
class Neighbours:
    """Connections beside a machine, and the end of its process (`tenure.testing.drive.disk.Faults`).

    Attributes:
        dead: Whether the machine's process has ended.
        acts: What the neighbours did, oldest first, for people.
        trouble: What a neighbour heard that no program may hear: that the database is damaged, say.
    """

    def __init__(
        self,
        path: str,
        vfs: str,
        source: random.Random,
        *,
        share: float,
        careful: Callable[[], bool],
    ) -> None:
        """No neighbour is there yet.

        Args:
            path: The database.
            vfs: The machine's VFS.
            source: What they do follows from it.
            share: At which share of the operations one of them acts.
            careful: Whether they only read now, because what they find first would become the truth.
        """
        self.dead = False
        self.acts: list[str] = []
        self.trouble: Exception | None = None
        self._path = path
        self._vfs = vfs
        self._random = source
        self._share = share
        self._careful = careful
        self._there: list[apsw.Connection] = []
        self._acting = False
        self._left: int | None = None
        self._on_end: Callable[[], None] = _nothing

    def end_after(self, operations: int | None, on_end: Callable[[], None]) -> None:
        """Let the machine's process end before it does its so-manieth operation from now; None: never."""
        self.dead = False
        self._left = operations
        self._on_end = on_end

    def act(self) -> None:
        """One of them does something."""
        self._acting = True
        try:
            self._do_something()
        except _IN_THE_WAY as exc:
            self.acts.append(f"  in the way: {exc}")
        except apsw.Error as exc:
            if not self._careful():  # else it has read a log that tenure's own open writes back
                self.trouble = self.trouble or exc
        finally:
            self._acting = False

    def vanish(self) -> None:
        """All of them end, as killed processes do: nothing of the log is moved."""
        self._acting = True
        try:
            for connection in self._there:
                self._close(connection, checkpoint=False)
            self._there.clear()
        finally:
            self._acting = False

    # What a disk asks

    def before_read(self) -> int | None:
        """See `Faults.before_read`."""
        self._before(counts=False)
        return None

    def before_write(self, _size: int) -> tuple[int, int] | None:
        """See `Faults.before_write`."""
        self._before(counts=True)
        return None

    def before_sync(self, _sectors: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
        """See `Faults.before_sync`."""
        self._before(counts=True)
        return None

    def before(self, _operation: type[Operation]) -> int | None:
        """See `Faults.before`."""
        self._before(counts=True)
        return None

    def _before(self, *, counts: bool) -> None:
        if self._acting:
            return
        if not self.dead and counts and self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self.dead = True
                self._on_end()
        if self.dead:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self._random.random() < self._share:
            self.act()

    # What they do

    def _do_something(self) -> None:
        choices = ["come"] * 2 if len(self._there) < MOST else []
        if self._there:
            choices += ["read", "hold", "let go", "checkpoint", "checkpoint", "close", "vanish"]
        what = self._random.choice(choices)
        if what == "come":
            self._there.append(self._come())
            return
        connection = self._random.choice(self._there)
        self.acts.append(what)
        if what == "read":
            self._read(connection)
        elif what == "hold":
            if not connection.in_transaction:
                connection.execute("BEGIN")
            self._read(connection)
        elif what == "let go":
            if connection.in_transaction:
                connection.execute("COMMIT")
        elif what == "checkpoint":
            if not (connection.in_transaction or self._careful()):
                mode = self._random.choice(CHECKPOINTS)
                self.acts[-1] = f"checkpoint {mode}: {connection.wal_checkpoint(mode=mode)}"
        else:
            self._there.remove(connection)
            self._close(connection, checkpoint=what == "close" and not self._careful())

    def _come(self) -> apsw.Connection:
        self.acts.append("come")
        try:
            connection = apsw.Connection(self._path, apsw.SQLITE_OPEN_READWRITE, self._vfs)
        except apsw.CantOpenError as exc:
            raise apsw.BusyError("there is no database yet") from exc
        try:
            self._read(connection)
        except BaseException:
            self._close(connection, checkpoint=not self._careful())
            raise
        return connection

    def _read(self, connection: apsw.Connection) -> None:
        connection.execute("SELECT count(*), max(rootpage) FROM sqlite_schema").fetchall()
        if self._random.random() < _EVERYTHING:
            found = connection.execute("PRAGMA integrity_check").get
            if found != "ok":
                raise apsw.CorruptError(str(found))

    def _close(self, connection: apsw.Connection, *, checkpoint: bool) -> None:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, not checkpoint)
        with suppress(*_IN_THE_WAY):
            connection.close()


_EVERYTHING = 0.02


def _nothing() -> None:
    """Nothing happens at the end of a process that does not end."""
