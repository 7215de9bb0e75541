"""What the errors of APSW mean; mapped here and nowhere else."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

import apsw

from tenure.errors import (
    CannotOpen,
    Closed,
    Contended,
    Corrupt,
    CounterOverflow,
    DiskFull,
    Internal,
    InvalidInput,
    NoDescriptor,
)
from tenure.persistence.engines.engine import UnknownOutcome
from tenure.persistence.seams.executors import opening


def close_quietly(connection: apsw.Connection) -> None:
    """Close a connection, whatever it says."""
    with suppress(apsw.Error):  # closing writes nothing: there is nothing that could be lost
        connection.close()


NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says of a disk, a quota or a limit of file sizes that is used up."""

_NEEDED_ROOM: Final = frozenset({apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_SHMSIZE})


def is_full(exc: apsw.Error, connection: apsw.Connection | None) -> bool:
    """Whether there was no room for a write.

    SQLite calls only ENOSPC a full disk, and not where its shared memory grows. All else is an I/O error to it, though
    the same has happened: a write that did not take place, and nothing else.
    """
    return isinstance(exc, apsw.FullError) or (
        connection is not None
        and isinstance(exc, apsw.IOError)
        and getattr(exc, "extendedresult", None) in _NEEDED_ROOM
        and connection.system_errno in NO_ROOM
    )


def is_temporary(exc: apsw.Error) -> bool:
    """Whether a statement could not open a temporary file: those of the store are open since before."""
    no_folder = getattr(exc, "extendedresult", None) == apsw.SQLITE_IOERR_GETTEMPPATH
    return no_folder or isinstance(exc, apsw.CantOpenError)


@contextmanager
def mapped_errors(doing: str, path: str, connection: apsw.Connection | None = None) -> Generator[None]:
    """Map what the driver raises while a file is being opened, migrated or copied; `path` is the file."""
    try:
        yield
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as exc:
        check_descriptors(path)
        raise CannotOpen(path=path, detail=str(exc)) from exc
    except apsw.Error as exc:
        raise map_error(exc, doing, connection) from exc


STATEMENT_ERRORS: Final = (apsw.Error, UnicodeDecodeError, OverflowError)
"""What a statement may raise: SQLite's errors, a stored text that is not UTF-8, an integer beyond 64 bits."""


def map_statement_error(
    exc: apsw.Error | UnicodeDecodeError | OverflowError, doing: str, connection: apsw.Connection
) -> Exception:
    """The error of tenure that an error of a statement stands for."""
    if isinstance(exc, UnicodeDecodeError):
        return Corrupt(record="row", key=doing, detail="a text is not UTF-8")
    return CounterOverflow(counter=doing) if isinstance(exc, OverflowError) else map_error(exc, doing, connection)


def map_error(exc: apsw.Error, doing: str, connection: apsw.Connection | None) -> Exception:
    """The error of tenure that an error of the driver stands for, while `doing` something on a connection."""
    # Cases: full, busy, damaged, no further file (the statement is undone, and those of the store are open since before),
    # failed I/O, too big for SQLite, closed meanwhile, and what only a mistake of ours can cause.
    match exc:
        case apsw.FullError() | apsw.IOError() if is_full(exc, connection):
            mapped: Exception = DiskFull()
        case apsw.BusyError() | apsw.LockedError() | apsw.ProtocolError():
            mapped = Contended(detail=f"{doing}: {exc}")
        case apsw.CorruptError() | apsw.NotADBError():
            mapped = Corrupt(record="database", key=doing, detail=str(exc))
        case apsw.CantOpenError() | apsw.IOError() if is_temporary(exc):
            mapped = _not_opened(doing, str(exc))
        case apsw.IOError() | apsw.NoMemError():
            mapped = UnknownOutcome(f"{doing}: {exc}")
        case apsw.TooBigError():
            mapped = InvalidInput(detail=str(exc))
        case apsw.ConnectionClosedError():
            mapped = Closed(what="store")
        case _:
            mapped = Internal(detail=f"{doing}: {exc}")
    return mapped


_NEEDED_DESCRIPTORS: Final = 4
"""Of a connection: the database, its log, what it shares with others, and a folder that is synced."""


def check_descriptors(what: str) -> None:
    """Raise `NoDescriptor` where the process has too few left: SQLite says no more than that it cannot open a file.

    It has closed what it had opened by then, so that there may be as many as it needs but one.
    """
    held: list[int] = []
    try:
        with opening(what):
            for _ in range(_NEEDED_DESCRIPTORS):
                held.append(os.open(os.sep, os.O_RDONLY))  # noqa: PERF401 - those that were opened are closed
    finally:
        for each in held:
            os.close(each)


def _not_opened(doing: str, detail: str) -> Exception:
    try:
        check_descriptors(doing)
    except NoDescriptor as exc:
        return exc
    return CannotOpen(path="a temporary file", detail=f"{doing}: {detail}")
