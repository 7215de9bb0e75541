"""Files of callers, beside the store: what is attached is read from one, and what is got is written into a new one.

A path may come from a model or a user, and may lead anywhere. A pipe would be waited on for ever, by a thread that reads for
the whole host, and a device has no end: only plain files are read. And where this process has a file open as a database,
closing it once more would drop the locks of that connection (see `read_head` in the SQLite engine): it is not opened.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from tenure.errors import CannotOpen, DiskFull
from tenure.persistence.seams.executors import opening

_OWN_DESCRIPTORS: Final = "/dev/fd"
_DATABASE: Final = b"SQLite format 3\x00"
_INDEX: Final = (3_007_000).to_bytes(4, sys.byteorder)
"""How the index of a log begins, on which SQLite holds locks too."""

_OWNER_ONLY: Final = 0o600


def chunks_of(path: str, amount: int) -> Iterator[bytes]:
    """The bytes of a plain file, at most `amount` at a time. Blocking.

    Raises:
        CannotOpen: There is none, it cannot be read, it is not a plain file, or it is a database that this process has open.
        NoDescriptor: The system gives this process no file descriptor.
    """
    with mapped(path), _open(path) as file:
        while chunk := file.read(amount):
            yield chunk


def create(path: str) -> BinaryIO:
    """A new file, of the owner's alone. Raises `CannotOpen` where anything has that name; `NoDescriptor`."""
    with mapped(path):
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _OWNER_ONLY), "wb")


def remove(path: str) -> None:
    """Remove a file that is there no longer, or that was made here. Raises `CannotOpen`."""
    with mapped(path):
        Path(path).unlink(missing_ok=True)


@contextmanager
def mapped(path: str) -> Generator[None]:
    """Errors of the system on a caller's own file."""
    try:
        with opening(path):
            yield
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull from exc
        raise CannotOpen(path=path, detail=f"{exc.strerror}") from exc


def _open(path: str) -> BinaryIO:
    found = Path(path).stat()
    _check_plain(path, found)
    if _is_database_in_use(found):
        detail = "this process has it open as a database, and reading it here would drop its locks; attach a copy"
        raise CannotOpen(path=path, detail=detail)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that has come meanwhile is not waited for
    file = os.fdopen(descriptor, "rb")
    try:
        _check_plain(path, os.fstat(descriptor))
    except BaseException:
        file.close()
        raise
    return file


def _check_plain(path: str, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise CannotOpen(path=path, detail=os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise CannotOpen(path=path, detail="it is a pipe or a device, and not a plain file")


def _is_database_in_use(found: os.stat_result) -> bool:
    """Whether this process has it open, and it begins as a database or the index of a log does."""
    with suppress(OSError):  # a system that does not list them, or a file that goes
        for name in os.listdir(_OWN_DESCRIPTORS):  # noqa: PTH208 - numbers, and no paths
            with suppress(OSError):  # that of the list itself has been closed, or it may only be written
                descriptor = int(name)
                if os.path.samestat(os.fstat(descriptor), found):
                    head = os.pread(descriptor, len(_DATABASE), 0)
                    if head == _DATABASE or head.startswith(_INDEX):
                        return True
    return False
