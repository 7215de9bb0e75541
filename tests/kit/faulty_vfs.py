"""A real SQLite VFS with faults: everything reaches the system's own files but what was told to fail.

Shared memory, locks and files are the real ones. A fault strikes one sort of call on one sort of file: an error code that
SQLite itself would have made of the system's error, or a call that hangs until it is let go.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import apsw

FULL = apsw.SQLITE_FULL
WRITE_ERROR = apsw.SQLITE_IOERR_WRITE
SYNC_ERROR = apsw.SQLITE_IOERR_FSYNC
READ_ERROR = apsw.SQLITE_IOERR_READ


class FaultyVfs(apsw.VFS):
    """Registered while it is open; `vfs_name` goes into `SqliteOptions.vfs`."""

    _numbers: ClassVar[itertools.count[int]] = itertools.count()

    def __init__(self) -> None:
        self.vfs_name = f"faulty-{next(self._numbers)}"
        super().__init__(self.vfs_name, "")
        self.calls: list[tuple[str, str]] = []
        self.released = threading.Event()
        self.hanging = threading.Event()
        self._strike: Callable[[str, str], None] | None = None

    def fail(self, call: str, file: str, code: int, *, after: int = 0, times: int = 1_000_000) -> None:
        """Let `call` (xWrite, xSync, xRead) on `file` ("", "-wal") fail with a code, `times` times, after some that work."""
        seen = itertools.count()

        def strike(made: str, on: str) -> None:
            if (made, on) == (call, file) and after <= next(seen) < after + times:
                raise apsw.exception_for(code)

        self._strike = strike

    def hang(self, call: str, file: str) -> None:
        """Let `call` on `file` hang until `heal`."""

        def strike(made: str, on: str) -> None:
            if (made, on) == (call, file):
                self.hanging.set()
                self.released.wait(60)

        self._strike = strike

    def heal(self) -> None:
        """Let everything work again."""
        self._strike = None
        self.released.set()

    def struck(self, call: str, file: str) -> None:
        self.calls.append((call, file))
        if self._strike is not None:
            self._strike(call, file)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _FaultyFile(self, name, flags)


class _FaultyFile(apsw.VFSFile):
    def __init__(self, vfs: FaultyVfs, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._vfs = vfs
        self._sort = next((end for end in ("-wal", "-journal", "-shm") if path.endswith(end)), "")

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._vfs.struck("xRead", self._sort)
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._vfs.struck("xWrite", self._sort)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._vfs.struck("xSync", self._sort)
        super().xSync(flags)
